//! The rules about locks (docs/ARCHITECTURE.md, "Locks"): nobody holds two of them, and nobody who holds one
//! makes a call on the mount or a notification.

use std::cell::RefCell;
use std::collections::HashMap;

use shuttle::current::{TaskId, me};

thread_local! {
    // Locks held by each thread of the schedule.
    static HELD: RefCell<HashMap<TaskId, usize>> = RefCell::default();
}

/// A schedule begins.
pub fn begin() {
    HELD.with_borrow_mut(HashMap::clear);
}

pub fn locked() {
    HELD.with_borrow_mut(|held| *held.entry(me()).or_default() += 1);
}

pub fn unlocked() {
    HELD.with_borrow_mut(|held| {
        let count = held.entry(me()).or_default();
        // A thread that is dropped at the end of a schedule lets go of what it gave back to wait.
        *count = count.saturating_sub(1);
    });
}

/// Panics if the calling thread holds a lock.
pub fn holds_none(what: &str) {
    let held = HELD.with_borrow(|held| held.get(&me()).copied().unwrap_or(0));
    assert_eq!(held, 0, "a thread with a lock {what}");
}
