//! kill -9 of the tap, of the filesystem, and queues that go: nothing lost, doubles as the contract allows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::common::{EVENTFS, Mounted, is_listed, is_mounted, spawn, wait_until, write};
use crate::help::{Site, assert_numbers, events, file, numbers, of_type, wait_for_events};
use crate::metadata_server::{Identity, MetadataServer};

#[test]
fn a_killed_tap_goes_on_and_nothing_is_doubled_in_the_queue() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let state = site.path("state");
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 500);
    for round in 1..6 {
        let tap = site.tap(&queue, &["--sticky", "--state", state.to_str().unwrap()]);
        wait_for_events(&queue, round * 400);
        server.burst(700);
        tap.kill9();
    }
    let tap = site.tap(&queue, &["--sticky", "--state", state.to_str().unwrap()]);
    wait_until("all", || numbers(&queue, 12).len() >= 4_000);
    assert_numbers(&queue, 12, 0..4_000);
    assert_eq!(events(&queue).len(), 4_000, "no second names");
    let ended = tap.end();
    assert_eq!(ended.count("lost"), 0);
}

#[test]
fn an_incomplete_file_of_a_killed_tap_is_completed() {
    let site = Site::new();
    let queue = site.path("q");
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 5);
    let tap = site.tap(&queue, &[]);
    wait_for_events(&queue, 5);
    tap.kill9();
    // As if it had been killed in the middle of the fourth, before any position was saved.
    let whole = fs::read_to_string(queue.join(file(3))).unwrap();
    write(queue.join(file(3)), &whole[..100]).unwrap();
    fs::remove_file(queue.join(file(4))).unwrap();
    let tap = site.tap(&queue, &["--from", "oldest"]);
    wait_until("the rest", || queue.join(file(4)).exists());
    assert_eq!(fs::read_to_string(queue.join(file(3))).unwrap(), whole);
    let ended = tap.end();
    assert_eq!((ended.count("duplicate"), ended.count("written")), (3, 2));
    drop(server);
}

#[test]
fn positions_are_kept_in_the_queue_too() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 50);
    let tap = site.tap(&queue, &["--sticky"]);
    wait_for_events(&queue, 50);
    tap.end();
    // All consumed: a start from the oldest would bring them back.
    for name in events(&queue).into_keys() {
        fs::remove_file(queue.join(name)).unwrap();
    }
    server.burst(10);
    let tap = site.tap(&queue, &[]);
    wait_for_events(&queue, 10);
    tap.end();
    assert_numbers(&queue, 12, 50..60);
    let starts = server.starts();
    assert_eq!(starts, [0, 49], "one event of overlap");
}

#[test]
fn a_queue_that_is_removed_is_made_anew_with_what_nobody_consumed() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 30);
    let tap = site.tap(&queue, &["--sticky"]);
    wait_for_events(&queue, 30);
    for msn in 0..10 {
        fs::remove_file(queue.join(file(msn))).unwrap();
    }
    wait_until("the position of the oldest", || {
        let state = crate::common::get(&queue, "user.tap_state.beegfs").unwrap_or_default();
        state.contains("\"unconsumed\":10")
    });
    fs::rename(&queue, mount.path("gone")).unwrap();
    server.burst(1);
    wait_until("the new queue", || numbers(&queue, 12).len() >= 21);
    assert_numbers(&queue, 12, 10..31);
    let ended = tap.end();
    assert!(ended.stderr.contains("gone"), "{}", ended.stderr);
}

fn start(point: &Path) -> Child {
    let mut command = Command::new(EVENTFS);
    command.arg("-f").args(["-o", "allow_other"]).arg(point).stdin(Stdio::null());
    spawn(&mut command)
}

/// A daemon on a mountpoint that is there already.
struct Daemon<'a> {
    child: Child,
    point: &'a Path,
}

impl<'a> Daemon<'a> {
    fn on(point: &'a Path) -> Self {
        let daemon = Self { child: start(point), point };
        wait_until("the mount", || is_mounted(point));
        daemon
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn kill_and_mount_again(&mut self) {
        self.kill();
        self.child = start(self.point);
        wait_until("the mount", || is_mounted(self.point));
    }

    /// In order.
    fn end(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        assert!(!is_listed(self.point));
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // Of a test that has failed.
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if is_listed(self.point) {
            let _ = nix::mount::umount2(self.point, nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

#[test]
fn a_filesystem_that_is_killed_gets_again_what_nobody_consumed() {
    let (site, point) = (Site::new(), Site::new());
    let point = point.dir.path();
    let (queue, state) = (point.join("q"), site.path("state"));
    let words = ["--state", state.to_str().unwrap()];
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 300);
    let mut daemon = Daemon::on(point);
    let tap = site.tap(&queue, &words);
    wait_for_events(&queue, 300);
    let mut consumed = BTreeSet::new();
    for msn in 0..120 {
        fs::remove_file(queue.join(file(msn))).unwrap();
        consumed.insert(msn);
    }
    wait_until("the position of the oldest", || {
        fs::read_to_string(&state).is_ok_and(|text| text.contains("\"unconsumed\":120"))
    });
    daemon.kill();
    server.burst(50);
    let mut daemon = Daemon::on(point);
    wait_until("all that was left", || numbers(&queue, 12).len() >= 230);
    assert_numbers(&queue, 12, 120..350);
    // And once more with the tap gone too.
    tap.kill9();
    daemon.kill_and_mount_again();
    let tap = site.tap(&queue, &words);
    wait_until("everything", || numbers(&queue, 12).len() >= 230);
    assert_numbers(&queue, 12, 120..350);
    let ended = tap.end();
    assert_eq!(ended.count("lost"), 0);
    daemon.end();
}

#[test]
fn a_filesystem_that_is_killed_before_the_first_file_gets_all_that_was_sent() {
    let (site, point) = (Site::new(), Site::new());
    let point = point.dir.path();
    let (queue, state) = (point.join("q"), site.path("state"));
    let mut daemon = Daemon::on(point);
    let words = ["--batch", "50", "--state", state.to_str().unwrap()];
    let tap = site.tap(&queue, &words);
    let server = MetadataServer::start(&site.socket(), Identity::node(12));
    wait_until("the stream", || server.starts() == [0]);
    daemon.kill();
    // The tap takes them, and finds at its first write that there is no queue.
    server.burst(19);
    wait_until("the tap to notice", || tap.said().contains("gone"));
    let mut daemon = Daemon::on(point);
    wait_until("the events", || numbers(&queue, 12).len() == 19);
    assert_numbers(&queue, 12, 0..19);
    tap.end();
    // Once more for each time that it looked for the queue.
    let starts = server.starts();
    assert!(starts.len() > 1 && starts.iter().all(|start| *start == 0), "{starts:?}");
    daemon.end();
}

#[test]
fn what_consumers_have_in_hand_is_not_consumed_and_all_before_it_is() {
    let (site, point) = (Site::new(), Site::new());
    let point = point.dir.path();
    let (queue, state) = (point.join("q"), site.path("state"));
    let mut daemon = Daemon::on(point);
    let tap = site.tap(&queue, &["--sticky", "--state", state.to_str().unwrap()]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 40);
    wait_for_events(&queue, 40);
    let unconsumed = |expected: &str| {
        let expected = format!("\"unconsumed\":{expected}");
        wait_until(&expected, || fs::read_to_string(&state).is_ok_and(|s| s.contains(&expected)));
    };
    let mut slow = eventfs::client::Consumer::open(&queue).unwrap();
    let mut quick = eventfs::client::Consumer::open(&queue).unwrap();
    assert_eq!(slow.take(0, 10).unwrap().len(), 10);
    assert_eq!(quick.take(0, 10).unwrap().len(), 10);
    quick.take(10, 20).unwrap();
    // The slow one has the first ten, the quick one the last twenty; those between are consumed.
    server.burst(1);
    unconsumed("0");
    slow.take(10, 0).unwrap();
    unconsumed("20");
    // There is always something in somebody's hands, and still it goes on.
    for round in 1..4 {
        server.burst(20);
        wait_until("the burst", || queue.join(file(40 + 20 * round)).exists());
        quick.take(if round == 1 { 20 } else { 10 }, 10).unwrap();
        let next = 40 + (round - 1) * 10;
        unconsumed(&next.to_string());
    }
    daemon.kill();
    drop((slow, quick));
    let mut daemon = Daemon::on(point);
    wait_until("what was in hand and what was not", || numbers(&queue, 12).len() == 41);
    assert_numbers(&queue, 12, 60..101);
    tap.end();
    daemon.end();
}

#[test]
fn positions_are_saved_soon_after_a_stall() {
    let (site, mount) = (Site::new(), Mounted::new());
    let (queue, state) = (mount.path("q"), site.path("state"));
    let tap = site.tap(&queue, &["--state", state.to_str().unwrap()]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 20);
    let unconsumed = |msn: u64| {
        let expected = format!("\"unconsumed\":{msn}");
        wait_until(&expected, || fs::read_to_string(&state).is_ok_and(|s| s.contains(&expected)));
    };
    unconsumed(0);
    wait_until("the counters", || {
        let counters = crate::common::get(&queue, "user.tap.beegfs").unwrap_or_default();
        counters.contains("\"written\":20,")
    });
    // The next thing that it asks of the filesystem, within a second, is what is consumed. That takes most of
    // this time, and twenty times that would be beyond all bounds.
    mount.signal(Signal::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    server.burst(1);
    mount.signal(Signal::SIGCONT);
    // Written after that look.
    wait_for_events(&queue, 21);
    for msn in 0..10 {
        fs::remove_file(queue.join(file(msn))).unwrap();
    }
    unconsumed(10);
    assert_eq!(tap.end().count("written"), 21);
}

#[test]
fn a_gap_that_nobody_consumed_outlives_the_filesystem() {
    let (site, point) = (Site::new(), Site::new());
    let point = point.dir.path();
    let (queue, state) = (point.join("q"), site.path("state"));
    let words = ["--sticky", "--state", state.to_str().unwrap()];
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 10);
    let mut daemon = Daemon::on(point);
    let tap = site.tap(&queue, &words);
    wait_for_events(&queue, 10);
    tap.end();
    // Ten more, five of which nobody will see.
    server.burst(10);
    server.ring(|ring| ring.discard_before(15));
    for msn in 0..10 {
        fs::remove_file(queue.join(file(msn))).unwrap();
    }
    let tap = site.tap(&queue, &words);
    wait_until("the gap", || of_type(&queue, "beegfs.gap").len() == 1);
    wait_until("the rest", || numbers(&queue, 12).len() == 5);
    wait_until("the state", || fs::read_to_string(&state).is_ok_and(|s| s.contains("beegfs-gap")));
    let told = of_type(&queue, "beegfs.gap");
    for _ in 0..2 {
        daemon.kill_and_mount_again();
        wait_until("all again", || numbers(&queue, 12).len() == 5);
        assert_eq!(of_type(&queue, "beegfs.gap"), told);
    }
    tap.kill9();
    daemon.kill_and_mount_again();
    let tap = site.tap(&queue, &words);
    wait_until("all again", || numbers(&queue, 12).len() == 5);
    assert_eq!(of_type(&queue, "beegfs.gap"), told);
    tap.end();
    daemon.end();
}

#[test]
fn an_unmounted_mountpoint_stays_empty() {
    let (site, point) = (Site::new(), Site::new());
    let point = point.dir.path();
    let queue = point.join("q");
    let mut daemon = Daemon::on(point);
    let tap = site.tap(&queue, &[]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 3);
    wait_for_events(&queue, 3);
    daemon.end();
    server.burst(5);
    wait_until("the tap to notice", || server.ring(|ring| ring.next()) == 8);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(fs::read_dir(point).unwrap().count(), 0, "or nobody could mount there again");
    let mut daemon = Daemon::on(point);
    wait_until("what was not consumed", || numbers(&queue, 12).len() >= 8);
    tap.end();
    daemon.end();
}
