//! Bind mounts of queues, and what becomes of mounts in and on a queue that ends.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use crate::binding::{Bound, bind};
use crate::common::{Mounted, errno, is_listed, names, sh, sh_ok, wait_until, write};
use crate::kid::{Kid, strict, wait_gone};

#[test]
fn a_bind_mount_shows_its_queue_alone() {
    let mounted = strict();
    let (queue, _other) = (mounted.queue("q"), mounted.queue("other"));
    write(queue.join("e"), "x").expect("write");
    let bound = Bound::of(&queue);
    assert_eq!(names(&bound.point), ["head", "tail", "e"]);
    // Its parent is where it is mounted, not the root of the queues.
    assert!(!bound.path("../other").exists());
}

#[test]
fn a_bind_mount_is_the_queue() {
    let mounted = strict();
    let queue = mounted.queue("q");
    let bound = Bound::of(&queue);
    sh_ok(&bound.point, "echo one > a; echo two > b; test $(readlink tail) = b");
    assert_eq!(fs::read_to_string(queue.join("head")).expect("read"), "one\n");
    fs::remove_file(bound.path("head")).expect("pop");
    assert_eq!(names(&queue), ["head", "tail", "b"]);
    fs::remove_file(queue.join("head")).expect("pop");
    assert_eq!(names(&bound.point), [""; 0]);
    assert_eq!(errno(fs::read_link(bound.path("head"))), libc::ENOENT);
}

#[test]
fn rename_across_bind_mounts_is_refused() {
    let mounted = strict();
    let (a, b) = (mounted.queue("a"), mounted.queue("b"));
    write(a.join("e"), "x").expect("write");
    let bound = Bound::of(&b);
    assert_eq!(errno(fs::rename(a.join("e"), bound.path("e"))), libc::EXDEV);
    fs::rename(a.join("e"), a.join(".mine")).expect("the claim inside one queue");
}

#[test]
fn a_bind_mount_of_a_dead_queue_looks_like_a_removed_directory() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    write(queue.join("e"), "x").expect("write");
    let bound = Bound::of(&queue);
    kid.kill();
    wait_gone(&queue);
    assert_eq!(names(&bound.point), [""; 0]);
    wait_until("no links", || fs::metadata(&bound.point).expect("stat").nlink() == 0);
    assert_eq!(errno(File::create(bound.path("new"))), libc::ENOENT);
    assert_eq!(errno(fs::create_dir(bound.path("new"))), libc::ENOENT);
    assert_eq!(errno(File::open(bound.path("e"))), libc::ENOENT);
    assert_eq!(errno(fs::symlink_metadata(bound.path("head"))), libc::ENOENT);
    assert!(is_listed(&bound.point), "the mount itself stays");
}

#[test]
fn a_bind_mount_of_a_removed_queue_looks_the_same() {
    let mounted = strict();
    let queue = mounted.queue("q");
    let bound = Bound::of(&queue);
    // rmdir refuses what is a mountpoint elsewhere no more.
    fs::remove_dir(&queue).expect("rmdir");
    assert_eq!(names(&bound.point), [""; 0]);
    wait_until("no links", || fs::metadata(&bound.point).expect("stat").nlink() == 0);
    assert_eq!(errno(File::create(bound.path("new"))), libc::ENOENT);
}

#[test]
fn a_bind_mount_does_not_see_a_new_queue_of_the_old_name() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    let bound = Bound::of(&queue);
    kid.kill();
    wait_gone(&queue);
    fs::create_dir(&queue).expect("mkdir");
    write(queue.join("e"), "x").expect("write");
    assert_eq!(names(&bound.point), [""; 0]);
    assert_eq!(names(&queue), ["head", "tail", "e"]);
}

#[test]
fn a_container_keeps_its_view_of_a_dead_queue() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    let inside = tempfile::tempdir().expect("temporary directory");
    let mut shell = crate::shell::Shell::below(&["unshare", "-m"], inside.path());
    shell.ok(&format!("mount --bind {} {}", queue.display(), inside.path().display()));
    shell.ok(&format!("cd / && cd {} && echo x > e && cat head", inside.path().display()));
    assert_eq!(names(&queue), ["head", "tail", "e"]);
    kid.kill();
    wait_gone(&queue);
    assert_eq!(shell.ok("ls -A"), "");
    shell.fails("echo y > f");
}

fn with_mount_on_queue(make_end: impl FnOnce(&Mounted, Kid)) {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    let other = tempfile::tempdir().expect("temporary directory");
    let precious = other.path().join("precious");
    fs::write(&precious, "kept").expect("write");
    bind(other.path(), &queue);
    assert_eq!(names(&queue), ["precious"]);
    make_end(&mounted, kid);
    wait_until("the mount to go with the queue", || !is_listed(&queue));
    wait_gone(&queue);
    assert_eq!(fs::read_to_string(precious).expect("read"), "kept");
    fs::create_dir(&queue).expect("the name is free");
}

#[test]
fn what_is_mounted_on_a_dying_queue_is_detached_unharmed() {
    with_mount_on_queue(|_, kid| kid.kill());
}

#[test]
fn a_queue_with_something_mounted_on_it_cannot_be_removed_by_hand() {
    with_mount_on_queue(|mounted, kid| {
        let output = sh(&mounted.point, "rmdir q");
        assert!(!output.status.success());
        assert_eq!(names(&mounted.point), ["q"]);
        kid.kill();
    });
}
