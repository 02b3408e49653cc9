//! Hestia's feeds and robinhood's YAML, against what the real programs made of the same bytes.

mod bounds;
mod meaning;
mod samples;

use eventfs::decode::hestia::{Decoder, Limits, Origin, Splitter, Stand};
use eventfs::event::{Class, Event, UnixNanos};
use serde_json::Value;

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
