//! Who may set the owner and the sticky mark, and which process may be named.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{Mounted, as_user, errno, get, set, skip};
use crate::kid::{Kid, become_user, strict, wait_gone};

const OWNER: &str = "user.eventfs_owner";
const STICKY: &str = "user.eventfs_sticky";
const USER: u32 = 1000;
const OTHER: u32 = 1001;

/// A process of a user, with a queue of that user's.
fn kid_of(user: u32, queue: &Path) -> Kid {
    let queue = queue.to_owned();
    Kid::start(move || {
        become_user(user)?;
        fs::create_dir(queue).map(|()| 0)
    })
}

fn idle_of(user: u32) -> Kid {
    Kid::start(move || become_user(user).map(|()| 0))
}

fn set_as(user: u32, queue: &Path, name: &'static str, value: &str) -> io::Result<()> {
    as_user(user, user, || set(queue, name, value))
}

fn everybody_may_write(queue: &Path) {
    fs::set_permissions(queue, fs::Permissions::from_mode(0o777)).expect("chmod");
}

fn with_queue() -> (Mounted, std::path::PathBuf, Kid) {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = kid_of(USER, &queue);
    (mounted, queue, kid)
}

#[test]
fn the_user_of_a_queue_may_name_a_process_of_its_own() {
    let (_mounted, queue, first) = with_queue();
    let second = idle_of(USER);
    set_as(USER, &queue, OWNER, &second.pid().to_string()).expect("owner");
    first.kill();
    assert_eq!(get(&queue, OWNER), Some(second.pid().to_string()));
    second.kill();
    wait_gone(&queue);
}

#[test]
fn a_user_may_not_name_a_strangers_process() {
    let (_mounted, queue, kid) = with_queue();
    let stranger = idle_of(OTHER);
    for pid in [stranger.pid(), std::process::id()] {
        assert_eq!(errno(set_as(USER, &queue, OWNER, &pid.to_string())), libc::EPERM);
    }
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
}

#[test]
fn a_user_may_not_name_process_1() {
    let (_mounted, queue, _kid) = with_queue();
    assert_eq!(errno(set_as(USER, &queue, OWNER, "1")), libc::EPERM);
}

#[test]
fn a_user_may_not_name_a_kernel_thread() {
    if fs::read_to_string("/proc/2/comm").ok().as_deref() != Some("kthreadd\n") {
        return skip("no kernel thread is in view");
    }
    let (_mounted, queue, _kid) = with_queue();
    assert_eq!(errno(set_as(USER, &queue, OWNER, "2")), libc::EPERM);
}

#[test]
fn a_user_may_not_name_a_parent_of_another_user() {
    let (_mounted, queue, _kid) = with_queue();
    // The parent of who writes is this test: root's.
    assert_eq!(errno(set_as(USER, &queue, OWNER, "parent")), libc::EPERM);
}

#[test]
fn root_may_name_any_process() {
    let (_mounted, queue, _kid) = with_queue();
    let stranger = idle_of(OTHER);
    for pid in [stranger.pid(), std::process::id(), 1] {
        set(&queue, OWNER, &pid.to_string()).expect("owner");
        assert_eq!(get(&queue, OWNER), Some(pid.to_string()));
    }
    set(&queue, OWNER, &stranger.pid().to_string()).expect("owner");
    stranger.kill();
    wait_gone(&queue);
}

#[test]
fn others_may_not_control_a_queue_that_they_may_write() {
    let (_mounted, queue, _kid) = with_queue();
    everybody_may_write(&queue);
    let stranger = idle_of(OTHER);
    let pid = stranger.pid().to_string();
    assert_eq!(errno(set_as(OTHER, &queue, OWNER, &pid)), libc::EPERM);
    assert_eq!(errno(set_as(OTHER, &queue, STICKY, "1")), libc::EPERM);
    set(&queue, STICKY, "1").expect("root may");
    let removed = as_user(OTHER, OTHER, || xattr::remove(&queue, STICKY));
    assert_eq!(errno(removed), libc::EPERM);
}

#[test]
fn others_may_not_control_a_queue_that_they_may_only_read() {
    let (_mounted, queue, kid) = with_queue();
    let refused = errno(set_as(OTHER, &queue, STICKY, "1"));
    assert!([libc::EPERM, libc::EACCES].contains(&refused), "{refused}");
    let pid = kid.pid().to_string();
    as_user(OTHER, OTHER, || {
        assert_eq!(get(&queue, OWNER), Some(pid));
        Ok(())
    })
    .expect("reading is free");
}

#[test]
fn the_user_of_a_queue_may_make_it_sticky_and_take_that_back() {
    let (_mounted, queue, kid) = with_queue();
    set_as(USER, &queue, STICKY, "1").expect("sticky");
    as_user(USER, USER, || xattr::remove(&queue, STICKY)).expect("remove");
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn who_counts_is_the_present_user_of_the_queue() {
    let (_mounted, queue, _kid) = with_queue();
    std::os::unix::fs::chown(&queue, Some(OTHER), Some(OTHER)).expect("chown");
    assert_eq!(errno(set_as(USER, &queue, STICKY, "1")), libc::EACCES);
    let own = idle_of(OTHER);
    set_as(OTHER, &queue, OWNER, &own.pid().to_string()).expect("owner");
    own.kill();
    wait_gone(&queue);
}
