//! What is wrong is said in one line, with the right status, and nothing stays mounted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{EVENTFS, is_listed};
use crate::place::{Place, demand_failure, line_and_code};

#[test]
fn a_missing_mountpoint() {
    let place = Place::new();
    let missing = place.beside("none");
    let output = Command::new(EVENTFS).arg(&missing).output().expect("eventfs");
    demand_failure(&output, &[missing.to_str().expect("UTF-8"), "No such file or directory"]);
}

#[test]
fn a_mountpoint_that_is_a_file() {
    let place = Place::new();
    let file = place.file("file", "");
    let output = Command::new(EVENTFS).arg(&file).output().expect("eventfs");
    demand_failure(&output, &["file", "not a directory"]);
}

#[test]
fn a_mountpoint_that_is_not_empty() {
    let place = Place::new();
    fs::write(place.point.join("something"), "").expect("write");
    demand_failure(&place.mount::<&str>(&[]), &["not empty"]);
    assert!(!is_listed(&place.point));
}

#[test]
fn a_mountpoint_that_is_an_eventfs_mount_already() {
    let place = Place::new();
    place.mounted::<&str>(&[]);
    demand_failure(&place.mount::<&str>(&[]), &["already an eventfs mount"]);
    assert_eq!(place.daemons().len(), 1);
    fs::create_dir(place.point.join("q")).expect("the first one serves on");
}

#[test]
fn no_device() {
    let place = Place::new();
    let empty = place.beside("devices");
    fs::create_dir(&empty).expect("mkdir");
    let script = format!(
        "mount --bind '{}' /dev && exec '{EVENTFS}' '{}'",
        empty.display(),
        place.point.display()
    );
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .output()
        .expect("unshare");
    demand_failure(&output, &["/dev/fuse", "No such file or directory"]);
    assert!(!is_listed(&place.point));
}

#[test]
fn no_permission_to_mount_there() {
    let place = Place::new();
    fs::set_permissions(&place.point, fs::Permissions::from_mode(0o700)).expect("chmod");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", EVENTFS])
        .arg(&place.point)
        .output()
        .expect("setpriv");
    demand_failure(&output, &[]);
    assert!(!is_listed(&place.point));
}

#[test]
fn an_unknown_option_is_named() {
    let place = Place::new();
    for list in ["frobnicate", "rw,frobnicate", "size=1m,frobnicate=3"] {
        let (text, code) = line_and_code(&place.mount(&["-o", list]));
        assert_eq!(code, 2, "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("frobnicate"), "{text}");
    }
    assert!(!is_listed(&place.point));
}

#[test]
fn a_bad_option_value_is_named() {
    let place = Place::new();
    for (list, parts) in [
        ("size=0", ["size", "0"]),
        ("size=many", ["size", "many"]),
        ("size=101%", ["size", "101%"]),
        ("nr_events=-1", ["nr_events", "-1"]),
        ("nr_queues=x", ["nr_queues", "x"]),
        ("max_event=", ["max_event", ""]),
        ("root_mode=999", ["root_mode", "999"]),
        ("uid=root", ["uid", "root"]),
        ("owner=me", ["owner", "me"]),
        ("grace=-1", ["grace", "-1"]),
        ("publish=never", ["publish", "never"]),
        ("notify=loud", ["notify", "loud"]),
        ("orphans=eat", ["orphans", "eat"]),
        ("allow_other,allow_root", ["allow_other", "allow_root"]),
    ] {
        let (text, code) = line_and_code(&place.mount(&["-o", list]));
        assert_eq!(code, 2, "{list}: {text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{list}: {text}");
        assert_eq!(text.lines().count(), 1, "{list}: {text}");
    }
    assert!(!is_listed(&place.point));
}

#[test]
fn a_named_configuration_file_must_exist() {
    let place = Place::new();
    let missing = place.beside("none.toml");
    let output = place.mount(&["-c", missing.to_str().expect("UTF-8")]);
    demand_failure(&output, &["none.toml", "No such file or directory"]);
    assert!(!is_listed(&place.point));
}

#[test]
fn a_bad_configuration_is_told_with_file_and_line() {
    let place = Place::new();
    for (name, text, parts) in [
        ("a.toml", "[limits]\nmax_filez = 1\n", ["a.toml:2:", "max_filez"]),
        ("b.toml", "[limits]\nmax_files = \"x\"\n", ["b.toml:2:", "max_files"]),
        ("c.toml", "[limits.user.no-such-user-here]\nmax_files=1\n", ["c.toml:1:", "no-such-user"]),
        ("d.conf", "[eventfs-config]\n\ndefault_max_dirs=-4\n", ["d.conf:3:", "default_max_dirs"]),
        ("e.conf", "[eventfs-confik]\n", ["e.conf:1:", "eventfs-confik"]),
        ("f.toml", "[mount]\nsize = \"huge\"\n", ["f.toml:2:", "size"]),
    ] {
        let file = place.file(name, text);
        let output = place.mount(&["-c", file.to_str().expect("UTF-8")]);
        demand_failure(&output, &parts);
        assert!(!is_listed(&place.point), "{name}");
    }
}

#[test]
fn a_newline_in_a_path_stays_in_the_line() {
    let output = Command::new(EVENTFS).arg("/no/such\nplace").output().expect("eventfs");
    demand_failure(&output, &["/no/such\\nplace"]);
}
