//! More events at once than inotify can tell.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::common::{Mounted, wait_until};
use crate::help::{depth, fill, json, put};
use crate::watch::watch;

/// Publishes this many more events quickly: links of one.
fn link_many(queue: &Path, prefix: &str, count: usize) {
    for (part, first) in (0..count).step_by(60_000).enumerate() {
        let source = queue.join(format!(".source-{prefix}-{part}"));
        fs::write(&source, "content").unwrap();
        for number in first..count.min(first + 60_000) {
            fs::hard_link(&source, queue.join(format!("{prefix}{number}"))).unwrap();
        }
        fs::remove_file(source).unwrap();
    }
}

#[test]
fn a_burst_is_told_whole_and_in_order() {
    const COUNT: u64 = 100_000;
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    watch.signal(Signal::SIGSTOP);
    link_many(&queue, "e", COUNT as usize);
    watch.signal(Signal::SIGCONT);
    let mut length = 0;
    wait_until("the last event", || {
        let out = watch.out();
        let last = out.ends_with(b"\n") && out.len() == length;
        length = out.len();
        last && out.windows(9).rev().take(400).any(|window| window == b"\"e99999\",".as_slice())
    });
    let lines = json(&watch.out());
    let numbers = lines.iter().map(|line| line["seq"].as_u64().expect("none is gone"));
    assert!(numbers.eq(1..=COUNT));
    assert!(lines.iter().all(|line| line["data"] == "content"));
    // And it goes on.
    put(&queue.join("after"), "");
    wait_until("one more", || watch.out().len() > length);
}

#[test]
fn what_inotify_could_not_tell_is_told_by_count() {
    const COUNT: usize = 25_000;
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    watch.signal(Signal::SIGSTOP);
    link_many(&queue, "e", COUNT);
    let status = Command::new("find").arg(&queue).args(["-name", "e*", "-delete"]).status();
    assert!(status.unwrap().success());
    assert_eq!(depth(&queue), 0);
    put(&queue.join("last"), "");
    watch.signal(Signal::SIGCONT);
    wait_until("the last event", || watch.lines().iter().any(|line| line.contains("\"last\"")));
    let lines = json(&watch.out());
    let gone: Vec<_> = lines.iter().filter(|line| line["gone"] == true).collect();
    let named: HashSet<&str> = gone.iter().filter_map(|line| line["name"].as_str()).collect();
    let counted: u64 = gone.iter().filter_map(|line| line["count"].as_u64()).sum();
    assert_eq!(named.len() as u64 + counted, COUNT as u64, "each is told once");
    assert!(counted > 0, "inotify's queue was long enough");
    let last = lines.last().unwrap();
    assert_eq!((lines.len(), &last["name"]), (gone.len() + 1, &"last".into()));
}

#[test]
fn a_plain_directory_is_read_after_a_storm() {
    let plain = tempfile::tempdir().unwrap();
    let mut watch = watch(&[plain.path()], &["--json"]);
    put(&plain.path().join("first"), "");
    wait_until("the first", || watch.lines().len() == 1);
    watch.signal(Signal::SIGSTOP);
    let names = fill(plain.path(), "e", 12_000);
    watch.signal(Signal::SIGCONT);
    wait_until("every event", || watch.lines().len() > names.len());
    let lines = json(&watch.out());
    let told: HashSet<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!((told.len(), lines.len()), (names.len() + 1, names.len() + 1));
}

#[test]
fn a_watcher_that_keeps_pace_with_a_consumer_tells_every_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    let mut consumer = eventfs::client::Consumer::open(&queue).unwrap();
    let mut taken = 0;
    for round in 0..20 {
        fill(&queue, &format!("r{round:02}"), 100);
        let batch = consumer.take(taken, 1_000).unwrap();
        taken = batch.len();
    }
    consumer.take(taken, 0).unwrap();
    let total = |lines: &[serde_json::Value]| -> u64 {
        lines.iter().map(|line| line["count"].as_u64().unwrap_or(1)).sum()
    };
    wait_until("every event", || total(&json(watch.lines().join("\n").as_bytes())) >= 2_000);
    let lines = json(watch.lines().join("\n").as_bytes());
    assert_eq!(total(&lines), 2_000);
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other));
}
