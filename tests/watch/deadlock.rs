//! Telling the kernel of changes must never wait for who waits for the kernel: a crowd that does
//! everything at once has to come to an end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{Mounted, names, wait_until, write};
use crate::kid::{Kid, wait_gone};
use crate::watcher::Watcher;

const TURNS: u64 = 400;
const BOUND: Duration = Duration::from_secs(120);

/// Every answer but those that say that the mount is broken.
fn check<T>(result: io::Result<T>) {
    if let Err(error) = result {
        let broken = [libc::EIO, libc::ENOTCONN, libc::ENOSYS, libc::EINVAL, libc::EBADF];
        assert!(!broken.contains(&error.raw_os_error().unwrap_or(libc::EIO)), "{error}");
    }
}

/// A small source of chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn one_turn(root: &Path, dice: &mut Dice) {
    let queue = root.join(format!("q{}", dice.roll(3)));
    let other = root.join(format!("q{}", dice.roll(3)));
    let (name, new) = (format!("e{}", dice.roll(5)), format!("e{}", dice.roll(5)));
    match dice.roll(12) {
        0 | 1 => check(write(queue.join(&name), "x")),
        2 => check(fs::remove_file(queue.join("head"))),
        3 => check(fs::remove_file(queue.join(&name))),
        4 => check(fs::rename(queue.join(&name), queue.join(&new))),
        5 => check(fs::rename(queue.join(&name), other.join(&new))),
        6 => check(fs::hard_link(queue.join(&name), other.join(&new))),
        7 => check(fs::read_dir(&queue).map(Iterator::count)),
        8 => check(fs::read_dir(root).map(Iterator::count)),
        9 => check(fs::read(queue.join("head"))),
        10 => {
            check(fs::create_dir(&queue));
            check(xattr::set(&queue, "user.eventfs_max_events", b"3"));
            check(xattr::set(&queue, "user.eventfs_overflow", b"drop-oldest"));
        }
        _ => check(fs::remove_dir(&queue)),
    }
}

/// Makes the shared queues by processes that die at once.
fn die_again_and_again(root: &Path, turns: u64, dice: &mut Dice) {
    for _ in 0..turns {
        let queue = root.join(format!("q{}", dice.roll(3)));
        let kid = Kid::start(move || {
            let _ = fs::create_dir(&queue);
            let _ = write(queue.join("from_kid"), "x");
            Ok(0)
        });
        kid.kill();
    }
}

fn run(mounted: &Mounted) {
    let (done, finished) = mpsc::channel();
    let turns = std::sync::Arc::new(AtomicU64::new(0));
    for thread in 0..8_u64 {
        let (root, done, turns) = (mounted.point.clone(), done.clone(), turns.clone());
        std::thread::spawn(move || {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (thread + 1));
            if thread < 2 {
                die_again_and_again(&root, TURNS / 8, &mut dice);
            } else {
                for _ in 0..TURNS {
                    one_turn(&root, &mut dice);
                    turns.fetch_add(1, Ordering::Relaxed);
                }
            }
            let _ = done.send(());
        });
    }
    drop(done);
    for left in (0..8).rev() {
        if finished.recv_timeout(BOUND).is_err() {
            let turns = turns.load(Ordering::Relaxed);
            panic!("{} of 8 threads stand still or failed after {turns} turns", left + 1);
        }
    }
}

fn end_in_peace(mounted: &Mounted) {
    for name in names(&mounted.point) {
        let queue: PathBuf = mounted.path(&name);
        if fs::read_dir(&queue).is_err() {
            continue;
        }
        for event in names(&queue) {
            let _ = fs::remove_file(queue.join(event));
        }
        let _ = fs::remove_dir(&queue);
    }
    wait_until("an empty mount", || names(&mounted.point).is_empty());
}

#[test]
fn a_crowd_with_dying_owners_comes_to_an_end_with_notify_full() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0,notify=full");
    let mut watcher = Watcher::of("root", &mounted.point);
    run(&mounted);
    watcher.lines();
    end_in_peace(&mounted);
}

#[test]
fn a_crowd_with_dying_owners_comes_to_an_end_with_notify_off() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0,notify=off");
    run(&mounted);
    end_in_peace(&mounted);
}

#[test]
fn a_killed_client_is_not_held_by_its_request() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0,notify=full");
    for turn in 0..30 {
        let queue = mounted.path(format!("q{turn}"));
        let made = queue.clone();
        let kid = Kid::start_then(move || fs::create_dir(&made).map(|()| 0), {
            let queue = queue.clone();
            move || {
                for i in 0_u64.. {
                    let _ = write(queue.join(format!("e{}", i % 10)), "x");
                    let _ = fs::remove_file(queue.join("head"));
                }
            }
        });
        kid.kill();
        wait_gone(&queue);
    }
}
