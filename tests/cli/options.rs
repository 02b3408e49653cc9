//! Mount options that are not about sizes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::common::{Mounted, errno};
use crate::place::{Place, mount_line};

#[test]
fn all_generic_words_are_taken() {
    let place = Place::new();
    let words = "rw,dev,nodev,suid,nosuid,exec,noexec,atime,noatime,relatime,sync,async,dirsync,\
                 diratime,nodiratime,strictatime,lazytime,nolazytime,defaults,user,users,nouser,\
                 nofail,noauto,auto,_netdev,x-systemd.automount,x-a=b";
    place.mounted(&["-o", &words.replace(' ', "")]);
}

#[test]
fn set_user_id_and_devices_are_always_off() {
    let place = Place::new();
    place.mounted(&["-o", "dev,suid"]);
    assert!(mount_line(&place.point).contains("nosuid,nodev"));
}

#[test]
fn flags_reach_the_kernel() {
    for (option, shown) in [
        ("noexec", "noexec"),
        ("noatime", "noatime"),
        ("nodiratime", "nodiratime"),
        ("sync", "sync"),
        ("dirsync", "dirsync"),
    ] {
        let place = Place::new();
        place.mounted(&["-o", option]);
        let line = mount_line(&place.point);
        assert!(line.contains(shown), "{option}: {line}");
    }
}

#[test]
fn several_option_lists_add_up() {
    let place = Place::new();
    place.mounted(&["-o", "noexec", "-o", "allow_other,noatime"]);
    let line = mount_line(&place.point);
    assert!(["noexec", "noatime", "allow_other"].iter().all(|word| line.contains(word)), "{line}");
}

#[test]
fn a_read_only_mount_refuses_changes() {
    let mounted = Mounted::with("ro");
    assert_eq!(errno(fs::create_dir(mounted.path("q"))), libc::EROFS);
}

#[test]
fn the_root_directory_looks_as_asked() {
    let mounted = Mounted::with("root_mode=1777,uid=1234,gid=4321");
    let root = fs::metadata(&mounted.point).expect("stat");
    assert_eq!((root.mode() & 0o7777, root.uid(), root.gid()), (0o1777, 1234, 4321));
    let mounted = Mounted::new();
    let root = fs::metadata(&mounted.point).expect("stat");
    let ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    assert_eq!((root.mode() & 0o7777, (root.uid(), root.gid())), (0o755, ids));
}

#[test]
fn the_command_line_wins_over_the_file() {
    let place = Place::new();
    let file = place.file("c.toml", "[mount]\nroot_mode = \"0700\"\nnoexec = true\nuid = 5\n");
    place.mounted(&["-c", file.to_str().expect("UTF-8"), "-o", "uid=6"]);
    let root = fs::metadata(&place.point).expect("stat");
    assert_eq!((root.mode() & 0o7777, root.uid()), (0o700, 6));
    assert!(mount_line(&place.point).contains("noexec"));
}
