//! File events of BeeGFS.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::export;
use crate::common::skip;
use crate::tree::{self, Tree};

/// The `data` of an event as the tap writes it.
fn event(name: &str, path: &str, target: &str, links: u64) -> Value {
    json!({"meta_id": 12, "mirror_group": 0, "msn": 2, "version": 2, "event": name,
        "event_number": 1, "flags": 0, "num_hardlinks": links, "entry_id": "2A-68F1C2D3-C",
        "parent_entry_id": "1-68F1C2D0-C", "path": path, "target_path": target,
        "target_parent_id": "2C-68F1C2D4-C", "user_id": 0, "timestamp_ns": 1})
}

fn documents(words: &[&str], events: &[Value]) -> Vec<Tree> {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let done = export(words, &lines);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    tree::read(&done.yaml)
}

fn told(documents: &[Tree]) -> Vec<String> {
    let told = |document: &Tree| match document.at(&["name"]) {
        Some(name) => format!("{} {name}", document.kind()),
        None => document.kind().to_owned(),
    };
    documents.iter().map(told).collect()
}

/// `2A-68F1C2D3-C` in base64.
const ENTRY: &str = "MkEtNjhGMUMyRDMtQw==";

#[test]
fn with_opaque_ids_names_and_ids_arrive() {
    let cases: [(&str, u64, &[&str]); 16] = [
        ("create", 1, &["link b", "upsert"]),
        ("mkdir", 2, &["link b", "upsert"]),
        ("mknod", 1, &["link b", "upsert"]),
        ("symlink", 1, &["link b", "upsert"]),
        ("hardlink", 2, &["link b", "upsert"]),
        ("unlink", 1, &["unlink b"]),
        ("unlink", 0, &["delete"]),
        ("rmdir", 0, &["delete"]),
        ("rename", 1, &["link c", "unlink b"]),
        ("setattr", 1, &[]),
        ("truncate", 1, &[]),
        ("close_write", 1, &[]),
        ("last_writer_closed", 1, &[]),
        ("open_read", 1, &[]),
        ("stripe_pattern_changed", 1, &[]),
        ("inode_locked", 1, &[]),
    ];
    for (name, links, expected) in cases {
        let documents = documents(&[], &[event(name, "/a/b", "/a/c", links)]);
        assert_eq!(told(&documents), expected, "{name}");
        assert!(documents.iter().all(|d| d.at(&["id"]) == Some(ENTRY)), "{name}");
    }
}

#[test]
fn a_link_tells_path_and_place() {
    let documents = documents(&[], &[event("symlink", "/a/b", "../tä\nrget", 1)]);
    assert_eq!(documents[0].at(&["xattrs", "path"]), Some("/a/b"));
    assert_eq!(documents[0].at(&["parent"]), Some("MS02OEYxQzJEMC1D"));
    assert_eq!(documents[1].at(&["symlink"]), Some("../tä\nrget"));
    let documents = self::documents(&[], &[event("rename", "/a/b", "/c/d", 1)]);
    assert_eq!(documents[0].at(&["parent"]), Some("MkMtNjhGMUMyRDQtQw=="));
    assert_eq!(documents[0].at(&["xattrs", "path"]), Some("/c/d"));
    assert_eq!(documents[1].at(&["parent"]), Some("MS02OEYxQzJEMC1D"));
}

#[test]
fn a_name_that_is_no_text_keeps_its_bytes() {
    let mut create = event("create", "", "", 1);
    create.as_object_mut().unwrap().remove("path");
    // "/a/b\xff\xfe\n"
    create["path_base64"] = json!("L2EvYv/+Cg==");
    let documents = documents(&[], &[create]);
    assert_eq!(documents[0].at(&["name"]), Some("b\\xff\\xfe\n"));
    let bytes = documents[0].get("xattrs").unwrap().get("eventfs.name");
    let tag = "tag:yaml.org,2002:binary".to_owned();
    assert_eq!(bytes, Some(&Tree::Scalar(Some(tag), "Yv/+Cg==".to_owned())));
    assert_eq!(documents[0].at(&["xattrs", "path"]), Some("/a/b\\xff\\xfe\n"));
}

#[test]
fn a_path_that_is_missing_or_too_long_is_left_out() {
    let long = format!("/{}/b", "d".repeat(1_100));
    let line = event("create", &long, "", 1);
    let done = export(&[], &format!("{line}\n"));
    assert_eq!(done.count("left_out"), 1);
    let documents = tree::read(&done.yaml);
    assert_eq!(told(&documents), ["link b", "upsert"]);
    assert_eq!(documents[0].get("xattrs"), Some(&Tree::Map(None, Vec::new())));
    let line = event("create", "", "", 1);
    let done = export(&[], &format!("{line}\n"));
    assert_eq!(
        (done.count("left_out"), told(&tree::read(&done.yaml))),
        (1, vec!["upsert".to_owned()])
    );
}

#[test]
fn children_are_counted_if_that_is_wanted() {
    let events = [event("create", "/a/b", "", 1), event("rmdir", "/a/b", "", 0)];
    let documents = documents(&["--nb-children"], &events);
    assert_eq!(told(&documents), ["link b", "upsert", "inode_xattr", "delete", "inode_xattr"]);
    let count = |document: &Tree| {
        document.get("xattrs").unwrap().get("nb_children.value").unwrap().get("inc").cloned()
    };
    let int64 = |text: &str| Some(Tree::Scalar(Some("!int64".to_owned()), text.to_owned()));
    assert_eq!((count(&documents[2]), count(&documents[4])), (int64("1"), int64("-1")));
    let line = event("create", "/a/b", "", 1);
    let plain = export(&["--nb-children", "--rbh-plain"], &format!("{line}\n"));
    assert_eq!((plain.count("documents"), plain.count("left_out")), (2, 1));
}

/// A file system with handles, or nothing.
fn tree_with_handles() -> Option<TempDir> {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/b"), "x").unwrap();
    if let Err(error) = eventfs::sys::handle::handle_of(dir.path()) {
        skip(&format!("no file handles: {error}"));
        return None;
    }
    Some(dir)
}

#[test]
fn handles_are_looked_up_remembered_and_never_made_up() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let Some(dir) = tree_with_handles() else { return };
    let root = dir.path().to_str().unwrap();
    let id = |path: &str| {
        let (kind, bytes) = eventfs::sys::handle::handle_of(&dir.path().join(path)).unwrap();
        STANDARD.encode([&[1, 0][..], &kind.to_le_bytes(), &bytes].concat())
    };
    let unknown = {
        let mut event = event("unlink", "/a/z", "", 0);
        event["entry_id"] = json!("99-1-1");
        event
    };
    let vanished = {
        let mut event = event("create", "/a/gone", "", 1);
        event["entry_id"] = json!("98-1-1");
        event
    };
    // The last one finds nothing at its path, and needs nothing there.
    let events =
        [event("create", "/a/b", "", 1), unknown, vanished, event("unlink", "/a/gone", "", 0)];
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let done = export(&["--ids", "handle", "--root", root], &lines);
    let documents = tree::read(&done.yaml);
    assert_eq!(told(&documents), ["link b", "upsert", "delete"]);
    assert!(documents.iter().all(|document| document.at(&["id"]) == Some(&id("a/b"))));
    assert_eq!(documents[0].at(&["parent"]), Some(id("a").as_str()));
    assert_eq!((done.count("without_id"), done.count("documents")), (2, 3));
}

#[test]
fn robinhood_is_asked_for_what_changed() {
    let Some(dir) = tree_with_handles() else { return };
    let root = dir.path().to_str().unwrap();
    let words = ["--ids", "handle", "--root", root, "--enrich"];
    let mask = |document: &Tree| {
        document.get("xattrs")?.get("rbh-fsevents")?.at(&["statx"])?.parse::<u32>().ok()
    };
    let written = 0x1 | 0x200 | 0x400 | 0x20 | 0x40 | 0x80 | 0x1000_0000 | 0x0600_0000;
    let directory = 0x1 | 0x20 | 0x40 | 0x80 | 0x1000_0000 | 0x0600_0000;
    let found = documents(&words, &[event("create", "/a/b", "", 1)]);
    assert_eq!(told(&found), ["link b", "upsert", "upsert"]);
    assert_eq!((mask(&found[1]), mask(&found[2])), (Some(0x7fe0_1fff), Some(directory)));
    let found = documents(&words, &[event("truncate", "/a/b", "", 1)]);
    assert_eq!((told(&found), mask(&found[0])), (vec!["upsert".to_owned()], Some(written)));
    let found = documents(&words, &[event("setattr", "/a/b", "", 1)]);
    assert_eq!(mask(&found[0]), Some(0x7fe0_1fff));
    let found = documents(&words, &[event("rename", "/a/x", "/a/b", 1)]);
    assert_eq!(told(&found), ["link b", "upsert", "upsert", "unlink x", "upsert"]);
}
