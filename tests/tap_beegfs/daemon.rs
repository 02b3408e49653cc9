//! `[tap.NAME]`: taps that the daemon runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{EVENTFS, Mounted, get, is_root, skip, spawn, wait_until};
use crate::help::{Site, assert_numbers, listens_now, numbers, wait_for_events};
use crate::metadata_server::{Identity, MetadataServer};

fn config(site: &Site, text: &str) -> PathBuf {
    let file = site.path("eventfs.toml");
    let socket = site.socket();
    fs::write(&file, text.replace("SOCKET", socket.to_str().unwrap())).unwrap();
    file
}

fn mount(file: &Path) -> Mounted {
    Mounted::start(&["-c", file.to_str().unwrap(), "-o", "allow_other"])
}

/// The child processes of a daemon that are taps.
fn taps_of(daemon: u32) -> Vec<i32> {
    let children = fs::read_dir(format!("/proc/{daemon}/task")).into_iter().flatten().flatten();
    children
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[test]
fn a_tap_of_the_configuration_runs_and_ends_with_the_mount() {
    let site = Site::new();
    let file = config(
        &site,
        "[tap.meta]\nsource = 'beegfs'\nqueue = 'q'\nsocket = 'SOCKET'\nbatch = 10\n",
    );
    let mount = mount(&file);
    let queue = mount.path("q");
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 100);
    wait_until("the events", || numbers(&queue, 12).len() == 100);
    assert!(get(&queue, "user.eventfs_sticky").is_some());
    wait_until("counters", || {
        get(&queue, "user.tap.meta").is_some_and(|text| text.contains("\"written\":100"))
    });
    let taps = taps_of(mount.pid());
    assert_eq!(taps.len(), 1);
    mount.end();
    assert!(fs::metadata(format!("/proc/{}", taps[0])).is_err(), "the tap is gone");
    assert!(!site.socket().exists());
    wait_until("goodbye", || server.goodbyes() == 1);
}

#[test]
fn a_tap_that_ends_is_started_again() {
    let site = Site::new();
    let file = config(&site, "[tap.beegfs]\nqueue = 'q'\nsocket = 'SOCKET'\n");
    let mount = mount(&file);
    let queue = mount.path("q");
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 10);
    wait_for_events(&queue, 10);
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let before = taps_of(mount.pid());
        kill(Pid::from_raw(before[0]), signal).unwrap();
        wait_until("another one", || {
            let now = taps_of(mount.pid());
            now.len() == 1 && now != before
        });
        let first = server.burst(10);
        wait_until("its events", || numbers(&queue, 12).contains(&(first + 9)));
    }
    assert_numbers(&queue, 12, 0..30);
}

#[test]
fn a_daemon_that_is_killed_takes_its_taps_along() {
    let site = Site::new();
    let file = config(&site, "[tap.beegfs]\nqueue = 'q'\nsocket = 'SOCKET'\n");
    let mut mount = mount(&file);
    wait_until("the tap", || listens_now(&site.socket()));
    let taps = taps_of(mount.pid());
    mount.kill9();
    wait_until("the end of the tap", || fs::metadata(format!("/proc/{}", taps[0])).is_err());
}

#[test]
fn reload_starts_changes_and_ends_taps() {
    let site = Site::new();
    let file = config(&site, "");
    let mount = mount(&file);
    assert!(taps_of(mount.pid()).is_empty());
    config(&site, "[tap.beegfs]\nqueue = 'q'\nsocket = 'SOCKET'\n");
    mount.signal(Signal::SIGHUP);
    wait_until("the tap", || listens_now(&site.socket()));
    let first = taps_of(mount.pid());
    // The same tap somewhere else in the file; the size shows that it was read.
    config(&site, "[mount]\nsize = '64m'\n\n[tap.beegfs]\nqueue = 'q'\nsocket = 'SOCKET'\n");
    mount.signal(Signal::SIGHUP);
    let bytes = || {
        let stat = nix::sys::statvfs::statvfs(&mount.point).expect("statvfs");
        stat.blocks() * stat.fragment_size()
    };
    wait_until("the new size", || bytes() == 64 << 20);
    assert_eq!(taps_of(mount.pid()), first);
    config(&site, "[tap.beegfs]\nqueue = 'q2'\nsocket = 'SOCKET'\n");
    mount.signal(Signal::SIGHUP);
    wait_until("the new queue", || mount.path("q2").exists());
    wait_until("another process", || {
        taps_of(mount.pid()).first().is_some_and(|pid| *pid != first[0])
    });
    config(&site, "");
    mount.signal(Signal::SIGHUP);
    wait_until("no tap", || taps_of(mount.pid()).is_empty());
    assert!(mount.path("q2").exists(), "its queue is sticky");
}

#[test]
fn a_tap_runs_as_the_user_of_its_table() {
    if !is_root() {
        return skip("only root can start processes of others");
    }
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let site = Site::new();
    fs::set_permissions(site.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let file = config(
        &site,
        "[mount]\nroot_mode = 1777\n[tap.beegfs]\nqueue = 'q'\nsocket = 'SOCKET'\nuser = 65534\n",
    );
    let mount = mount(&file);
    wait_until("the queue", || mount.path("q").exists());
    let metadata = fs::metadata(mount.path("q")).unwrap();
    assert_eq!(metadata.uid(), 65534);
    assert_ne!(metadata.gid(), 0, "nor the daemon's group");
    wait_until("the tap", || listens_now(&site.socket()));
    let status = fs::read_to_string(format!("/proc/{}/status", taps_of(mount.pid())[0])).unwrap();
    assert!(status.contains("Groups:\t \n") || status.contains("Groups:\t\n"), "{status}");
}

#[test]
fn what_the_command_line_would_refuse_is_refused_before_the_mount() {
    let site = Site::new();
    let point = site.path("mnt");
    fs::create_dir(&point).unwrap();
    for (text, why) in [
        ("[tap.x]\nqueue = 'q'\n", "1: unknown source 'x'"),
        (
            "[tap.beegfs]\nqueue = 'q'\nsockets = 'SOCKET'\n",
            "3: unknown key 'sockets' for a beegfs tap",
        ),
        ("[tap.beegfs]\nqueue = 'q'\nbatch = 0\n", "3: invalid value '0' for '--batch <N>'"),
        ("[tap.beegfs]\nsocket = 'x'\n", "1: 'tap.beegfs' needs a 'queue'"),
    ] {
        let file = config(&site, text);
        let mut command = std::process::Command::new(EVENTFS);
        command.arg("-f").arg("-c").arg(&file).arg(&point).stderr(Stdio::piped());
        let output = spawn(&mut command).wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    }
}
