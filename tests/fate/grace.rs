//! The time in which somebody can help a queue whose maker has ended.

use std::path::Path;

use crate::common::{Mounted, get, set, sh_ok, wait_until};
use crate::kid::{Kid, forlorn, kill9, patient, strict, wait_gone};

const OWNER: &str = "user.eventfs_owner";
const STICKY: &str = "user.eventfs_sticky";

/// A mount with a short grace, and a queue without owner.
fn orphan(dir: &Mounted, name: &str) {
    sh_ok(&dir.point, &format!("mkdir -m 777 {name}; :"));
}

fn short() -> Mounted {
    Mounted::with("allow_other,root_mode=0777,grace=2")
}

/// Waits until a queue that is orphaned now has met its end: graces that began before are over.
fn outlast_grace(mounted: &Mounted) {
    orphan(mounted, "control");
    wait_gone(&mounted.path("control"));
}

fn remove(path: &Path, name: &str) -> std::io::Result<()> {
    xattr::remove(path, name)
}

#[test]
fn the_queue_of_a_mkdir_command_stands_during_the_grace() {
    let mounted = patient();
    orphan(&mounted, "q");
    let queue = mounted.path("q");
    wait_until("the end of the owner", || get(&queue, OWNER).as_deref() == Some("0"));
    assert_eq!(get(&queue, STICKY), None);
}

#[test]
fn an_orphan_ends_when_the_grace_is_over() {
    let mounted = short();
    orphan(&mounted, "q");
    wait_gone(&mounted.path("q"));
}

#[test]
fn by_default_the_grace_is_one_second() {
    let mounted = Mounted::with("allow_other");
    sh_ok(&mounted.point, "mkdir q && setfattr -n user.eventfs_sticky q && mkdir gone; :");
    wait_gone(&mounted.path("gone"));
    assert!(mounted.path("q").exists());
}

#[test]
fn without_grace_the_queue_of_a_mkdir_command_ends_at_once() {
    let mounted = strict();
    orphan(&mounted, "q");
    wait_gone(&mounted.path("q"));
}

#[test]
fn events_of_an_orphan_end_with_its_grace() {
    let mounted = short();
    let held = mounted.queue("held");
    // Whoever is quick enough finds a queue like any other.
    sh_ok(&mounted.point, "mkdir q && echo x > q/e && ln q/e held/e && cat q/head");
    wait_gone(&mounted.path("q"));
    assert_eq!(std::fs::read_to_string(held.join("head")).expect("read"), "x\n");
}

#[test]
fn an_orphan_marked_sticky_stays() {
    let mounted = short();
    sh_ok(&mounted.point, "mkdir q && setfattr -n user.eventfs_sticky -v 1 q");
    outlast_grace(&mounted);
    assert!(mounted.path("q").exists());
}

#[test]
fn an_orphan_given_an_owner_lives_with_that() {
    let mounted = short();
    let kid = Kid::idle();
    let pid = kid.pid();
    sh_ok(&mounted.point, &format!("mkdir q && setfattr -n {OWNER} -v {pid} q"));
    outlast_grace(&mounted);
    assert_eq!(get(&mounted.path("q"), OWNER), Some(pid.to_string()));
    kid.kill();
    wait_gone(&mounted.path("q"));
}

#[test]
fn an_owner_that_was_named_has_no_grace() {
    let mounted = patient();
    let kid = Kid::idle();
    sh_ok(&mounted.point, &format!("mkdir q && setfattr -n {OWNER} -v {} q", kid.pid()));
    kid.kill();
    wait_gone(&mounted.path("q"));
}

#[test]
fn the_grace_counts_from_the_mkdir() {
    // The owner lives longer than the grace: at its end there is nothing left of it.
    let mounted = short();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    outlast_grace(&mounted);
    assert!(queue.exists(), "the grace does not end what has an owner");
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn an_owner_within_the_grace_leaves_an_orphan() {
    let mounted = patient();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    kid.kill();
    wait_until("the end of the owner", || get(&queue, OWNER).as_deref() == Some("0"));
}

#[test]
fn the_grace_of_a_chosen_owner_is_the_same() {
    let mounted = Mounted::with("allow_other,root_mode=0777,owner=parent,grace=100000");
    // The parent of mkdir ends with its script.
    sh_ok(&mounted.point, "mkdir q; :");
    let queue = mounted.path("q");
    wait_until("the end of the owner", || get(&queue, OWNER).as_deref() == Some("0"));
}

#[test]
fn a_sticky_mark_removed_without_living_owner_begins_the_grace() {
    let mounted = patient();
    let queue = forlorn(&mounted, "q");
    remove(&queue, STICKY).expect("remove");
    assert_eq!(get(&queue, OWNER).as_deref(), Some("0"), "it stands, without owner");
    set(&queue, STICKY, "1").expect("sticky");
    assert_eq!(get(&queue, OWNER), None);
}

#[test]
fn a_queue_that_lost_its_sticky_mark_ends_after_the_grace() {
    let mounted = short();
    let queue = forlorn(&mounted, "q");
    remove(&queue, STICKY).expect("remove");
    wait_gone(&queue);
}

#[test]
fn a_mark_set_again_within_the_grace_saves_the_queue() {
    let mounted = short();
    sh_ok(
        &mounted.point,
        "mkdir q && setfattr -n user.eventfs_sticky q && setfattr -x user.eventfs_sticky q \
         && setfattr -n user.eventfs_sticky q",
    );
    outlast_grace(&mounted);
    assert!(mounted.path("q").exists());
}

#[test]
fn a_sticky_mark_removed_gives_the_queue_back_to_its_living_owner() {
    let mounted = short();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    set(&queue, STICKY, "1").expect("sticky");
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()), "remembered");
    remove(&queue, STICKY).expect("remove");
    outlast_grace(&mounted);
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn a_sticky_queue_outlives_its_owner_without_grace() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    set(&queue, STICKY, "1").expect("sticky");
    kid.kill();
    let later = mounted.path("later");
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert!(queue.exists());
}

#[test]
fn an_owner_named_while_sticky_is_remembered_for_the_day_it_is_not() {
    let mounted = strict();
    let queue = mounted.queue("q");
    let kid = Kid::idle();
    set(&queue, OWNER, &kid.pid().to_string()).expect("owner");
    assert_eq!(get(&queue, STICKY).as_deref(), Some("1"), "still sticky");
    remove(&queue, STICKY).expect("remove");
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kill9(kid.pid());
    wait_gone(&queue);
}
