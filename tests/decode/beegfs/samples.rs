//! The samples in tests/data/beegfs.

use serde_json::Value;

/// One sample packet.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// One of `ok`, `error`, `unknown_type`, perhaps `v1` beside it.
    pub(super) expect: Value,
}

/// All sample packets.
pub(super) fn packets() -> Vec<Sample> {
    let text = include_str!("../../data/beegfs/packets.json");
    let all: Value = serde_json::from_str(text).expect("JSON");
    let packets = all["packets"].as_array().expect("packets");
    packets.iter().map(sample).collect()
}

fn sample(packet: &Value) -> Sample {
    let bytes = hex(packet["hex"].as_str().expect("hex"));
    assert_eq!(bytes.len() as u64, packet["length"]);
    let name = packet["name"].as_str().expect("name").to_owned();
    Sample { name, bytes, expect: packet["expect"].clone() }
}

/// One packet of the recorded session.
pub(super) struct Recorded {
    pub(super) is_from_server: bool,
    pub(super) bytes: Vec<u8>,
}

/// The packets of the recorded session, in order.
pub(super) fn session() -> Vec<Recorded> {
    let text = include_str!("../../data/beegfs/session_small.jsonl");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .filter_map(|line| {
            let bytes = hex(line["hex"].as_str()?);
            Some(Recorded { is_from_server: line["dir"] == "S", bytes })
        })
        .collect()
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}
