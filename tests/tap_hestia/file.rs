//! A growing file: parts of documents, rotation, truncation, rewriting, replacement.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::help::{Site, document, names, number, sample, settle};

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("type")).collect()
}

#[test]
fn a_feed_becomes_files_in_its_order_and_is_read_once() {
    for name in ["legacy_feed.yaml", "current_feed.yaml", "export_reference.yaml"] {
        let site = Site::new();
        site.append(&sample(name));
        let ended = site.once(&[]);
        ended.assert_well();
        let events = site.lines();
        assert_eq!(ended.count("written") as usize, events.len());
        let mut at = 0;
        for (event, file) in events.iter().zip(names(&site.queue)) {
            let data = &event["data"];
            assert_eq!(event["specversion"], "1.0");
            assert_eq!(event["source"], "/hestia/feed.yaml");
            assert_eq!(event["id"], format!("{}/{at}", site.inode()));
            assert_eq!(file, format!("hestia-{:020}-{at:020}.json", site.inode()));
            assert_eq!(event["type"], format!("hestia.{}", data["kind"].as_str().unwrap()));
            assert_eq!((&data["offset"], &data["inode"]), (&json!(at), &json!(site.inode())));
            at += data["length"].as_u64().unwrap();
        }
        assert_eq!(at, fs::metadata(site.feed()).unwrap().len());
        // Nothing is new.
        let again = site.once(&[]);
        again.assert_well();
        assert_eq!(again.count("received"), 0, "{name}");
        assert_eq!(site.lines(), events);
    }
}

#[test]
fn an_operation_of_two_documents_is_told_by_both() {
    let site = Site::new();
    site.append(&sample("legacy_feed.yaml"));
    site.once(&[]).assert_well();
    let moved = |event: &&Value| event["data"]["op"] == "move";
    let events = site.lines();
    let pair: Vec<&Value> = events.iter().filter(moved).collect();
    assert_eq!(pair.len(), 2);
    assert_eq!(pair[0]["type"], "hestia.delete");
    assert_eq!(pair[1]["data"]["source_tier"], 6);
    assert_eq!(pair[1]["data"]["tier"], 4);
    assert_eq!(pair[1]["subject"], "bb2edb20-377b-687c-478c-ea952e9c82b1");
}

#[test]
fn a_deletion_alone_is_delivered_after_a_moment() {
    let site = Site::new();
    let tap = site.tap(&[]);
    site.append(
        "---\n!delete\nid: !!binary YmIyZWRiMjAtMzc3Yi02ODdjLTQ3OGMtZWE5NTJlOWM4MmIxNg==\n...\n",
    );
    let events = site.wait_for(1);
    assert_eq!(events[0]["data"]["op"], "remove");
    tap.end();
}

#[test]
fn a_file_that_is_not_there_is_waited_for() {
    let site = Site::new();
    let tap = site.tap(&[]);
    settle();
    site.append(&document(1));
    assert_eq!(number(&site.wait_for(1)[0]), Some(1));
    site.append(&document(2));
    site.wait_for(2);
    let ended = tap.end();
    assert_eq!(ended.count("written"), 2);
    assert_eq!(ended.count("notes"), 0);
    // Once, and before anything else: the path may be a slip.
    let said = ended.stderr.lines().filter(|line| line.contains("feed.yaml: is not there")).count();
    assert_eq!(said, 1, "{}", ended.stderr);
}

#[test]
fn a_document_without_its_end_is_held() {
    let site = Site::new();
    let tap = site.tap(&[]);
    let whole = document(1);
    let (head, tail) = whole.split_at(whole.len() - 1);
    site.append(head);
    settle();
    assert_eq!(names(&site.queue).len(), 0);
    site.append(tail);
    site.wait_for(1);
    // Without `...` the next document is the proof.
    site.append("--- !read\nid: a\ntime: 1\n");
    settle();
    assert_eq!(names(&site.queue).len(), 1);
    site.append("--- !read\nid: b\ntime: 1\n");
    assert_eq!(site.wait_for(2)[1]["data"]["id"], "a");
    tap.end();
    // The end of the tap proves nothing, nor does the end of the file.
    assert_eq!(names(&site.queue).len(), 2);
    site.once(&[]).assert_well();
    assert_eq!(names(&site.queue).len(), 2);
    site.append("...\n");
    site.once(&[]).assert_well();
    assert_eq!(site.wait_for(3)[2]["data"]["id"], "b");
}

#[test]
fn every_cut_of_a_file_holds_back() {
    let feed = sample("legacy_feed.yaml");
    let whole: Vec<usize> = feed.match_indices("\n...\n").map(|(at, _)| at + 5).collect();
    let site = Site::new();
    // One tap over the whole growth, in steps that meet every kind of place.
    let tap = site.tap(&[]);
    let mut at = 0;
    for step in (1..40).cycle() {
        let next = (at + step * 7).min(1_600);
        site.append(&feed[at..next]);
        at = next;
        std::thread::sleep(Duration::from_millis(3));
        let proven = whole.iter().filter(|end| **end <= at).count();
        assert!(names(&site.queue).len() <= proven, "at {at}");
        if at == 1_600 {
            break;
        }
    }
    let proven = whole.iter().filter(|end| **end <= at).count();
    site.wait_for(proven);
    tap.end();
}

#[test]
fn rotation_by_rename_is_no_reset() {
    let site = Site::new();
    let tap = site.tap(&[]);
    site.append(&document(0));
    site.wait_for(1);
    for turn in 1..4 {
        fs::rename(site.feed(), site.path(&format!("old.{turn}"))).unwrap();
        // Somebody still has the old one open.
        crate::help::append(&site.path(&format!("old.{turn}")), &document(turn * 10));
        site.append(&document(turn * 10 + 1));
        site.wait_for(1 + turn * 2);
    }
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("notes")), (7, 0));
    let mut numbers: Vec<_> = site.lines().iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 10, 11, 20, 21, 30, 31]);
    assert!(!names(&site.queue).iter().any(|name| name.contains("-r")), "{:?}", names(&site.queue));
}

#[test]
fn a_rotated_file_may_still_complete_its_last_document() {
    let site = Site::new();
    let tap = site.tap(&[]);
    let whole = document(1);
    site.append(&whole[..30]);
    settle();
    fs::rename(site.feed(), site.path("old")).unwrap();
    site.append(&document(2));
    settle();
    crate::help::append(&site.path("old"), &whole[30..]);
    let events = site.wait_for(2);
    let mut numbers: Vec<_> = events.iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    tap.end();
}

#[test]
fn what_never_gets_its_end_is_told_with_its_place() {
    let site = Site::new();
    let tap = site.tap(&[]);
    site.append(&document(1));
    let start = fs::metadata(site.feed()).unwrap().len();
    site.append("--- !delete\nid: cut");
    site.wait_for(1);
    fs::rename(site.feed(), site.path("old")).unwrap();
    site.append(&document(2));
    let events = site.wait_for(3);
    let broken = events.iter().find(|event| event["type"] == "hestia.unreadable").unwrap();
    assert_eq!(broken["data"]["reason"], "truncated document");
    assert_eq!((&broken["data"]["offset"], &broken["data"]["length"]), (&json!(start), &json!(19)));
    assert_eq!(broken["data"]["raw_base64"], "LS0tICFkZWxldGUKaWQ6IGN1dA==");
    let ended = tap.end();
    assert_eq!((ended.count("unreadable"), ended.count("written")), (1, 3));
}

#[test]
fn truncation_and_rewriting_are_resets() {
    let site = Site::new();
    let tap = site.tap(&[]);
    site.append(&(document(1) + &document(2)));
    site.wait_for(2);
    let inode = site.inode();
    let old = fs::metadata(site.feed()).unwrap().len();
    // copytruncate, and a shorter new content.
    fs::write(site.feed(), "").unwrap();
    site.append(&document(3));
    let reset = |reason: &str, notes: usize| {
        let events = site.wait_for(2 + notes * 2);
        let resets = events.iter().filter(|event| event["type"] == "hestia.reset").cloned();
        let resets: Vec<Value> = resets.collect();
        assert_eq!(resets.len(), notes);
        let last = resets.last().unwrap()["data"].clone();
        assert_eq!(last["reason"], reason);
        assert_eq!(last["new"], json!({"inode": inode, "offset": 0}));
        last
    };
    let data = reset("feed truncated", 1);
    assert_eq!(data["old"], json!({"inode": inode, "offset": old}));
    assert!(names(&site.queue).contains(&format!("hestia-{inode:020}-r1-{:020}.json", 0)));
    let third = site.lines().into_iter().find(|event| number(event) == Some(3)).unwrap();
    assert_eq!(third["id"], format!("{inode}/r1/0"));
    // The same size, other bytes.
    fs::write(site.feed(), document(4)).unwrap();
    reset("feed rewritten", 2);
    assert!(names(&site.queue).contains(&format!("hestia-{inode:020}-r2-{:020}.json", 0)));
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("notes")), (4, 2));
}

#[test]
fn replacement_is_a_reset_whatever_the_length() {
    let site = Site::new();
    let tap = site.tap(&[]);
    site.append(&(document(1) + &document(2)));
    site.wait_for(2);
    let mut inode = site.inode();
    let mut count = 2;
    for (turn, documents) in [1, 5].into_iter().enumerate() {
        let text: String = (0..documents).map(|number| document(100 * turn + number)).collect();
        fs::write(site.path("new"), text).unwrap();
        fs::rename(site.path("new"), site.feed()).unwrap();
        count += documents + 1;
        let events = site.wait_for(count);
        let resets = events.iter().filter(|event| event["type"] == "hestia.reset");
        let last = resets.max_by_key(|event| event["time"].as_str().unwrap().to_owned()).unwrap();
        assert_eq!(last["data"]["reason"], "feed replaced");
        assert_eq!(last["data"]["old"]["inode"], inode);
        inode = site.inode();
        assert_eq!(last["data"]["new"]["inode"], inode);
        let name = format!("hestia-{inode:020}-r{}-{:020}.json", turn + 1, 0);
        assert!(names(&site.queue).contains(&name), "{name}");
    }
    tap.end();
}

#[test]
fn broken_documents_are_events_and_do_not_stop_the_feed() {
    let site = Site::new();
    site.append("--- !oops\nid: a\n...\n");
    site.append(&document(1));
    site.append("--- !delete {id: [\n--- !delete\nid: eA==\n...\n");
    let ended = site.once(&[]);
    ended.assert_well();
    let events = site.lines();
    assert_eq!(
        types(&events),
        ["hestia.unreadable", "hestia.remove", "hestia.unreadable", "hestia.delete"]
    );
    assert_eq!((ended.count("unreadable"), ended.count("written")), (2, 4));
    assert_eq!(events[0]["data"]["reason"], "unknown root tag !oops");
}

#[test]
fn two_megabytes_of_harm_cost_one_event_and_little_time() {
    let site = Site::new();
    let start = std::time::Instant::now();
    for piece in ["[", "{", "- ", "? ", "\"x", "&a "] {
        site.append(&format!("--- !upsert\n{}\n...\n", piece.repeat(2_000_000 / piece.len())));
    }
    site.append(&document(1));
    let ended = site.once(&[]);
    ended.assert_well();
    assert_eq!((ended.count("unreadable"), ended.count("written")), (6, 7));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let metadata = fs::metadata(site.queue.join(&names(&site.queue)[0])).unwrap();
    assert!(metadata.size() < 100_000, "no more than the first 64 KiB are shown");
}
