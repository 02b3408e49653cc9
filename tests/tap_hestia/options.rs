//! Forms, limits, usage.

use std::fs;

use crate::common::{Mounted, is_root, skip, wait_until};
use crate::help::{Site, document, lines, names, sample};

#[test]
fn the_documents_own_bytes_can_be_delivered() {
    let site = Site::new();
    let feed = sample("legacy_feed.yaml");
    site.append(&feed);
    site.once(&["--bare=yaml"]).assert_well();
    let files = names(&site.queue);
    assert_eq!(files.len(), 15);
    let all: String =
        files.iter().map(|name| fs::read_to_string(site.queue.join(name)).unwrap()).collect();
    assert_eq!(all, feed);
}

#[test]
fn bare_is_the_data_alone() {
    let site = Site::new();
    site.append(&document(1));
    site.once(&["--bare"]).assert_well();
    let events = site.lines();
    assert_eq!((&events[0]["kind"], &events[0]["op"]), (&"remove".into(), &"remove".into()));
    assert_eq!(events[0].get("specversion"), None);
}

#[test]
fn types_are_filtered_and_routed() {
    let site = Site::new();
    site.append(&sample("legacy_feed.yaml"));
    let other = site.path("deletes");
    let route = format!("hestia.delete={}", other.display());
    let ended = site.once(&["--route", &route]);
    ended.assert_well();
    assert_eq!((names(&site.queue).len(), names(&other).len()), (12, 3));
    let site = Site::new();
    site.append(&sample("legacy_feed.yaml"));
    let ended = site.once(&["--filter", "hestia.delete"]);
    ended.assert_well();
    assert_eq!((ended.count("filtered"), ended.count("written")), (12, 3));
    // What was filtered does not come again.
    assert_eq!(site.once(&[]).count("received"), 0);
}

#[test]
fn many_events_may_share_a_file() {
    let site = Site::new();
    site.append(&sample("current_feed.yaml"));
    site.once(&["--batch", "100"]).assert_well();
    assert_eq!((names(&site.queue).len(), site.lines().len()), (1, 14));
}

#[test]
fn limits_are_options() {
    let site = Site::new();
    site.append(&sample("legacy_feed.yaml"));
    let ended = site.once(&["--max-document", "100"]);
    assert_eq!((ended.count("unreadable"), ended.count("written")), (12, 15));
    let site = Site::new();
    site.append(&sample("current_feed.yaml"));
    let ended = site.once(&["--max-depth", "3"]);
    assert!(ended.count("unreadable") > 5, "{}", ended.stderr);
    let site = Site::new();
    site.append(&sample("current_feed.yaml"));
    assert!(site.once(&["--max-nodes", "20"]).count("unreadable") > 3);
    let site = Site::new();
    site.append(&sample("current_feed.yaml"));
    assert_eq!(site.once(&["--max-text", "35"]).count("unreadable"), 14);
}

#[test]
fn wrong_usage_is_refused() {
    let site = Site::new();
    let both = site.once(&["--feed", "a", "--feed-listen", "b"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
    let directory = site.once(&["--feed", site.dir.path().to_str().unwrap()]);
    assert_eq!(directory.code, Some(1));
    let line = directory.stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("eventfs: ") && line.ends_with("cannot be a feed"), "{line}");
    assert_eq!(directory.counters, serde_json::Value::Null);
}

#[test]
fn a_full_queue_stops_the_reading_and_loses_nothing() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    crate::common::set(&queue, "user.eventfs_max_events", "5").unwrap();
    let site = Site::new();
    let tap = site.tap(&["--queue", queue.to_str().unwrap()]);
    let text: String = (0..40).map(document).collect();
    site.append(&text);
    let mut seen = Vec::new();
    while seen.len() < 40 {
        wait_until("an event", || queue.join("head").symlink_metadata().is_ok());
        let events = lines(&queue);
        assert!(events.len() <= 5);
        seen.push(events[0]["data"]["id"].clone());
        fs::remove_file(queue.join("head")).unwrap();
    }
    let expected: Vec<String> = (0..40).map(|number| format!("object-{number:06}")).collect();
    assert_eq!(seen, expected);
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("lost")), (40, 0));
    mount.end();
}
