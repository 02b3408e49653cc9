//! Contract section 3: queues themselves.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, errno, names, sh_ok, write};
use crate::help::{begin, close, files, is_absent, put, rename_with, text};

#[test]
fn mkdir_makes_a_queue_in_the_root() {
    let mount = Mounted::new();
    fs::create_dir(mount.path("a")).unwrap();
    assert!(fs::metadata(mount.path("a")).unwrap().is_dir());
    assert_eq!(names(&mount.point), ["a"]);
}

#[test]
fn a_queue_has_the_mode_and_ids_of_its_maker() {
    let mount = Mounted::with("allow_other,root_mode=1777");
    let path = mount.path("a");
    crate::common::as_user(5001, 5002, || fs::DirBuilder::new().mode(0o750).create(&path)).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o750, 5001, 5002));
}

#[test]
fn mkdir_inside_a_queue_is_eperm() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    assert_eq!(errno(fs::create_dir(queue.join("b"))), libc::EPERM);
    assert_eq!(errno(fs::create_dir(queue.join(".b"))), libc::EPERM);
}

#[test]
fn mkdir_of_a_name_that_is_taken_is_eexist() {
    let mount = Mounted::new();
    mount.queue("a");
    assert_eq!(errno(fs::create_dir(mount.path("a"))), libc::EEXIST);
}

#[test]
fn a_regular_file_in_the_root_is_eperm() {
    let mount = Mounted::new();
    assert_eq!(errno(write(mount.path("f"), "x")), libc::EPERM);
    let made = mknod(&mount.path("g"), SFlag::S_IFREG, Mode::S_IRWXU, 0);
    assert_eq!(made, Err(nix::errno::Errno::EPERM));
    assert_eq!(names(&mount.point), Vec::<String>::new());
}

#[test]
fn an_event_cannot_be_renamed_or_linked_into_the_root() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    put(queue.join("e"), "x");
    assert_eq!(errno(fs::rename(queue.join("e"), mount.path("e"))), libc::EPERM);
    assert_eq!(errno(fs::hard_link(queue.join("e"), mount.path("e"))), libc::EPERM);
    assert_eq!(files(&queue), ["e"]);
}

#[test]
fn a_queue_cannot_be_renamed_into_a_queue() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    assert_eq!(errno(fs::rename(&one, two.join("one"))), libc::EPERM);
    assert_eq!(names(&mount.point), ["one", "two"]);
}

#[test]
fn rmdir_removes_an_empty_queue() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    put(queue.join("e"), "");
    fs::remove_file(queue.join("head")).unwrap();
    fs::remove_dir(&queue).unwrap();
    assert!(is_absent(&queue));
    assert_eq!(names(&mount.point), Vec::<String>::new());
}

#[test]
fn rmdir_of_a_queue_with_an_event_is_enotempty() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    put(queue.join("e"), "");
    assert_eq!(errno(fs::remove_dir(&queue)), libc::ENOTEMPTY);
}

#[test]
fn rmdir_of_a_queue_with_a_staged_file_is_enotempty() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    put(queue.join(".e"), "");
    assert_eq!(errno(fs::remove_dir(&queue)), libc::ENOTEMPTY);
}

#[test]
fn rmdir_of_a_queue_with_an_unfinished_file_is_enotempty() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    let file = begin(queue.join("e"));
    assert_eq!(errno(fs::remove_dir(&queue)), libc::ENOTEMPTY);
    close(file);
}

#[test]
fn rmdir_of_an_event_or_a_link_is_enotdir() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    put(queue.join("e"), "");
    for name in ["e", "head", "tail"] {
        assert_eq!(errno(fs::remove_dir(queue.join(name))), libc::ENOTDIR, "{name}");
    }
}

#[test]
fn unlink_of_a_queue_is_eisdir() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    assert_eq!(errno(fs::remove_file(queue)), libc::EISDIR);
}

#[test]
fn a_name_is_free_again_at_once() {
    let mount = Mounted::new();
    for round in 0..100 {
        let queue = mount.queue("a");
        assert_eq!(files(&queue), Vec::<String>::new(), "round {round}");
        put(queue.join("e"), "x");
        fs::remove_file(queue.join("e")).unwrap();
        fs::remove_dir(&queue).unwrap();
        assert!(is_absent(&queue));
    }
}

#[test]
fn a_queue_can_be_renamed_in_the_root() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    put(queue.join("e"), "x");
    let before = fs::metadata(&queue).unwrap();
    fs::rename(&queue, mount.path("b")).unwrap();
    assert!(is_absent(&queue));
    assert_eq!(text(mount.path("b/head")), "x");
    let after = fs::metadata(mount.path("b")).unwrap();
    assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    put(mount.path("b/f"), "");
    assert_eq!(files(&mount.path("b")), ["e", "f"]);
}

#[test]
fn a_queue_renamed_over_an_empty_one_takes_its_place() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "x");
    fs::rename(&one, &two).unwrap();
    assert_eq!(names(&mount.point), ["two"]);
    assert_eq!(text(two.join("e")), "x");
}

#[test]
fn a_queue_renamed_over_one_that_holds_something_is_enotempty() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    for name in [".staged", "e"] {
        put(two.join(name), "x");
        assert_eq!(errno(fs::rename(&one, &two)), libc::ENOTEMPTY, "{name}");
        fs::remove_file(two.join(name)).unwrap();
    }
}

#[test]
fn rename_noreplace_of_a_queue_over_another_is_eexist() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    assert_eq!(errno(rename_with(&one, &two, libc::RENAME_NOREPLACE)), libc::EEXIST);
    rename_with(&one, &mount.path("three"), libc::RENAME_NOREPLACE).unwrap();
    assert_eq!(names(&mount.point), ["three", "two"]);
}

#[test]
fn in_the_root_head_and_tail_are_names_like_any_other() {
    let mount = Mounted::new();
    for name in ["head", "tail"] {
        let queue = mount.queue(name);
        put(queue.join("e"), name);
        assert_eq!(text(queue.join("head")), name);
    }
    assert_eq!(names(&mount.point), ["head", "tail"]);
    fs::rename(mount.path("head"), mount.path("other")).unwrap();
    fs::rename(mount.path("other"), mount.path("head")).unwrap();
    fs::remove_file(mount.path("tail/e")).unwrap();
    fs::remove_dir(mount.path("tail")).unwrap();
    assert_eq!(names(&mount.point), ["head"]);
}

#[test]
fn in_the_root_a_dot_name_is_a_queue_like_any_other() {
    let mount = Mounted::new();
    let queue = mount.queue(".hidden");
    put(queue.join("e"), "x");
    assert_eq!(text(queue.join("head")), "x");
}

#[test]
fn the_root_and_queues_count_their_directories_as_links() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    mount.queue("b");
    assert_eq!(fs::metadata(&mount.point).unwrap().nlink(), 4);
    assert_eq!(fs::metadata(queue).unwrap().nlink(), 2);
}

#[test]
fn a_removed_queue_that_somebody_stands_in_looks_like_a_removed_directory() {
    let mount = Mounted::new();
    mount.queue("a");
    let said = sh_ok(
        &mount.path("a"),
        "rmdir ../a; ls -A | wc -l; stat -c %h .; echo x 2>&- > f && echo made; [ -e f ] || echo no",
    );
    assert_eq!(said, "0\n0\nno\n");
}

#[test]
fn queue_mode_can_be_changed() {
    let mount = Mounted::new();
    let queue = mount.queue("a");
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o3770)).unwrap();
    assert_eq!(fs::metadata(&queue).unwrap().mode() & 0o7777, 0o3770);
}
