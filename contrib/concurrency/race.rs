//! Two threads and no lock: where ThreadSanitizer sees nothing in this, it sees nothing.

use std::cell::UnsafeCell;

struct Racy(UnsafeCell<u64>);

// SAFETY: there is none, on purpose.
unsafe impl Sync for Racy {}

static RACY: Racy = Racy(UnsafeCell::new(0));

fn add() {
    for _ in 0..1_000 {
        // SAFETY: as above.
        unsafe { *RACY.0.get() += 1 };
    }
}

fn main() {
    let other = std::thread::spawn(add);
    add();
    other.join().expect("no panic");
}
