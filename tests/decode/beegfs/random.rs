//! Random packets: what is written is read back, what is random is refused or read without a panic.

use eventfs::decode::beegfs::{
    CloseReason, FORMAT, Form, Packet, Payload, Place, Renderer, V1Packet, check,
};
use eventfs::event::Event;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// Names as they occur, and any bytes at all.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        "[/a-z\"\\\\\\n é🦀]{0,40}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..60),
        vec(any::<u8>(), 0..4100),
    ]
}

fn texts() -> impl Strategy<Value = [Vec<u8>; 5]> {
    [text(), text(), text(), text(), text()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn payloads_go_round(
        texts in texts(),
        (flags, num_hardlinks, event, user_id, timestamp_ns) in any::<(u32, u64, u32, u32, i64)>(),
        msn in any::<u64>(),
        later in vec(any::<u8>(), 1..9),
    ) {
        let [entry_id, parent_entry_id, path, target_path, target_parent_id] =
            texts.each_ref().map(Vec::as_slice);
        let payload = Payload {
            flags, num_hardlinks, event, entry_id, parent_entry_id, path, target_path,
            target_parent_id, user_id, timestamp_ns,
        };
        let mut bytes = Vec::new();
        payload.encode(&mut bytes);
        prop_assert_eq!(bytes.first_chunk(), Some(&FORMAT.to_le_bytes()));
        prop_assert_eq!(Payload::decode(&bytes, Form::Strict), Ok(payload));
        let mut rendered = Event::default();
        Renderer::new(Place::stream(1, 0), 0).event(msn, &payload, 1, &mut rendered);
        let data: Value = serde_json::from_slice(&rendered.data).unwrap();
        prop_assert_eq!(data["msn"].as_u64(), Some(msn));
        prop_assert_eq!(data["path"].as_str(), std::str::from_utf8(path).ok());
        bytes.extend_from_slice(&later);
        prop_assert!(Payload::decode(&bytes, Form::Strict).is_err());
        prop_assert_eq!(Payload::decode(&bytes, Form::Lenient), Ok(payload));
    }

    #[test]
    fn control_packets_go_round(
        (a, b) in any::<(u64, u64)>(),
        (major, minor, meta_id, mirror_group) in any::<(u16, u16, u32, u16)>(),
        payload in vec(any::<u8>(), 0..300),
        reason in any::<u8>(),
    ) {
        for packet in [
            Packet::HandshakeRequest { major, minor },
            Packet::HandshakeResponse { major, minor, meta_id, mirror_group },
            Packet::NewestRequest,
            Packet::Newest { next: a },
            Packet::RangeRequest,
            Packet::Range { next: a, oldest: b },
            Packet::StreamStart { start: a },
            Packet::Message { msn: a, payload: &payload },
            Packet::CloseRequest,
            Packet::Close { reason: CloseReason::from_byte(reason) },
        ] {
            let bytes = packet.to_bytes();
            prop_assert_eq!(Packet::decode(&bytes, Form::Strict), Ok(packet));
            for end in 0..bytes.len() {
                prop_assert!(Packet::decode(&bytes[..end], Form::Lenient).is_err());
            }
        }
    }

    #[test]
    fn packets_of_beegfs_7_go_round(
        texts in texts(),
        (dropped, missed, number) in any::<(u64, u64, u32)>(),
    ) {
        let [entry_id, parent_entry_id, path, target_path, target_parent_id] =
            texts.each_ref().map(Vec::as_slice);
        let packet = V1Packet {
            dropped, missed, number, entry_id, parent_entry_id, path, target_path, target_parent_id,
        };
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        prop_assert_eq!(V1Packet::decode(&bytes), Ok(packet));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300), kind in 0_u8..12) {
        check::packet(&bytes);
        let mut good = vec![kind];
        good.extend_from_slice(b"events\0");
        good.extend_from_slice(&bytes);
        check::packet(&good);
        let payload = Packet::Message { msn: 1, payload: &bytes }.to_bytes();
        check::packet(&payload);
    }

    #[test]
    fn no_bytes_make_a_session_lose_an_event_in_silence(
        choice in any::<u8>(),
        steps in vec(prop_oneof![
            Just(handshake()),
            (0..40_u64, 0..40_u64).prop_map(|(next, oldest)| range(next, oldest)),
            (0..40_u64, vec(any::<u8>(), 0..3)).prop_map(|(msn, path)| message(msn, &path)),
            (0..40_u64, 0..70_usize).prop_map(|(msn, cut)| cut_message(msn, cut)),
            vec(any::<u8>(), 0..60).prop_map(step),
            (251..=255_u8).prop_map(|happening| vec![happening]),
            (0..5_u8).prop_map(|reason| step(vec![10, reason])),
            v1(),
        ], 0..120),
    ) {
        let mut script = vec![choice];
        script.extend(steps.concat());
        check::session(&script);
    }
}

/// One step of a script for `check::session`.
fn step(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.insert(0, bytes.len() as u8);
    bytes
}

/// A packet as a step: the header is its type alone.
fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let bytes = packet.to_bytes();
    step([&bytes[..1], &bytes[8..]].concat())
}

fn handshake() -> Vec<u8> {
    packet(&Packet::HandshakeResponse { major: 2, minor: 0, meta_id: 12, mirror_group: 0 })
}

fn range(next: u64, oldest: u64) -> Vec<u8> {
    packet(&Packet::Range { next, oldest })
}

fn message(msn: u64, path: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Payload { event: 5, path, ..Payload::default() }.encode(&mut payload);
    packet(&Packet::Message { msn, payload: &payload })
}

fn cut_message(msn: u64, cut: usize) -> Vec<u8> {
    let whole = message(msn, b"");
    let end = (whole.len() - 1).min(cut.max(1));
    step(whole[1..end].to_vec())
}

fn v1() -> impl Strategy<Value = Vec<u8>> {
    (0..3_u64, 0..3_u64, 0..15_u32).prop_map(|(dropped, missed, number)| {
        let mut bytes = Vec::new();
        V1Packet { dropped, missed, number, ..V1Packet::default() }.encode(&mut bytes);
        // As it is: a step whose first byte is 1 would get the header of version 2.
        bytes.insert(0, 11);
        step(bytes)
    })
}
