//! Kill and restart at random points while several writers append.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::common::{Mounted, is_root, skip};
use crate::help::{Site, append, document, lines, names, number};

const WRITERS: usize = 4;
const DOCUMENTS_EACH: usize = 150;

/// A document whose time is that of its arrival, so that every delivery could look different.
fn timeless(number: usize) -> String {
    format!(
        "---\n!inode_xattr\nid: !!binary eA==\nxattrs:\n  number: \"{number}\"\n  filler: {}\n...\n",
        "x".repeat(number % 300)
    )
}

fn write_all(feed: &Path, writer: usize) {
    for turn in 0..DOCUMENTS_EACH {
        let number = turn * WRITERS + writer;
        let text = if number.is_multiple_of(2) { document(number) } else { timeless(number) };
        append(feed, &text);
        std::thread::sleep(Duration::from_millis(2 + (number % 5) as u64));
    }
}

fn storm(site: &Site, queue: &Path) {
    let words = ["--queue", queue.to_str().unwrap(), "--sticky"];
    let feed = site.feed();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let feed = feed.clone();
            std::thread::spawn(move || write_all(&feed, writer))
        })
        .collect();
    for turn in 0_u64..12 {
        let tap = site.tap(&words);
        std::thread::sleep(Duration::from_millis(20 + turn * turn * 7 % 130));
        tap.kill9();
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let ended = site.once(&words);
    ended.assert_well();
    assert_eq!(ended.count("unreadable"), 0, "nothing is torn");
    let mut seen: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
    for event in lines(queue) {
        let data = &event["data"];
        let place = (data["inode"].as_u64().unwrap(), data["offset"].as_u64().unwrap());
        let text = data["xattrs"][0][1]["string"].as_str().and_then(|text| text.parse().ok());
        let number = number(&event).or(text).unwrap_or_else(|| panic!("{event}"));
        seen.entry(number).or_default().push(place);
    }
    assert_eq!(seen.len(), WRITERS * DOCUMENTS_EACH, "nothing is lost");
    for (number, places) in seen {
        assert!(places.iter().all(|place| *place == places[0]), "{number}: {places:?}");
    }
    // What came again was known.
    let again: Vec<String> = names(queue).into_iter().filter(|name| name.contains('~')).collect();
    assert!(again.is_empty(), "{} times: {:?} ...", again.len(), again.first());
}

#[test]
fn nothing_is_lost_in_a_plain_directory() {
    let site = Site::new();
    let queue = site.queue.clone();
    storm(&site, &queue);
}

#[test]
fn nothing_is_lost_on_a_mount() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let site = Site::new();
    storm(&site, &mount.path("hestia"));
    mount.end();
}
