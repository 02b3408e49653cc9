//! Going on after an end: positions, rotation and replacement meanwhile, queues that go.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::common::{Mounted, is_root, set, skip, wait_until};
use crate::help::{Site, append, document, lines, names, number, settle};

fn numbers(events: &[Value]) -> Vec<usize> {
    let mut numbers: Vec<usize> = events.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn resets(events: &[Value]) -> Vec<Value> {
    let resets = events.iter().filter(|event| event["type"] == "hestia.reset");
    resets.map(|event| event["data"].clone()).collect()
}

#[test]
fn a_state_file_is_gone_on_from() {
    let site = Site::new();
    let state = site.path("state");
    let words = ["--state", state.to_str().unwrap()];
    site.append(&(document(1) + &document(2)));
    assert_eq!(site.once(&words).count("written"), 2);
    site.append(&document(3));
    let ended = site.once(&words);
    assert_eq!((ended.count("received"), ended.count("written")), (1, 1));
    assert_eq!(numbers(&site.lines()), [1, 2, 3]);
    fs::write(&state, "no state").unwrap();
    let refused = site.once(&words);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("state"), "{}", refused.stderr);
}

#[test]
fn a_file_rotated_meanwhile_is_read_to_its_end_first() {
    let site = Site::new();
    site.append(&document(1));
    site.once(&[]).assert_well();
    site.append(&document(2));
    fs::rename(site.feed(), site.path("feed.yaml.1")).unwrap();
    site.append(&document(3));
    let ended = site.once(&[]);
    ended.assert_well();
    assert_eq!((ended.count("written"), ended.count("notes")), (2, 0), "{}", ended.stderr);
    assert_eq!(numbers(&site.lines()), [1, 2, 3]);
    // And its name may not have been taken yet.
    fs::rename(site.feed(), site.path("feed.yaml.2")).unwrap();
    append(&site.path("feed.yaml.2"), &document(4));
    let tap = site.tap(&[]);
    site.wait_for(4);
    site.append(&document(5));
    site.wait_for(5);
    tap.end();
    assert!(resets(&site.lines()).is_empty());
}

#[test]
fn files_that_came_and_went_while_nobody_looked_are_read_in_their_order() {
    let site = Site::new();
    site.append(&document(1));
    site.once(&[]).assert_well();
    site.append(&document(2));
    for turn in 0..3 {
        fs::rename(site.feed(), site.path(&format!("feed.yaml-2026112{turn}"))).unwrap();
        settle();
        site.append(&document(10 + turn));
    }
    // What an editor or a copy leaves is no rotated feed.
    fs::copy(site.path("feed.yaml-20261120"), site.path("feed.yaml.bak")).unwrap();
    let ended = site.once(&[]);
    ended.assert_well();
    assert_eq!((ended.count("written"), ended.count("notes")), (4, 0), "{}", ended.stderr);
    assert_eq!(numbers(&site.lines()), [1, 2, 10, 11, 12]);
    // The same for a tap that lives and does not come to look.
    let tap = site.tap(&[]);
    let pid = Pid::from_raw(tap.child.id().cast_signed());
    site.append(&document(13));
    site.wait_for(6);
    kill(pid, Signal::SIGSTOP).unwrap();
    for turn in 3..5 {
        fs::rename(site.feed(), site.path(&format!("feed.yaml-2026112{turn}"))).unwrap();
        settle();
        site.append(&document(11 + turn));
    }
    kill(pid, Signal::SIGCONT).unwrap();
    assert_eq!(numbers(&site.wait_for(8)), [1, 2, 10, 11, 12, 13, 14, 15]);
    let ended = tap.end();
    assert_eq!((ended.count("duplicate"), ended.count("notes")), (0, 0), "{}", ended.stderr);
}

#[test]
fn a_rotated_feed_that_is_compressed_before_it_was_read_is_a_gap() {
    let site = Site::new();
    site.append(&document(1));
    site.once(&[]).assert_well();
    fs::rename(site.feed(), site.path("feed.yaml.3")).unwrap();
    settle();
    // As gzip leaves it: a new file with the time of the old one.
    fs::write(site.path("feed.yaml.2.gz"), b"\x1f\x8b\x08 and so on").unwrap();
    settle();
    site.append(&document(2));
    fs::rename(site.feed(), site.path("feed.yaml.1")).unwrap();
    settle();
    site.append(&document(3));
    let ended = site.once(&[]);
    ended.assert_well();
    assert_eq!((ended.count("written"), ended.count("notes")), (2, 1), "{}", ended.stderr);
    let events = site.lines();
    assert_eq!(numbers(&events), [1, 2, 3]);
    let gap = events.iter().find(|event| event["type"] == "hestia.gap").unwrap();
    let inode = fs::metadata(site.path("feed.yaml.2.gz")).unwrap().ino();
    let told = json!({
        "feed": "feed.yaml", "inode": inode, "first": 0, "last": null, "count": null,
        "reason": "a rotated feed is compressed",
    });
    assert_eq!(gap["data"], told);
    // And once is enough.
    assert_eq!(site.once(&[]).count("notes"), 0);
}

#[test]
fn a_feed_that_was_rewritten_when_the_queue_went_too_is_a_reset() {
    let site = Site::new();
    let state = site.path("state");
    let words = ["--state", state.to_str().unwrap()];
    site.append(&(document(1) + &document(2)));
    site.once(&words).assert_well();
    fs::remove_file(site.queue.join(&names(&site.queue)[0])).unwrap();
    // The tap sees that the first is consumed.
    site.once(&words).assert_well();
    fs::remove_dir_all(&site.queue).unwrap();
    fs::write(site.feed(), document(5) + &document(6) + &document(7)).unwrap();
    site.once(&words).assert_well();
    let events = site.lines();
    assert_eq!(numbers(&events), [5, 6, 7]);
    assert_eq!(resets(&events)[0]["reason"], "feed rewritten");
}

#[test]
fn what_was_not_saved_as_written_when_its_file_was_left_comes_again() {
    let site = Site::new();
    let state = site.path("state");
    let words = ["--state", state.to_str().unwrap()];
    let saved = || -> Value { serde_json::from_slice(&fs::read(&state).unwrap()).unwrap() };
    site.append(&document(1));
    site.once(&words).assert_well();
    let before = saved();
    site.append(&document(2));
    fs::rename(site.feed(), site.path("feed.yaml.1")).unwrap();
    site.append(&document(3));
    site.once(&words).assert_well();
    // As if the tap had been killed after the first event of the new file, and before it wrote what it
    // had gathered of the old one.
    let mut after = saved();
    after["streams"][0]["written"] = before["streams"][0]["written"].clone();
    fs::write(&state, after.to_string()).unwrap();
    for name in
        names(&site.queue).iter().filter(|name| !name.ends_with("-00000000000000000000.json"))
    {
        fs::remove_file(site.queue.join(name)).unwrap();
    }
    assert_eq!(numbers(&site.lines()), [1, 3]);
    let ended = site.once(&words);
    ended.assert_well();
    assert_eq!((ended.count("written"), ended.count("notes")), (1, 0), "{}", ended.stderr);
    assert_eq!(numbers(&site.lines()), [1, 2, 3]);
}

#[test]
fn a_file_replaced_truncated_or_rewritten_meanwhile_is_a_reset() {
    let site = Site::new();
    site.append(&(document(1) + &document(2)));
    site.once(&[]).assert_well();
    let old = json!({"inode": site.inode(), "offset": fs::metadata(site.feed()).unwrap().len()});
    fs::write(site.path("new"), document(3)).unwrap();
    fs::rename(site.path("new"), site.feed()).unwrap();
    site.once(&[]).assert_well();
    let told = resets(&site.lines());
    assert_eq!((told.len(), &told[0]["old"]), (1, &old));
    assert_eq!(told[0]["reason"], "feed replaced");
    fs::write(site.feed(), "").unwrap();
    site.once(&[]).assert_well();
    assert_eq!(resets(&site.lines())[1]["reason"], "feed truncated");
    site.append(&document(4));
    site.once(&[]).assert_well();
    fs::write(site.feed(), document(5) + &document(6)).unwrap();
    site.once(&[]).assert_well();
    let events = site.lines();
    assert_eq!(resets(&events)[2]["reason"], "feed rewritten");
    assert_eq!(numbers(&events), [1, 2, 3, 4, 5, 6]);
    let name = format!("hestia-{:020}-r3-{:020}.json", site.inode(), 0);
    assert!(names(&site.queue).contains(&name), "{:?}", names(&site.queue));
}

#[test]
fn oldest_and_newest_override_the_state() {
    let site = Site::new();
    site.append(&(document(1) + &document(2)));
    site.once(&["--from", "newest"]).assert_well();
    assert!(names(&site.queue).is_empty());
    let tap = site.tap(&["--from", "newest"]);
    wait_until("the tap", || site.queue.exists());
    std::thread::sleep(std::time::Duration::from_millis(300));
    site.append(&document(3));
    assert_eq!(numbers(&site.wait_for(1)), [3]);
    tap.end();
    let ended = site.once(&["--from", "oldest"]);
    ended.assert_well();
    assert_eq!((ended.count("written"), ended.count("duplicate")), (2, 1), "{}", ended.stderr);
    assert_eq!(numbers(&site.lines()), [1, 2, 3]);
}

#[test]
fn newest_begins_behind_the_last_whole_document() {
    let site = Site::new();
    let text = document(2);
    site.append(&(document(1) + &text[..20]));
    let tap = site.tap(&["--from", "newest"]);
    wait_until("the tap", || site.queue.exists());
    std::thread::sleep(std::time::Duration::from_millis(300));
    site.append(&text[20..]);
    assert_eq!(numbers(&site.wait_for(1)), [2]);
    tap.end();
}

#[test]
fn what_comes_again_is_known_by_its_first_time_of_arrival() {
    let site = Site::new();
    let state = site.path("state");
    let words = ["--state", state.to_str().unwrap()];
    let text = "--- !upsert\nid: eA==\nxattrs: {a: b}\n...\n--- !delete\nid: eA==\n...\n";
    site.append(&document(1));
    site.once(&words).assert_well();
    let before = fs::read(&state).unwrap();
    site.append(text);
    site.once(&words).assert_well();
    let events = site.lines();
    assert_eq!(events.len(), 3);
    // As if the tap had been killed before it saved.
    fs::write(&state, before).unwrap();
    let ended = site.once(&words);
    ended.assert_well();
    assert_eq!((ended.count("duplicate"), ended.count("written")), (2, 0), "{}", ended.stderr);
    assert_eq!(site.lines(), events);
}

#[test]
fn what_was_inferred_survives_a_restart() {
    let site = Site::new();
    let update = |time: u32, tier: u32| {
        format!(
            "--- !update\nid: a\ntime: {time}\nattrs: {{size: 1, tiers: [{{index: {tier}, extents: []}}]}}\n...\n"
        )
    };
    site.append(&update(1, 1));
    site.once(&[]).assert_well();
    site.append(&update(2, 5));
    site.once(&[]).assert_well();
    let events = site.lines();
    assert_eq!(events[0]["data"]["op"], "unknown");
    assert_eq!(events[1]["data"]["op"], "move");
}

#[test]
fn a_queue_that_goes_is_made_anew_and_gets_what_nobody_had_consumed() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let site = Site::new();
    let queue = mount.path("hestia");
    let words = ["--queue", queue.to_str().unwrap(), "--sticky"];
    let tap = site.tap(&words);
    for turn in 0..6 {
        site.append(&document(turn));
    }
    wait_until("six events", || lines(&queue).len() == 6);
    // Two are consumed, and the tap has had time to see that.
    for _ in 0..2 {
        fs::remove_file(queue.join("head")).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(2_000));
    // Nobody rotates in vain: what is wanted again is in two files by now.
    fs::rename(site.feed(), site.path("feed.yaml.1")).unwrap();
    site.append(&document(6));
    wait_until("the seventh", || lines(&queue).len() == 5);
    std::thread::sleep(std::time::Duration::from_millis(2_000));
    xattr::remove(&queue, "user.eventfs_sticky").unwrap();
    set(&queue, "user.eventfs_owner", &dead_soon()).unwrap();
    wait_until("the queue again", || queue.exists() && lines(&queue).len() == 5);
    assert_eq!(numbers(&lines(&queue)), [2, 3, 4, 5, 6]);
    tap.end();
    mount.end();
}

/// A process that ends at once when it has been made an owner.
fn dead_soon() -> String {
    let child = crate::common::spawn(
        std::process::Command::new("sleep").arg("0.3").stdin(std::process::Stdio::null()),
    );
    let id = child.id().to_string();
    std::thread::spawn(move || {
        let mut child = child;
        let _ = child.wait();
    });
    id
}
