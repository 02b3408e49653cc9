//! Contract section 2: SIGHUP reads configuration and quotas again.

use std::fs;

use nix::sys::signal::Signal;

use crate::common::{EVENTFS, Mounted, errno, sh_ok, wait_until};
use crate::help::{ConfigFile, files, put, put_as, try_put};

const ANN: u32 = 5001;

fn open_queue(mount: &Mounted) -> std::path::PathBuf {
    let queue = mount.queue("q");
    sh_ok(&queue, "chmod 777 .");
    queue
}

#[test]
fn a_raised_quota_holds_from_then_on() {
    let file = ConfigFile::new("c.toml", "[limits]\nmax_files = 1\n");
    let mount = file.mount();
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "").unwrap();
    assert_eq!(errno(put_as(ANN, &queue.join("b"), "")), libc::EDQUOT);
    fs::write(&file.path, "[limits]\nmax_files = 2\n").unwrap();
    mount.signal(Signal::SIGHUP);
    wait_until("the new quota", || put_as(ANN, &queue.join("b"), "").is_ok());
    assert_eq!(errno(put_as(ANN, &queue.join("c"), "")), libc::EDQUOT);
}

#[test]
fn a_lowered_quota_removes_nothing() {
    let file = ConfigFile::new("c.toml", "[limits]\nmax_files = 5\n");
    let mount = file.mount();
    let queue = open_queue(&mount);
    for name in ["a", "b", "c"] {
        put_as(ANN, &queue.join(name), "").unwrap();
    }
    fs::write(&file.path, "[limits]\nmax_files = 1\n").unwrap();
    mount.signal(Signal::SIGHUP);
    wait_until("the new quota", || {
        let refused = put_as(ANN, &queue.join("probe"), "").is_err();
        let _ = fs::remove_file(queue.join("probe"));
        refused
    });
    assert_eq!(files(&queue), ["a", "b", "c"]);
}

#[test]
fn quota_files_of_the_ini_format_are_read_again_too() {
    let file = ConfigFile::new("c", "[eventfs-config]\nquotas=q\n");
    file.add("q/ann", "[eventfs-quota]\nuser=5001\nmax_files=1\n");
    let mount = file.mount();
    let queue = open_queue(&mount);
    put_as(ANN, &queue.join("a"), "").unwrap();
    file.add("q/ann", "[eventfs-quota]\nuser=5001\nmax_files=2\n");
    mount.signal(Signal::SIGHUP);
    wait_until("the new quota", || put_as(ANN, &queue.join("b"), "").is_ok());
}

#[test]
fn limits_of_the_mount_are_read_again() {
    let file = ConfigFile::new("c.toml", "[mount]\nmax_event = 10\nnr_events = 2\n");
    let mount = file.mount();
    let queue = mount.queue("q");
    assert_eq!(errno(try_put(queue.join("a"), "12345678901")), libc::EFBIG);
    fs::write(&file.path, "[mount]\nmax_event = 20\nnr_events = 1\n").unwrap();
    mount.signal(Signal::SIGHUP);
    wait_until("the new size", || try_put(queue.join("a"), "12345678901").is_ok());
    assert_eq!(errno(try_put(queue.join("b"), "")), libc::ENOSPC);
}

#[test]
fn the_command_line_stays_above_the_file() {
    let file = ConfigFile::new("c.toml", "[mount]\nmax_event = 10\nnr_events = 1\n");
    let mount = file.mount_with("allow_other,max_event=5");
    let queue = mount.queue("q");
    fs::write(&file.path, "[mount]\nmax_event = 1000\nnr_events = 2\n").unwrap();
    put(queue.join("a"), "");
    mount.signal(Signal::SIGHUP);
    wait_until("the new count", || try_put(queue.join("b"), "").is_ok());
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!(errno(try_put(queue.join("c"), "123456")), libc::EFBIG);
}

#[test]
fn a_bad_file_is_reported_and_the_old_settings_stay() {
    let dir = tempfile::tempdir().unwrap();
    // Root is not limited by quotas, so this looks at max_event.
    let said = sh_ok(
        dir.path(),
        &format!(
            "mkdir mnt; printf '[mount]\\nmax_event=10\\n' > c.toml
             {EVENTFS} -f -c c.toml mnt 2> log & D=$!
             until mountpoint -q mnt; do sleep 0.01; done
             mkdir mnt/q; setfattr -n user.eventfs_sticky -v 1 mnt/q
             printf '[mount]\\nmax_event=20\\n[limits]\\nmax_dirs=x\\n' > c.toml; kill -HUP $D
             until [ -s log ]; do sleep 0.01; done; cat log
             echo 1234567890 > mnt/q/a 2>&-; echo 123456789 > mnt/q/b; ls mnt/q
             printf '[mount]\\nmax_event=20\\n' > c.toml; kill -HUP $D
             until grep -q 'read again' log; do sleep 0.01; done
             echo 1234567890 > mnt/q/c; ls mnt/q; kill $D; wait $D; echo $?"
        ),
    );
    let complaint = format!("eventfs: {}/c.toml:4: not TOML: ", dir.path().display());
    assert!(said.starts_with(&complaint), "{said}");
    assert!(said.lines().next().unwrap().ends_with("the old settings stay"), "{said}");
    let rest: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(rest, ["b", "head", "tail", "b", "c", "head", "tail", "0"]);
}

#[test]
fn a_relative_file_is_found_again_by_a_daemon_in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let said = sh_ok(
        dir.path(),
        &format!(
            "mkdir mnt; printf '[mount]\\nmax_event=10\\n' > c.toml
             {EVENTFS} -c c.toml $PWD/mnt; D=$(pgrep -nfx \".*eventfs -c c.toml $PWD/mnt\")
             [ \"$(readlink /proc/$D/exe)\" = {EVENTFS} ] || exit 1
             mkdir mnt/q; setfattr -n user.eventfs_sticky -v 1 mnt/q
             printf '[mount]\\nmax_event=20\\n' > c.toml; kill -HUP $D
             for i in $(seq 500); do (echo 1234567890 > mnt/q/a) 2>&- && break; sleep 0.01; done
             cat mnt/q/a; umount mnt"
        ),
    );
    assert_eq!(said, "1234567890\n");
}
