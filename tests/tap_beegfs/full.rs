//! Queues without room, states without a disk: the server keeps what the tap does not take.

use std::fs;
use std::path::Path;

use crate::common::{Mounted, Unmounted, is_root, set, sh_ok, skip, wait_until};
use crate::help::{Site, events, numbers, wait_for_events};
use crate::metadata_server::{Identity, MetadataServer};

/// Consumes through the head until so many events were seen.
fn consume(queue: &Path, count: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    wait_until("events to consume", || {
        while seen.len() < count
            && let Ok(text) = fs::read_to_string(queue.join("head"))
        {
            fs::remove_file(queue.join("head")).expect("ours alone");
            for line in text.lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
                seen.push(line["data"]["msn"].as_u64().expect("a number"));
            }
        }
        seen.len() >= count
    });
    seen
}

/// All numbers up to this one, in order.
fn assert_all(seen: &[u64], count: u64) {
    let wrong = seen.iter().zip(0..).find(|(seen, expected)| **seen != *expected);
    assert_eq!((wrong, seen.len() as u64), (None, count));
}

#[test]
fn a_full_queue_stops_the_reading_and_nothing_is_lost() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.queue("q");
    set(&queue, "user.eventfs_max_events", "20").unwrap();
    let tap = site.tap(&queue, &["--backlog", "0"]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 5_000);
    wait_for_events(&queue, 20);
    let seen = consume(&queue, 5_000);
    assert_all(&seen, 5_000);
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("lost")), (5_000, 0));
    assert!(ended.stderr.contains("full"), "{}", ended.stderr);
    assert_eq!(server.connections(), 1, "no reason to hang up");
}

#[test]
fn a_batch_that_does_not_fit_is_written_in_parts() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.queue("q");
    set(&queue, "user.eventfs_max_bytes", "20000").unwrap();
    let tap = site.tap(&queue, &["--batch", "1000"]);
    let _server = MetadataServer::with_events(&site.socket(), Identity::node(12), 3_000);
    let seen = consume(&queue, 3_000);
    assert_all(&seen, 3_000);
    assert_eq!(tap.end().count("written"), 3_000);
}

#[test]
fn a_tap_killed_at_a_full_queue_brings_nothing_twice() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.queue("q");
    set(&queue, "user.eventfs_max_events", "10").unwrap();
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 200);
    let tap = site.tap(&queue, &[]);
    wait_for_events(&queue, 10);
    let mut seen = consume(&queue, 30);
    wait_for_events(&queue, 10);
    wait_until("the position", || {
        let text = crate::common::get(&queue, "user.tap_state.beegfs").unwrap_or_default();
        let last = numbers(&queue, 12).last().copied().unwrap_or(0);
        text.contains(&format!("\"at\":{last},"))
    });
    tap.kill9();
    let tap = site.tap(&queue, &[]);
    let left = 200 - seen.len();
    seen.extend(consume(&queue, left));
    assert_all(&seen, 200);
    tap.end();
    drop(server);
}

#[test]
fn an_event_that_no_room_helps_is_lost_and_told() {
    let (site, mount) = (Site::new(), Mounted::with("allow_other,max_event=400"));
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--bare"]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 1);
    wait_for_events(&queue, 1);
    let long = eventfs::decode::beegfs::Payload {
        event: 5,
        path: &[b'x'; 500],
        ..eventfs::decode::beegfs::Payload::default()
    };
    let mut payload = Vec::new();
    long.encode(&mut payload);
    server.ring(|ring| ring.push(payload));
    server.burst(1);
    wait_for_events(&queue, 3);
    let names: Vec<String> = events(&queue).into_keys().collect();
    assert!(names[2].starts_with("beegfs-gap-"), "{names:?}");
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("lost"), ended.count("notes")), (2, 1, 1));
}

#[test]
fn a_disk_without_room_for_the_state_is_told_and_the_tap_goes_on() {
    if !is_root() {
        return skip("only root can mount a small disk");
    }
    let (site, mount) = (Site::new(), Mounted::new());
    let disk = site.path("disk");
    fs::create_dir(&disk).unwrap();
    // Two pages, both taken: without the fill there is room for the state and the one that replaces it.
    sh_ok(
        site.dir.path(),
        "mount -t tmpfs -o size=8k,nr_inodes=4 none disk && echo x > disk/fill && ! head -c 8192 /dev/zero >> disk/fill 2>/dev/null",
    );
    let _disk = Unmounted(disk.clone());
    let state = disk.join("state");
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--state", state.to_str().unwrap()]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 10);
    wait_for_events(&queue, 10);
    wait_until("the complaint", || tap.said().contains("No space left on device"));
    fs::remove_file(disk.join("fill")).unwrap();
    server.burst(1);
    wait_until("the state", || {
        fs::read_to_string(&state).is_ok_and(|text| text.contains("\"at\":10,"))
    });
    let ended = tap.end();
    sh_ok(site.dir.path(), "umount disk");
    let told = ended.stderr.lines().filter(|line| line.contains("No space left on device")).count();
    assert_eq!(told, 1, "{}", ended.stderr);
    assert_eq!(ended.count("written"), 11);
}
