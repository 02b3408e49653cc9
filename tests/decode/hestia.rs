//! Hestia's feeds and robinhood's YAML, against what the real programs made of the same bytes.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::hestia::{
    Decoder, Limits, Origin, RAW_BYTES_MAX, Splitter, Stand, State, mark_of,
};
use eventfs::event::{Class, Event, UnixNanos};
use proptest::prelude::*;
use serde_json::{Value, json};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hestia/");

const STAND: Stand = Stand { origin: Origin::File { inode: 77, resets: 0 }, stream: 3 };

const ARRIVED: UnixNanos = UnixNanos(1_700_000_000_123_456_789);

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("{DATA}{name}")).expect(name)
}

fn lines(name: &str) -> Vec<Value> {
    let text = String::from_utf8(sample(name)).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A feed read in pieces of the given sizes (the last one over and over), to its end or only so far.
fn read_pieces(bytes: &[u8], sizes: &[usize], to_end: bool) -> Vec<Event> {
    let limits = Limits::default();
    let mut splitter = Splitter::new(limits.document_bytes_max);
    let mut decoder = Decoder::new("feed.yaml", limits, true);
    let mut events = Vec::new();
    let mut out = |event: &mut Event| events.push(event.clone());
    let mut sizes = sizes.iter().copied();
    let (mut rest, mut size) = (bytes, 1);
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        splitter.push(piece);
        while let Some(document) = splitter.next() {
            decoder.take(&document, STAND, ARRIVED, &mut out);
        }
        rest = after;
    }
    if to_end && let Some(document) = splitter.finish() {
        decoder.take(&document, STAND, ARRIVED, &mut out);
    }
    decoder.release(&mut out);
    events
}

fn read(bytes: &[u8]) -> Vec<Event> {
    read_pieces(bytes, &[bytes.len()], true)
}

fn data(event: &Event) -> Value {
    serde_json::from_slice(&event.data).expect("JSON")
}

/// The one event of a document, or why there is none.
fn one(document: &str) -> Result<Value, String> {
    let events = read(document.as_bytes());
    let [event] = events.as_slice() else { panic!("{} events of {document}", events.len()) };
    match event.class {
        Class::Unreadable => Err(data(event)["reason"].as_str().expect("reason").to_owned()),
        _ => Ok(data(event)),
    }
}

/// Every field that is expected is there; nothing else of what a record can have is.
fn expect_record(data: &Value, expected: &Value) {
    for field in ["kind", "id", "parent", "name", "symlink", "statx", "xattrs"] {
        assert_eq!(data.get(field), expected.get(field), "{field} of {expected}");
    }
}

#[test]
fn the_first_feed_reads_as_the_real_reader_reads_it() {
    let events = read(&sample("legacy_feed.yaml"));
    let expected = lines("legacy_feed.events.jsonl");
    assert_eq!(events.len(), expected.len());
    for (event, expected) in events.iter().zip(&expected) {
        let data = data(event);
        expect_record(&data, expected);
        assert_eq!(data["source"], "hestia");
        assert_eq!(event.kind, format!("hestia.{}", expected["kind"].as_str().unwrap()));
        assert_eq!(event.time, ARRIVED);
        assert_eq!((&data["time"], &data["time_source"]), (&json!(ARRIVED.0), &json!("arrival")));
        assert_eq!(data.get("placeholder").is_some(), data["kind"] == "upsert");
        assert_eq!(event.subject, data["object"]);
    }
}

#[test]
fn operations_of_the_first_feed_are_inferred() {
    let events = read(&sample("legacy_feed.yaml"));
    let mut documents = events.iter().map(data);
    for operation in lines("legacy_feed.operations.jsonl") {
        for nth in 0..operation["docs"].as_u64().unwrap() {
            let data = documents.next().expect("as many documents");
            assert_eq!(data["object"], operation["object"]);
            let op = operation["op"].as_str().unwrap();
            match op {
                "copy" => assert_eq!(data["source_tier"], operation["source_tier"]),
                "move" if nth == 0 => assert_eq!(data["tier"], operation["source_tier"]),
                "move" => assert_eq!(data["source_tier"], operation["source_tier"]),
                _ => assert_eq!(data.get("source_tier"), None),
            }
            match op {
                "copy" => assert_eq!(data["tier"], operation["target_tier"]),
                "move" if nth == 1 => assert_eq!(data["tier"], operation["target_tier"]),
                // One tier was left: that looks like any removal.
                "remove_all" => assert_eq!(data["tier"], operation["tiers"][0]),
                "put" | "remove" => assert_eq!(data["tier"], operation["tier"]),
                _ => {}
            }
            let expected = if op == "remove_all" { "remove" } else { op };
            assert_eq!(data["op"], expected, "{operation}");
            if data["kind"] == "upsert" {
                assert_eq!(data["size"], operation["size"]);
            }
        }
    }
    assert_eq!(documents.next(), None);
}

#[test]
fn the_feed_of_today_reads_as_its_writer_meant_it() {
    let events = read(&sample("current_feed.yaml"));
    let expected = lines("current_feed.events.jsonl");
    assert_eq!(events.len(), expected.len());
    let mut ops = Vec::new();
    for (event, expected) in events.iter().zip(&expected) {
        let data = data(event);
        for field in ["kind", "id", "size", "user_metadata", "tiers"] {
            assert_eq!(data.get(field), expected.get(field), "{field} of {expected}");
        }
        for field in ["time", "mtime", "ctime"] {
            let nanos = expected.get(field).map(|micros| json!(micros.as_i64().unwrap() * 1_000));
            assert_eq!(data.get(field), nanos.as_ref(), "{field} of {expected}");
        }
        assert_eq!(event.time.0, data["time"].as_i64().unwrap());
        assert_eq!(data["time_source"], "feed");
        ops.push(data["op"].as_str().unwrap().to_owned());
    }
    let expected = [
        "put",
        "put",
        "put_or_copy",
        "put_or_copy",
        "put_or_copy",
        "put_or_copy",
        "metadata",
        "put_or_copy",
        "put_or_copy",
        "metadata",
        "put_or_copy",
        "put_or_copy",
        "release",
        "put_or_copy",
    ];
    assert_eq!(ops, expected);
}

#[test]
fn robinhoods_own_documents_read_in_every_field() {
    let events = read(&sample("export_reference.yaml"));
    let expected = lines("export_events.jsonl");
    assert_eq!(events.len(), expected.len());
    for (event, expected) in events.iter().zip(&expected) {
        let data = data(event);
        expect_record(&data, expected);
        let legacy_like = data["kind"] == "delete";
        assert!(legacy_like || data["source"] == "robinhood", "{data}");
    }
    // The real writer forgets the tag of booleans among attributes; all else is the same.
    let written = read(&sample("export_reference.as_written_by_rbh.yaml"));
    for (theirs, ours) in written.iter().zip(&events) {
        let (mut theirs, mut ours) = (data(theirs), data(ours));
        for data in [&mut theirs, &mut ours] {
            for field in ["offset", "length"] {
                data[field] = Value::Null;
            }
            for pair in data["xattrs"].as_array_mut().into_iter().flatten() {
                if matches!(pair[0].as_str(), Some("b" | "c")) {
                    pair[1] = Value::Null;
                }
            }
        }
        assert_eq!(theirs, ours);
    }
    assert_eq!(written.len(), events.len());
}

#[test]
fn what_robinhood_made_of_the_feed_of_today_can_be_read() {
    let events = read(&sample("current_feed.as_converted_by_rbh.yaml"));
    assert_eq!(events.len(), 2 * 3 + 12 * 2);
    assert!(events.iter().all(|event| event.class == Class::Record));
    // An empty parent is legal, and so is a zero at the end of an id.
    assert_eq!(data(&events[0])["parent"], "");
    assert_eq!(data(&events[0]).get("id_text"), None);
}

#[test]
fn odd_documents_are_taken_refused_and_kept_apart_as_listed() {
    for case in lines("odd_documents.jsonl") {
        let name = case["name"].as_str().unwrap();
        let yaml = STANDARD.decode(case["yaml_b64"].as_str().unwrap()).unwrap();
        let (bad, good): (Vec<Event>, Vec<Event>) =
            read(&yaml).into_iter().partition(|event| event.class == Class::Unreadable);
        let expected = case["events"].as_array().cloned().unwrap_or_default();
        let bad_count = usize::from(case["want"] != "accept");
        assert_eq!((bad.len(), good.len()), (bad_count, expected.len()), "{name}");
        for (event, expected) in good.iter().zip(&expected) {
            expect_record(&data(event), expected);
        }
        for event in &bad {
            assert_eq!(event.kind, "hestia.unreadable");
            let data = data(event);
            let raw = STANDARD.decode(data["raw_base64"].as_str().unwrap()).unwrap();
            let at = data["offset"].as_u64().unwrap() as usize;
            let length = data["length"].as_u64().unwrap() as usize;
            assert_eq!(raw, &yaml[at..at + length], "{name}");
            assert!(!data["reason"].as_str().unwrap().is_empty());
        }
    }
}

#[test]
fn arriving_byte_by_byte_makes_no_difference() {
    for name in [
        "legacy_feed.yaml",
        "current_feed.yaml",
        "export_reference.yaml",
        "export_reference.as_written_by_rbh.yaml",
    ] {
        let bytes = sample(name);
        assert_eq!(read_pieces(&bytes, &[1], true), read(&bytes), "{name}");
        // With the line ends of other systems, too.
        for end in ["\r\n", "\r"] {
            let bytes = String::from_utf8(bytes.clone()).unwrap().replace('\n', end).into_bytes();
            let whole = read(&bytes);
            assert_eq!(read_pieces(&bytes, &[1], true), whole, "{name} {end:?}");
            assert!(whole.iter().all(|event| event.class == Class::Record), "{name} {end:?}");
            let last = whole.last().unwrap();
            assert_eq!(last.position.unwrap().next, bytes.len() as u64, "{name} {end:?}");
        }
    }
}

#[test]
fn a_cut_feed_gives_what_was_proven_and_nothing_more() {
    let bytes = sample("legacy_feed.yaml");
    let whole = read(&bytes);
    for cut in 0..bytes.len() {
        let part = &bytes[..cut];
        // A growing file: what is not proven is held.
        let held = read_pieces(part, &[cut.max(1)], false);
        let proven = whole.iter().filter(|event| event.position.unwrap().next <= cut as u64);
        assert_eq!(held.len(), proven.count(), "cut at {cut}");
        // A pipe: the rest is one truncated document, if there is any.
        let mut ended = read(part);
        if ended.len() > held.len() {
            let last = ended.pop().unwrap();
            assert_eq!(ended.len(), held.len(), "cut at {cut}");
            // In the very first document nothing tells how this writer closes documents, if the cut is
            // at the end of a line.
            if cut > whole[0].position.unwrap().next as usize || bytes[cut - 1] != b'\n' {
                assert_eq!(last.class, Class::Unreadable, "cut at {cut}");
                assert_eq!(data(&last)["reason"], "truncated document");
            }
        }
    }
}

#[test]
fn every_event_tells_where_its_document_stands() {
    let bytes = sample("legacy_feed.yaml");
    let mut at = 0;
    for event in read(&bytes) {
        let position = event.position.unwrap();
        assert_eq!((position.stream, position.at), (3, at));
        let (start, end) = (position.at as usize, position.next as usize);
        assert_eq!(event.raw, &bytes[start..end]);
        assert!(event.raw.starts_with(b"---\n") && event.raw.ends_with(b"\n...\n"));
        assert_eq!(position.mark, mark_of(&bytes[end.saturating_sub(64)..end]));
        assert_eq!(event.name, format!("hestia-{:020}-{at:020}", 77));
        assert_eq!(event.id, format!("77/{at}"));
        assert_eq!(event.source, "/hestia/feed.yaml");
        let data = data(&event);
        assert_eq!(data["inode"], 77);
        assert_eq!((&data["offset"], &data["length"]), (&json!(at), &json!(end - start)));
        at = position.next;
    }
    assert_eq!(at as usize, bytes.len());
}

#[test]
fn reading_goes_on_in_mid_stream() {
    let bytes = sample("legacy_feed.yaml");
    let whole = read(&bytes);
    let limits = Limits::default();
    let offset = whole[4].position.unwrap().next as usize;
    let mut splitter =
        Splitter::resume(limits.document_bytes_max, offset as u64, &bytes[offset - 64..offset]);
    splitter.push(&bytes[offset..]);
    let document = splitter.next().expect("the next document");
    let position = whole[5].position.unwrap();
    assert_eq!((document.start, document.end), (position.at, position.next));
    assert_eq!(document.mark, position.mark);
}

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

#[test]
fn a_move_whose_halves_come_apart_is_told_by_its_second_half() {
    let bytes = sample("legacy_feed.yaml");
    let limits = Limits::default();
    let mut splitter = Splitter::new(limits.document_bytes_max);
    let mut decoder = Decoder::new("feed", limits, false);
    let mut ops = Vec::new();
    let mut out = |event: &mut Event| ops.push(data(event)["op"].clone());
    splitter.push(&bytes);
    while let Some(document) = splitter.next() {
        decoder.take(&document, STAND, ARRIVED, &mut out);
        // 50 ms pass after every document.
        decoder.release(&mut out);
        assert!(!decoder.is_holding());
    }
    assert_eq!((&ops[8], &ops[9]), (&json!("remove"), &json!("move")));
}

#[test]
fn a_document_that_is_too_long_is_one_error_and_costs_no_memory() {
    let filler = vec![b'x'; 3 << 20];
    let bytes =
        [&b"--- !upsert\nid: \""[..], &filler, b"\"\n...\n--- !delete\nid: eA==\n...\n"].concat();
    for sizes in [vec![bytes.len()], vec![10_000], vec![65_536, 1, 7]] {
        let events = read_pieces(&bytes, &sizes, true);
        assert_eq!(events.len(), 2);
        let data = data(&events[0]);
        assert_eq!(data["reason"], "the document is too long");
        assert_eq!(data["length"], (bytes.len() - 25) as u64);
        let raw = STANDARD.decode(data["raw_base64"].as_str().unwrap()).unwrap();
        assert_eq!(raw, &bytes[..RAW_BYTES_MAX]);
        assert_eq!(events[1].class, Class::Record);
    }
}

#[test]
fn hostile_documents_are_answered_quickly() {
    let million = 1_000_000;
    let deep = |text: &str| text.repeat(2 * million / text.len());
    let anchors: String = (0..60_000).map(|n| format!("&a{n} x: y\n")).collect();
    let cases = [
        ("brackets", deep("[")),
        ("braces", deep("{")),
        ("dashes", deep("- ")),
        ("questions", deep("? ")),
        ("pairs", deep("{a: ")),
        ("quote", format!("\"{}", deep("x"))),
        ("lines in quotes", format!("\"{}", deep(" x\n"))),
        ("anchors", format!("--- !upsert\n{anchors}")),
        ("tags", deep("!a ")),
        ("colons", deep("a: ")),
        ("commas", format!("[{}", deep("a,"))),
        ("keys", deep("a: b\n")),
        ("indents", (0..1_400).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("escapes", format!("k: \"{}", deep("\\x41"))),
        ("comments", deep("#\n")),
        ("blanks", deep(" ")),
        ("zeros", deep("\0")),
        ("percents", deep("%\n")),
        ("block text", format!("k: |\n{}", deep(" x\n"))),
    ];
    for (name, text) in cases {
        // Once so that the limit cuts it, once so that the parser gets as much as it may.
        for length in [text.len(), text.len().min((1 << 20) - 30)] {
            let part: String = text.chars().take(length).collect();
            let bytes = format!("--- !upsert\n{part}\n--- !delete\nid: eA==\n...\n");
            let start = Instant::now();
            let events = read(bytes.as_bytes());
            let took = start.elapsed();
            eprintln!("{name} {length}: {took:?}");
            assert!(took < Duration::from_secs(4), "{name}: {took:?}");
            assert_eq!(events.last().map(|event| event.class), Some(Class::Record), "{name}");
            assert!(events.len() <= 3, "{name}: {}", events.len());
        }
    }
}

#[test]
fn limits_of_one_document_hold() {
    let limits =
        Limits { document_bytes_max: 400, depth_max: 3, nodes_max: 12, text_bytes_max: 20 };
    let read = |text: &str| eventfs::decode::hestia::read(text.as_bytes(), limits).map(|_| ());
    assert_eq!(read("--- !upsert\nid: eA==\nxattrs: {a: {b: c}}\n...\n"), Ok(()));
    let error = |text: &str| read(text).unwrap_err();
    assert_eq!(error("--- !upsert\nid: eA==\nxattrs: {a: {b: {}}}\n...\n"), "nested too deeply");
    assert_eq!(
        error("--- !upsert\nid: eA==\nxattrs: {a: [1, 2, 3, 4, 5, 6, 7]}\n...\n"),
        "too many nodes"
    );
    assert_eq!(error("--- !upsert\nid: \"123456789012345678901\"\n...\n"), "a text is too long");
}

#[test]
fn characters_that_yaml_forbids_are_refused() {
    for bad in ["\0", "\u{1}", "\u{7f}", "\u{80}", "\u{feff}", "\u{fffe}"] {
        let result = one(&format!("--- !unlink\nid: eA==\nparent: ''\nname: \"a{bad}\"\n...\n"));
        assert!(result.unwrap_err().contains("not allowed"), "{bad:?}");
    }
}

#[test]
fn states_of_documents_are_told() {
    let mut splitter = Splitter::new(1 << 20);
    splitter.push(b"# nothing yet\n\n");
    assert!(splitter.next().is_none() && !splitter.is_holding());
    splitter.push(b"--- !delete\nid: eA==\n");
    assert!(splitter.next().is_none() && splitter.is_holding());
    assert_eq!(splitter.end(), 36);
    let document = splitter.abandon().expect("what was held");
    assert_eq!((document.state, document.start), (State::Truncated, 15));
    assert!(!splitter.is_holding());
    splitter.push(b"--- !delete\nid: eA==\n");
    // No document of this stream was ever closed, and the line is whole.
    let document = splitter.finish().expect("the last one");
    assert_eq!((document.state, document.start), (State::Whole, 36));
    assert!(splitter.finish().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_pieces_make_no_difference(
        parts in prop::collection::vec(
            prop_oneof![
                Just("---".to_owned()), Just("...".to_owned()), Just("\n".to_owned()),
                Just("\r".to_owned()), Just("\r\n".to_owned()), Just(" ".to_owned()),
                Just("--- !delete\nid: eA==\n".to_owned()), Just("...\n".to_owned()),
                Just("%YAML 1.2\n".to_owned()), Just("# c\n".to_owned()),
                Just("\u{feff}".to_owned()), Just("--- !upsert {id: eA==}\n".to_owned()),
                "[ -~]{0,12}", "\\PC{0,6}",
            ], 0..24),
        sizes in prop::collection::vec(1_usize..9, 1..40),
    ) {
        let bytes = parts.concat().into_bytes();
        let whole = read(&bytes);
        prop_assert_eq!(&read_pieces(&bytes, &sizes, true), &whole);
        let mut at = 0;
        for event in &whole {
            let position = event.position.unwrap();
            prop_assert!(position.at >= at && position.next > position.at);
            prop_assert!(serde_json::from_slice::<Value>(&event.data).is_ok());
            at = position.next;
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for event in read(&[b"--- !upsert\n", bytes.as_slice()].concat()) {
            prop_assert!(serde_json::from_slice::<Value>(&event.data).is_ok());
        }
    }
}
