//! Moves that come apart, documents that mean harm, limits, and any bytes at all.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::hestia::{Decoder, Limits, RAW_BYTES_MAX, Splitter, State};
use eventfs::event::{Class, Event};
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ARRIVED, STAND, data, one, read, read_pieces, sample};

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

/// What this thread has had of the processor: others may have the rest.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).expect("clock")
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
            let start = cpu_time();
            let events = read(bytes.as_bytes());
            let took = cpu_time() - start;
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
