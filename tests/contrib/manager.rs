//! The units, under the word of systemd-analyze(1) and under a systemd of their own.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::common::{BOUND, EVENTFS, is_mounted, is_root, spawn, wait_until};
use crate::help::{command, have, ok, output, read, root, skip, text};
use crate::install::make;

/// Highest exposure that `systemd-analyze security` may find, in tenths of its points.
const EXPOSURE_MAX: &str = "60";

/// Everything installed below a prefix that is a temporary directory.
struct Installed {
    dir: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let prefix = format!("PREFIX={}", dir.path().display());
        ok(make(&["install"]).arg(prefix).arg(format!("BINARY={EVENTFS}")));
        Self { dir }
    }

    fn units(&self) -> PathBuf {
        self.dir.path().join("lib/systemd/system")
    }

    fn examples(&self) -> PathBuf {
        self.dir.path().join("share/doc/eventfs/examples")
    }

    /// `systemd-analyze` that finds these units beside the system's.
    fn analyze(&self, words: &[&str]) -> std::process::Output {
        let path = format!("{}:{}:", self.units().display(), self.examples().display());
        output(command("systemd-analyze").args(words).env("SYSTEMD_UNIT_PATH", path))
    }
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    if !have("systemd-analyze") {
        return;
    }
    let installed = Installed::new();
    for unit in [
        "eventfs.service",
        "eventfs@srv-events.service",
        "eventfs-drain@jobs.path",
        "eventfs-drain@jobs.service",
    ] {
        let told = installed.analyze(&["verify", "--man=no", unit]);
        let said = text(&told.stderr);
        assert!(told.status.success(), "{unit}: {said}");
        assert!(!said.contains("eventfs"), "{unit}: {said}");
    }
}

#[test]
fn the_services_are_little_exposed() {
    if !have("systemd-analyze") {
        return;
    }
    let installed = Installed::new();
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    for unit in ["eventfs.service", "eventfs@.service"] {
        let path = installed.units().join(unit);
        let words =
            ["security", "--offline=true", "--no-pager", &threshold, path.to_str().expect("UTF-8")];
        let told = installed.analyze(&words);
        assert!(told.status.success(), "{unit}: {}{}", text(&told.stdout), text(&told.stderr));
    }
}

/// What `Type=notify` waits for, by the very line of the unit.
#[test]
fn the_command_of_the_service_says_when_it_is_ready() {
    let installed = Installed::new();
    let unit = read(&installed.units().join("eventfs@.service"));
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let place = tempfile::tempdir().expect("temporary directory");
    let point = place.path().join("mnt");
    std::fs::create_dir(&point).expect("mkdir");
    let socket = place.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("socket");
    manager.set_read_timeout(Some(BOUND)).expect("time-out");
    let line = line.replace("%f", point.to_str().expect("UTF-8"));
    let words: Vec<&str> = line.split(' ').collect();
    let mut service = std::process::Command::new(words[0]);
    let mut daemon = spawn(service.args(&words[1..]).env("NOTIFY_SOCKET", &socket));
    let mut told = [0; 256];
    let length = manager.recv(&mut told).expect("word of readiness");
    assert!(text(&told[..length]).lines().any(|line| line == "READY=1"));
    assert!(is_mounted(&point), "it was not ready");
    nix::mount::umount(&point).expect("umount");
    assert!(daemon.wait().expect("wait").success());
    wait_until("the end of the mount", || !is_mounted(&point));
}

/// A systemd in a PID and a mount namespace of its own runs the units as they are installed, with
/// all of their restrictions but that on devices.
#[test]
fn under_systemd_the_units_do_what_they_say() {
    if !Path::new("/lib/systemd/systemd").exists() {
        return skip("no systemd");
    }
    if !is_root() {
        return crate::common::skip("systemd: not root");
    }
    let installed = Installed::new();
    let mut script = command("bash");
    script.arg(root().join("tests/contrib/manager.sh"));
    let told = output(script.arg(EVENTFS).arg(installed.units()).arg(installed.examples()));
    let (out, err) = (text(&told.stdout), text(&told.stderr));
    match told.status.code() {
        Some(0) => assert!(out.ends_with("all done\n"), "{out}{err}"),
        Some(77) => skip(err.trim()),
        _ => panic!("{}\n{out}{err}", told.status),
    }
}
