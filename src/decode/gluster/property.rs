//! What holds for every input; the fuzz targets and the random tests call these.

use super::{Arrival, Decoder, Merger, Numbers, RAW_BYTES_MAX, shipped};
use crate::event::{Class, Event, TimeText};

/// Every message becomes one event whose line is one line of JSON, whatever the bytes.
pub fn message_becomes_one_event(bytes: &[u8]) {
    for numbers in [Numbers::Current, Numbers::V3_9_0] {
        let decoder = Decoder::new(numbers);
        checked(bytes, |arrival, event| decoder.message(bytes, arrival, event));
    }
}

/// The same for the body of a webhook request.
pub fn webhook_becomes_one_event(body: &[u8]) {
    let decoder = Decoder::default();
    checked(body, |arrival, event| decoder.webhook(body, arrival, event));
}

fn checked(bytes: &[u8], read: impl Fn(&Arrival<'_>, &mut Event)) {
    let arrival = Arrival { nanos: 1_795_226_203_123_456_789, count: 7, nodeid: Some("n-1") };
    let mut event = Event::default();
    read(&arrival, &mut event);
    let mut again = Event { kind: "x.y".into(), data: b"z".to_vec(), ..Event::default() };
    read(&arrival, &mut again);
    assert_eq!(event, again, "an event that is used again is another");
    assert!(event.kind.starts_with("gluster."));
    assert_eq!(event.name, "gluster-01795226203123456789-00000000000000000007");
    let mut line = Vec::new();
    event.write_line(&mut TimeText::default(), &mut line);
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let value: serde_json::Value = serde_json::from_slice(&line).expect("a line of JSON");
    let data = &value["data"];
    if event.class == Class::Unreadable {
        assert!(data["reason"].is_string());
        assert!(data["raw_base64"].as_str().is_some_and(|raw| raw.len() <= base64_of(bytes)));
    } else {
        assert!(data["event"].as_str().is_some_and(|name| !name.is_empty()));
        assert_eq!(data["notes"].is_null(), data["raw_base64"].is_null());
        assert!(shipped(&event.data).is_some());
    }
    assert!(!Merger::new(1).repeats(&event, 0));
}

/// Length of the base64 of what is delivered.
fn base64_of(bytes: &[u8]) -> usize {
    bytes.len().min(RAW_BYTES_MAX).div_ceil(3) * 4
}
