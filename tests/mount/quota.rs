//! Contract section 6: counts are exact for users, groups, queues and bytes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, as_user, errno, set};
use crate::help::{begin, close, count, files, put, put_as, try_put, user, with_limits};

const ANN: u32 = 5001;
const BOB: u32 = 5002;

/// A queue that everybody may use and that root pays for.
fn open_queue(mount: &Mounted) -> std::path::PathBuf {
    let queue = mount.queue("open");
    crate::common::sh_ok(&queue, "chmod 777 .");
    queue
}

fn mkdir_as(uid: u32, path: &Path) -> std::io::Result<()> {
    user(uid, || {
        fs::create_dir(path)?;
        xattr::set(path, "user.eventfs_sticky", b"1")
    })
}

#[test]
fn max_dirs_n_fit_and_one_more_is_edquot() {
    let mount = with_limits("max_dirs = 2");
    for name in ["a", "b"] {
        mkdir_as(ANN, &mount.path(name)).unwrap();
    }
    assert_eq!(errno(mkdir_as(ANN, &mount.path("c"))), libc::EDQUOT);
    // Everybody has his own count.
    mkdir_as(BOB, &mount.path("c")).unwrap();
    user(ANN, || fs::remove_dir(mount.path("a"))).unwrap();
    mkdir_as(ANN, &mount.path("d")).unwrap();
    assert_eq!(errno(mkdir_as(ANN, &mount.path("e"))), libc::EDQUOT);
}

#[test]
fn max_files_n_fit_and_one_more_is_edquot() {
    let mount = with_limits("max_files = 3");
    let queue = open_queue(&mount);
    for name in ["a", "b", "c"] {
        put_as(ANN, &queue.join(name), "").unwrap();
    }
    assert_eq!(errno(put_as(ANN, &queue.join("d"), "")), libc::EDQUOT);
    assert_eq!(errno(put_as(ANN, &queue.join(".d"), "")), libc::EDQUOT);
    let make = || mknod(&queue.join("d"), SFlag::S_IFREG, Mode::S_IRUSR, 0).map_err(Into::into);
    assert_eq!(errno(user(ANN, make)), libc::EDQUOT);
    put_as(BOB, &queue.join("d"), "").unwrap();
    assert_eq!(files(&queue), ["a", "b", "c", "d"]);
}

#[test]
fn max_files_counts_over_all_queues() {
    let mount = with_limits("max_files = 2");
    let queue = open_queue(&mount);
    mkdir_as(ANN, &mount.path("own")).unwrap();
    put_as(ANN, &queue.join("a"), "").unwrap();
    put_as(ANN, &mount.path("own/a"), "").unwrap();
    assert_eq!(errno(put_as(ANN, &mount.path("own/b"), "")), libc::EDQUOT);
}

#[test]
fn staged_and_unfinished_files_count() {
    let mount = with_limits("max_files = 2");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join(".staged"), "").unwrap();
    let unfinished = || {
        let file = begin(queue.join("a"));
        let refused = try_put(queue.join("b"), "");
        close(file);
        refused
    };
    assert_eq!(errno(user(ANN, unfinished)), libc::EDQUOT);
    assert_eq!(count(&queue, "depth"), 1);
}

#[test]
fn a_link_counts_neither_as_file_nor_as_bytes() {
    let mount = with_limits("max_files = 1\nmax_bytes = 5");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "12345").unwrap();
    for number in 0..10 {
        let link = || fs::hard_link(queue.join("a"), queue.join(format!("{number}")));
        user(ANN, link).unwrap();
    }
    // It is the same file until its last link goes.
    for _ in 0..10 {
        fs::remove_file(queue.join("head")).unwrap();
        assert_eq!(errno(put_as(ANN, &queue.join("new"), "")), libc::EDQUOT);
    }
    fs::remove_file(queue.join("head")).unwrap();
    put_as(ANN, &queue.join("new"), "12345").unwrap();
}

#[test]
fn max_files_per_dir_n_fit_and_one_more_is_edquot() {
    let mount = with_limits("max_files_per_dir = 2");
    mkdir_as(ANN, &mount.path("q")).unwrap();
    mkdir_as(ANN, &mount.path("r")).unwrap();
    let (q, r) = (mount.path("q"), mount.path("r"));
    put_as(ANN, &q.join("a"), "").unwrap();
    put_as(ANN, &q.join(".staged"), "").unwrap();
    put_as(ANN, &r.join("e"), "").unwrap();
    assert_eq!(errno(put_as(ANN, &q.join("b"), "")), libc::EDQUOT);
    assert_eq!(errno(user(ANN, || fs::hard_link(r.join("e"), q.join("b")))), libc::EDQUOT);
    assert_eq!(errno(user(ANN, || fs::rename(r.join("e"), q.join("b")))), libc::EDQUOT);
    user(ANN, || fs::rename(r.join("e"), q.join("a"))).unwrap();
    user(ANN, || fs::rename(q.join("a"), q.join("z"))).unwrap();
    assert_eq!((files(&q).len(), files(&r).len()), (2, 0));
}

#[test]
fn max_files_per_dir_is_that_of_the_queues_user() {
    let mount = with_limits("user.5001.max_files_per_dir = 1");
    mkdir_as(ANN, &mount.path("q")).unwrap();
    crate::common::sh_ok(&mount.point, "chmod 777 q");
    put_as(BOB, &mount.path("q/a"), "").unwrap();
    assert_eq!(errno(put_as(BOB, &mount.path("q/b"), "")), libc::EDQUOT);
    let queue = open_queue(&mount);
    for name in ["a", "b", "c"] {
        put_as(ANN, &queue.join(name), "").unwrap();
    }
}

#[test]
fn max_bytes_n_fit_and_one_more_is_edquot() {
    let mount = with_limits("max_bytes = 10");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "123456").unwrap();
    put_as(ANN, &queue.join("b"), "1234").unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("c"), "1")), libc::EDQUOT);
    put_as(ANN, &queue.join("empty"), "").unwrap();
    let grow = || File::options().write(true).open(queue.join("a"))?.set_len(7);
    assert_eq!(errno(user(ANN, grow)), libc::EDQUOT);
    let cut = || File::options().write(true).open(queue.join("a"))?.set_len(5);
    user(ANN, cut).unwrap();
    put_as(ANN, &queue.join("c"), "1").unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("d"), "1")), libc::EDQUOT);
}

#[test]
fn attribute_values_count_as_bytes() {
    let mount = with_limits("max_bytes = 10");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "12345").unwrap();
    let path = queue.join("a");
    assert_eq!(errno(user(ANN, || set(&path, "user.x", "123456"))), libc::EDQUOT);
    user(ANN, || set(&path, "user.x", "12345")).unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("b"), "1")), libc::EDQUOT);
    user(ANN, || xattr::remove(&path, "user.x")).unwrap();
    put_as(ANN, &queue.join("b"), "12345").unwrap();
}

#[test]
fn attribute_values_of_a_queue_are_charged_to_its_user() {
    let mount = with_limits("max_bytes = 10");
    let queue = open_queue(&mount);
    mkdir_as(ANN, &mount.path("q")).unwrap();
    user(ANN, || set(&mount.path("q"), "user.x", "123456")).unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("a"), "12345")), libc::EDQUOT);
    put_as(ANN, &queue.join("b"), "1234").unwrap();
    let more = || set(&mount.path("q"), "user.x", "1234567");
    assert_eq!(errno(user(ANN, more)), libc::EDQUOT);
}

#[test]
fn root_as_the_writer_is_not_limited() {
    let mount = with_limits("max_dirs = 1\nmax_files = 1\nmax_files_per_dir = 1\nmax_bytes = 1");
    for name in ["a", "b", "c"] {
        let queue = mount.queue(name);
        put(queue.join("e"), "many bytes");
        put(queue.join("f"), "many bytes");
    }
}

#[test]
fn what_root_writes_into_a_users_file_is_charged_to_the_user() {
    let mount = with_limits("max_bytes = 10");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "12345").unwrap();
    let mut file = File::options().append(true).open(queue.join("a")).unwrap();
    file.write_all(b"6789012345").unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("b"), "1")), libc::EDQUOT);
    file.set_len(9).unwrap();
    put_as(ANN, &queue.join("b"), "1").unwrap();
}

#[test]
fn a_users_own_limit_takes_the_place_of_the_default() {
    let mount = with_limits("max_files = 1\n[limits.user.5001]\nmax_files = 3");
    let queue = open_queue(&mount);
    for name in ["a", "b", "c"] {
        put_as(ANN, &queue.join(name), "").unwrap();
    }
    assert_eq!(errno(put_as(ANN, &queue.join("d"), "")), libc::EDQUOT);
    put_as(BOB, &queue.join("d"), "").unwrap();
    assert_eq!(errno(put_as(BOB, &queue.join("e"), "")), libc::EDQUOT);
}

#[test]
fn a_groups_limit_counts_all_its_members() {
    let mount = with_limits("[limits.group.6000]\nmax_files = 3\nmax_bytes = 10");
    let queue = open_queue(&mount);
    let put_in = |uid, name, content| as_user(uid, 6_000, || try_put(queue.join(name), content));
    put_in(ANN, "a", "1234").unwrap();
    put_in(BOB, "b", "1234").unwrap();
    assert_eq!(errno(put_in(ANN, "c", "123")), libc::EDQUOT);
    put_in(ANN, "c", "12").unwrap();
    assert_eq!(errno(put_in(BOB, "d", "")), libc::EDQUOT);
    // In other groups they are free.
    put_as(ANN, &queue.join("e"), "1234567890123").unwrap();
}

#[test]
fn a_users_and_a_groups_limit_both_hold() {
    let limits = "[limits.user.5001]\nmax_files = 2\n[limits.group.6000]\nmax_files = 3";
    let mount = with_limits(limits);
    let queue = open_queue(&mount);
    let put_in = |uid, name| as_user(uid, 6_000, || try_put(queue.join(name), ""));
    put_in(ANN, "a").unwrap();
    put_in(ANN, "b").unwrap();
    assert_eq!(errno(put_in(ANN, "c")), libc::EDQUOT);
    put_in(BOB, "c").unwrap();
    assert_eq!(errno(put_in(BOB, "d")), libc::EDQUOT);
}

#[test]
fn a_groups_limit_of_queues_and_of_files_in_them_holds() {
    let mount = with_limits("[limits.group.6000]\nmax_dirs = 1\nmax_files_per_dir = 2");
    let make = |name| as_user(ANN, 6_000, || fs::create_dir(mount.path(name)));
    make("q").unwrap();
    set(&mount.path("q"), "user.eventfs_sticky", "1").unwrap();
    assert_eq!(errno(make("r")), libc::EDQUOT);
    for name in ["a", "b"] {
        put_as(ANN, &mount.path("q").join(name), "").unwrap();
    }
    assert_eq!(errno(put_as(ANN, &mount.path("q/c"), "")), libc::EDQUOT);
}

#[test]
fn chown_moves_the_charge_of_a_file() {
    let mount = with_limits("max_files = 1\nmax_bytes = 5");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "12345").unwrap();
    chown(queue.join("a"), Some(BOB), None).unwrap();
    put_as(ANN, &queue.join("b"), "12345").unwrap();
    assert_eq!(errno(put_as(BOB, &queue.join("c"), "")), libc::EDQUOT);
}

#[test]
fn chown_to_a_user_without_room_is_edquot() {
    let mount = with_limits("max_bytes = 5");
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "123").unwrap();
    put_as(BOB, &queue.join("b"), "123").unwrap();
    assert_eq!(errno(chown(queue.join("a"), Some(BOB), None)), libc::EDQUOT);
    // Nothing has changed.
    put_as(ANN, &queue.join("c"), "12").unwrap();
    put_as(BOB, &queue.join("d"), "12").unwrap();
    assert_eq!(errno(put_as(BOB, &queue.join("e"), "1")), libc::EDQUOT);
}

#[test]
fn chgrp_moves_the_charge_or_is_edquot() {
    let mount = with_limits("[limits.group.6000]\nmax_files = 1");
    let queue = open_queue(&mount);
    for name in ["a", "b"] {
        put_as(ANN, &queue.join(name), "").unwrap();
    }
    chown(queue.join("a"), None, Some(6_000)).unwrap();
    assert_eq!(errno(chown(queue.join("b"), None, Some(6_000))), libc::EDQUOT);
    chown(queue.join("a"), None, Some(6_001)).unwrap();
    chown(queue.join("b"), None, Some(6_000)).unwrap();
}

#[test]
fn chown_of_a_queue_moves_its_charge_or_is_edquot() {
    let mount = with_limits("max_dirs = 1");
    mkdir_as(ANN, &mount.path("a")).unwrap();
    mkdir_as(BOB, &mount.path("b")).unwrap();
    assert_eq!(errno(chown(mount.path("a"), Some(BOB), None)), libc::EDQUOT);
    chown(mount.path("b"), Some(0), None).unwrap();
    chown(mount.path("a"), Some(BOB), None).unwrap();
    mkdir_as(ANN, &mount.path("c")).unwrap();
    assert_eq!(errno(mkdir_as(BOB, &mount.path("d"))), libc::EDQUOT);
}

#[test]
fn chown_of_a_queue_heeds_max_files_per_dir() {
    let mount = with_limits("[limits.user.5001]\nmax_files_per_dir = 1");
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    assert_eq!(errno(chown(&queue, Some(ANN), None)), libc::EDQUOT);
    fs::remove_file(queue.join("a")).unwrap();
    chown(&queue, Some(ANN), None).unwrap();
}

#[test]
fn a_move_between_queues_leaves_the_charge_with_the_file() {
    let mount = with_limits("max_files = 1\nmax_bytes = 5");
    let queue = open_queue(&mount);
    mkdir_as(BOB, &mount.path("bobs")).unwrap();
    put_as(ANN, &queue.join("a"), "12345").unwrap();
    fs::rename(queue.join("a"), mount.path("bobs/a")).unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("b"), "")), libc::EDQUOT);
    put_as(BOB, &queue.join("b"), "12345").unwrap();
}

#[test]
fn without_a_limit_there_is_none() {
    let mount = with_limits("");
    let queue = open_queue(&mount);
    for number in 0..100 {
        put_as(ANN, &queue.join(format!("{number}")), "x").unwrap();
    }
    close(begin(queue.join("last")));
    assert_eq!(files(&queue).len(), 101);
}
