//! Records that came out of feeds.

use serde_json::json;

use crate::command::export;
use crate::tree::{self, Tree};

fn complete(size: u64) -> serde_json::Value {
    let time = json!({"sec": 1, "nsec": 2});
    let device = json!({"major": 8, "minor": 1});
    json!({"type": "file", "mode": 420, "nlink": 1, "uid": 7, "gid": 8, "atime": time,
        "mtime": time, "ctime": time, "ino": 5, "size": size, "blocks": 8, "blksize": 4096,
        "rdev": device, "dev": device})
}

fn upsert(statx: &serde_json::Value) -> String {
    json!({"kind": "upsert", "id": "eA==", "statx": statx, "xattrs": []}).to_string() + "\n"
}

fn fields(document: &Tree) -> Vec<String> {
    match document.get("statx") {
        Some(Tree::Map(_, pairs)) => {
            pairs.iter().map(|(key, _)| key.text().unwrap().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn all_documents_of_a_stream_have_the_same_fields_or_none() {
    let mut more = complete(2);
    more["btime"] = json!({"sec": 1, "nsec": 2});
    more["attributes"] = json!({"dax": true});
    let mut half = complete(3);
    half["atime"] = json!({"sec": 1});
    let input = [
        upsert(&json!({"uid": 12, "gid": 34})),
        upsert(&complete(1)),
        upsert(&more),
        upsert(&half),
        upsert(&json!({"size": 9})),
        upsert(&complete(4)),
    ];
    let done = export(&[], &input.concat());
    let documents = tree::read(&done.yaml);
    let sizes: Vec<Option<&str>> = documents.iter().map(|d| d.at(&["statx", "size"])).collect();
    assert_eq!(sizes, [None, Some("1"), Some("2"), None, None, Some("4")]);
    assert_eq!(fields(&documents[2]), fields(&documents[1]));
    assert_eq!(fields(&documents[1]).len(), 14);
    assert_eq!(done.count("left_out"), 3);
}

#[test]
fn modes_are_octal_and_have_no_type_in_them() {
    let mut statx = complete(1);
    for (mode, text) in [(0o644, "0644"), (0, "00"), (0o7777, "07777"), (0o100_640, "0640")] {
        statx["mode"] = json!(mode);
        let done = export(&[], &upsert(&statx));
        assert!(done.yaml.contains(&format!("\n  mode: {text}\n")), "{}", done.yaml);
    }
}

#[test]
fn what_the_real_reader_would_die_of_is_left_out() {
    let long = "x".repeat(1_024);
    let items = vec![json!({"bool": true}); 43];
    let many: Vec<_> = (0..65).map(|n| json!([format!("k{n}"), {"uint32": n}])).collect();
    let cases = [
        json!({"string": long}),
        json!({"binary": "AAAA".repeat(400)}),
        json!({"seq": items}),
        json!({"map": many}),
        json!({"double": 1.5}),
        json!({"seq": [{"null": true}]}),
        json!({"string": "a\u{0}b"}),
        json!({"uint32": 5_000_000_000_u64}),
        json!({"int32": 3_000_000_000_u64}),
        json!({"what": 1}),
    ];
    for case in cases {
        let line = json!({"kind": "inode_xattr", "id": "eA==",
            "xattrs": [["bad", case], ["good", {"string": "1"}]]});
        let done = export(&[], &format!("{line}\n"));
        let documents = tree::read(&done.yaml);
        assert_eq!(documents.len(), 1, "{line}");
        assert!(documents[0].get("xattrs").unwrap().get("bad").is_none(), "{line}");
        assert_eq!(documents[0].at(&["xattrs", "good"]), Some("1"));
        assert_eq!(done.count("left_out"), 1, "{line}");
    }
    let line = json!({"kind": "inode_xattr", "id": "eA==", "xattrs": many});
    let done = export(&[], &format!("{line}\n"));
    assert_eq!(done.count("left_out"), 1);
    assert_eq!(done.yaml.matches("!uint32").count(), 64);
    let line = json!({"kind": "upsert", "id": "eA==", "symlink": long, "xattrs": []});
    let done = export(&[], &format!("{line}\n"));
    assert_eq!((done.count("left_out"), done.count("documents")), (1, 1));
    let line = json!({"kind": "link", "id": "eA==", "parent": "", "name": long, "xattrs": []});
    let done = export(&[], &format!("{line}\n"));
    assert_eq!((done.count("left_out"), done.count("documents")), (1, 0));
}

#[test]
fn a_long_key_has_the_explicit_form() {
    let key = "ä".repeat(511);
    let line = json!({"kind": "link", "id": "", "parent": "", "name": "n",
        "xattrs": [[key, {"map": [[key, {"seq": [{"string": "v"}]}]]}], ["k", {"null": true}]]});
    let done = export(&[], &format!("{line}\n"));
    assert!(done.yaml.contains("\n  ? \"ää"), "{}", done.yaml);
    let documents = tree::read(&done.yaml);
    let inner = documents[0].get("xattrs").unwrap().get(&key).unwrap().get(&key).unwrap();
    assert_eq!(inner, &Tree::Seq(vec![Tree::Scalar(None, "v".to_owned())]));
    assert_eq!(documents[0].at(&["xattrs", "k"]), Some("~"));
}

#[test]
fn operations_become_plain_values_for_an_old_robinhood() {
    let line = json!({"kind": "inode_xattr", "id": "eA==", "xattrs": [
        ["a", {"map": [["set", {"uint32": 5}]]}],
        ["b", {"map": [["unset", {"null": true}]]}],
        ["c", {"map": [["inc", {"int64": 1}]]}],
        ["d", {"map": [["other", {"string": "x"}]]}]]});
    let done = export(&["--rbh-plain"], &format!("{line}\n"));
    let xattrs = tree::read(&done.yaml)[0].get("xattrs").unwrap().clone();
    assert_eq!(xattrs.get("a"), Some(&Tree::Scalar(Some("!uint32".to_owned()), "5".to_owned())));
    assert_eq!(xattrs.at(&["b"]), Some("~"));
    assert_eq!(xattrs.get("c"), None);
    assert_eq!(xattrs.at(&["d", "other"]), Some("x"));
    assert_eq!(done.count("left_out"), 1);
}

#[test]
fn what_is_nested_too_deeply_is_left_out_or_unreadable() {
    let nested = |depth: usize| {
        let (open, close) = (r#"{"seq":["#.repeat(depth), "]}".repeat(depth));
        format!(r#"{{"kind":"upsert","id":"eA==","xattrs":[["a",{open}{close}]]}}"#)
    };
    let done = export(&[], &[nested(2), nested(70), nested(100_000)].join("\n"));
    assert_eq!((done.code, done.count("events"), done.count("unreadable")), (Some(0), 3, 2));
    assert_eq!(done.count("documents"), 1);
}
