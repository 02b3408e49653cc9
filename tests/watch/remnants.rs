//! What the kernel keeps of events that nobody unlinked by name is given back when nothing goes on:
//! seen in the debug log, where the kernel says FORGET for each.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{EVENTFS, Mounted, set, wait_until, write};

struct Logged {
    mounted: Mounted,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Logged {
    fn with(options: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let log = dir.path().join("log");
        let errors = File::create(&log).expect("log");
        let mounted = Mounted::start_to(&["-d", "-o", options], errors);
        Self { mounted, log, _dir: dir }
    }

    fn wait_forgotten(&self, events: &[u64]) {
        wait_until("the kernel to forget the events", || {
            let forgotten = forgotten(&fs::read_to_string(&self.log).expect("log"));
            events.iter().all(|ino| forgotten.contains(ino))
        });
    }
}

/// The inodes that a log says the kernel forgot, one by one or many at once.
fn forgotten(log: &str) -> BTreeSet<u64> {
    let mut inos = BTreeSet::new();
    for line in log.lines() {
        if let (true, Some((_, rest))) = (line.contains(" FORGET "), line.split_once("ino 0x")) {
            inos.extend(rest.split(' ').next().and_then(|hex| u64::from_str_radix(hex, 16).ok()));
        }
        let many = line.split("nodeid: ").skip(1).filter_map(|rest| rest.split(',').next());
        inos.extend(many.filter_map(|number| number.parse::<u64>().ok()));
    }
    inos
}

/// Puts events; returns their inode numbers.
fn put(queue: &Path, count: usize) -> Vec<u64> {
    let put = |number| {
        let path = queue.join(format!("e{number:04}"));
        write(&path, "some content").expect("put");
        fs::metadata(&path).expect("stat").ino()
    };
    (0..count).map(put).collect()
}

#[test]
fn the_reader_of_the_log_sees_both_forms() {
    let log = "eventfs: FUSE( 44) ino 0x000000000000000a FORGET nlookup 1 thread=fuser-0\n\
               eventfs: FUSE( 56) ino 0x0000000000000000 BATCHFORGET nodes [fuse_forget_one { \
               nodeid: 16, nlookup: 1 }, fuse_forget_one { nodeid: 24, nlookup: 1 }]";
    assert_eq!(forgotten(log).into_iter().collect::<Vec<_>>(), [10, 16, 24]);
}

#[test]
fn the_kernel_forgets_events_popped_through_head_and_tail() {
    let logged = Logged::with("allow_other");
    let queue = logged.mounted.queue("q");
    let events = put(&queue, 600);
    for number in 0..600 {
        let link = queue.join(if number % 2 == 0 { "head" } else { "tail" });
        // Read, so that it is in the page cache as well.
        assert_eq!(fs::read_to_string(&link).expect("read"), "some content");
        fs::remove_file(link).expect("pop");
    }
    logged.wait_forgotten(&events);
}

#[test]
fn the_kernel_forgets_events_taken_by_pop() {
    let logged = Logged::with("allow_other");
    let queue = logged.mounted.queue("q");
    let events = put(&queue, 20);
    let output = Command::new(EVENTFS).args(["pop", "--all"]).arg(&queue).output().expect("pop");
    assert!(output.status.success());
    logged.wait_forgotten(&events);
}

#[test]
fn the_kernel_forgets_dropped_and_expired_events_that_inotify_is_not_told_of() {
    let logged = Logged::with("allow_other,notify=off");
    let queue = logged.mounted.queue("q");
    let events = put(&queue, 20);
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    set(&queue, "user.eventfs_max_events", "5").expect("limit");
    write(queue.join("last"), "x").expect("put");
    logged.wait_forgotten(&events[..15]);
    set(&queue, "user.eventfs_ttl", "1").expect("ttl");
    logged.wait_forgotten(&events);
}

#[test]
fn what_is_still_used_is_not_forgotten() {
    let logged = Logged::with("allow_other");
    let (queue, other) = (logged.mounted.queue("q"), logged.mounted.queue("other"));
    let events = put(&queue, 2);
    let mut held = File::open(queue.join("head")).expect("open");
    fs::hard_link(queue.join("e0001"), other.join("linked")).expect("link");
    let mut linked = File::open(other.join("linked")).expect("open");
    fs::remove_file(queue.join("head")).expect("pop");
    fs::remove_file(queue.join("head")).expect("pop");
    // Others come and go, and are forgotten.
    let more = put(&queue, 3);
    for _ in &more {
        fs::remove_file(queue.join("head")).expect("pop");
    }
    logged.wait_forgotten(&more);
    for file in [&mut held, &mut linked] {
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "some content");
    }
    assert_eq!(fs::metadata(other.join("linked")).expect("stat").ino(), events[1]);
    assert_eq!(held.metadata().expect("fstat").ino(), events[0]);
    drop((held, linked));
    fs::remove_file(other.join("head")).expect("pop");
    logged.wait_forgotten(&events);
}
