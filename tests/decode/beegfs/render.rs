//! Events as the contract words them.

use eventfs::decode::beegfs::{
    Form, Packet, Payload, Place, Renderer, Unreadable, V1Packet, V7_STREAM, digest,
};
use eventfs::event::{Class, Event, Position, TimeText, UnixNanos};
use serde_json::{Value, json};

use super::samples::packets;

/// The line of a sample that is an event, from node 12.
fn line(bytes: &[u8]) -> (Event, Value) {
    let Ok(Packet::Message { msn, payload }) = Packet::decode(bytes, Form::Strict) else {
        panic!("not an event");
    };
    let fields = Payload::decode(payload, Form::Strict).expect("payload");
    let mut event = Event::default();
    Renderer::new(Place::stream(12, 0), 0).event(msn, &fields, digest(payload), &mut event);
    let value = cloud_event(&event);
    (event, value)
}

fn cloud_event(event: &Event) -> Value {
    let mut line = Vec::new();
    event.write_line(&mut TimeText::default(), &mut line);
    assert_eq!(line.pop(), Some(b'\n'));
    assert!(!line.contains(&b'\n'));
    serde_json::from_slice(&line).expect("JSON")
}

const KEYS: [&str; 15] = [
    "meta_id",
    "mirror_group",
    "msn",
    "version",
    "event",
    "event_number",
    "flags",
    "num_hardlinks",
    "entry_id",
    "parent_entry_id",
    "path",
    "target_path",
    "target_parent_id",
    "user_id",
    "timestamp_ns",
];

#[test]
fn the_rename_of_the_specification() {
    let sample = packets().into_iter().find(|s| s.name == "Send_Message_msn2").expect("it");
    let (event, line) = line(&sample.bytes);
    assert_eq!(event.name, "beegfs-0000000012-00000000000000000002");
    assert_eq!(event.class, Class::Record);
    let Some(Position { stream: 12, at: 2, next: 3, mark }) = event.position else {
        panic!("{:?}", event.position)
    };
    assert_eq!(mark, digest(&sample.bytes[18..]));
    let expected = json!({
        "specversion": "1.0", "id": "12/2", "source": "/beegfs/meta/12", "type": "beegfs.rename",
        "time": "2025-11-01T12:00:00.123458789Z", "subject": "/home/ana/report.txt",
        "datacontenttype": "application/json",
        "data": {
            "meta_id": 12, "mirror_group": 0, "msn": 2, "version": 2, "event": "rename",
            "event_number": 12, "flags": 0, "num_hardlinks": 1, "entry_id": "2A-68F1C2D3-C",
            "parent_entry_id": "1-68F1C2D0-C", "path": "/home/ana/report.txt",
            "target_path": "/home/ana/archive/report-2025.txt",
            "target_parent_id": "2C-68F1C2D4-C", "user_id": 1001,
            "timestamp_ns": 1_761_998_400_123_458_789_i64,
        },
    });
    assert_eq!(line, expected);
}

#[test]
fn every_sample_event_keeps_every_field() {
    let mut seen = 0;
    for sample in packets() {
        let Some(expected) = sample.expect["ok"]["event"].as_object() else { continue };
        let (event, line) = line(&sample.bytes);
        let data = &line["data"];
        assert_eq!(data["msn"], sample.expect["ok"]["msn"]);
        assert_eq!(data["flags"], expected["event_flags"]);
        assert_eq!(data["num_hardlinks"], expected["num_links"]);
        assert_eq!(data["event_number"], expected["type"]);
        assert_eq!(data["user_id"], expected["msg_user_id"]);
        assert_eq!(data["timestamp_ns"], expected["timestamp"]);
        let strings = ["entry_id", "parent_entry_id", "path", "target_path", "target_parent_id"];
        for name in strings {
            let encoded = format!("{name}_base64");
            if expected[name]["utf8"].is_string() {
                assert_eq!(data[name], expected[name]["utf8"], "{}", sample.name);
                assert!(data.get(&encoded).is_none());
            } else {
                use base64::Engine as _;
                let text = data[&encoded].as_str().expect("base64");
                let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hex, expected[name]["hex"], "{}", sample.name);
                assert!(data.get(name).is_none());
            }
        }
        let subject = expected["path"]["utf8"].as_str().filter(|path| !path.is_empty());
        assert_eq!(line.get("subject").and_then(Value::as_str), subject, "{}", sample.name);
        assert_eq!(line["type"], format!("beegfs.{}", data["event"].as_str().expect("event")));
        assert!(event.raw.is_empty());
        seen += 1;
    }
    assert_eq!(seen, 28);
}

#[test]
fn the_keys_stand_in_the_order_of_the_contract() {
    let sample = packets().into_iter().find(|s| s.name == "Send_Message_msn0").expect("it");
    let (event, _) = line(&sample.bytes);
    let text = String::from_utf8(event.data).expect("text");
    let places: Vec<usize> =
        KEYS.iter().map(|key| text.find(&format!("\"{key}\":")).expect(key)).collect();
    assert!(places.is_sorted(), "{text}");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value.as_object().expect("object").len(), KEYS.len());
}

#[test]
fn an_unknown_type_is_delivered_by_number() {
    let sample = packets().into_iter().find(|s| s.name == "Send_Message_msn24").expect("it");
    let (_, line) = line(&sample.bytes);
    assert_eq!(line["type"], "beegfs.unknown_23");
    assert_eq!(line["data"]["event"], "unknown_23");
    assert_eq!(line["data"]["event_number"], 23);
}

#[test]
fn after_a_reset_names_carry_its_number() {
    let payload = Payload { event: 5, ..Payload::default() };
    let mut event = Event::default();
    Renderer::new(Place::stream(70_001, 2), 9).event(7, &payload, 1, &mut event);
    assert_eq!(event.name, "beegfs-0000070001-r2-00000000000000000007");
    assert_eq!(event.id, "70001/r2/7");
    assert_eq!(event.source, "/beegfs/meta/70001");
    let position = event.position.expect("position");
    assert_eq!(Place::of_name(&event.name).map(|place| place.stream), Some(position.stream));
    let data: Value = serde_json::from_slice(&event.data).expect("JSON");
    assert_eq!((&data["meta_id"], &data["mirror_group"]), (&json!(70_001), &json!(9)));
    assert_eq!(data["path"], "");
    assert!(event.subject.is_empty());
}

#[test]
fn the_largest_numbers_and_a_time_before_the_epoch() {
    let payload = Payload {
        flags: u32::MAX,
        num_hardlinks: u64::MAX,
        event: u32::MAX,
        user_id: u32::MAX,
        timestamp_ns: -1,
        ..Payload::default()
    };
    let mut event = Event::default();
    Renderer::new(Place::stream(u32::MAX, 0), u16::MAX).event(u64::MAX, &payload, 1, &mut event);
    assert_eq!(event.name, "beegfs-4294967295-18446744073709551615");
    let line = cloud_event(&event);
    assert_eq!(line["time"], "1969-12-31T23:59:59.999999999Z");
    assert_eq!(line["data"]["num_hardlinks"], u64::MAX);
    assert_eq!(line["data"]["timestamp_ns"], -1);
    assert_eq!(line["data"]["event"], "unknown_4294967295");
}

#[test]
fn beegfs_7_has_numbers_of_ours() {
    let sample = packets().into_iter().find(|s| s.name == "v1_rename").expect("it");
    let packet = V1Packet::decode(&sample.bytes).expect("packet");
    let now = UnixNanos(1_761_998_400_000_000_001);
    let mut event = Event::default();
    Renderer::new(V7_STREAM, 0).v1(1, &packet, now, &mut event);
    assert_eq!(event.name, "beegfs-v7-00000000000000000001");
    let line = cloud_event(&event);
    assert_eq!(line["id"], "v7/1");
    assert_eq!(line["source"], "/beegfs/meta/0");
    assert_eq!(line["type"], "beegfs.rename");
    assert_eq!(line["subject"], "/bar/foo");
    assert_eq!(line["time"], "2025-11-01T12:00:00.000000001Z");
    let expected = json!({
        "meta_id": 0, "mirror_group": 0, "msn": 1, "version": 1, "event": "rename",
        "event_number": 12, "flags": null, "num_hardlinks": null, "entry_id": "0-644BFF1F-1",
        "parent_entry_id": "root", "path": "/bar/foo", "target_path": "/foo",
        "target_parent_id": "root", "user_id": null, "timestamp_ns": now.0,
    });
    assert_eq!(line["data"], expected);
    let text = String::from_utf8(event.data.clone()).expect("text");
    assert!(KEYS.map(|key| text.find(&format!("\"{key}\":"))).is_sorted(), "{text}");
    let unknown = V1Packet { number: 40, ..packet };
    Renderer::new(V7_STREAM, 0).v1(2, &unknown, now, &mut event);
    assert_eq!(cloud_event(&event)["type"], "beegfs.unknown_40");
    assert_eq!(cloud_event(&event)["data"]["event_number"], 40);
}

#[test]
fn what_cannot_be_read_keeps_its_bytes() {
    let mut event = Event::default();
    let raw = vec![0x55; 70_000];
    let now = UnixNanos(5);
    let unreadable = Unreadable { raw: &raw, reason: "a reason", now, count: 3 };
    let renderer = Renderer::new(Place::stream(12, 0), 0);
    renderer.unreadable(Some(7), &unreadable, &mut event);
    assert_eq!(event.class, Class::Unreadable);
    assert_eq!(event.name, "beegfs-0000000012-00000000000000000007");
    assert_eq!(event.position, Some(Position { stream: 12, at: 7, next: 8, mark: 0 }));
    let line = cloud_event(&event);
    assert_eq!(line["type"], "beegfs.unreadable");
    assert_eq!(line["data"]["reason"], "a reason");
    assert_eq!(line["data"]["meta_id"], 12);
    assert_eq!(line["data"]["msn"], 7);
    let text = line["data"]["raw_base64"].as_str().expect("raw");
    assert_eq!(text.len(), 65_536_usize.div_ceil(3) * 4);
    // Where it stands is not known.
    renderer.unreadable(None, &unreadable, &mut event);
    assert_eq!(event.name, "beegfs-unreadable-00000000000000000005-00000000000000000003");
    assert_eq!((event.position, event.source.as_str()), (None, "/beegfs/meta/12"));
    unreadable.render(&mut event);
    assert_eq!(event.source, "/beegfs/meta/unknown");
    let line = cloud_event(&event);
    assert_eq!((&line["data"]["meta_id"], &line["data"]["msn"]), (&Value::Null, &Value::Null));
}
