//! The end of the daemon while it makes removals visible by file calls on its own mount.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Mounted, set};
use crate::help::try_put;

/// A mount whose daemon is busy with dropped events when `end` is called.
fn while_it_drops(end: impl Fn(Mounted)) {
    for _ in 0..5 {
        let mount = Mounted::new();
        let queue = mount.queue("q");
        set(&queue, "user.eventfs_max_events", "5").unwrap();
        set(&queue, "user.eventfs_overflow", "drop-oldest").unwrap();
        let running = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0_u64.. {
                    if try_put(queue.join(format!("e{number}")), "x").is_err() {
                        return;
                    }
                    running.store(number > 200, Ordering::Relaxed);
                }
            });
            while !running.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            end(mount);
        });
    }
}

#[test]
fn sigterm_while_events_are_dropped_is_an_orderly_end() {
    while_it_drops(Mounted::end);
}

#[test]
fn a_daemon_killed_while_events_are_dropped_leaves_nobody_waiting() {
    while_it_drops(|mut mount| {
        // Waits for the daemon: a thread of it that cannot die would keep it.
        mount.kill9();
        assert!(fs::read_dir(&mount.point).is_ok_and(|mut entries| entries.next().is_none()));
    });
}
