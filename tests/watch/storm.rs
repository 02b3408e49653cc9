//! More vanishes at once than can be told one by one: folded into ATTRIB, never lost in silence.

use std::fs;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, get, names, set, wait_until, write};
use crate::watcher::Watcher;

const EVENTS: usize = 12_000;

fn fill(queue: &Path) {
    for i in 0..EVENTS {
        mknod(&queue.join(format!("e{i}")), SFlag::S_IFREG, Mode::S_IRUSR, 0).expect("mknod");
    }
}

#[test]
fn in_a_storm_each_event_is_told_or_folded_into_attrib() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    fill(&queue);
    let mut watcher = Watcher::of("q", &queue);
    set(&queue, "user.eventfs_ttl", "1").expect("ttl");
    // The setting itself is an ATTRIB that the kernel reports.
    watcher.wait_for("q: ATTRIB");
    let attribs = watcher.count("q: ATTRIB");
    let expired = EVENTS.to_string();
    wait_until("the end of all", || {
        watcher.lines();
        get(&queue, "user.eventfs_expired").as_deref() == Some(&expired)
    });
    wait_until("word of all", || {
        let told = watcher.lines().iter().filter(|line| line.starts_with("q: DELETE e")).count();
        told == EVENTS || watcher.count("q: ATTRIB") > attribs || watcher.told("OVERFLOW")
    });
    assert_eq!(names(&queue), [""; 0]);
}

#[test]
fn after_a_storm_single_events_are_told_again() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    fill(&queue);
    set(&queue, "user.eventfs_ttl", "1").expect("ttl");
    wait_until("the end of all", || names(&queue).is_empty());
    let mut watcher = Watcher::of("q", &queue);
    write(queue.join("single"), "x").expect("write");
    watcher.wait_for("q: DELETE single");
}

#[test]
fn the_end_of_a_queue_does_not_wait_for_a_storm() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0");
    let queue = mounted.queue("q");
    fill(&queue);
    let kid = crate::kid::Kid::with_queue(&mounted.path("ends"));
    let mut watcher = Watcher::of("root", &mounted.point);
    set(&queue, "user.eventfs_ttl", "1").expect("ttl");
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR ends");
    wait_until("the end of all", || names(&queue).is_empty());
}

#[test]
fn a_queue_that_ends_in_its_own_storm_is_told() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0,notify=full");
    let queue = mounted.path("q");
    let kid = crate::kid::Kid::with_queue(&queue);
    fill(&queue);
    let mut watcher = Watcher::of("root", &mounted.point);
    for _ in 0..500 {
        fs::remove_file(queue.join("head")).expect("pop");
    }
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    crate::kid::wait_gone(&queue);
}
