//! Ways in which a mount ends.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount, umount2};
use nix::sys::signal::Signal;

use crate::binding::{Bound, bind};
use crate::common::{Mounted, errno, is_listed, names, sh_ok, wait_until, write};
use crate::kid::Kid;
use crate::place::{Place, output};

fn tmpfs(point: &Path) {
    mount(Some("none"), point, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("tmpfs");
}

fn detach(point: &Path) {
    umount2(point, MntFlags::MNT_DETACH).expect("umount");
}

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut mounted = Mounted::new();
        mounted.queue("q");
        mounted.signal(signal);
        assert!(mounted.wait_end(), "{signal}");
        assert!(!is_listed(&mounted.point));
        assert_eq!(names(&mounted.point), [""; 0], "the bare directory");
    }
}

#[test]
fn the_background_daemon_ends_on_signals_too() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        place.mount(&[]);
        place.signal(signal);
        place.wait_end();
        place.demand_nothing_left();
        assert_eq!(names(&place.point), [""; 0]);
    }
}

#[test]
fn open_files_and_working_directories_are_no_obstacle_to_sigterm() {
    let mut mounted = Mounted::with("allow_other,root_mode=0777");
    let queue = mounted.queue("q");
    let mut file = File::create_new(queue.join("e")).expect("create");
    let inside = Kid::start({
        let queue = queue.clone();
        move || std::env::set_current_dir(queue).map(|()| 0)
    });
    mounted.signal(Signal::SIGTERM);
    assert!(mounted.wait_end());
    assert!(!is_listed(&mounted.point));
    assert_eq!(errno(file.write_all(b"x")), libc::ENOTCONN);
    drop(inside);
}

#[test]
fn bind_mounts_that_remain_go_stale() {
    let mut mounted = Mounted::new();
    let queue = mounted.queue("q");
    let bound = Bound::of(&queue);
    mounted.signal(Signal::SIGTERM);
    assert!(mounted.wait_end());
    assert_eq!(errno(fs::read_dir(&bound.point).map(drop)), libc::ENOTCONN);
}

#[test]
fn umount_ends_it() {
    let mut mounted = Mounted::new();
    mounted.queue("q");
    sh_ok(Path::new("/"), &format!("umount {}", mounted.point.display()));
    assert!(mounted.wait_end());
    assert!(!is_listed(&mounted.point));
}

#[test]
fn umount_is_possible_right_after_the_end_of_queues() {
    let mut mounted = Mounted::with("allow_other,grace=0");
    for i in 0..20 {
        Kid::with_queue(&mounted.path(format!("q{i}"))).kill();
    }
    wait_until("umount", || umount(&mounted.point).is_ok());
    assert!(mounted.wait_end());
}

#[test]
fn fusermount3_ends_it() {
    let mut mounted = Mounted::new();
    mounted.queue("q");
    let output = output(Command::new("fusermount3").arg("-u").arg(&mounted.point));
    assert!(output.status.success());
    assert!(mounted.wait_end());
    assert!(!is_listed(&mounted.point));
}

#[test]
fn it_serves_on_while_a_bind_mount_is_left_and_ends_with_the_last() {
    let mut mounted = Mounted::new();
    let (queue, other) = (mounted.queue("q"), mounted.queue("other"));
    let (one, two) = (Bound::of(&queue), Bound::of(&other));
    umount(&mounted.point).expect("umount");
    write(one.path("e"), "x").expect("it serves");
    assert_eq!(fs::read_to_string(one.path("head")).expect("read"), "x");
    one.off();
    write(two.path("e"), "x").expect("it serves still");
    two.off();
    assert!(mounted.wait_end());
}

#[test]
fn with_the_mountpoint_gone_queues_still_end_with_their_owners() {
    let mut mounted = Mounted::with("allow_other,grace=0");
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    write(queue.join("e"), "x").expect("write");
    let bound = Bound::of(&queue);
    umount(&mounted.point).expect("umount");
    kid.kill();
    wait_until("the end of the queue", || names(&bound.point).is_empty());
    wait_until("create to fail", || {
        File::create(bound.path("new")).is_err_and(|e| e.raw_os_error() == Some(libc::ENOENT))
    });
    bound.off();
    assert!(mounted.wait_end());
}

#[test]
fn a_signal_ends_it_while_only_bind_mounts_are_left() {
    let mut mounted = Mounted::new();
    let queue = mounted.queue("q");
    let _bound = Bound::of(&queue);
    umount(&mounted.point).expect("umount");
    mounted.signal(Signal::SIGTERM);
    assert!(mounted.wait_end());
}

#[test]
fn a_foreign_mount_on_top_is_left_alone_by_the_end() {
    let mut mounted = Mounted::new();
    tmpfs(&mounted.point);
    write(mounted.path("precious"), "x").expect("write");
    mounted.signal(Signal::SIGTERM);
    assert!(mounted.wait_end());
    assert_eq!(fs::read_to_string(mounted.path("precious")).expect("read"), "x");
    // Ours lies dead below: nothing could be done about it.
    detach(&mounted.point);
    detach(&mounted.point);
    assert!(!is_listed(&mounted.point));
}

#[test]
fn a_foreign_mount_in_our_place_is_left_alone_by_the_end() {
    let mut mounted = Mounted::new();
    let queue = mounted.queue("q");
    let _bound = Bound::of(&queue);
    umount(&mounted.point).expect("umount");
    tmpfs(&mounted.point);
    write(mounted.path("precious"), "x").expect("write");
    mounted.signal(Signal::SIGTERM);
    assert!(mounted.wait_end());
    assert_eq!(fs::read_to_string(mounted.path("precious")).expect("read"), "x");
    detach(&mounted.point);
}

#[test]
fn a_foreign_mount_in_our_place_survives_the_end_of_the_last_bind_mount() {
    let mut mounted = Mounted::new();
    let queue = mounted.queue("q");
    let bound = Bound::of(&queue);
    umount(&mounted.point).expect("umount");
    tmpfs(&mounted.point);
    write(mounted.path("precious"), "x").expect("write");
    bound.off();
    assert!(mounted.wait_end());
    assert_eq!(fs::read_to_string(mounted.path("precious")).expect("read"), "x");
    detach(&mounted.point);
}

#[test]
fn a_mount_that_was_moved_is_ended_where_it_is() {
    let mut mounted = Mounted::new();
    let dir = tempfile::tempdir().expect("dir");
    let none = None::<&str>;
    let moved = mount(Some(&mounted.point), dir.path(), none, MsFlags::MS_MOVE, none);
    if moved.is_err() {
        return crate::common::skip("mounts cannot be moved here");
    }
    mounted.signal(Signal::SIGTERM);
    assert!(mounted.wait_end());
    assert!(!is_listed(dir.path()));
}

#[test]
fn another_eventfs_on_top_is_left_alone_by_the_end() {
    let mut below = Mounted::new();
    // A second daemon refuses such a place, so its mount is moved there.
    let above = Mounted::new();
    let queue = above.queue("q");
    bind(&above.point, &below.point);
    below.signal(Signal::SIGTERM);
    assert!(below.wait_end());
    assert_eq!(names(&below.point), ["q"]);
    assert!(queue.exists());
    detach(&below.point);
    detach(&below.point);
}

#[test]
fn it_can_be_mounted_again_and_is_empty() {
    let place = Place::new();
    for _ in 0..3 {
        place.mount(&[]);
        assert_eq!(names(&place.point), [""; 0]);
        sh_ok(&place.point, "mkdir q && setfattr -n user.eventfs_sticky q && echo x > q/e");
        place.signal(Signal::SIGTERM);
        place.wait_end();
        place.demand_nothing_left();
    }
}
