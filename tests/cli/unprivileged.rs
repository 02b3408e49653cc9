//! An ordinary user mounts through `fusermount3`.
//!
//! The device may be root's alone where the tests run. So each test has a mount namespace in which
//! it is open to all, as distributions have it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{EVENTFS, sh, skip};
use crate::place::{Place, users_can_run_it};

/// Why nothing can be tested here.
fn missing() -> Option<&'static str> {
    let helper = Path::new("/usr/bin/fusermount3");
    match std::fs::metadata(helper) {
        _ if !users_can_run_it() => Some("ordinary users cannot reach the program under test"),
        Ok(metadata) if metadata.permissions().mode() & 0o4000 != 0 => None,
        Ok(_) => Some("fusermount3 is not set-uid root"),
        Err(_) => Some("there is no fusermount3"),
    }
}

/// Runs a script in such a namespace; `as_user COMMAND` runs one as the user, `$P` is the
/// mountpoint, `$E` the program. Returns what it printed; it must succeed.
fn run(place: &Place, script: &str) -> Option<String> {
    if let Some(why) = missing() {
        skip(why);
        return None;
    }
    let (point, dir) = (place.point.display(), place.dir().display());
    let whole = format!(
        "exec 2>&1; set -e; E={EVENTFS}; P={point}; D={dir}
         mknod $D/fuse c 10 229; chmod 666 $D/fuse; mount --bind $D/fuse /dev/fuse
         chown 1000:1000 $P
         as_user() {{ setpriv --reuid 1000 --regid 1000 --clear-groups \"$@\"; }}
         until_gone() {{ while pgrep -u 1000 -f \"$P\" > /dev/null; do sleep 0.01; done; }}
         {script}"
    );
    let file = place.dir().join("script");
    std::fs::write(&file, whole).expect("write");
    let output = sh(place.dir(), "unshare -m bash ./script");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    Some(said)
}

#[test]
fn a_user_mounts_and_is_served() {
    let place = Place::new();
    let said = run(
        &place,
        "as_user $E $P
         findmnt -n -o FSTYPE,SOURCE $P
         as_user stat -c '%u %g %a' $P
         as_user bash -c \"cd $P && mkdir q && setfattr -n user.eventfs_sticky q && echo x > q/e \
                          && cat q/head\"
         as_user fusermount3 -u $P
         until_gone
         findmnt $P || echo no mount",
    );
    if let Some(said) = said {
        let lines: Vec<String> = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, ["fuse.eventfs eventfs", "1000 1000 755", "x", "no mount"]);
    }
}

#[test]
fn the_users_daemon_ends_in_order_on_sigterm() {
    let place = Place::new();
    let said = run(
        &place,
        "as_user $E -f 'my, source' $P & daemon=$!
         until findmnt $P > /dev/null; do sleep 0.01; done
         findmnt -n -o SOURCE $P
         as_user ls $P
         kill -TERM $(pgrep -u 1000 -f \"$P\")
         wait $daemon; echo status $?
         findmnt $P || echo no mount",
    );
    if let Some(said) = said {
        assert_eq!(said, "my, source\nstatus 0\nno mount\n");
    }
}

#[test]
fn not_even_root_gets_into_a_users_mount() {
    let place = Place::new();
    let said = run(
        &place,
        "as_user $E $P
         ls $P || echo refused
         as_user fusermount3 -u $P
         until_gone",
    );
    if let Some(said) = said {
        assert!(said.ends_with("refused\n"), "{said}");
    }
}

#[test]
fn allow_other_needs_leave_of_the_administrator() {
    let place = Place::new();
    let said = run(
        &place,
        "touch $D/fuse.conf; mount --bind $D/fuse.conf /etc/fuse.conf
         as_user $E -o allow_other $P && exit 1; echo status $?
         findmnt $P && exit 1
         echo user_allow_other > $D/fuse.conf
         as_user $E -o allow_other,root_mode=0755 $P
         ls $P && echo root may look
         as_user fusermount3 -u $P
         until_gone",
    );
    if let Some(said) = said {
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("eventfs: "), "{said}");
        assert!(lines[0].contains("allow_other"), "{said}");
        assert_eq!(lines[1..], ["status 1", "root may look"], "{said}");
    }
}

#[test]
fn with_allow_root_root_may_look_and_others_may_not() {
    let place = Place::new();
    let said = run(
        &place,
        "echo user_allow_other > $D/fuse.conf; mount --bind $D/fuse.conf /etc/fuse.conf
         as_user $E -o allow_root,root_mode=0755 $P
         ls $P && echo root may look
         setpriv --reuid 1001 --regid 1001 --clear-groups ls $P || echo refused
         as_user fusermount3 -u $P
         until_gone",
    );
    if let Some(said) = said {
        assert!(said.starts_with("root may look\n") && said.ends_with("refused\n"), "{said}");
    }
}

#[test]
fn a_users_stale_mount_is_cleared_at_the_start() {
    let place = Place::new();
    let said = run(
        &place,
        "as_user $E $P
         kill -9 $(pgrep -u 1000 -f \"$P\")
         until_gone
         as_user $E $P
         findmnt -n $P | wc -l
         as_user mkdir $P/q
         as_user fusermount3 -u $P
         until_gone",
    );
    if let Some(said) = said {
        assert_eq!(said, "1\n");
    }
}

#[test]
fn a_mountpoint_of_another_user_is_refused() {
    let place = Place::new();
    let said = run(
        &place,
        "chown 0:0 $P
         as_user $E $P && exit 1; echo status $?
         findmnt $P || echo no mount",
    );
    if let Some(said) = said {
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert!(lines[0].starts_with("eventfs: "), "{said}");
        assert_eq!(lines[1..], ["status 1", "no mount"]);
    }
}

#[test]
fn flags_of_a_user_reach_the_kernel() {
    let place = Place::new();
    let said = run(
        &place,
        "as_user $E -o ro,noexec,noatime,suid,dev,nofail,x-test $P
         findmnt -n -o OPTIONS $P
         as_user fusermount3 -u $P
         until_gone",
    );
    if let Some(said) = said {
        for flag in ["ro", "noexec", "noatime", "nosuid", "nodev", "default_permissions"] {
            assert!(said.trim().split(',').any(|found| found == flag), "{flag}: {said}");
        }
    }
}
