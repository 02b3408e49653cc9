//! What of it goes into which queue, and what a full queue does.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::help::{Place, Tap, events, free_port, object, post};
use crate::common::{Mounted, set, wait_until};

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

/// One of each category, and one that cannot be read.
const MIXED: [&str; 5] =
    ["1 3 name=v;force=0", "1 97 client_uid=a", "1 80 volume=v", "1 999 a=b", "garbage"];

fn send_mixed(place: &Place, args: &[&str]) -> Value {
    let tap = place.tap(&[&[&*place.socket()], args].concat());
    MIXED.iter().for_each(|text| place.send(text));
    wait_until("all are counted", || tap.counters()["received"] == MIXED.len());
    tap.end()
}

#[test]
fn categories_choose_and_what_has_none_always_comes() {
    let place = Place::new();
    let counters = send_mixed(&place, &["--category", "user,cluster"]);
    assert_eq!(
        types(&place.events()),
        [
            "gluster.volume_start",
            "gluster.quorum_lost",
            "gluster.unknown_999",
            "gluster.unreadable",
        ]
    );
    assert_eq!(counters["filtered"], 1);
    let output = place.command("q", &["--udp", "default", "--category", "weather"]).output();
    assert_eq!(output.expect("output").status.code(), Some(2));
}

#[test]
fn patterns_have_every_spelling() {
    for pattern in ["Volume.*", "VOLUME_*", "gluster.volume_*", "@user", "volume_star?"] {
        let place = Place::new();
        let counters = send_mixed(&place, &["--filter", pattern]);
        assert_eq!(types(&place.events()), ["gluster.volume_start"], "{pattern}");
        assert_eq!(counters["filtered"], 4);
    }
    let place = Place::new();
    let other = place.path("other");
    let route = format!("@cluster={}", other.display());
    send_mixed(&place, &["--exclude", "Client.*", "--route", &route]);
    assert_eq!(place.events().len(), 3);
    assert_eq!(types(&events(&other)), ["gluster.quorum_lost"]);
}

#[test]
fn what_is_disabled_is_left_out_at_once() {
    let place = Place::new();
    let tap = place.tap(&[&place.socket()]);
    place.send("1 97 client_uid=a");
    place.wait_for(1);
    place.run_ok("config set disable Client.*,@user");
    let filtered = || tap.counters()["filtered"].as_u64().expect("a number");
    wait_until("the setting holds", || {
        place.send("1 99 client_uid=a");
        filtered() > 0
    });
    let before = place.events().len();
    place.send("1 3 name=v");
    place.send("1 80 volume=v");
    assert_eq!(types(&place.wait_for(before + 1))[before..], ["gluster.quorum_lost"]);
    place.run_ok("config reset disable");
    wait_until("the setting is gone", || {
        place.send("1 3 name=v");
        place.events().len() > before + 1
    });
    tap.end();
}

#[test]
fn one_fact_from_many_nodes_is_one_event_if_asked_for() {
    for (args, count) in [(&["--merge", "60"][..], 2), (&[][..], 6)] {
        let place = Place::new();
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let tap = place.tap(&[&["--webhook", &address], args].concat());
        for volume in ["a", "b"] {
            for node in ["x", "y", "z"] {
                let body = serde_json::json!({"event": "QUORUM_LOST", "nodeid": node, "ts": 1,
                    "message": {"volume": volume}});
                assert_eq!(post(port, "/listen", "", &body.to_string()), 200);
            }
        }
        assert_eq!(place.wait_for(count).len(), count);
        assert_eq!(tap.end()["duplicate"], 6 - count);
    }
}

#[test]
fn a_batch_has_one_line_an_event_and_bare_lines_are_data() {
    let place = Place::new();
    let tap = place.tap(&[&place.socket(), "--batch", "50", "--bare"]);
    for n in 0..200 {
        place.send(format!("1 5 name={n}"));
    }
    let events = place.wait_for(200);
    tap.end();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["message"]["name"], n.to_string());
        assert!(event.get("specversion").is_none());
    }
}

#[test]
fn a_full_queue_fills_the_backlog_and_then_the_webhook_says_503() {
    if !Path::new("/dev/fuse").exists() {
        return crate::common::skip("no /dev/fuse");
    }
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_max_events", "3").expect("limit");
    let place = Place::new();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let args = ["--webhook", &address, "--backlog", "5"];
    let tap = Tap::start(place.command(queue.to_str().expect("text"), &args));
    let statuses: Vec<u16> =
        (0..12).map(|n| post(port, "/", "", &object("E", &n.to_string()))).collect();
    let taken = statuses.iter().filter(|status| **status == 200).count();
    // Three in the queue, one that found no room, five behind it.
    assert_eq!(statuses[taken..], vec![503; 12 - taken], "{statuses:?}");
    assert_eq!(taken, 9);
    let counters = tap.counters();
    assert_eq!((&counters["lost"], &counters["backlog"]), (&0.into(), &6.into()));
    let mut seen = Vec::new();
    while seen.len() < taken {
        wait_until("an event", || queue.join("head").exists());
        let text = fs::read_to_string(queue.join("head")).expect("read");
        let event: Value = serde_json::from_str(&text).expect("JSON");
        seen.push(event["data"]["message"]["name"].as_str().expect("text").to_owned());
        fs::remove_file(queue.join("head")).expect("pop");
    }
    assert_eq!(seen, (0..taken).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(post(port, "/", "", &object("E", "again")), 200);
    assert_eq!(tap.end()["lost"], 0);
}
