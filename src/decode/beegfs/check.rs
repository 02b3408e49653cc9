//! Properties that hold for any bytes at all: what the fuzz targets and the random tests call.

use super::{Form, Packet, Payload, Place, Renderer, V1Packet, message_number};
use crate::event::{Event, TimeText, UnixNanos};

/// What decodes is the same when it is written and decoded again, and renders as one line of JSON.
///
/// # Panics
/// If it does not hold.
pub fn packet(bytes: &[u8]) {
    for form in [Form::Strict, Form::Lenient] {
        if let Ok(packet) = Packet::decode(bytes, form) {
            packet_goes_round(bytes, packet, form);
        }
    }
    if let Ok(packet) = V1Packet::decode(bytes) {
        let mut again = Vec::new();
        packet.encode(&mut again);
        assert!(bytes.starts_with(&again), "what follows is padding");
        let mut event = Event::default();
        Renderer::new(super::V7_STREAM, 0).v1(1, &packet, UnixNanos(0), &mut event);
        is_one_line(&event);
    }
}

fn packet_goes_round(bytes: &[u8], packet: Packet<'_>, form: Form) {
    let again = packet.to_bytes();
    assert_eq!(Packet::decode(&again, Form::Strict), Ok(packet));
    if form == Form::Strict && !matches!(packet, Packet::Unknown { .. }) {
        assert_eq!(again, bytes);
    }
    let Packet::Message { msn, payload } = packet else { return };
    assert_eq!(message_number(bytes), Some(msn));
    let Ok(fields) = Payload::decode(payload, form) else { return };
    let mut again = Vec::new();
    fields.encode(&mut again);
    assert!(payload.starts_with(&again), "what follows came later");
    let mut event = Event::default();
    Renderer::new(Place::stream(1, 0), 0).event(msn, &fields, 1, &mut event);
    is_one_line(&event);
}

/// The CloudEvents line is valid JSON without a line break inside.
///
/// # Panics
/// If it is not.
pub fn is_one_line(event: &Event) {
    let mut line = Vec::new();
    event.write_line(&mut TimeText::default(), &mut line);
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    assert!(value["data"].is_object());
}
