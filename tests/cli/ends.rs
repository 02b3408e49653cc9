//! Ending: signals, umount, stale mounts, strangers.

use std::fs;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use crate::common::{EVENTFS, is_listed, is_mounted, set, wait_until};
use crate::place::{Place, run};

#[test]
fn sigterm_and_sigint_end_it_with_0_and_no_stale_mountpoint() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let place = Place::new();
        let mut daemon =
            std::process::Command::new(EVENTFS).arg("-f").arg(&place.point).spawn().expect("start");
        wait_until("the mount", || is_mounted(&place.point));
        place.signal(signal);
        assert!(daemon.wait().expect("wait").success(), "{signal}");
        assert!(!is_listed(&place.point));
        fs::write(place.point.join("free"), "").expect("the directory is an ordinary one again");
        fs::remove_file(place.point.join("free")).expect("remove");
    }
}

#[test]
fn it_ends_though_files_are_open() {
    let place = Place::new();
    place.mounted::<&str>(&[]);
    fs::create_dir(place.point.join("q")).expect("mkdir");
    let file = fs::File::create(place.point.join("q/open")).expect("create");
    place.signal(Signal::SIGTERM);
    place.wait_for_end();
    assert!(!is_listed(&place.point));
    let error = std::io::Write::write(&mut &file, b"x").expect_err("nobody serves");
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
}

#[test]
fn umount_and_fusermount_end_the_daemon() {
    for program in [&["umount"][..], &["fusermount3", "-u"]] {
        let place = Place::new();
        place.mounted::<&str>(&[]);
        let mut args: Vec<_> = program[1..].iter().map(std::ffi::OsStr::new).collect();
        args.push(place.point.as_os_str());
        run(program[0], &args);
        place.wait_for_end();
    }
}

#[test]
fn it_serves_on_while_a_bind_mount_is_left_and_ends_with_the_last() {
    let place = Place::new();
    place.mounted::<&str>(&[]);
    let queue = place.point.join("q");
    fs::create_dir(&queue).expect("mkdir");
    set(&queue, "user.eventfs_sticky", "1").expect("sticky");
    let elsewhere = place.beside("bind");
    fs::create_dir(&elsewhere).expect("mkdir");
    mount(Some(&queue), &elsewhere, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind");
    run("umount", &[place.point.as_os_str()]);
    fs::write(elsewhere.join("e"), "x").expect("still served");
    assert_eq!(fs::read_to_string(elsewhere.join("head")).expect("head"), "x");
    assert_eq!(place.daemons().len(), 1);
    umount2(&elsewhere, MntFlags::empty()).expect("umount");
    place.wait_for_end();
}

#[test]
fn a_stale_mount_is_cleared_at_start() {
    let place = Place::new();
    for _ in 0..3 {
        place.mounted::<&str>(&[]);
        place.signal(Signal::SIGKILL);
        place.wait_for_end();
        let stale = || fs::read_dir(&place.point).err().and_then(|error| error.raw_os_error());
        wait_until("the stale mount", || stale() == Some(libc::ENOTCONN));
    }
    place.mounted::<&str>(&[]);
    fs::create_dir(place.point.join("q")).expect("it serves");
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let here = |line: &&str| line.split(' ').nth(4) == place.point.to_str();
    assert_eq!(text.lines().filter(here).count(), 1, "only the new one is left");
}

#[test]
fn a_strangers_mount_on_top_is_never_unmounted() {
    let place = Place::new();
    place.mounted::<&str>(&[]);
    let none = None::<&str>;
    mount(Some("stranger"), &place.point, Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs");
    fs::write(place.point.join("theirs"), "x").expect("write");
    place.signal(Signal::SIGTERM);
    place.wait_for_end();
    assert_eq!(fs::read_to_string(place.point.join("theirs")).expect("still there"), "x");
    umount2(&place.point, MntFlags::empty()).expect("their own umount");
    umount2(&place.point, MntFlags::MNT_DETACH).expect("the stale one below");
}

#[test]
fn a_mount_taken_away_and_replaced_is_left_alone() {
    let place = Place::new();
    place.mounted::<&str>(&[]);
    umount2(&place.point, MntFlags::MNT_DETACH).expect("umount");
    let none = None::<&str>;
    mount(Some("stranger"), &place.point, Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs");
    place.wait_for_end();
    assert!(is_listed(&place.point));
    umount2(&place.point, MntFlags::empty()).expect("umount");
}

#[test]
fn a_moved_mount_is_ended_where_it_is() {
    let place = Place::new();
    // The parent of a mount that is to move must not be shared.
    let dir = place.beside("");
    let none = None::<&str>;
    mount(Some("here"), &dir, Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs");
    mount(none, &dir, none, MsFlags::MS_PRIVATE, none).expect("private");
    fs::create_dir(&place.point).expect("mkdir");
    let target = dir.join("moved");
    fs::create_dir(&target).expect("mkdir");
    place.mounted::<&str>(&[]);
    mount(Some(&place.point), &target, none, MsFlags::MS_MOVE, none).expect("move");
    place.signal(Signal::SIGTERM);
    place.wait_for_end();
    assert!(!is_listed(&target));
    umount2(&dir, MntFlags::MNT_DETACH).expect("umount");
}

#[test]
fn sighup_reads_good_configuration_and_keeps_the_old_on_a_bad_one() {
    let place = Place::new();
    let file = place.file("conf.toml", "[mount]\nnr_queues = 2\n");
    let log = place.beside("log");
    let mut daemon = std::process::Command::new(EVENTFS)
        .args(["-f", "-c", file.to_str().expect("UTF-8")])
        .arg(&place.point)
        .stderr(fs::File::create(&log).expect("log"))
        .spawn()
        .expect("start");
    wait_until("the mount", || is_mounted(&place.point));
    for name in ["a", "b"] {
        fs::create_dir(place.point.join(name)).expect("mkdir");
    }
    let third = || fs::create_dir(place.point.join("c")).map_err(|e| e.raw_os_error());
    assert_eq!(third(), Err(Some(libc::ENOSPC)));
    place.file("conf.toml", "[mount]\nnr_queues = many\n");
    place.signal(Signal::SIGHUP);
    let told = || fs::read_to_string(&log).expect("log");
    wait_until("the complaint", || told().contains("conf.toml:2:"));
    assert_eq!(third(), Err(Some(libc::ENOSPC)));
    place.file("conf.toml", "[mount]\nnr_queues = 3\n");
    place.signal(Signal::SIGHUP);
    wait_until("the new limit", || third().is_ok());
    place.signal(Signal::SIGTERM);
    assert!(daemon.wait().expect("wait").success());
}
