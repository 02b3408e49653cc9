//! What holds for all bytes: stated once, for tests and for fuzzing.

use super::{Decoder, Limits, Origin, Splitter, Stand};
use crate::event::{Event, UnixNanos};

/// A stream gives the same events however it is cut into pieces; every event is JSON, and positions rise
/// without overlapping.
///
/// The first two bytes say how long the pieces are.
///
/// # Panics
/// When that does not hold.
pub fn pieces_make_no_difference(bytes: &[u8]) {
    let [short, long, bytes @ ..] = bytes else { return };
    let whole = events(bytes, &[bytes.len()]);
    let sizes = [usize::from(*short), usize::from(*long)];
    assert_eq!(events(bytes, &sizes), whole);
    let mut at = 0;
    for event in &whole {
        let json: Result<serde_json::Value, _> = serde_json::from_slice(&event.data);
        assert!(json.is_ok(), "{}", String::from_utf8_lossy(&event.data));
        let position = event.position.unwrap_or_else(|| panic!("{} without a place", event.id));
        assert!(at <= position.at && position.at < position.next, "{position:?} behind {at}");
        assert!(position.next <= bytes.len() as u64);
        at = position.next;
    }
}

fn events(bytes: &[u8], sizes: &[usize]) -> Vec<Event> {
    // Small, so that short inputs reach them.
    let limits =
        Limits { document_bytes_max: 300, depth_max: 5, nodes_max: 40, text_bytes_max: 100 };
    let mut splitter = Splitter::new(limits.document_bytes_max);
    let mut decoder = Decoder::new("feed", limits, true);
    let stand = Stand { origin: Origin::File { inode: 1, resets: 0 }, stream: 1 };
    let mut events = Vec::new();
    let mut out = |event: &mut Event| events.push(event.clone());
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        splitter.push(piece);
        while let Some(document) = splitter.next() {
            decoder.take(&document, stand, UnixNanos(1), &mut out);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if let Some(document) = splitter.finish() {
        decoder.take(&document, stand, UnixNanos(1), &mut out);
    }
    decoder.release(&mut out);
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARTS: [&[u8]; 16] = [
        b"---\n",
        b"--- ",
        b"...\n",
        b"...",
        b"\r",
        b"\r\n",
        b"!delete\n",
        b"id: eA==\n",
        b"!upsert {id: eA==}\n",
        b"%YAML 1.2\n",
        b"# c",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\"",
        b"[[",
        &[b'x'; 120],
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_holds_for_what_looks_like_a_feed(
            sizes in any::<[u8; 2]>(),
            parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..16),
        ) {
            pieces_make_no_difference(&[&sizes[..], &parts.concat()].concat());
        }
    }
}
