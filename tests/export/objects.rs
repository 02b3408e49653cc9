//! Hestia's feeds through the tap and out again.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::command::{DATA, Done, export};
use crate::common::{EVENTFS, spawn};
use crate::tree::{self, Tree};

/// A feed through `eventfs tap hestia` and `eventfs export robinhood`.
fn through(feed: &str, words: &[&str]) -> Done {
    let dir = TempDir::new().unwrap();
    let mut tap = Command::new(EVENTFS);
    tap.args(["tap", "hestia", "--once", "--feed", feed, "--queue"]).arg(dir.path().join("q"));
    tap.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(spawn(&mut tap).wait().unwrap().success());
    let queue = dir.path().join("q");
    export(&[words, &[queue.to_str().unwrap()]].concat(), "")
}

fn kinds(documents: &[Tree]) -> Vec<&str> {
    documents.iter().map(Tree::kind).collect()
}

#[test]
fn robinhoods_own_documents_come_out_as_they_went_in() {
    let feed = format!("{DATA}export_reference.yaml");
    let reference = fs::read_to_string(&feed).unwrap();
    let done = through(&feed, &[]);
    assert_eq!(done.yaml, reference);
}

#[test]
fn the_first_feed_becomes_operations_of_today() {
    let feed = format!("{DATA}legacy_feed.yaml");
    let done = through(&feed, &[]);
    let documents = tree::read(&done.yaml);
    assert_eq!(documents.len(), 15);
    assert_eq!(
        documents[0].at(&["id"]),
        Some("NDE2NGQ4MzktYmRlNS01YmM4LWNiOTEtZjE0NGIwYzExZmRlMTE=")
    );
    assert_eq!(documents[0].at(&["statx", "size"]), Some("1016412736670"));
    let eleven = Tree::Scalar(Some("!uint32".to_owned()), "11".to_owned());
    assert_eq!(documents[0].get("xattrs").unwrap().get("tier").unwrap().get("set"), Some(&eleven));
    let done = through(&feed, &["--rbh-plain"]);
    assert_eq!(tree::read(&done.yaml)[0].get("xattrs").unwrap().get("tier"), Some(&eleven));
}

#[test]
fn todays_feed_becomes_links_attributes_and_inodes() {
    let done = through(&format!("{DATA}current_feed.yaml"), &[]);
    let documents = tree::read(&done.yaml);
    assert_eq!(documents.len(), 2 * 3 + 12 * 2);
    assert_eq!(kinds(&documents[..3]), ["link", "inode_xattr", "upsert"]);
    let id = "NzliYTQ5MWMtZDJhMS1hN2ZlLWI5ZTMtOGExNjhjNGFhNGIy";
    assert_eq!(documents[0].at(&["id"]), Some(id), "without a zero at its end");
    assert_eq!(documents[0].at(&["parent"]), Some(""));
    assert_eq!(documents[0].at(&["name"]), Some("79ba491c-d2a1-a7fe-b9e3-8a168c4aa4b2"));
    assert_eq!(documents[2].at(&["statx", "mtime", "sec"]), Some("1701422948"));
    assert_eq!(documents[2].at(&["statx", "mtime", "nsec"]), Some("998161000"));
    assert_eq!(kinds(&documents[6..8]), ["upsert", "inode_xattr"]);
    assert_eq!(documents[6].at(&["statx", "size"]), Some("99543"));
    let tiers = documents[7].get("xattrs").unwrap().get("tiers").unwrap().get("set");
    assert!(matches!(tiers, Some(Tree::Seq(tiers)) if tiers.len() == 1), "{tiers:?}");
    // Rule 7: the same fields everywhere.
    let upserts = documents.iter().filter(|document| document.kind() == "upsert");
    let fields = |document: &Tree| match document.get("statx") {
        Some(Tree::Map(_, pairs)) => pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        _ => panic!("{document:?}"),
    };
    let all: Vec<_> = upserts.map(fields).collect();
    assert_eq!(all.len(), 14);
    assert!(all.iter().all(|fields| *fields == all[0]));
}

#[test]
fn reading_and_removal_of_objects() {
    let lines = [
        r#"{"kind":"read","id":"a","time":5000000001}"#,
        r#"{"kind":"create","id":"a","time":1000000000,"size":3,"user_metadata":{},"tiers":[]}"#,
        r#"{"kind":"read","id":"a","time":5000000001}"#,
        r#"{"kind":"remove","id":"a","time":6000000000}"#,
    ];
    let done = export(&[], &(lines.join("\n") + "\n"));
    let documents = tree::read(&done.yaml);
    assert_eq!(kinds(&documents), ["link", "inode_xattr", "upsert", "upsert", "delete"]);
    assert_eq!(documents[3].at(&["statx", "atime", "sec"]), Some("5"));
    assert_eq!(documents[3].at(&["statx", "atime", "nsec"]), Some("1"));
    assert_eq!(documents[3].at(&["statx", "ctime", "sec"]), Some("1"));
    assert_eq!(documents[3].at(&["statx", "size"]), Some("3"));
    // Of the first read nothing could be said.
    assert_eq!((done.count("skipped"), done.count("left_out")), (1, 1));
}
