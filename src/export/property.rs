//! What holds for all lines: stated once, for tests and for fuzzing.

use super::{Exporter, Settings};
use crate::decode::hestia::{Content, Kind, Limits, Splitter, State, read};

/// Whatever the lines say, what comes out is whole documents that our reader knows in all parts, as many
/// as were counted, and the fields of `statx` are the same in all of them or absent.
///
/// # Panics
/// When that does not hold.
pub fn output_is_read_back(lines: &[u8]) {
    for plain in [false, true] {
        let settings = Settings { plain, nb_children: true, ..Settings::default() };
        let mut exporter = Exporter::new(settings, None);
        let mut yaml = String::new();
        for line in lines.split(|byte| *byte == b'\n') {
            exporter.line(line, &mut yaml);
        }
        assert_eq!(check(&yaml), exporter.counts().documents, "{yaml}");
    }
}

fn check(yaml: &str) -> u64 {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(yaml.as_bytes());
    let (mut documents, mut fields) = (0, None);
    let limits = Limits {
        document_bytes_max: usize::MAX,
        depth_max: 200,
        nodes_max: usize::MAX,
        text_bytes_max: usize::MAX,
    };
    while let Some(document) = splitter.next() {
        assert_eq!(document.state, State::Whole);
        let parsed = read(document.bytes, limits).unwrap_or_else(|why| panic!("{why}\n{yaml}"));
        assert!(parsed.unknown.is_empty(), "{yaml}");
        let Content::Inode(record) = parsed.content else { panic!("no record\n{yaml}") };
        if let (Kind::Upsert, Some(statx)) = (record.kind, &record.statx) {
            let now = super::Fields::of(statx);
            assert_eq!(*fields.get_or_insert(now), now, "{yaml}");
        }
        documents += 1;
    }
    assert!(!splitter.is_holding(), "{yaml}");
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_holds_for_the_samples() {
        for name in ["export_events", "legacy_feed.events", "current_feed.events"] {
            let path = format!("{}/tests/data/hestia/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
            output_is_read_back(&std::fs::read(path).unwrap());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_holds_for_what_looks_like_events(
            lines in prop::collection::vec((
                prop_oneof![
                    Just("upsert"), Just("link"), Just("unlink"), Just("ns_xattr"), Just("create"),
                    Just("update"), Just("read"), Just("remove"), Just("inode_xattr"),
                ],
                prop_oneof![Just("null"), Just("{}"), Just("{\"size\":1}"), Just("{\"size\":1,\"mode\":70000}")],
                "\\PC{0,9}",
                prop_oneof![Just("robinhood"), Just("hestia"), Just("")],
                any::<u64>(),
            ), 0..8),
        ) {
            let line = |(kind, statx, text, source, number): &(&str, &str, String, &str, u64)| {
                let text = serde_json::Value::from(text.as_str());
                format!(
                    "{{\"kind\":\"{kind}\",\"source\":\"{source}\",\"id\":\"eA==\",\"parent\":\"\",\
                     \"name\":{text},\"symlink\":{text},\"statx\":{statx},\"time\":{number},\
                     \"size\":{number},\"xattrs\":[[{text},{{\"uint32\":{number}}}],[{text},\
                     {{\"seq\":[{{\"string\":{text}}}]}}]],\"user_metadata\":{{{text}:{text}}}}}\n"
                )
            };
            let lines: String = lines.iter().map(line).collect();
            output_is_read_back(lines.as_bytes());
        }
    }
}
