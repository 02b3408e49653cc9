//! Forms of the call: mount(8), fstab, and first words that are commands.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{EVENTFS, is_listed, sh_ok, skip};
use crate::place::{Place, eventfs, one_line, outcome, output, text};

fn has_mount_helper() -> bool {
    let there = ["/sbin/mount.fuse", "/usr/sbin/mount.fuse", "/sbin/mount.fuse3"]
        .iter()
        .any(|path| Path::new(path).exists());
    if !there {
        skip("mount(8) has no helper for fuse here");
    }
    there
}

fn findmnt(point: &Path, column: &str) -> String {
    sh_ok(Path::new("/"), &format!("findmnt -n -o {column} {}", point.display())).trim().to_owned()
}

/// Runs a script in a mount namespace of its own in which our program is installed: mount(8) gives
/// its helper the system's search path, whatever the caller's is. `$POINT` is the mountpoint.
fn where_it_is_installed(place: &Place, script: &str) -> std::process::Output {
    let bin = place.dir().join("bin");
    fs::create_dir(&bin).expect("mkdir");
    std::os::unix::fs::symlink(EVENTFS, bin.join("eventfs")).expect("symlink");
    let script = format!(
        "set -e; mkdir -p /usr/local/bin; mount --bind '{}' /usr/local/bin; {script}",
        bin.display()
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "bash", "-c", &script]);
    output(command.env("POINT", &place.point).current_dir(place.dir()))
}

fn demand_output(output: &std::process::Output, lines: &[&str]) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().map(str::trim).collect::<Vec<_>>(), lines);
}

#[test]
fn mount_8_mounts_it() {
    if !has_mount_helper() {
        return;
    }
    let place = Place::new();
    let options = "allow_other,size=64m,nosuid,noatime,x-systemd.automount,_netdev,nofail";
    let script = format!(
        "mount -t fuse.eventfs none -o {options} $POINT
         findmnt -n -o FSTYPE $POINT; findmnt -n -o SOURCE $POINT
         findmnt -n -o OPTIONS $POINT | grep -o allow_other
         mkdir $POINT/q; umount $POINT"
    );
    let output = where_it_is_installed(&place, &script);
    demand_output(&output, &["fuse.eventfs", "none", "allow_other"]);
    place.wait_end();
}

#[test]
fn mount_8_mounts_it_read_only() {
    if !has_mount_helper() {
        return;
    }
    let place = Place::new();
    let script = "mount -r -t fuse.eventfs 'some source' $POINT
         findmnt -n -o SOURCE $POINT; mkdir $POINT/q 2> /dev/null || echo refused; umount $POINT";
    demand_output(&where_it_is_installed(&place, script), &["some source", "refused"]);
    place.wait_end();
}

#[test]
fn mount_8_reports_an_unknown_option() {
    if !has_mount_helper() {
        return;
    }
    let place = Place::new();
    let script = "mount -t fuse.eventfs none -o no_such_word $POINT";
    let output = where_it_is_installed(&place, script);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no_such_word"), "{}", text(&output.stderr));
}

#[test]
fn a_line_of_fstab_mounts_it() {
    if !has_mount_helper() {
        return;
    }
    let place = Place::new();
    let options = "defaults,allow_other,noauto,users,nofail,_netdev,x-systemd.device-timeout=1,\
                   notify=full,root_mode=1777";
    let line = format!("eventfs {} fuse.eventfs {options} 0 0\n", place.point.display());
    fs::write(place.dir().join("fstab"), line).expect("write");
    let script =
        "mount -T fstab $POINT; findmnt -n -o FSTYPE $POINT; stat -c %a $POINT; umount $POINT";
    demand_output(&where_it_is_installed(&place, script), &["fuse.eventfs", "1777"]);
    place.wait_end();
}

#[test]
fn it_shows_as_fuse_eventfs_with_the_given_source() {
    let place = Place::new();
    place.mount(&["my source"]);
    assert_eq!(findmnt(&place.point, "FSTYPE"), "fuse.eventfs");
    assert_eq!(findmnt(&place.point, "SOURCE"), "my source");
    let other = Place::new();
    other.mount(&[]);
    assert_eq!(findmnt(&other.point, "SOURCE"), "eventfs");
}

#[test]
fn a_source_with_commas_makes_no_options() {
    let place = Place::new();
    place.mount(&["a,allow_other,b"]);
    assert_eq!(findmnt(&place.point, "SOURCE"), "a,allow_other,b");
    assert!(!findmnt(&place.point, "OPTIONS").contains("allow_other"));
}

#[test]
fn a_first_word_that_is_a_command_is_that_command() {
    let place = Place::new();
    let point = place.point.to_str().expect("UTF-8");
    let line = one_line(&eventfs(&["status", point]), 1);
    assert!(line.contains("not an eventfs mount"), "{line}");
    place.demand_nothing_left();
    let line = one_line(&eventfs(&["mkqueue", &format!("{point}/q")]), 1);
    assert!(line.contains("not an eventfs mount"), "{line}");
}

#[test]
fn in_the_form_of_mount_8_such_a_word_is_a_source() {
    for word in ["status", "mkqueue", "help"] {
        let place = Place::new();
        let point = place.point.to_str().expect("UTF-8");
        let output = eventfs(&[word, point, "-o", "rw"]);
        assert_eq!(outcome(&output), (Some(0), String::new()));
        assert_eq!(findmnt(&place.point, "SOURCE"), word);
    }
}

#[test]
fn a_directory_of_such_a_name_is_written_with_a_dot() {
    let place = Place::new();
    let point = place.dir().join("status");
    fs::create_dir(&point).expect("mkdir");
    let output = output(Command::new(EVENTFS).arg("./status").current_dir(place.dir()));
    assert_eq!(outcome(&output), (Some(0), String::new()));
    assert!(is_listed(&point));
    // Known by its relative name only, so it is ended here.
    sh_ok(place.dir(), "umount status");
}

#[test]
fn a_mountpoint_with_strange_characters_works() {
    let place = Place::new();
    let point = place.dir().join("with blank, comma\\and ü");
    fs::create_dir(&point).expect("mkdir");
    let output = output(Command::new(EVENTFS).arg(&point));
    assert_eq!(outcome(&output), (Some(0), String::new()));
    fs::create_dir(point.join("q")).expect("mkdir");
    crate::place::eventfs(&[std::ffi::OsStr::new("status"), point.as_os_str()]);
    // Its end must find the mount again by that name.
    place.signal(nix::sys::signal::Signal::SIGTERM);
    place.wait_end();
    assert_eq!(fs::read_dir(&point).expect("readdir").count(), 0);
    let listed = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    assert!(!listed.contains(place.dir().to_str().expect("UTF-8")));
}

#[test]
fn a_symbolic_link_to_the_mountpoint_works() {
    let place = Place::new();
    let link = place.dir().join("link");
    std::os::unix::fs::symlink(&place.point, &link).expect("symlink");
    let output = output(Command::new(EVENTFS).arg(&link));
    assert_eq!(outcome(&output), (Some(0), String::new()));
    assert!(is_listed(&place.point));
    place.signal(nix::sys::signal::Signal::SIGTERM);
    place.wait_end();
    place.demand_nothing_left();
}
