//! The words behind `-o`: generic ones, ours, and all others.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::common::{Mounted, errno, is_mounted};
use crate::place::{Place, one_line};

const GENERIC: [&str; 34] = [
    "rw",
    "ro",
    "dev",
    "nodev",
    "suid",
    "nosuid",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "relatime",
    "sync",
    "async",
    "dirsync",
    "diratime",
    "nodiratime",
    "strictatime",
    "lazytime",
    "nolazytime",
    "defaults",
    "user",
    "users",
    "nouser",
    "nofail",
    "noauto",
    "auto",
    "_netdev",
    "user=ann",
    "x-systemd.automount",
    "x-systemd.requires=a.service",
    "x-gvfs-hide",
    "x-",
    "",
    ",,",
];

/// The flags of a mount as the system shows them.
fn flags(point: &Path) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let line = text
        .lines()
        .find(|line| line.split(' ').nth(4) == point.to_str())
        .expect("the mount is listed");
    let (before, after) = line.split_once(" - ").expect("separator");
    let of_mount = before.split(' ').nth(5).expect("flags").split(',');
    let of_super = after.split(' ').nth(2).expect("flags").split(',');
    of_mount.chain(of_super).map(str::to_owned).collect()
}

fn has(point: &Path, flag: &str) -> bool {
    flags(point).iter().any(|found| found == flag)
}

#[test]
fn every_generic_word_is_taken() {
    for word in GENERIC {
        let place = Place::new();
        place.mount(&["-o", word]);
        assert!(is_mounted(&place.point), "{word}");
        assert!(has(&place.point, "nosuid") && has(&place.point, "nodev"), "{word}");
    }
    let place = Place::new();
    place.mount(&["-o", &GENERIC.join(",")]);
}

#[test]
fn an_unknown_word_is_refused_by_name() {
    let place = Place::new();
    for word in ["no_such_word", "Allow_other", "rww", "size_=1", "nonsense=1", "fsname=x", "head"]
    {
        for list in [word.to_owned(), format!("rw,{word},allow_other")] {
            let line = one_line(&place.run(&["-o", &list]), 2);
            let name = word.split('=').next().expect("name");
            assert!(line.contains(&format!("'{name}'")), "{line}");
            place.demand_nothing_left();
        }
    }
}

#[test]
fn a_bad_value_is_refused_with_its_option() {
    let place = Place::new();
    for word in [
        "size=0",
        "size=",
        "size=1x",
        "size=101%",
        "size=-1",
        "size",
        "nr_events=0",
        "nr_events=1k",
        "nr_queues=-1",
        "max_event=0",
        "max_event=99999999999999999999",
        "root_mode=888",
        "root_mode=10000",
        "uid=root",
        "uid=4294967295",
        "gid=-1",
        "owner=me",
        "owner",
        "grace=-1",
        "grace=soon",
        "publish=now",
        "notify=on",
        "orphans=keep",
        "allow_other=1",
        "ro=1",
    ] {
        let line = one_line(&place.run(&["-o", word]), 2);
        let name = word.split('=').next().expect("name");
        assert!(line.contains(&format!("'{name}'")), "{word}: {line}");
        place.demand_nothing_left();
    }
}

#[test]
fn every_option_of_ours_takes_its_values() {
    let lists = [
        "size=64m,nr_events=10,nr_queues=3,max_event=1k,root_mode=1777,uid=5,gid=6",
        "size=10%,owner=creator,grace=0,publish=close,notify=full,orphans=refuse",
        "size=1g,owner=parent,grace=0.5,publish=create,notify=lazy,orphans=sticky",
        "size=67108864,owner=session,grace=3600,notify=off,allow_root",
    ];
    for list in lists {
        let place = Place::new();
        place.mount(&["-o", list]);
        assert!(is_mounted(&place.point), "{list}");
    }
}

#[test]
fn a_later_word_takes_back_an_earlier_one() {
    let place = Place::new();
    place.mount(&["-o", "ro,root_mode=0700", "-o", "rw,root_mode=0711"]);
    fs::create_dir(place.path("q")).expect("mkdir");
    assert_eq!(fs::metadata(&place.point).expect("stat").permissions().mode() & 0o7777, 0o711);
}

#[test]
fn allow_other_and_allow_root_exclude_each_other() {
    let place = Place::new();
    let line = one_line(&place.run(&["-o", "allow_other,allow_root"]), 2);
    assert!(line.contains("allow_root"), "{line}");
    place.demand_nothing_left();
}

#[test]
fn generic_flags_reach_the_kernel() {
    let place = Place::new();
    place.mount(&["-o", "noexec,noatime,nodiratime,sync,suid,dev"]);
    for flag in ["noexec", "noatime", "nodiratime", "sync", "nosuid", "nodev"] {
        assert!(has(&place.point, flag), "{flag}: {:?}", flags(&place.point));
    }
}

#[test]
fn permission_bits_are_checked_by_the_kernel() {
    let place = Place::new();
    place.mount(&[]);
    assert!(has(&place.point, "default_permissions"));
}

#[test]
fn a_mount_is_read_write_and_not_for_others_by_default() {
    let place = Place::new();
    place.mount(&[]);
    assert!(has(&place.point, "rw") && !has(&place.point, "allow_other"));
    fs::create_dir(place.path("q")).expect("mkdir");
}

#[test]
fn with_ro_nothing_changes() {
    let mounted = Mounted::with("ro");
    assert_eq!(errno(fs::create_dir(mounted.path("q"))), libc::EROFS);
    assert!(has(&mounted.point, "ro"));
}

#[test]
fn the_root_directory_is_the_mounters_with_mode_0755() {
    let mounted = Mounted::with("allow_other");
    let root = fs::metadata(&mounted.point).expect("stat");
    assert_eq!(root.permissions().mode() & 0o7777, 0o755);
    assert_eq!((root.uid(), root.gid()), (0, 0));
}

#[test]
fn root_mode_uid_and_gid_are_those_of_the_root_directory() {
    let mounted = Mounted::with("allow_other,root_mode=2750,uid=1000,gid=1001");
    let root = fs::metadata(&mounted.point).expect("stat");
    assert_eq!(root.permissions().mode() & 0o7777, 0o2750);
    assert_eq!((root.uid(), root.gid()), (1000, 1001));
}

#[test]
fn options_of_the_file_give_way_to_those_of_the_command_line() {
    let place = Place::new();
    let file = place.dir().join("config.toml");
    fs::write(&file, "[mount]\nroot_mode = \"0700\"\nuid = 7\nallow_other = true\n")
        .expect("write");
    place.mount(&["-c", file.to_str().expect("UTF-8"), "-o", "root_mode=0711"]);
    let root = fs::metadata(&place.point).expect("stat");
    assert_eq!(root.permissions().mode() & 0o7777, 0o711);
    assert_eq!(root.uid(), 7);
    assert!(has(&place.point, "allow_other"));
}

#[test]
fn a_file_handle_of_a_read_only_mount_cannot_be_had_for_writing() {
    let mounted = Mounted::with("ro,allow_other");
    assert_eq!(errno(File::create(mounted.path("f"))), libc::EROFS);
}
