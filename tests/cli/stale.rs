//! Dead mounts at the mountpoint: ours are cleared at the start, others are not.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use crate::common::{EVENTFS, errno, is_listed, is_mounted, sh_ok, wait_until};
use crate::place::{Place, one_line};

fn times_listed(point: &Path) -> usize {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    text.lines().filter(|line| line.split(' ').nth(4) == point.to_str()).count()
}

fn die(place: &Place) {
    place.signal(Signal::SIGKILL);
    place.wait_end();
    wait_until("a dead mount", || {
        fs::metadata(&place.point).is_err_and(|e| e.raw_os_error() == Some(libc::ENOTCONN))
    });
}

#[test]
fn a_mount_whose_daemon_was_killed_is_cleared_at_the_start() {
    let place = Place::new();
    for _ in 0..3 {
        place.mount(&[]);
        die(&place);
    }
    place.mount(&[]);
    assert_eq!(times_listed(&place.point), 1);
    fs::create_dir(place.path("q")).expect("it serves");
}

#[test]
fn it_is_cleared_by_a_relative_name_too() {
    let place = Place::new();
    for name in ["mnt", "mnt/", "./mnt", "../*/mnt"] {
        place.mount(&[]);
        die(&place);
        let name = name.replace('*', place.dir().file_name().and_then(|n| n.to_str()).expect("n"));
        sh_ok(place.dir(), &format!("{EVENTFS} {name}"));
        assert_eq!(times_listed(&place.point), 1);
        assert!(is_mounted(&place.point));
        sh_ok(place.dir(), "umount mnt");
        wait_until("no mount", || !is_listed(&place.point));
    }
}

#[test]
fn it_is_cleared_through_a_symbolic_link() {
    let place = Place::new();
    place.mount(&[]);
    die(&place);
    std::os::unix::fs::symlink("mnt", place.dir().join("link")).expect("symlink");
    let link = place.dir().join("link");
    let output = crate::place::eventfs(&[link.as_os_str()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(times_listed(&place.point), 1);
    assert!(is_mounted(&place.point));
}

#[test]
fn a_dead_mount_of_another_type_is_not_cleared() {
    let place = Place::new();
    let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let kind = Some("fuse.stranger");
    mount(Some("x"), &place.point, kind, MsFlags::empty(), Some(data.as_str())).expect("mount");
    {
        // The last close of the device kills the mount.
        let _guard = crate::common::no_forks();
        drop(device);
    }
    assert_eq!(errno(fs::metadata(&place.point)), libc::ENOTCONN);
    one_line(&place.run(&[]), 1);
    assert_eq!(times_listed(&place.point), 1);
    umount2(&place.point, MntFlags::MNT_DETACH).expect("umount");
}

#[test]
fn a_dead_mount_below_a_living_stranger_is_not_touched() {
    let place = Place::new();
    place.mount(&[]);
    place.signal(Signal::SIGKILL);
    place.wait_end();
    let none = None::<&str>;
    // A dead root cannot be mounted on by its name, so the stranger comes by a move.
    let other = place.dir().join("other");
    fs::create_dir(&other).expect("mkdir");
    if mount(Some("x"), &place.point, Some("tmpfs"), MsFlags::empty(), none).is_err() {
        return crate::common::skip("nothing can be mounted on a dead mount here");
    }
    fs::write(place.path("precious"), "x").expect("write");
    let line = one_line(&place.run(&[]), 1);
    assert!(line.contains("not empty"), "{line}");
    assert_eq!(times_listed(&place.point), 2);
}

#[test]
fn a_living_eventfs_is_not_cleared() {
    let place = Place::new();
    place.mount(&[]);
    fs::create_dir(place.path("q")).expect("mkdir");
    one_line(&place.run(&[]), 1);
    assert!(place.path("q").exists());
}
