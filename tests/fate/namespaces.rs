//! Owners in other process-number namespaces, below the daemon's and outside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{EVENTFS, Mounted, errno, get, set, sh, spawn, wait_until, write};
use crate::kid::{Kid, kill9, patient, strict, wait_gone};
use crate::shell::Shell;

const OWNER: &str = "user.eventfs_owner";
const BELOW: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// The number of the namespace's first process as we see it.
fn first_inside(shell: &Shell) -> u32 {
    let path = format!("/proc/{0}/task/{0}/children", shell.pid());
    fs::read_to_string(path).expect("children").trim().parse().expect("one child")
}

fn inside(mounted: &Mounted) -> Shell {
    Shell::below(&BELOW, &mounted.point)
}

#[test]
fn a_process_in_a_child_namespace_owns_what_it_makes() {
    let mounted = Mounted::with("allow_other,grace=0,owner=parent");
    let mut shell = inside(&mounted);
    shell.ok("bash -c 'mkdir q; getfattr --only-values -n user.eventfs_owner q; echo; \
              test $(getfattr --only-values -n user.eventfs_owner q) = $$'");
    // That inner shell has ended.
    wait_gone(&mounted.path("q"));
}

#[test]
fn the_owner_inside_has_its_own_number_for_each_reader() {
    let mounted = patient();
    let mut shell = inside(&mounted);
    assert_eq!(shell.number("$$"), 1);
    shell.ok("mkdir q && setfattr -n user.eventfs_owner -v parent q");
    assert_eq!(shell.ok("getfattr --only-values -n user.eventfs_owner q; echo"), "1");
    let outside = first_inside(&shell).to_string();
    assert_eq!(get(&mounted.path("q"), OWNER), Some(outside));
    shell.kill();
    wait_gone(&mounted.path("q"));
}

#[test]
fn killing_the_owner_from_outside_ends_the_queue() {
    let mounted = patient();
    let mut shell = inside(&mounted);
    shell.ok("mkdir q && setfattr -n user.eventfs_owner -v parent q");
    kill9(first_inside(&shell));
    wait_gone(&mounted.path("q"));
}

#[test]
fn an_owner_outside_reads_as_0() {
    let mounted = strict();
    let _kid = Kid::with_queue(&mounted.path("q"));
    let mut shell = inside(&mounted);
    assert_eq!(shell.ok("getfattr --only-values -n user.eventfs_owner q; echo"), "0");
}

#[test]
fn a_number_is_taken_in_the_callers_namespace() {
    let mounted = patient();
    let mut shell = inside(&mounted);
    shell.ok("sleep 1000 & mkdir q && setfattr -n user.eventfs_owner -v $! q");
    let seen = shell.number("$!");
    let owner: u32 = get(&mounted.path("q"), OWNER).expect("owner").parse().expect("number");
    assert_ne!(owner, seen);
    let status = fs::read_to_string(format!("/proc/{owner}/status")).expect("status");
    let numbers = status.lines().find(|line| line.starts_with("NSpid:")).expect("NSpid");
    assert_eq!(
        numbers.split_whitespace().skip(1).collect::<Vec<_>>(),
        [owner.to_string(), seen.to_string()]
    );
    shell.ok("kill -9 $!");
    wait_gone(&mounted.path("q"));
}

#[test]
fn a_number_that_the_caller_does_not_see_names_nobody() {
    let mounted = patient();
    let kid = Kid::idle();
    let mut shell = inside(&mounted);
    shell.ok("mkdir q");
    let line = format!("setfattr -n user.eventfs_owner -v {} q", kid.pid());
    // Numbers inside are small: no process there has this one.
    let said = shell.fails(&line);
    assert!(said.contains("No such process"), "{said}");
}

#[test]
fn a_parent_that_the_caller_does_not_see_names_nobody() {
    let mounted = patient();
    let queue = mounted.queue("q");
    // The parent of the first process of a namespace is outside of it.
    let line = "unshare --pid --fork --mount-proc setfattr -n user.eventfs_owner -v parent q";
    let output = sh(&mounted.point, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("No such process"), "{said}");
    assert_eq!(get(&queue, OWNER), Some(std::process::id().to_string()));
}

#[test]
fn the_end_of_a_namespace_ends_all_queues_in_it() {
    let mounted = patient();
    let mut shell = inside(&mounted);
    shell.ok("for i in 1 2 3; do sleep 1000 & mkdir q$i; \
              setfattr -n user.eventfs_owner -v $! q$i; done");
    shell.kill();
    for name in ["q1", "q2", "q3"] {
        wait_gone(&mounted.path(name));
    }
}

/// A daemon in a process namespace of its own, whose mount is seen from outside.
struct Foreign {
    unshare: Child,
    daemon: u32,
    view: PathBuf,
    _dir: tempfile::TempDir,
}

impl Foreign {
    fn start(prefix: &[&str], options: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let point = dir.path().join("mnt");
        fs::create_dir(&point).expect("mkdir");
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).arg(EVENTFS).args(["-f", "-o", options]).arg(&point);
        let unshare = spawn(command.stdin(Stdio::null()));
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let mut daemon = None;
        wait_until("the daemon", || {
            daemon = fs::read_to_string(&children).ok().and_then(|text| text.trim().parse().ok());
            daemon.is_some()
        });
        let daemon = daemon.expect("a number");
        // Its mount may be in its mount namespace alone; /proc shows that.
        let view = PathBuf::from(format!("/proc/{daemon}/root{}", point.display()));
        wait_until("the mount", || is_root_of_mount(&view));
        Self { unshare, daemon, view, _dir: dir }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.daemon.cast_signed()), Signal::SIGTERM);
        let _ = self.unshare.wait();
    }
}

/// Whether a directory is the root of a file system.
fn is_root_of_mount(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.ino() == 1)
}

#[test]
fn a_mkdir_from_outside_the_daemons_namespace_is_refused() {
    let foreign = Foreign::start(&BELOW, "allow_other");
    assert_eq!(errno(fs::create_dir(foreign.view.join("q"))), libc::EPERM);
    assert!(!foreign.view.join("q").exists());
}

#[test]
fn with_orphans_sticky_such_a_queue_is_sticky() {
    let foreign = Foreign::start(&BELOW, "allow_other,orphans=sticky,grace=0");
    let queue = foreign.view.join("q");
    let made = queue.clone();
    Kid::with_queue(&made).kill();
    assert_eq!(get(&queue, "user.eventfs_sticky").as_deref(), Some("1"));
    assert_eq!(get(&queue, OWNER), None);
    write(queue.join("e"), "x").expect("write");
    assert_eq!(fs::read_to_string(queue.join("head")).expect("read"), "x");
}

#[test]
fn from_outside_no_owner_can_be_named() {
    let foreign = Foreign::start(&BELOW, "allow_other,orphans=sticky");
    let queue = foreign.view.join("q");
    fs::create_dir(&queue).expect("mkdir");
    for value in ["1", "parent", "session"] {
        assert_eq!(errno(set(&queue, OWNER, value)), libc::ESRCH, "{value}");
    }
}

#[test]
fn a_daemon_whose_proc_is_a_strangers_gives_no_owner() {
    let prefix = ["unshare", "--pid", "--fork"];
    let refusing = Foreign::start(&prefix, "allow_other");
    assert_eq!(errno(fs::create_dir(refusing.view.join("q"))), libc::EPERM);
    let taking = Foreign::start(&prefix, "allow_other,orphans=sticky");
    let queue = taking.view.join("q");
    fs::create_dir(&queue).expect("mkdir");
    assert_eq!(get(&queue, "user.eventfs_sticky").as_deref(), Some("1"));
    assert_eq!(errno(set(&queue, OWNER, "parent")), libc::ESRCH);
}
