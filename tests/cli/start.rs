//! Starting: background, foreground, debug log, readiness, help and version.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::common::{BOUND, EVENTFS, is_listed, is_mounted, spawn, wait_until};
use crate::place::{Place, eventfs, outcome, text};

#[test]
fn in_the_background_it_returns_when_the_mount_answers() {
    for _ in 0..10 {
        let place = Place::new();
        // Reading the output to its end shows that the daemon has let go of it.
        let output = place.run(&[]);
        assert_eq!(outcome(&output), (Some(0), String::new()));
        assert_eq!(text(&output.stdout), "");
        fs::create_dir(place.path("q")).expect("it answers at once");
        assert!(is_listed(&place.point));
    }
}

#[test]
fn the_daemon_lets_go_of_terminal_directory_and_session() {
    let place = Place::new();
    let mut command = Command::new(EVENTFS);
    command.arg("mnt").current_dir(place.dir());
    let output = crate::place::output(&mut command);
    assert_eq!(outcome(&output), (Some(0), String::new()));
    wait_until("the mount", || is_mounted(&place.point));
    let all: Vec<u32> = fs::read_dir("/proc")
        .expect("proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(EVENTFS))
                && fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line == format!("{EVENTFS}\0mnt\0"))
        })
        .collect();
    for pid in &all {
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("cwd"), *"/");
        let null = Path::new("/dev/null");
        for fd in 0..3 {
            assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("fd"), null);
        }
        let session = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid.cast_signed())));
        assert_eq!(session.expect("session").as_raw(), pid.cast_signed());
    }
    assert_eq!(all.len(), 1);
    // Known by its relative name only, so it is ended here.
    nix::mount::umount2(&place.point, nix::mount::MntFlags::MNT_DETACH).expect("umount");
    let proc = format!("/proc/{}/exe", all[0]);
    wait_until("its end", || fs::read_link(&proc).is_err());
}

#[test]
fn with_f_it_stays_and_ends_with_status_0() {
    let place = Place::new();
    let mut child = spawn(Command::new(EVENTFS).arg("-f").arg(&place.point));
    wait_until("the mount", || is_mounted(&place.point));
    assert!(child.try_wait().expect("wait").is_none());
    place.signal(Signal::SIGTERM);
    assert!(child.wait().expect("wait").success());
    place.demand_nothing_left();
}

#[test]
fn with_d_it_stays_and_logs() {
    let place = Place::new();
    let mut command = Command::new(EVENTFS);
    command.arg("-d").arg(&place.point).env_remove("RUST_LOG").env_remove("EVENTFS_LOG");
    let mut child = spawn(command.stderr(Stdio::piped()));
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_until("the mount", || is_mounted(&place.point));
    fs::create_dir(place.path("q")).expect("mkdir");
    let mut line = String::new();
    while !line.to_lowercase().contains("mkdir") {
        line.clear();
        assert!(log.read_line(&mut line).expect("read") > 0, "the log ended");
    }
    assert!(child.try_wait().expect("wait").is_none());
    place.signal(Signal::SIGTERM);
    drop(log);
    assert!(child.wait().expect("wait").success());
}

#[test]
fn without_d_there_is_no_debug_log() {
    let place = Place::new();
    let mut command = Command::new(EVENTFS);
    command.arg("-f").arg(&place.point).env_remove("RUST_LOG").env_remove("EVENTFS_LOG");
    let child = spawn(command.stderr(Stdio::piped()));
    wait_until("the mount", || is_mounted(&place.point));
    fs::create_dir(place.path("q")).expect("mkdir");
    place.signal(Signal::SIGTERM);
    let output = child.wait_with_output().expect("wait");
    assert_eq!(outcome(&output), (Some(0), String::new()));
}

#[test]
fn root_needs_no_helper_program() {
    let place = Place::new();
    let mut command = Command::new(EVENTFS);
    let output = crate::place::output(command.arg(&place.point).env("PATH", "/no/such/place"));
    assert_eq!(outcome(&output), (Some(0), String::new()));
    place.signal(Signal::SIGTERM);
    place.wait_end();
    place.demand_nothing_left();
}

#[test]
fn s_is_accepted_and_ignored() {
    let place = Place::new();
    place.mount(&["-s"]);
    assert!(is_mounted(&place.point));
}

#[test]
fn flags_may_follow_the_mountpoint() {
    let place = Place::new();
    let point = place.point.to_str().expect("UTF-8");
    let output = eventfs(&[point, "-s", "-o", "allow_other", "-o", "root_mode=0700"]);
    assert_eq!(outcome(&output), (Some(0), String::new()));
    assert!(is_mounted(&place.point));
}

#[test]
fn with_f_readiness_is_told_to_the_service_manager() {
    let place = Place::new();
    let socket = place.dir().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("socket");
    manager.set_read_timeout(Some(BOUND)).expect("time-out");
    let mut command = Command::new(EVENTFS);
    command.arg("-f").arg(&place.point).env("NOTIFY_SOCKET", &socket);
    let mut child = spawn(&mut command);
    let mut told = [0; 256];
    let length = manager.recv(&mut told).expect("word of readiness");
    let told = text(&told[..length]);
    assert!(told.lines().any(|line| line == "READY=1"), "{told}");
    fs::create_dir(place.path("q")).expect("it serves");
    place.signal(Signal::SIGTERM);
    assert!(child.wait().expect("wait").success());
}

#[test]
fn a_manager_that_does_not_listen_is_no_obstacle() {
    let place = Place::new();
    let mut command = Command::new(EVENTFS);
    command.arg("-f").arg(&place.point).env("NOTIFY_SOCKET", place.dir().join("nobody"));
    let mut child = spawn(command.stderr(Stdio::null()));
    wait_until("the mount", || is_mounted(&place.point));
    place.signal(Signal::SIGTERM);
    assert!(child.wait().expect("wait").success());
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["-h", "--help"] {
        let output = eventfs(&[flag]);
        assert_eq!(outcome(&output), (Some(0), String::new()));
        assert!(text(&output.stdout).contains("MOUNTPOINT"));
    }
    for flag in ["-V", "--version"] {
        let output = eventfs(&[flag]);
        assert_eq!(outcome(&output), (Some(0), String::new()));
        assert_eq!(text(&output.stdout), format!("eventfs {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn commands_have_help_too() {
    for command in ["mkqueue", "status"] {
        let output = eventfs(&[command, "--help"]);
        assert_eq!(outcome(&output), (Some(0), String::new()));
        assert!(text(&output.stdout).contains(command));
    }
}
