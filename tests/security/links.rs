//! Files that root reads and writes are never followed through links that others may have put there.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::common::{EVENTFS, Mounted, is_listed, set, wait_until};
use crate::help::put;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        path
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        symlink(target, &path).expect("link");
        path
    }
}

fn eventfs<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Output {
    let mut command = Command::new(EVENTFS);
    command.args(args).stdin(Stdio::null()).output().expect("eventfs")
}

/// Demands one line that ends so, and exit status 1.
fn refused(output: &Output, end: &str) {
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.trim_end().ends_with(end), "{line}");
}

/// Tries to mount with this configuration file.
fn mount_with(dir: &Dir, config: &Path) -> Output {
    let point = dir.path("mnt");
    fs::create_dir_all(&point).expect("mountpoint");
    let output = eventfs(&[Path::new("-f"), Path::new("-c"), config, &point]);
    assert!(!is_listed(&point));
    output
}

#[test]
fn a_configuration_file_is_not_read_through_a_link() {
    let dir = Dir::new();
    dir.file("real.toml", "[limits]\nmax_dirs = 1\n");
    let link = dir.link("link.toml", "real.toml");
    refused(&mount_with(&dir, &link), "link.toml: cannot be read: is a symbolic link");
}

#[test]
fn a_quota_file_is_not_read_through_a_link() {
    let dir = Dir::new();
    let main = dir.file("main.conf", "[eventfs-config]\nquotas=quotas\n");
    fs::create_dir(dir.path("quotas")).expect("directory");
    dir.link("quotas/shadow", "/etc/shadow");
    refused(&mount_with(&dir, &main), "quotas/shadow: cannot be read: is a symbolic link");
}

#[test]
fn a_configuration_that_became_a_link_is_not_read_again() {
    let dir = Dir::new();
    let config = dir.file("c.toml", "[limits]\nmax_dirs = 1\n");
    let log = fs::File::create(dir.path("log")).expect("log");
    let args = ["-o".as_ref(), "allow_other".as_ref(), "-c".as_ref(), config.as_os_str()];
    let mounted = Mounted::start_to(&args, log);
    fs::remove_file(&config).expect("remove");
    dir.file("other.toml", "[mount]\ngrace = 7\n");
    dir.link("c.toml", "other.toml");
    mounted.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the complaint", || {
        let log = fs::read_to_string(dir.path("log")).expect("log");
        log.contains("c.toml: cannot be read: is a symbolic link")
    });
    // It serves on.
    mounted.queue("q");
}

fn tap(dir: &Dir, more: &[&str]) -> Output {
    let (queue, socket) = (dir.path("queue"), dir.path("socket"));
    let mut tap = Command::new(EVENTFS);
    tap.args(["tap", "beegfs", "--queue"]).arg(queue).arg("--socket").arg(socket);
    tap.args(more).stdin(Stdio::null()).output().expect("eventfs tap")
}

#[test]
fn the_state_of_a_tap_is_neither_read_nor_written_through_a_link() {
    let dir = Dir::new();
    let target = dir.file("target", "precious");
    for target in [target.as_path(), Path::new("nowhere")] {
        let link = dir.link("state", target);
        refused(&tap(&dir, &["--state", link.to_str().expect("UTF-8")]), "is a symbolic link");
        fs::remove_file(link).expect("remove");
    }
    assert_eq!(fs::read_to_string(target).expect("read"), "precious");
    assert!(!dir.path("nowhere").exists());
}

#[test]
fn a_socket_is_not_made_through_a_link_or_over_a_file() {
    let dir = Dir::new();
    let link = dir.link("socket", "elsewhere");
    refused(&tap(&dir, &[]), "socket: exists and is no socket");
    assert!(link.is_symlink() && !dir.path("elsewhere").exists());
    fs::remove_file(link).expect("remove");
    let file = dir.file("socket", "precious");
    refused(&tap(&dir, &[]), "socket: exists and is no socket");
    assert_eq!(fs::read_to_string(file).expect("read"), "precious");
}

/// Somebody mounts a directory of his own on a queue: what the daemon does to show what vanishes in the
/// queue must not hit what lies there.
#[test]
fn the_daemon_removes_nothing_in_a_directory_mounted_on_a_queue() {
    if !crate::common::is_root() {
        return crate::common::skip("bind mounts need root");
    }
    let dir = Dir::new();
    fs::create_dir(dir.path("other")).expect("directory");
    dir.file("other/e0", "precious");
    let mounted = Mounted::with("allow_other,notify=full");
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_max_events", "1").expect("limit");
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    let inside = File::open(&queue).expect("open");
    let inside = PathBuf::from(format!("/proc/self/fd/{}", inside.as_raw_fd()));
    mount(Some(&dir.path("other")), &queue, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .expect("bind mount");
    for number in 0..50 {
        put(inside.join(format!("e{number}")), "");
    }
    // The herald does one thing after the other: when this is told, the rest was.
    let later = mounted.queue("later");
    set(&later, "user.eventfs_max_events", "1").expect("limit");
    set(&later, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    let mut watch = Command::new("inotifywait");
    watch.args(["-q", "-t", "20", "-e", "delete"]).arg(&later).stdout(Stdio::piped());
    let mut watch = crate::common::spawn(&mut watch);
    wait_until("the deletion to be told", || {
        put(later.join(format!("e{}", crate::help::published(&later))), "");
        watch.try_wait().expect("wait").is_some_and(|status| status.success())
    });
    umount2(&queue, MntFlags::MNT_DETACH).expect("umount");
    assert_eq!(fs::read_to_string(dir.path("other/e0")).expect("read"), "precious");
    assert_eq!(crate::help::files(&queue), ["e49"]);
}
