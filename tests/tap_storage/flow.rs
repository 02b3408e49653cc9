//! Sources that go on, queues that are full or go, floods.

use std::fs::{self, File};
use std::io::Write;

use nix::sys::stat::Mode;

use crate::common::{Mounted, is_root, set, skip, wait_until};
use crate::help::{Site, events, records};

#[test]
fn a_pipe_is_read_until_its_writers_are_gone() {
    let site = Site::new();
    let pipe = site.path("pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut tap = site.start(&[&format!("--kmsg={}", pipe.display())]);
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    writer.write_all(b"6,1,2,-;md: md0 stopped.\n").unwrap();
    site.wait_for("storage.md_array_stopped", 1);
    writer
        .write_all(b"6,2,3,-;md/raid1:md0: Disk failure on sda, disabling device.\n SUB")
        .unwrap();
    drop(writer);
    let ended = tap.wait();
    assert_eq!((ended.code, ended.count("written")), (Some(0), 2));
}

#[test]
fn a_file_that_is_followed_grows() {
    let site = Site::new();
    let log = site.file("log", records(&["md: md0 stopped."]));
    let tap = site.start(&[&format!("--kmsg={}", log.display()), "--follow"]);
    site.wait_for("storage.md_array_stopped", 1);
    let mut file = File::options().append(true).open(&log).unwrap();
    file.write_all(b"6,2,3,-;md: md1 stopped.\n").unwrap();
    site.wait_for("storage.md_array_stopped", 2);
    tap.end();
    file.write_all(b"6,3,4,-;md: md2 stopped.\n").unwrap();
    let tap = site.start(&[&format!("--kmsg={}", log.display()), "--follow"]);
    site.wait_for("storage.md_array_stopped", 3);
    assert_eq!(tap.end().count("written"), 1, "it goes on where it was");
}

#[test]
fn the_newest_are_those_to_come() {
    let site = Site::new();
    let log = site.file("log", records(&["md: md0 stopped."]));
    let tap = site.start(&[&format!("--kmsg={}", log.display()), "--follow", "--from", "newest"]);
    File::options()
        .append(true)
        .open(&log)
        .unwrap()
        .write_all(b"6,2,3,-;md: md1 stopped.\n")
        .unwrap();
    site.wait_for("storage.md_array_stopped", 1);
    assert_eq!(tap.end().count("received"), 1);
}

#[test]
fn a_flood_comes_in_numbers() {
    let site = Site::new();
    let mut texts = vec!["I/O error, dev sda, sector 8"; 30];
    texts.push("I/O error, dev sdb, sector 8");
    let log = site.file("log", records(&texts));
    let ended = site.read(&log, &["--flood", "10"]);
    assert_eq!(
        (ended.count("written"), ended.count("filtered"), ended.count("notes")),
        (11, 20, 1)
    );
    let summary =
        site.events().into_iter().find(|(_, event)| event["type"] == "storage.events_suppressed");
    let (name, event) = summary.unwrap();
    assert!(name.ends_with("-00000000000000000030-3.json"), "{name}");
    let extension = &event["data"]["extension"];
    assert_eq!(
        (&extension["count"], &extension["event_types"]),
        (&"20".into(), &"BLOCK_IO_ERROR: 20".into())
    );
    assert_eq!((&extension["first"], &extension["last"]), (&"11".into(), &"30".into()));
    let all = Site::new();
    assert_eq!(all.read(&log, &[]).count("written"), 31, "a file is no flood");
}

#[test]
fn a_full_queue_stops_the_reading_and_loses_nothing() {
    if !is_root() {
        return skip("mounting needs root");
    }
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_max_events", "3").unwrap();
    let site = Site::new();
    let log = site.file("log", records(&["md: md0 stopped."; 10]));
    let mut tap = site.start_into(&queue, &["--shared", &format!("--kmsg={}", log.display())]);
    let mut seen = Vec::new();
    while seen.len() < 10 {
        wait_until("an event", || fs::read_link(queue.join("head")).is_ok());
        let name = fs::read_link(queue.join("head")).unwrap();
        assert!(events(&queue).len() <= 3);
        seen.push(name.into_os_string().into_string().unwrap());
        fs::remove_file(queue.join("head")).unwrap();
    }
    assert_eq!(tap.wait().code, Some(0));
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(seen, sorted, "in order, each once");
}

#[test]
fn a_queue_that_goes_is_filled_again_with_what_nobody_consumed() {
    if !is_root() {
        return skip("mounting needs root");
    }
    let mounted = Mounted::new();
    let queue = mounted.path("q");
    let site = Site::new();
    let log = site.file("log", records(&["md: md0 stopped."; 4]));
    let kmsg = format!("--kmsg={}", log.display());
    let tap = site.start_into(&queue, &["--sticky", "--follow", &kmsg]);
    wait_until("four events", || events(&queue).len() == 4);
    fs::remove_file(queue.join("head")).unwrap();
    // Long enough for the tap to see what is consumed.
    std::thread::sleep(std::time::Duration::from_millis(1800));
    xattr::remove(&queue, "user.eventfs_sticky").unwrap();
    wait_until("the end of the queue and the next one", || {
        events(&queue)
            .iter()
            .map(|(name, _)| name.clone())
            .eq((2..=4).map(|n| format!("storage-{}-{n:020}.json", crate::help::boot())))
    });
    tap.end();
}
