//! What the text of a document means.

use eventfs::event::Class;
use serde_json::json;

use super::{data, one, read};

#[test]
fn mode_is_octal_by_the_rule_of_c() {
    let mode = |text: &str| {
        let document = format!("--- !upsert\nid: eA==\nstatx:\n  mode: {text}\n...\n");
        one(&document).map(|data| data["statx"]["mode"].clone())
    };
    for text in ["0777", "511", "0x1ff", "!!int 0777", "!!int \"0777\"", "+0777"] {
        assert_eq!(mode(text), Ok(json!(511)), "{text}");
    }
    for text in ["0o777", "\"0777\"", "!uint32 0777", "!!str 0777", "0b1", "65536", "''", "~", "-1"]
    {
        assert!(mode(text).is_err(), "{text}");
    }
    assert_eq!(mode("0"), Ok(json!(0)));
    assert_eq!(mode("0177777"), Ok(json!(65_535)));
}

#[test]
fn scalars_mean_what_their_place_says() {
    let value = |text: &str| {
        let document = format!("--- !inode_xattr\nid: eA==\nxattrs:\n  k: {text}\n...\n");
        one(&document).map(|data| data["xattrs"][0][1].clone())
    };
    let cases = [
        ("y", json!({"string": "y"})),
        ("44", json!({"string": "44"})),
        ("true", json!({"string": "true"})),
        ("~", json!({"null": true})),
        ("", json!({"null": true})),
        ("NULL", json!({"null": true})),
        ("nULL", json!({"string": "nULL"})),
        ("'~'", json!({"string": "~"})),
        ("!!null x", json!({"null": true})),
        ("!!str ~", json!({"string": "~"})),
        ("!!bool Yes", json!({"bool": true})),
        ("!!bool 'off'", json!({"bool": false})),
        ("!!binary MA", json!({"binary": "MA=="})),
        ("!!binary ''", json!({"binary": ""})),
        ("!uint32 4294967295", json!({"uint32": 4_294_967_295_u32})),
        ("!uint32 -18446744073709551615", json!({"uint32": 1})),
        ("!uint64 -1", json!({"uint64": u64::MAX})),
        ("!uint64 ''", json!({"uint64": 0})),
        ("!int32 -0x10", json!({"int32": -16})),
        ("!int64 010", json!({"int64": 8})),
        ("!double 1.5", json!({"double": 1.5})),
        (
            "[~, '', a, !uint32 1]",
            json!({"seq": [{"string": "~"}, {"string": ""}, {"string": "a"}, {"uint32": 1}]}),
        ),
        ("{a: ~, a: b}", json!({"map": [["a", {"null": true}], ["a", {"string": "b"}]]})),
        ("!regex {regex: \"^a\", options: 3}", json!({"regex": "^a", "options": 3})),
        ("!regex {regex: \"^a\", options: !uint32 3}", json!({"regex": "^a", "options": 0})),
        ("!regex {regex: \"^a\", options: 5000000000}", json!({"regex": "^a", "options": 0})),
        ("\"a\\0b\"", json!({"string": "a\0b"})),
        ("!whatever [a]", json!({"seq": [{"string": "a"}]})),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
    for text in [
        "!uint32 -1",
        "!uint32 '5 '",
        "!int32 2147483648",
        "!!bool yES",
        "!!bool 1",
        "!!int 5",
        "!!float 1.5",
        "!!uint32 5",
        "!!binary a-_a",
        "!!map {}",
        "!uint32 {a: b}",
        "!regex {}",
        "!regex x",
        "&a b\n  l: *a",
    ] {
        assert!(value(text).is_err(), "{text}: {:?}", value(text));
    }
}

#[test]
fn ids_and_flags_follow_their_own_rules() {
    let id = |text: &str| one(&format!("--- !delete\nid: {text}\n...\n"));
    assert_eq!(id("c2FtcGxl").unwrap()["id_text"], "sample");
    assert_eq!(id("''").unwrap_err(), "id: quoted without !!binary");
    assert_eq!(id("").unwrap()["id"], "");
    assert_eq!(id("!!binary").unwrap()["id"], "");
    assert!(id("!!str c2FtcGxl").is_err());
    assert!(id("[c2FtcGxl]").is_err());
    let flag = |text: &str| {
        let text = format!("--- !upsert\nid: eA==\nstatx: {{attributes: {{dax: {text}}}}}\n...\n");
        one(&text).map(|data| data["statx"]["attributes"].clone())
    };
    assert_eq!(flag("On"), Ok(json!({"dax": true})));
    assert_eq!(flag("!!bool 'n'"), Ok(json!({"dax": false})));
    assert!(flag("'n'").is_err());
    assert!(flag("1").is_err());
}

#[test]
fn tags_may_be_written_in_every_way() {
    for document in [
        "--- !<!delete>\nid: eA==\n...\n",
        "--- !%64elete\nid: eA==\n...\n",
        "%TAG !e! !dele\n--- !e!te\nid: eA==\n...\n",
        "%YAML 1.1\n---\n!delete\nid: !<tag:yaml.org,2002:binary> eA==\n...\n",
        "\u{feff}--- !delete {\"id\": eA==}\n...\n...\n",
        "!delete\nid: eA==\n...\n",
    ] {
        assert_eq!(one(document).expect(document)["kind"], "delete", "{document}");
    }
    assert!(one("--- !!delete\nid: eA==\n...\n").is_err());
    assert!(one("--- !delete x\n...\n").is_err());
    assert!(one("---\n...\n").is_err());
    assert!(one("--- !upsert\nid: eA==\nxattrs: ~\n...\n").is_err());
    // A directive holds for its own document only.
    let events = read(b"%TAG !e! !dele\n--- !e!te\nid: eA==\n...\n--- !e!te\nid: eA==\n...\n");
    assert_eq!((events[0].class, events[1].class), (Class::Record, Class::Unreadable));
}

#[test]
fn a_marker_counts_at_the_start_of_a_line_and_before_a_blank() {
    let text =
        "--- !upsert\nid: eA==\nxattrs:\n  k: |\n   --- x\n   ... y\n  l: \"a\n   ...\"\n---x: y\n";
    let events = read(format!("{text}...\n--- !delete\nid: eA==\n...").as_bytes());
    // `---x` begins with a marker's letters only, so it is a key at column 0.
    assert_eq!(events.len(), 2);
    let data = data(&events[0]);
    assert_eq!(data["xattrs"][0][1]["string"], "--- x\n... y\n");
    assert_eq!(data["unknown"], json!([["---x", {"string": "y"}]]));
    assert_eq!(events[1].class, Class::Unreadable, "its last line has no break");
}

#[test]
fn repeated_keys_win_last_and_statx_is_put_together() {
    let document = "--- !upsert\nid: eA==\nid: eQ==\nstatx: {uid: 1, gid: 2, atime: {sec: 1}}\n\
                    statx: {gid: 3, atime: {nsec: 2}}\nxattrs: {a: b}\nxattrs: {c: d}\n...\n";
    let data = one(document).unwrap();
    assert_eq!(data["id"], "eQ==");
    assert_eq!(data["statx"], json!({"uid": 1, "gid": 3, "atime": {"sec": 1, "nsec": 2}}));
    assert_eq!(data["xattrs"], json!([["c", {"string": "d"}]]));
}

#[test]
fn what_nobody_knows_is_kept_beside_the_event() {
    let document = "--- !upsert\nid: eA==\nstatx: {mnt_id: 5, size: 1, attributes: {new: y}}\n\
                    xattrs: {k: !new v}\nfancy: [1]\n...\n";
    let data = one(document).unwrap();
    assert_eq!(data["statx"], json!({"size": 1, "attributes": {}}));
    assert_eq!(data["xattrs"], json!([["k", {"string": "v"}]]));
    let expected = json!([
        ["statx.mnt_id", {"string": "5"}],
        ["statx.attributes.new", {"string": "y"}],
        ["xattrs.k", {"tag": "!new"}],
        ["fancy", {"seq": [{"string": "1"}]}],
    ]);
    assert_eq!(data["unknown"], expected);
    // The form between Hestia's two feeds.
    let document = "--- !create\nid: \"a\"\ntime: 5\nattrs: {dataset.id: d, tier_0: \"0,44\"}\n\
                    xattrs: {k: v}\n...\n";
    let data = one(document).unwrap();
    assert_eq!((&data["id"], &data["time"]), (&json!("a"), &json!(5_000)));
    assert_eq!(data["unknown"][1], json!(["attrs.tier_0", {"string": "0,44"}]));
    assert_eq!(data["unknown"][2], json!(["xattrs", {"map": [["k", {"string": "v"}]]}]));
}

#[test]
fn the_other_two_kinds_of_todays_feed() {
    let data = one("---\n!read\ntime: 1701422948998161\nid: \"a b\"\n...\n").unwrap();
    assert_eq!((&data["id"], &data["kind"]), (&json!("a b"), &json!("read")));
    assert_eq!(data["time"], 1_701_422_948_998_161_000_i64);
    assert_eq!(data.get("op"), None);
    let data = one("---\n!remove\nid: a\ntime: 1\n...\n").unwrap();
    assert_eq!((&data["op"], &data["object"]), (&json!("remove"), &json!("a")));
    assert!(one("--- !remove\nid: a\n...\n").is_err());
    assert!(one("--- !remove\ntime: 1\n...\n").is_err());
    assert!(one("--- !update\nid: a\ntime: \"1\"\n...\n").is_err());
}
