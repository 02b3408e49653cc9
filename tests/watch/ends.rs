//! The end of a queue with its owner, as watchers see it.

use std::fs;

use nix::mount::{MntFlags, umount, umount2};

use crate::binding::Bound;
use crate::common::{Mounted, names, wait_until, write};
use crate::kid::{Kid, wait_gone};
use crate::watcher::Watcher;

fn mount(policy: &str) -> Mounted {
    Mounted::with(&format!("allow_other,root_mode=0777,grace=0,notify={policy}"))
}

#[test]
fn the_end_of_a_queue_is_told_with_nobody_touching_the_mount() {
    for policy in ["full", "lazy"] {
        let mounted = mount(policy);
        let queue = mounted.path("q");
        let kid = Kid::with_queue(&queue);
        let mut watcher = Watcher::of("root", &mounted.point);
        watcher.add("q", &queue);
        kid.kill();
        // Nothing but inotify is asked here.
        watcher.wait_for("root: DELETE,ISDIR q");
        watcher.wait_for("q: ATTRIB");
        watcher.wait_for("q: DELETE_SELF");
        assert_eq!(watcher.count("root: DELETE,ISDIR q"), 1);
    }
}

#[test]
fn a_queue_with_events_ends_the_same_way() {
    let mounted = mount("lazy");
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    for i in 0..500 {
        write(queue.join(format!("e{i}")), "x").expect("write");
    }
    assert_eq!(names(&queue).len(), 502);
    let mut watcher = Watcher::of("root", &mounted.point);
    watcher.add("q", &queue);
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    watcher.wait_for("q: ATTRIB");
    watcher.wait_for("q: DELETE_SELF");
}

#[test]
fn the_end_after_a_grace_is_told_too() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0.3");
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    let mut watcher = Watcher::of("root", &mounted.point);
    watcher.add("q", &queue);
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    watcher.wait_for("q: ATTRIB");
    watcher.wait_for("q: DELETE_SELF");
}

#[test]
fn with_notify_off_only_the_kernels_own_report_comes() {
    let mounted = mount("off");
    let queue = mounted.path("q");
    for _ in 0..20 {
        let kid = Kid::with_queue(&queue);
        let mut watcher = Watcher::of("root", &mounted.point);
        watcher.add("q", &queue);
        kid.kill();
        watcher.wait_for("q: DELETE_SELF");
        wait_gone(&queue);
        fs::create_dir(mounted.path("marker")).expect("mkdir");
        watcher.wait_for("root: CREATE,ISDIR marker");
        assert!(!watcher.told("root: DELETE,ISDIR q"), "{:?}", watcher.lines());
        fs::remove_dir(mounted.path("marker")).expect("rmdir");
    }
}

#[test]
fn with_notify_off_the_caches_are_right_all_the_same() {
    let mounted = mount("off");
    let queue = mounted.path("q");
    for _ in 0..20 {
        let kid = Kid::with_queue(&queue);
        write(queue.join("e"), "x").expect("write");
        kid.kill();
        wait_gone(&queue);
        assert_eq!(names(&mounted.point), [""; 0]);
    }
}

#[test]
fn each_of_many_queues_of_one_owner_is_told() {
    let mounted = mount("lazy");
    let queues: Vec<_> = (0..1_000).map(|i| mounted.path(format!("q{i}"))).collect();
    let kid = Kid::with_queues(&queues);
    let mut watcher = Watcher::of("root", &mounted.point);
    for (i, queue) in queues.iter().enumerate() {
        watcher.add(&format!("q{i}"), queue);
    }
    kid.kill();
    watcher.wait_for_many("root: DELETE,ISDIR q", 1_000);
    wait_until("DELETE_SELF on each", || {
        watcher.lines().iter().filter(|line| line.ends_with("DELETE_SELF")).count() == 1_000
    });
    let attribs = watcher.lines().iter().filter(|line| line.ends_with(": ATTRIB")).count();
    assert!(attribs >= 1_000, "{attribs} of ATTRIB");
}

#[test]
fn a_watch_on_the_root_alone_is_enough() {
    let mounted = mount("lazy");
    let mut watcher = Watcher::of("root", &mounted.point);
    for name in ["a", "b", "c"] {
        let kid = Kid::with_queue(&mounted.path(name));
        watcher.wait_for(&format!("root: CREATE,ISDIR {name}"));
        kid.kill();
        watcher.wait_for(&format!("root: DELETE,ISDIR {name}"));
    }
}

#[test]
fn a_queue_with_a_strange_name_is_told_by_that_name() {
    let mounted = mount("lazy");
    let mut watcher = Watcher::of("root", &mounted.point);
    for name in ["head", "tail", ".hidden", "with blank", "new\nline", "ü\\"] {
        let queue = mounted.path(name);
        let kid = Kid::with_queue(&queue);
        kid.kill();
        watcher.wait_for(&format!("root: DELETE,ISDIR {name}"));
        wait_gone(&queue);
    }
    let long = "n".repeat(255);
    Kid::with_queue(&mounted.path(&long)).kill();
    watcher.wait_for(&format!("root: DELETE,ISDIR {long}"));
}

#[test]
fn the_herald_keeps_nothing_open() {
    // A descriptor that stayed would make umount fail.
    let mounted = mount("full");
    let mut watcher = Watcher::of("root", &mounted.point);
    Kid::with_queue(&mounted.path("q")).kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    drop(watcher);
    wait_until("umount", || umount(&mounted.point).is_ok());
}

#[test]
fn ends_are_told_through_a_mount_that_was_moved() {
    let mounted = mount("lazy");
    let bound = Bound::of(&mounted.point);
    umount2(&mounted.point, MntFlags::MNT_DETACH).expect("umount");
    let queue = bound.path("q");
    let kid = Kid::with_queue(&queue);
    let mut watcher = Watcher::of("root", &bound.point);
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    drop(watcher);
}
