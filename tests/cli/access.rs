//! `allow_other`, `allow_root`, neither; and permission bits with other users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{Mounted, as_user, as_user_with_groups, errno, write};

const USER: u32 = 1000;
const OTHER: u32 = 1001;

fn list(path: &Path) -> std::io::Result<()> {
    fs::read_dir(path).map(drop)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn without_a_word_only_the_mounter_gets_through() {
    let mounted = Mounted::with("root_mode=0777");
    assert_eq!(errno(as_user(USER, USER, || list(&mounted.point))), libc::EACCES);
    assert_eq!(errno(as_user(USER, USER, || fs::create_dir(mounted.path("q")))), libc::EACCES);
    fs::create_dir(mounted.path("q")).expect("the mounter");
}

#[test]
fn with_allow_root_still_only_the_mounter_and_root_get_through() {
    let mounted = Mounted::with("allow_root,root_mode=0777");
    let queue = mounted.queue("q");
    chmod(&queue, 0o777);
    assert_eq!(errno(as_user(USER, USER, || list(&mounted.point))), libc::EACCES);
    assert_eq!(errno(as_user(USER, USER, || list(&queue))), libc::EACCES);
    assert_eq!(errno(as_user(USER, USER, || write(queue.join("e"), "x"))), libc::EACCES);
    assert_eq!(errno(as_user(USER, USER, || fs::create_dir(mounted.path("r")))), libc::EACCES);
    write(queue.join("e"), "x").expect("the mounter");
}

#[test]
fn with_allow_other_permission_bits_decide() {
    let mounted = Mounted::with("allow_other");
    as_user(USER, USER, || list(&mounted.point)).expect("0755");
    assert_eq!(errno(as_user(USER, USER, || fs::create_dir(mounted.path("q")))), libc::EACCES);
    chmod(&mounted.point, 0o700);
    assert_eq!(errno(as_user(USER, USER, || list(&mounted.point))), libc::EACCES);
    chmod(&mounted.point, 0o777);
    as_user(USER, USER, || fs::create_dir(mounted.path("q"))).expect("0777");
}

#[test]
fn the_root_directory_given_to_a_user_is_that_users() {
    let mounted = Mounted::with(&format!("allow_other,uid={USER},gid={USER}"));
    as_user(USER, USER, || fs::create_dir(mounted.path("q"))).expect("its own");
    assert_eq!(errno(as_user(OTHER, OTHER, || fs::create_dir(mounted.path("r")))), libc::EACCES);
}

#[test]
fn a_sticky_root_lets_users_remove_their_own_queues_only() {
    let mounted = Mounted::with("allow_other,root_mode=1777");
    let queue = mounted.path("q");
    as_user(USER, USER, || fs::create_dir(&queue)).expect("mkdir");
    assert_eq!(errno(as_user(OTHER, OTHER, || fs::remove_dir(&queue))), libc::EPERM);
    as_user(USER, USER, || fs::remove_dir(&queue)).expect("rmdir");
}

#[test]
fn bits_of_queue_and_event_decide() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    write(queue.join("e"), "x").expect("write");
    chmod(&queue.join("e"), 0o600);
    chmod(&queue, 0o755);
    let read = |path: &Path| fs::read(path).map(drop);
    assert_eq!(errno(as_user(USER, USER, || read(&queue.join("e")))), libc::EACCES);
    assert_eq!(errno(as_user(USER, USER, || read(&queue.join("head")))), libc::EACCES);
    assert_eq!(errno(as_user(USER, USER, || fs::remove_file(queue.join("head")))), libc::EACCES);
    chmod(&queue.join("e"), 0o644);
    as_user(USER, USER, || read(&queue.join("head"))).expect("readable now");
    chmod(&queue, 0o700);
    assert_eq!(errno(as_user(USER, USER, || read(&queue.join("e")))), libc::EACCES);
}

#[test]
fn supplementary_groups_count() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    std::os::unix::fs::chown(&queue, Some(0), Some(4_242)).expect("chown");
    chmod(&queue, 0o770);
    let write = || write(queue.join("e"), "x");
    assert_eq!(errno(as_user(USER, USER, write)), libc::EACCES);
    as_user_with_groups(USER, USER, &[4_242], write).expect("a member");
}
