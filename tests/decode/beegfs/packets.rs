//! Every sample packet gives what the samples expect of it, and back; every prefix of one is refused.

use eventfs::decode::beegfs::{
    CloseReason, Fault, Form, Packet, Payload, V1Packet, message_number,
};
use serde_json::{Value, json};

use super::samples::{hex, packets, session};

/// A packet as the samples describe it.
fn described(packet: &Packet<'_>) -> Value {
    let mut value = match *packet {
        Packet::HandshakeRequest { major, minor } => json!({"major": major, "minor": minor}),
        Packet::HandshakeResponse { major, minor, meta_id, mirror_group } => json!({
            "major": major, "minor": minor, "meta_id": meta_id, "mirror_group_id": mirror_group
        }),
        Packet::Newest { next } => json!({"next_msn": next}),
        Packet::Range { next, oldest } => json!({"next_msn": next, "oldest_msn": oldest}),
        Packet::StreamStart { start } => json!({"start_msn": start}),
        Packet::Message { msn, payload } => json!({
            "msn": msn, "size": payload.len(),
            "event": described_payload(&Payload::decode(payload, Form::Strict).expect("payload")),
        }),
        Packet::Close { reason } => {
            let name = match reason {
                CloseReason::Acknowledged => "Ack_Close",
                CloseReason::StreamCrashed => "Stream_Crashed",
                CloseReason::ProtocolError => "Protocol_Error",
                other => panic!("no sample of {other:?}"),
            };
            json!({"reason": reason.byte(), "reason_name": name})
        }
        _ => json!({}),
    };
    value["packet"] = packet.name().into();
    value
}

fn described_payload(payload: &Payload<'_>) -> Value {
    let [entry_id, parent_entry_id, path, target_path, target_parent_id] =
        payload.strings().map(|text| {
            let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"utf8": std::str::from_utf8(text).ok(), "hex": hex})
        });
    json!({
        "format_version": 2, "event_flags": payload.flags, "num_links": payload.num_hardlinks,
        "type": payload.event, "entry_id": entry_id, "parent_entry_id": parent_entry_id,
        "path": path, "target_path": target_path, "target_parent_id": target_parent_id,
        "msg_user_id": payload.user_id, "timestamp": payload.timestamp_ns,
    })
}

fn read(bytes: &[u8], form: Form) -> Result<Packet<'_>, Fault> {
    let packet = Packet::decode(bytes, form)?;
    if let Packet::Message { payload, .. } = packet {
        Payload::decode(payload, form)?;
    }
    Ok(packet)
}

/// Without what the samples say in words only.
fn without_words(mut value: Value) -> Value {
    if let Some(event) = value.get_mut("event").and_then(Value::as_object_mut) {
        event.remove("type_name");
    }
    value
}

#[test]
fn every_sample_gives_what_it_should() {
    let mut kinds = [0; 3];
    for sample in packets() {
        let (name, bytes) = (&sample.name, &sample.bytes);
        let packet = read(bytes, Form::Strict);
        if let Some(expected) = sample.expect.get("ok") {
            let packet = packet.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(described(&packet), without_words(expected.clone()), "{name}");
            assert_eq!(packet.to_bytes(), *bytes, "{name}");
            kinds[0] += 1;
        } else if let Some(kind) = sample.expect.get("unknown_type") {
            let Ok(Packet::Unknown { kind: found }) = packet else { panic!("{name}: {packet:?}") };
            assert_eq!(found, *kind, "{name}");
            kinds[1] += 1;
        } else {
            assert!(sample.expect["error"].is_string(), "{name}");
            assert!(packet.is_err(), "{name}: {packet:?}");
            kinds[2] += 1;
        }
    }
    assert_eq!(kinds, [45, 3, 19]);
}

#[test]
fn faults_say_what_is_wrong() {
    let samples = packets();
    let fault = |name: &str| {
        let sample = samples.iter().find(|sample| sample.name == name).expect(name);
        read(&sample.bytes, Form::Strict).expect_err(name)
    };
    assert_eq!(fault("bad_empty"), Fault::Empty);
    assert_eq!(fault("bad_one_byte"), Fault::Header);
    assert_eq!(fault("bad_header_only_message"), Fault::Short("number"));
    assert_eq!(fault("bad_cut_in_msn"), Fault::Short("number"));
    assert_eq!(fault("bad_cut_last_byte"), Fault::Size { told: 62, came: 61 });
    assert_eq!(fault("bad_extra_byte"), Fault::Size { told: 62, came: 63 });
    assert_eq!(fault("bad_magic_case"), Fault::Magic);
    assert_eq!(fault("bad_magic_no_nul"), Fault::Magic);
    assert_eq!(fault("bad_event_version_3"), Fault::Format(3));
    assert_eq!(fault("bad_trailing_in_payload"), Fault::Trailing("event"));
    assert_eq!(fault("bad_range_short"), Fault::Short("oldest number"));
    assert_eq!(fault("bad_handshake_short"), Fault::Short("mirror group"));
    assert_eq!(fault("bad_close_no_reason"), Fault::Short("reason"));
    let texts = ["bad_string_len_huge", "bad_string_no_nul", "v1_rename"].map(fault);
    assert!(matches!(texts[0], Fault::Short(_)), "{}", texts[0]);
    assert!(matches!(texts[1], Fault::Unterminated(_)), "{}", texts[1]);
    assert_eq!(texts[2], Fault::Magic);
    assert_eq!(Fault::Format(3).to_string(), "unknown event format 3");
}

#[test]
fn every_prefix_of_every_packet_is_refused() {
    for sample in packets().iter().filter(|sample| sample.expect.get("ok").is_some()) {
        for end in 0..sample.bytes.len() {
            for form in [Form::Strict, Form::Lenient] {
                let prefix = &sample.bytes[..end];
                assert!(read(prefix, form).is_err(), "{} cut to {end}", sample.name);
            }
        }
    }
}

#[test]
fn every_prefix_of_a_payload_is_refused_inside_a_packet_that_fits_it() {
    for sample in packets().iter().filter(|sample| sample.expect.get("ok").is_some()) {
        let Ok(Packet::Message { msn, payload }) = read(&sample.bytes, Form::Strict) else {
            continue;
        };
        for end in 0..payload.len() {
            let packet = Packet::Message { msn, payload: &payload[..end] }.to_bytes();
            assert!(read(&packet, Form::Strict).is_err(), "{} cut to {end}", sample.name);
            assert!(read(&packet, Form::Lenient).is_err(), "{} cut to {end}", sample.name);
        }
    }
}

#[test]
fn bytes_behind_the_end_are_a_fault_only_in_protocol_2_0() {
    assert_eq!(Form::of_minor(0), Form::Strict);
    assert_eq!(Form::of_minor(1), Form::Lenient);
    for sample in packets().iter().filter(|sample| sample.expect.get("ok").is_some()) {
        let mut longer = sample.bytes.clone();
        longer.extend_from_slice(b"later");
        assert!(read(&longer, Form::Strict).is_err(), "{}", sample.name);
        let lenient = read(&longer, Form::Lenient).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(described(&lenient), without_words(sample.expect["ok"].clone()));
    }
    // A field that came later inside of an event.
    let sample = packets().into_iter().find(|s| s.name == "bad_trailing_in_payload").expect("it");
    assert!(read(&sample.bytes, Form::Lenient).is_ok());
}

#[test]
fn the_number_of_a_broken_event_is_read_if_it_is_there() {
    let samples = packets();
    let number = |name: &str| {
        let sample = samples.iter().find(|sample| sample.name == name).expect(name);
        message_number(&sample.bytes)
    };
    for name in ["bad_size_plus1", "bad_string_len_huge", "bad_event_version_3", "bad_extra_byte"] {
        assert_eq!(number(name), Some(77), "{name}");
    }
    for name in ["bad_cut_in_msn", "bad_magic_case", "bad_empty", "Send_Message_Newest"] {
        assert_eq!(number(name), None, "{name}");
    }
}

#[test]
fn the_recorded_session_is_read_whole() {
    let packets = session();
    let names: Vec<_> = packets
        .iter()
        .map(|packet| read(&packet.bytes, Form::Strict).expect("packet").name())
        .collect();
    assert_eq!(names.iter().filter(|&&name| name == "Send_Message").count(), 27);
    assert_eq!(names[..2], ["Handshake_Request", "Handshake_Response"]);
    assert_eq!(names.last(), Some(&"Send_Close"));
    assert!(packets[1].is_from_server && !packets[0].is_from_server);
}

#[test]
fn a_packet_of_beegfs_7_is_read() {
    let sample = packets().into_iter().find(|s| s.name == "v1_rename").expect("it");
    assert!(V1Packet::matches(&sample.bytes));
    let packet = V1Packet::decode(&sample.bytes).expect("packet");
    let expected = &sample.expect["v1"];
    assert_eq!(packet.dropped, expected["dropped_seq"]);
    assert_eq!(packet.missed, expected["missed_seq"]);
    assert_eq!(packet.number, expected["type"]);
    let texts = packet.strings().map(|text| String::from_utf8(text.to_vec()).expect("text"));
    let names = ["entry_id", "parent_entry_id", "path", "target_path", "target_parent_id"];
    for (name, text) in names.iter().zip(texts) {
        assert_eq!(expected[name], text);
    }
    assert_eq!(packet.event(), Some(12), "RENAME in version 2's numbers");
    let mut again = Vec::new();
    packet.encode(&mut again);
    assert_eq!(again, sample.bytes);
    for end in 0..sample.bytes.len() {
        assert!(V1Packet::decode(&sample.bytes[..end]).is_err(), "cut to {end}");
    }
    let mut padded = sample.bytes.clone();
    padded.extend_from_slice(&[0; 9]);
    assert_eq!(V1Packet::decode(&padded), Ok(packet), "some tools pad");
    padded[4] += 3;
    assert_eq!(V1Packet::decode(&padded), Err(Fault::Trailing("event")), "inside of its size");
}

#[test]
fn numbers_of_beegfs_7_become_those_of_version_2() {
    let event = |number| V1Packet { number, ..V1Packet::default() }.event();
    assert_eq!(event(0), Some(1), "FLUSH");
    assert_eq!(event(4), Some(5), "CREATE");
    assert_eq!(event(12), Some(13), "READ is OPEN_READ");
    assert_eq!([13, 14, u32::MAX].map(event), [None; 3]);
}

#[test]
fn strings_may_hold_anything_and_lengths_lie() {
    let hostile: Vec<Vec<u8>> = vec![
        vec![],
        vec![0; 40],
        (0..=255).collect(),
        b"\"\\\n\t\x01\x7f".to_vec(),
        vec![0xff; 4096],
    ];
    for text in &hostile {
        let payload = Payload {
            entry_id: text,
            parent_entry_id: text,
            path: text,
            target_path: text,
            target_parent_id: text,
            ..Payload::default()
        };
        let mut bytes = Vec::new();
        payload.encode(&mut bytes);
        assert_eq!(Payload::decode(&bytes, Form::Strict), Ok(payload));
        // The first length, four bytes at 18, with every value around its own and around the limits.
        let length = text.len() as u32;
        for lie in [length.wrapping_sub(1), length + 1, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX] {
            let mut lied = bytes.clone();
            lied[18..22].copy_from_slice(&lie.to_le_bytes());
            assert_ne!(Payload::decode(&lied, Form::Strict), Ok(payload), "{lie}");
        }
    }
    assert_eq!(Packet::decode(&hex("086576656e747300"), Form::Strict), Err(Fault::Short("number")));
}
