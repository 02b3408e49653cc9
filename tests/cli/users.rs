//! Other users: allow_other, allow_root, ordinary users who mount.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{EVENTFS, Mounted, as_user, is_listed, skip};
use crate::place::Place;

const USER: u32 = 65_534;

fn look(point: &Path) -> Option<i32> {
    as_user(USER, USER, || fs::metadata(point.join("q")).map(drop)).err()?.raw_os_error()
}

#[test]
fn others_are_kept_out_unless_allowed() {
    let mounted = Mounted::with("root_mode=755");
    mounted.queue("q");
    assert_eq!(look(&mounted.point), Some(libc::EACCES));
    let mounted = Mounted::with("allow_other");
    mounted.queue("q");
    assert_eq!(look(&mounted.point), None);
}

#[test]
fn permission_bits_are_always_checked() {
    let mounted = Mounted::with("allow_other,root_mode=0700");
    mounted.queue("q");
    assert_eq!(look(&mounted.point), Some(libc::EACCES));
}

/// Runs a script as an ordinary user with a device of mode 0666, in a namespace of its own.
fn as_ordinary_user(place: &Place, script: &str) -> Option<std::process::Output> {
    if Command::new("fusermount3").arg("-V").output().is_err() {
        skip("fusermount3 is not installed");
        return None;
    }
    let devices = place.beside("devices");
    fs::create_dir(&devices).expect("mkdir");
    std::os::unix::fs::chown(&place.point, Some(USER), Some(USER)).expect("chown");
    let script = place.file("script", script);
    let setup = format!(
        "set -e; mount -t tmpfs none {dev}; mknod -m 666 {dev}/fuse c 10 229
         mount --bind {dev}/fuse /dev/fuse
         exec setpriv --reuid={USER} --regid={USER} --clear-groups bash -e {script}",
        dev = devices.display(),
        script = script.display()
    );
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "bash", "-c", &setup])
        .env("POINT", &place.point)
        .env("EVENTFS", EVENTFS)
        .output()
        .expect("unshare");
    Some(output)
}

#[test]
fn an_ordinary_user_mounts_through_the_helper() {
    let place = Place::new();
    let script = r#"
        "$EVENTFS" "$POINT"
        findmnt -n -o FSTYPE "$POINT"
        mkdir "$POINT/q"; setfattr -n user.eventfs_sticky "$POINT/q"
        echo text > "$POINT/q/e"; cat "$POINT/q/head"; stat -c %u "$POINT/q"
        fusermount3 -u "$POINT"
        "$EVENTFS" -f "$POINT" & daemon=$!
        until mountpoint -q "$POINT"; do sleep 0.05; done
        kill -TERM $daemon; wait $daemon; echo "ended $?"
        ! mountpoint -q "$POINT"; echo gone"#;
    let Some(output) = as_ordinary_user(&place, script) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    assert_eq!(text, format!("fuse.eventfs\ntext\n{USER}\nended 0\ngone\n"), "{error}");
    place.wait_for_end();
}

#[test]
fn the_helpers_refusal_is_one_line() {
    let place = Place::new();
    let script = r#""$EVENTFS" "$POINT" -o allow_other || echo "status $?""#;
    let Some(output) = as_ordinary_user(&place, script) else { return };
    let allowed = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    if allowed.lines().any(|line| line.trim() == "user_allow_other") {
        return skip("this machine lets users give allow_other");
    }
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "status 1\n", "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("user_allow_other"), "{error}");
    assert!(!is_listed(&place.point));
}

#[test]
fn allow_root_lets_root_in_and_nobody_else() {
    let mounted = Mounted::with("allow_root");
    mounted.queue("q");
    assert_eq!(look(&mounted.point), Some(libc::EACCES));
    fs::write(mounted.path("q/e"), "x").expect("root writes");
}
