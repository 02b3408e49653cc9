//! Recorded feeds, whole, in pieces and cut.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::hestia::{Limits, Splitter, mark_of};
use eventfs::event::{Class, Event};
use serde_json::{Value, json};

use super::{ARRIVED, data, expect_record, lines, read, read_pieces, sample};

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
