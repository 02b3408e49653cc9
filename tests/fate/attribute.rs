//! `user.eventfs_owner` and `user.eventfs_sticky`: what can be read and written.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::common::{errno, get, set, wait_until, write};
use crate::kid::{Kid, fork_again, forlorn, kill9, patient, strict, wait_gone};
use crate::shell::Shell;

const OWNER: &str = "user.eventfs_owner";
const STICKY: &str = "user.eventfs_sticky";

#[test]
fn any_value_makes_sticky() {
    let mounted = strict();
    for value in ["", "0", "1", "no", "any text \u{1}"] {
        let queue = mounted.path("q");
        let kid = Kid::with_queue(&queue);
        set(&queue, STICKY, value).expect("sticky");
        kid.kill();
        wait_until("the owner to be forgotten", || get(&queue, OWNER).is_none());
        assert!(get(&queue, STICKY).is_some(), "{value:?}");
        fs::remove_dir(&queue).expect("rmdir");
    }
}

#[test]
fn a_mark_that_is_not_there_cannot_be_removed() {
    let mounted = strict();
    let queue = mounted.path("q");
    let _kid = Kid::with_queue(&queue);
    assert_eq!(get(&queue, STICKY), None);
    assert_eq!(errno(xattr::remove(&queue, STICKY)), libc::ENODATA);
}

#[test]
fn the_attributes_are_listed_while_they_exist() {
    let mounted = strict();
    let queue = mounted.path("q");
    let has = |name: &str| xattr::list(&queue).expect("list").any(|found| found == name);
    let kid = Kid::with_queue(&queue);
    assert!(has(OWNER) && !has(STICKY));
    set(&queue, STICKY, "1").expect("sticky");
    assert!(has(OWNER) && has(STICKY), "the remembered owner");
    kid.kill();
    wait_until("the owner to be forgotten", || !has(OWNER));
    assert!(has(STICKY));
}

#[test]
fn the_owner_of_a_sticky_queue_is_absent_unless_one_is_remembered() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    set(&queue, STICKY, "1").expect("sticky");
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    // ENODATA, which reads as absence.
    wait_until("the owner to be forgotten", || get(&queue, OWNER).is_none());
}

#[test]
fn a_number_names_a_process() {
    let mounted = strict();
    let queue = mounted.path("q");
    let (first, second) = (Kid::with_queue(&queue), Kid::idle());
    set(&queue, OWNER, &second.pid().to_string()).expect("owner");
    assert_eq!(get(&queue, OWNER), Some(second.pid().to_string()));
    first.kill();
    let later = mounted.path("later");
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert!(queue.exists(), "the first owner has lost it");
    second.kill();
    wait_gone(&queue);
}

#[test]
fn the_word_parent_names_the_parent_of_who_writes() {
    let mounted = patient();
    let mut shell = Shell::new(&mounted.point);
    shell.ok("mkdir q && setfattr -n user.eventfs_owner -v parent q");
    assert_eq!(get(&mounted.path("q"), OWNER), Some(shell.pid().to_string()));
    shell.kill();
    wait_gone(&mounted.path("q"));
}

#[test]
fn the_word_session_names_the_leader_of_the_session() {
    let mounted = patient();
    // Two more shells below the leader.
    let mut shell = Shell::below(&["setsid", "--wait"], &mounted.point);
    let leader = shell.number("$$");
    shell.ok("mkdir q && bash -c 'bash -c \"setfattr -n user.eventfs_owner -v session q\"; :'");
    assert_eq!(get(&mounted.path("q"), OWNER), Some(leader.to_string()));
    kill9(leader);
    wait_gone(&mounted.path("q"));
}

#[test]
fn a_dead_process_cannot_be_named() {
    let mounted = strict();
    let queue = forlorn(&mounted, "q");
    let kid = Kid::idle();
    let pid = kid.pid().to_string();
    kid.kill_unreaped();
    assert_eq!(errno(set(&queue, OWNER, &pid)), libc::ESRCH, "a zombie");
    drop(kid);
    assert_eq!(errno(set(&queue, OWNER, &pid)), libc::ESRCH, "nobody");
    assert_eq!(errno(set(&queue, OWNER, "4194305")), libc::ESRCH, "above every number");
    assert_eq!(get(&queue, OWNER), None);
}

#[test]
fn a_thread_is_no_process() {
    let mounted = strict();
    let queue = mounted.queue("q");
    std::thread::spawn(move || {
        let thread = nix::unistd::gettid().to_string();
        assert_eq!(errno(set(&queue, OWNER, &thread)), libc::ESRCH);
    })
    .join()
    .expect("thread");
}

#[test]
fn a_refused_owner_changes_nothing() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    for bad in ["4194305", "nobody", ""] {
        set(&queue, OWNER, bad).expect_err(bad);
        assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()), "{bad}");
    }
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn an_owner_that_is_no_positive_number_or_word_is_invalid() {
    let mounted = strict();
    let queue = mounted.queue("q");
    let bad = [
        "",
        "0",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "0x1",
        "1.0",
        "creator",
        "PARENT",
        "parents",
        "4294967296",
        "99999999999999999999",
        "1\0",
    ];
    for value in bad {
        assert_eq!(errno(set(&queue, OWNER, value)), libc::EINVAL, "{value:?}");
    }
}

#[test]
fn an_event_has_neither_attribute() {
    let mounted = strict();
    let queue = mounted.queue("q");
    write(queue.join("e"), "x").expect("write");
    assert_eq!(get(&queue.join("e"), OWNER), None);
    assert_eq!(errno(set(&queue.join("e"), OWNER, "1")), libc::EINVAL);
    assert_eq!(errno(set(&queue.join("e"), STICKY, "1")), libc::EINVAL);
    assert_eq!(errno(set(&mounted.point, STICKY, "1")), libc::EINVAL);
}

/// No crate of ours passes these flags.
fn set_with_flags(queue: &Path, value: &str, flags: i32) -> io::Result<()> {
    let path = CString::new(queue.as_os_str().as_bytes()).expect("path");
    let name = CString::new(OWNER).expect("name");
    #[allow(unsafe_code)]
    // SAFETY: two strings with their ends, and a value with its length.
    let done = unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn create_and_replace_flags_hold_for_the_owner() {
    let mounted = strict();
    let queue = forlorn(&mounted, "q");
    let kid = Kid::idle();
    let flags = |flags: i32| set_with_flags(&queue, &kid.pid().to_string(), flags);
    assert_eq!(errno(flags(libc::XATTR_REPLACE)), libc::ENODATA);
    flags(libc::XATTR_CREATE).expect("the first");
    assert_eq!(errno(flags(libc::XATTR_CREATE)), libc::EEXIST);
    flags(libc::XATTR_REPLACE).expect("another");
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
}

#[test]
fn a_queue_given_to_its_own_owner_again_has_one_owner() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    for _ in 0..3 {
        set(&queue, OWNER, &kid.pid().to_string()).expect("owner");
    }
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn the_owner_need_not_be_the_parent_of_anything() {
    let mounted = strict();
    let queue = mounted.queue("q");
    let kid = Kid::start(|| fork_again(|| Ok(())));
    set(&queue, OWNER, &kid.told().to_string()).expect("owner");
    xattr::remove(&queue, STICKY).expect("remove");
    kill9(kid.told());
    wait_gone(&queue);
}
