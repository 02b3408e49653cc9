//! Pop needs what `cat` and `rm` of the same event need, whatever channel it uses.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Mounted, is_root, sh_ok, skip};
use crate::help::{as_somebody, depth, events, fill, mode, pop, pop_as, put, user};

const ANN: u32 = 5001;
const BOB: u32 = 5002;
const TEAM: u32 = 5009;

/// A queue of ANN and TEAM with this mode and one event of this mode.
fn queue(mount: &Mounted, name: &str, queue_mode: u32, event_mode: u32) -> PathBuf {
    let queue = mount.queue(name);
    chown(&queue, Some(ANN), Some(TEAM)).unwrap();
    add(&queue, "e", ANN, event_mode);
    mode(&queue, queue_mode);
    queue
}

fn add(queue: &Path, name: &str, uid: u32, event_mode: u32) {
    put(&queue.join(name), name);
    chown(queue.join(name), Some(uid), Some(TEAM)).unwrap();
    mode(&queue.join(name), event_mode);
}

fn member(id: u32) -> Vec<String> {
    let groups = format!("--groups=4000,{TEAM},4001");
    [format!("--reuid={id}"), format!("--regid={id}"), groups].into()
}

/// Whether `cat` and then `rm` of a copy of the event would do.
fn cat_and_rm(who: &[String], queue: &Path) -> bool {
    let script = "cat \"$0/e\" >/dev/null 2>&1 && rm \"$0/e\" 2>/dev/null </dev/null";
    let mut shell = Command::new("setpriv");
    shell.args(who).args(["sh", "-c", script]).arg(queue);
    shell.status().unwrap().success()
}

#[test]
fn pop_may_whatever_cat_and_rm_may() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let people = [user(ANN), user(BOB), member(BOB)];
    let modes = [
        (0o777, 0o644),
        (0o733, 0o644),
        (0o731, 0o644),
        (0o713, 0o644),
        (0o755, 0o644),
        (0o722, 0o644),
        (0o770, 0o640),
        (0o730, 0o640),
        (0o777, 0o600),
        (0o777, 0o604),
        (0o777, 0o040),
        (0o577, 0o644),
        (0o1777, 0o666),
        (0o1773, 0o666),
    ];
    for (number, (queue_mode, event_mode)) in modes.into_iter().enumerate() {
        for (index, who) in people.iter().enumerate() {
            let name = |kind: &str| format!("{kind}{number}-{index}");
            let by_cat = queue(&mount, &name("c"), queue_mode, event_mode);
            let by_pop = queue(&mount, &name("p"), queue_mode, event_mode);
            let expected = cat_and_rm(who, &by_cat);
            let told = pop_as(who, &by_pop, &[]);
            let case = format!("{queue_mode:o} {event_mode:o} {who:?} {}", told.err);
            assert_eq!(told.code, i32::from(!expected), "{case}");
            assert_eq!(depth(&by_pop), usize::from(!expected), "{case}");
            assert_eq!(events(&by_pop).len(), usize::from(!expected), "nothing is hidden: {case}");
            if !expected {
                told.refused(1);
            }
        }
    }
}

#[test]
fn a_refusal_is_one_line_that_says_why() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let why = |queue: &Path| {
        let line = pop_as(&user(BOB), queue, &[]).refused(1);
        let start = format!("eventfs: {}: ", queue.display());
        line.strip_prefix(&start).expect("the queue first").to_owned()
    };
    assert_eq!(why(&queue(&mount, "a", 0o755, 0o644)), "Permission denied");
    assert_eq!(why(&queue(&mount, "b", 0o777, 0o600)), "Permission denied");
    assert_eq!(why(&queue(&mount, "c", 0o700, 0o644)), "Permission denied");
    assert_eq!(why(&queue(&mount, "d", 0o1777, 0o644)), "Operation not permitted");
}

#[test]
fn an_event_that_may_not_be_read_stops_the_queue_and_stays() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let queue = queue(&mount, "q", 0o777, 0o644);
    add(&queue, "f", ANN, 0o644);
    add(&queue, "secret", ANN, 0o600);
    add(&queue, "g", ANN, 0o644);
    let told = pop_as(&user(BOB), &queue, &["--all"]);
    assert_eq!((told.code, told.out.as_slice()), (1, &b"ef"[..]));
    assert!(told.line().ends_with("Permission denied"));
    assert_eq!(events(&queue), ["secret", "g"]);
    assert_eq!(pop_as(&user(ANN), &queue, &["--all"]).ok(), "secretg");
}

#[test]
fn in_a_sticky_directory_only_ones_own_events_are_popped() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    chown(&queue, Some(ANN), Some(ANN)).unwrap();
    mode(&queue, 0o1777);
    for (name, uid) in [("bobs", BOB), ("bobs2", BOB), ("anns", ANN), ("bobs3", BOB)] {
        add(&queue, name, uid, 0o666);
    }
    let told = pop_as(&user(BOB), &queue, &["--all"]);
    assert_eq!((told.code, told.out.as_slice()), (1, &b"bobsbobs2"[..]));
    assert!(told.line().ends_with("Operation not permitted"));
    assert_eq!(pop_as(&user(ANN), &queue, &["--all"]).ok(), "annsbobs3", "it is her queue");
}

#[test]
fn a_read_only_bind_mount_is_read_only() {
    if !is_root() {
        return skip("bind mounts need root");
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = fill(&queue, "e", 3);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    let _bind = crate::common::Unmounted(dir.path().to_owned());
    let bind = format!("mount --bind '{}' '{place}'", queue.display());
    sh_ok(Path::new("/"), &format!("{bind} && mount -o remount,bind,ro '{place}'"));
    let told = pop(dir.path(), &["--all"]);
    let seen = events(dir.path());
    sh_ok(Path::new("/"), &format!("umount '{place}'"));
    assert!(told.refused(1).ends_with("Read-only file system"));
    assert_eq!((seen, events(&queue)), (names.clone(), names));
}

#[test]
fn root_without_capabilities_is_checked_like_anybody() {
    if !is_root() {
        return skip("only root can give them up");
    }
    let mount = Mounted::new();
    let powerless: Vec<String> =
        ["--bounding-set=-all", "--inh-caps=-all"].map(str::to_owned).into();
    let by_cat = queue(&mount, "a", 0o777, 0o600);
    let by_pop = queue(&mount, "b", 0o777, 0o600);
    assert!(!cat_and_rm(&powerless, &by_cat));
    assert!(pop_as(&powerless, &by_pop, &[]).refused(1).ends_with("Permission denied"));
    mode(&by_pop.join("e"), 0o604);
    assert_eq!(pop_as(&powerless, &by_pop, &[]).ok(), "e");
}

#[test]
fn the_door_cannot_be_listed_changed_or_removed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let door = queue.join(".eventfs-door");
    put(&queue.join("a"), "");
    assert_eq!(events(&queue), ["a"]);
    assert_eq!(fs::metadata(&door).unwrap().permissions().mode() & 0o777, 0o444);
    let refused = |result: std::io::Result<()>| {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM));
    };
    refused(fs::remove_file(&door));
    refused(fs::rename(&door, queue.join("b")));
    refused(fs::rename(queue.join("a"), &door));
    refused(fs::set_permissions(&door, fs::Permissions::from_mode(0o777)));
    refused(fs::OpenOptions::new().write(true).open(&door).map(drop));
    refused(fs::hard_link(&door, queue.join("b")));
    assert!(fs::hard_link(queue.join("a"), &door).is_err());
    assert!(symlink("a", &door).is_err());
    assert_eq!(fs::read(&door).unwrap(), b"");
    assert_eq!(events(&queue), ["a"]);
    fs::remove_file(queue.join("a")).unwrap();
    fs::remove_dir(&queue).unwrap();
}

#[test]
fn the_door_alone_opens_nothing() {
    use eventfs::wire::{BUFFER_BYTES, READ, TAKE, request};
    use std::os::fd::AsFd;
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("a"), "");
    let door = fs::File::open(queue.join(".eventfs-door")).unwrap();
    for command in [TAKE, READ] {
        let mut buffer = [0; BUFFER_BYTES];
        buffer[4] = 9;
        let asked = eventfs::sys::ioctl::exchange(door.as_fd(), request(command), &mut buffer);
        assert_eq!(asked.unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
    assert_eq!(events(&queue), ["a"]);
}

#[test]
fn a_permit_helps_only_the_user_who_asked() {
    if !is_root() {
        return skip("other users need root");
    }
    use eventfs::wire::{BEGIN, BUFFER_BYTES, number, permit_name, request};
    use std::os::fd::AsFd;
    let mount = Mounted::new();
    let queue = queue(&mount, "q", 0o777, 0o644);
    let door = fs::File::open(queue.join(".eventfs-door")).unwrap();
    let mut buffer = [0; BUFFER_BYTES];
    eventfs::sys::ioctl::exchange(door.as_fd(), request(BEGIN), &mut buffer).unwrap();
    let permit = queue.join(permit_name(number(&buffer).unwrap()));
    let stat = |who: &[String]| {
        let mut stat = Command::new("setpriv");
        stat.args(who).arg("stat").arg(&permit).output().unwrap().status.success()
    };
    assert!(!stat(&user(BOB)), "another user does not even see it");
    let removed = fs::remove_file(&permit).unwrap_err();
    assert_eq!(removed.raw_os_error(), Some(libc::EALREADY));
    assert_eq!(events(&queue), ["e"]);
}

#[test]
fn other_users_push_and_watch_too() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let queue = queue(&mount, "q", 0o733, 0o644);
    let mut push = as_somebody(&user(BOB), &["push"]);
    assert!(push.arg(&queue).arg("pushed").output().unwrap().status.success());
    let mut watch = as_somebody(&user(BOB), &["watch"]);
    let told = watch.arg(&queue).output().unwrap();
    let line = String::from_utf8(told.stderr).unwrap();
    let expected = format!("eventfs: {}: Permission denied\n", queue.display());
    assert_eq!((told.status.code(), line), (Some(1), expected), "watching is listing");
}
