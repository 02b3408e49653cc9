//! Every process that owns queues costs the daemon a descriptor, and there may be none left.

use std::fs;
use std::io;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::common::{Mounted, get, names, sh_ok, wait_until};
use crate::kid::{Kid, strict, wait_gone};

/// Leaves the daemon room for about so many more descriptors.
fn limit(mounted: &Mounted, more: usize) {
    let used = fs::read_dir(format!("/proc/{}/fd", mounted.pid())).expect("fd").count();
    let limit = used + more;
    let pid = mounted.pid();
    sh_ok(&mounted.point, &format!("prlimit --pid {pid} --nofile={limit}:{limit}"));
}

/// Makes queues by processes of their own until one is refused.
fn fill(mounted: &Mounted) -> (Vec<Kid>, io::Error) {
    let mut kids = Vec::new();
    loop {
        let queue = mounted.path(format!("q{}", kids.len()));
        let made = queue.clone();
        let kid = Kid::start(move || {
            Ok(match fs::create_dir(made) {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(-1).unsigned_abs(),
            })
        });
        if kid.told() != 0 {
            return (kids, io::Error::from_raw_os_error(kid.told().cast_signed()));
        }
        kids.push(kid);
        assert!(kids.len() < 100, "no limit is felt");
    }
}

#[test]
fn without_a_descriptor_mkdir_is_refused_and_no_queue_is_unowned() {
    let mounted = strict();
    limit(&mounted, 30);
    let (kids, error) = fill(&mounted);
    assert_eq!(error.raw_os_error(), Some(libc::ENFILE));
    assert_eq!(names(&mounted.point).len(), kids.len());
    for (i, kid) in kids.iter().enumerate() {
        let owner = get(&mounted.path(format!("q{i}")), "user.eventfs_owner");
        assert_eq!(owner, Some(kid.pid().to_string()));
    }
}

#[test]
fn at_the_limit_queues_still_end_with_their_owners() {
    let mounted = strict();
    limit(&mounted, 30);
    let (kids, _) = fill(&mounted);
    drop(kids);
    wait_until("the end of all", || names(&mounted.point).is_empty());
}

#[test]
fn at_the_limit_a_process_that_is_known_makes_more_queues() {
    let mounted = strict();
    let (first, go) = (mounted.path("first"), mounted.path("go"));
    let (made, wait, more) = (first.clone(), go.clone(), mounted.path("more"));
    let kid = Kid::start_then(
        move || fs::create_dir(made).map(|()| 0),
        move || {
            while !wait.exists() {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            let _ = fs::create_dir(more);
        },
    );
    limit(&mounted, 30);
    let (kids, _) = fill(&mounted);
    fs::rename(mounted.path("q0"), &go).expect("rename");
    wait_until("one more queue", || mounted.path("more").exists());
    drop((kid, kids));
    wait_until("the end of all", || names(&mounted.point).is_empty());
}

#[test]
fn when_an_owner_ends_there_is_room_for_another() {
    let mounted = strict();
    limit(&mounted, 30);
    let (mut kids, _) = fill(&mounted);
    let last = mounted.path(format!("q{}", kids.len() - 1));
    kids.pop().expect("at least one").kill();
    wait_gone(&last);
    wait_until("room for an owner", || {
        let made = last.clone();
        let kid = Kid::start(move || Ok(u32::from(fs::create_dir(made).is_ok())));
        kid.told() == 1
    });
}

#[test]
fn an_owner_cannot_be_named_without_a_descriptor() {
    let mounted = strict();
    let queue = mounted.queue("q");
    let idle = Kid::idle();
    limit(&mounted, 30);
    let (kids, _) = fill(&mounted);
    let refused = crate::common::set(&queue, "user.eventfs_owner", &idle.pid().to_string());
    refused.expect_err("no descriptor");
    assert_eq!(get(&queue, "user.eventfs_owner"), Some(std::process::id().to_string()));
    drop(kids);
    wait_until("room again", || {
        crate::common::set(&queue, "user.eventfs_owner", &idle.pid().to_string()).is_ok()
    });
}

#[test]
fn at_the_limit_the_end_of_a_queue_is_told_and_the_mount_ends_in_order() {
    let mounted = strict();
    limit(&mounted, 30);
    let (mut kids, _) = fill(&mounted);
    let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
    let inotify = Inotify::init(flags).expect("inotify");
    inotify.add_watch(&mounted.point, AddWatchFlags::IN_DELETE).expect("watch");
    kids.pop().expect("at least one").kill();
    wait_until("word of it", || inotify.read_events().is_ok_and(|events| !events.is_empty()));
    // Refilled, so that nothing is free.
    let made = mounted.path("again");
    let _kid = Kid::with_queue(&made);
    mounted.end();
}

#[test]
fn the_daemon_raises_its_soft_limit_to_the_hard_one() {
    let mounted = strict();
    let limits = fs::read_to_string(format!("/proc/{}/limits", mounted.pid())).expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}
