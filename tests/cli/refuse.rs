//! Why there is no mount: one line, exit status 1 (2 for usage), nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::{EVENTFS, sh, skip};
use crate::place::{Place, eventfs, one_line, outcome, output, text, users_can_run_it};

#[test]
fn a_mountpoint_that_is_missing() {
    let place = Place::new();
    fs::remove_dir(&place.point).expect("rmdir");
    for args in [&[] as &[&str], &["-f"]] {
        let line = place.refused(args);
        assert!(line.contains("mnt: No such file or directory"), "{line}");
    }
}

#[test]
fn a_mountpoint_that_is_a_file() {
    let place = Place::new();
    fs::remove_dir(&place.point).expect("rmdir");
    fs::write(&place.point, "x").expect("write");
    for args in [&[] as &[&str], &["-f"]] {
        let line = place.refused(args).to_lowercase();
        assert!(line.contains("mnt: not a directory"), "{line}");
    }
}

#[test]
fn a_mountpoint_that_is_not_empty() {
    let place = Place::new();
    fs::write(place.path("precious"), "x").expect("write");
    let line = place.refused(&[]);
    assert!(line.contains("mnt: directory is not empty"), "{line}");
    assert_eq!(fs::read_to_string(place.path("precious")).expect("read"), "x");
}

#[test]
fn a_mountpoint_that_is_an_eventfs_already() {
    let place = Place::new();
    place.mount(&[]);
    let daemon = place.daemon();
    let line = one_line(&place.run(&[]), 1);
    assert!(line.contains("mnt: already an eventfs mount"), "{line}");
    assert_eq!(place.daemon(), daemon);
    fs::create_dir(place.path("q")).expect("the first one serves on");
}

#[test]
fn a_mountpoint_in_a_directory_of_queues_that_is_missing() {
    let place = Place::new();
    place.mount(&[]);
    let missing = place.path("no_such_queue");
    let line = one_line(&eventfs(&[missing.to_str().expect("UTF-8")]), 1);
    assert!(line.contains("No such file or directory"), "{line}");
    assert_eq!(place.daemons().len(), 1);
}

#[test]
fn no_permission_to_mount() {
    if !users_can_run_it() {
        return skip("ordinary users cannot reach the program under test");
    }
    let place = Place::new();
    let mut command = Command::new(EVENTFS);
    let output = output(command.arg(&place.point).uid(65534).gid(65534));
    one_line(&output, 1);
    place.demand_nothing_left();
}

#[test]
fn no_permission_to_pass_the_directory_above() {
    if !users_can_run_it() {
        return skip("ordinary users cannot reach the program under test");
    }
    let place = Place::new();
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o700)).expect("chmod");
    let mut command = Command::new(EVENTFS);
    let line = one_line(&output(command.arg(&place.point).uid(65534).gid(65534)), 1);
    assert!(line.contains("Permission denied"), "{line}");
}

/// Runs the program in a mount namespace of its own after a preparation.
fn in_namespace(place: &Place, prepare: &str) -> std::process::Output {
    let (point, dir) = (place.point.display(), place.dir().display());
    // What the daemon would leave is in that namespace alone: the script looks for it.
    let script = format!(
        "unshare -m bash -c '{prepare}; {EVENTFS} {point}; status=$?; \
         findmnt -n {point} >&2; exit $status'"
    );
    sh(place.dir(), &script.replace("DIR", &dir.to_string()))
}

#[test]
fn without_dev_fuse() {
    let place = Place::new();
    let prepare = "mount -t tmpfs none /dev; mknod /dev/null c 1 3";
    let line = one_line(&in_namespace(&place, prepare), 1);
    assert!(line.contains("/dev/fuse: No such file or directory"), "{line}");
    place.demand_nothing_left();
}

#[test]
fn without_dev_null() {
    let place = Place::new();
    let line = one_line(&in_namespace(&place, "mount -t tmpfs none /dev"), 1);
    assert_eq!(line, "/dev/null: No such file or directory");
    place.demand_nothing_left();
}

#[test]
fn with_something_else_as_dev_fuse() {
    let place = Place::new();
    one_line(&in_namespace(&place, "mount --bind /dev/null /dev/fuse"), 1);
    let file = "touch DIR/file; mount --bind DIR/file /dev/fuse";
    one_line(&in_namespace(&place, file), 1);
    place.demand_nothing_left();
}

#[test]
fn a_configuration_file_that_is_named_must_exist() {
    let place = Place::new();
    let line = place.refused(&["-c", "/no/such/file.toml"]);
    assert!(line.contains("/no/such/file.toml"), "{line}");
}

#[test]
fn a_bad_configuration_file_is_named_with_its_line() {
    let place = Place::new();
    let cases = [
        ("bad.toml", "[limits]\nmax_dirs = 1\nno_such_key = 2\n", ":3"),
        ("bad.toml", "[limits\n", ":1"),
        ("bad.toml", "[mount]\nsize = \"big\"\n", ""),
        ("bad.toml", "[mount]\nno_such_option = 1\n", "no_such_option"),
        ("bad.conf", "[eventfs-config]\ndefault_max_dirs=1\nno_such_key=2\n", ":3"),
        ("bad.conf", "[eventfs-config]\ndefault_max_dirs=many\n", ":2"),
    ];
    for (name, content, expected) in cases {
        let file = place.dir().join(name);
        fs::write(&file, content).expect("write");
        for foreground in ["-s", "-f"] {
            let line = place.refused(&[foreground, "-c", file.to_str().expect("UTF-8")]);
            assert!(line.contains(file.to_str().expect("UTF-8")), "{line}");
            assert!(line.contains(expected), "{line}");
        }
    }
}

#[test]
fn wrong_usage_is_exit_status_2() {
    let place = Place::new();
    let point = place.point.to_str().expect("UTF-8");
    let cases: [&[&str]; 8] = [
        &[],
        &["-x", point],
        &["--no-such-flag", point],
        &["none", point, "more"],
        &["-o"],
        &["-c"],
        &["status", "--no-such-flag"],
        &["mkqueue"],
    ];
    for args in cases {
        let output = eventfs(args);
        let (code, said) = outcome(&output);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(!said.is_empty() && text(&output.stdout).is_empty(), "{args:?}");
        place.demand_nothing_left();
    }
}

#[test]
fn usage_comes_before_what_is_wrong_with_the_mountpoint() {
    assert_eq!(outcome(&eventfs(&["/no/such/place", "-o", "nonsense"])).0, Some(2));
}

#[test]
fn a_path_with_a_line_break_still_gives_one_line() {
    one_line(&eventfs(&["/no/such\nplace"]), 1);
}
