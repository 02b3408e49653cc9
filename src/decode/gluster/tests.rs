use super::*;
use serde_json::{Value, json};

pub(super) fn read(text: impl AsRef<[u8]>) -> (Event, Value) {
    read_as(text, Numbers::Current)
}

fn read_as(text: impl AsRef<[u8]>, numbers: Numbers) -> (Event, Value) {
    let mut event = Event::default();
    let arrival = Arrival { nanos: 5_000_000_007, count: 3, nodeid: Some("n1") };
    Decoder::new(numbers).message(text.as_ref(), &arrival, &mut event);
    let data = serde_json::from_slice(&event.data).unwrap();
    (event, data)
}

fn posted(body: &Value) -> (Event, Value) {
    let mut event = Event::default();
    let arrival = Arrival { nanos: 5_000_000_007, count: 3, nodeid: Some("n1") };
    Decoder::default().webhook(body.to_string().as_bytes(), &arrival, &mut event);
    let data = serde_json::from_slice(&event.data).unwrap();
    (event, data)
}

#[test]
fn an_event_has_its_identity_from_its_arrival() {
    let (event, data) = read("1795226203 3 name=gv0;force=0");
    assert_eq!(event.name, "gluster-00000000005000000007-00000000000000000003");
    assert_eq!(event.id, "00000000005000000007-00000000000000000003");
    assert_eq!(event.kind, "gluster.volume_start");
    assert_eq!(event.source, "/gluster/n1");
    assert_eq!(event.subject, "gv0");
    assert_eq!(event.time, UnixNanos(1_795_226_203_000_000_000));
    let expected = json!({"nodeid": "n1", "ts": 1_795_226_203, "event": "VOLUME_START",
                          "message": {"name": "gv0", "force": false}});
    assert_eq!(data, expected);
}

#[test]
fn values_keep_semicolons_and_equal_signs() {
    let file = "<gfid:1>/a;b=c;d;=;e==f";
    let (_, data) = read(format!("1 110 client-pid=0;subvol=s;type=data;file={file};count=2"));
    assert_eq!(data["message"]["file"], file);
    assert_eq!(data["message"]["count"], "2");
    assert_eq!(data["notes"], json!(["semicolon-in-value"]));
    let (_, data) = read("1 110 file=a;count=9;b;count=2;child-0=x;child-17=y;child-x=z");
    assert_eq!(data["message"]["file"], "a;count=9;b");
    assert_eq!(data["message"]["count"], "2");
    assert_eq!(data["message"]["child-17"], "y;child-x=z");
    assert_eq!(data["notes"], json!(["semicolon-in-value", "repeated-attribute"]));
    let (_, data) = read("1 6 name=v;options=,user.comment,a=b;c");
    assert_eq!(data["message"]["options"], json!([["user.comment", "a=b;c"]]));
}

#[test]
fn what_belongs_to_no_attribute_is_in_the_raw_bytes() {
    let cases = [
        ("1 3 gibberish", json!({}), json!(["unread-text"])),
        ("1 3 x y;name=v", json!({"name": "v"}), json!(["unread-text"])),
        ("1 3 new=1;name=v", json!({"new": "1", "name": "v"}), json!(["unknown-attribute"])),
        ("1 3 name=v;new=1", json!({"name": "v;new=1"}), json!(["semicolon-in-value"])),
        ("1 5 name=a;name=b", json!({"name": "b"}), json!(["repeated-attribute", "unread-text"])),
        ("1 19 (null)", json!({}), json!(["no-attributes"])),
        ("1 19", json!({}), json!(["no-attributes"])),
        ("1 19 ", json!({}), json!(["no-attributes"])),
        ("1 3 name=v;force=maybe", json!({"name": "v", "force": false}), json!(["not-a-flag"])),
    ];
    for (text, message, notes) in cases {
        let (event, data) = read(text);
        assert_eq!((&data["message"], &data["notes"]), (&message, &notes), "{text}");
        let object = data.as_object().unwrap();
        assert!(object.contains_key("raw_base64"), "{text}");
        assert_eq!(event.class, Class::Record);
    }
}

#[test]
fn numbers_beyond_the_table_have_a_type_of_their_own() {
    let (event, data) = read("1 142 some=thing; other=x;not a name=1");
    assert_eq!(event.kind, "gluster.unknown_142");
    assert_eq!(data["event"], "UNKNOWN_142");
    assert_eq!(data["message"], json!({"some": "thing", "other": "x;not a name=1"}));
    assert_eq!(read("1 141 usage=1 %").0.kind, "gluster.dht_inodes_usage");
    assert_eq!(read("1 18446744073709551615 a=b").0.kind, "gluster.unknown_18446744073709551615");
}

#[test]
fn release_3_9_0_has_other_numbers() {
    let kind = |number: u64| read_as(format!("1 {number} volume=v"), Numbers::V3_9_0).0.kind;
    assert_eq!(kind(77), "gluster.brick_connected");
    assert_eq!(kind(78), "gluster.bricks_start_failed");
    assert_eq!(kind(79), "gluster.brickpath_resolve_failed");
    assert_eq!(kind(81), "gluster.quorum_lost");
    assert_eq!(kind(142), "gluster.dht_inodes_usage");
    assert_eq!(kind(143), "gluster.unknown_143");
}

#[test]
fn bytes_that_are_not_text_are_delivered_as_base64() {
    let (event, data) = read(b"1 110 client-pid=0;file=a\xff\xfe;count=2");
    assert_eq!(event.class, Class::Record);
    assert_eq!(data["message"], json!({"client-pid": "0", "file_base64": "Yf/+", "count": "2"}));
    assert_eq!(data["notes"], json!(["not-utf8"]));
    let (_, data) = read(b"1 6 name=v;options=,a.b,\xff");
    assert_eq!(data["message"]["options_base64"], "LGEuYiz/");
}

#[test]
fn what_has_no_header_is_unreadable() {
    let far = "9".repeat(30);
    let texts =
        ["", "\n\0", "hello", "1795", "x y=z", "1 -1 a=b", "1x 3 a=b", "1 3x", "=a", "\u{e4}=b"];
    for text in texts.into_iter().chain([&*format!("{far} 3 a=b"), &*format!("1 {far} a=b")]) {
        let (event, data) = read(text);
        assert_eq!(event.kind, "gluster.unreadable", "{text:?}");
        assert_eq!(event.class, Class::Unreadable);
        assert_eq!(event.time, UnixNanos(5_000_000_007));
        assert!(data["reason"].is_string());
        assert!(data["raw_base64"].is_string());
        assert_eq!(data["position"], event.id);
    }
}

#[test]
fn only_the_first_64_kib_of_raw_bytes_are_delivered() {
    let (_, data) = read("x".repeat(100_000));
    assert_eq!(data["raw_base64"].as_str().unwrap().len(), RAW_BYTES_MAX.div_ceil(3) * 4);
}

#[test]
fn every_cut_of_a_message_is_an_event() {
    let text = "1795226451 110 client-pid=0;subvol=s;file=<gfid:1>/ty;count=2;child-1=sb";
    for cut in 0..text.len() {
        let (event, data) = read(&text[..cut]);
        assert_eq!(event.class == Class::Unreadable, cut < 12, "{cut}");
        if cut >= 14 {
            assert_eq!(data["event"], "AFR_SPLIT_BRAIN", "{cut}");
        }
    }
}

#[test]
fn the_dotted_form_is_read() {
    let cases = [
        ("Volume.Create=gv1", "VOLUME_CREATE", json!({"name": "gv1"})),
        (
            "Volume.Set=gv1,changelog.changelog,on",
            "VOLUME_SET",
            json!({"name": "gv1", "options": [["changelog.changelog", "on"]]}),
        ),
        ("Georep.State.Faulty=m,s", "GEOREP_STATE_FAULTY", json!({"name": "m", "values": ["s"]})),
        ("volume.start=", "VOLUME_START", json!({"name": ""})),
        ("  Peer.Attach=h 1\n", "PEER_ATTACH", json!({"name": "h 1"})),
    ];
    for (text, name, message) in cases {
        let (event, data) = read(text);
        assert_eq!((&data["event"], &data["message"]), (&json!(name), &message), "{text}");
        assert_eq!(event.kind, format!("gluster.{}", name.to_ascii_lowercase()));
        assert_eq!(data["ts"], 5);
        assert!(data["notes"].is_null());
    }
    let (_, data) = read(b"Volume.Set=g\xff,a.b,\xfe");
    assert_eq!(data["message"], json!({"name_base64": "Z/8=", "options_base64": "YS5iLP4="}));
}

#[test]
fn a_posted_object_is_read_again() {
    let body = json!({"event": "AFR_SUBVOL_UP", "nodeid": "x", "ts": 9,
                      "message": {" subvol": "r", "client-pid": "-6"}});
    let (event, data) = posted(&body);
    assert_eq!(event.kind, "gluster.afr_subvol_up");
    assert_eq!(event.source, "/gluster/x");
    assert_eq!(data["message"], json!({"subvol": "r", "client-pid": "-6"}));
    assert_eq!(data["notes"], json!(["blank-before-attribute"]));
    let body = json!({"event": "NEW_THING", "nodeid": "x", "ts": 9, "message": {"a": {"b": 1}}});
    let (event, data) = posted(&body);
    assert_eq!(event.kind, "gluster.new_thing");
    assert_eq!(data, body);
    let inside = json!({"specversion": "1.0", "id": "1", "data": body});
    assert_eq!(posted(&inside).1, data);
    assert_eq!(event_name(inside.to_string().as_bytes()).as_deref(), Some("NEW_THING"));
}

#[test]
fn a_posted_object_with_something_odd_is_delivered_with_its_bytes() {
    let full = json!({"event": "VOLUME_SET", "nodeid": "n", "ts": 1, "message": {"name": "v"}});
    let cases = [
        ("message", Value::Null, json!(["no-attributes"])),
        ("message", json!([1]), json!(["odd-message"])),
        ("ts", json!(-1), json!(["no-time"])),
        ("more", json!(1), json!(["more-members"])),
        ("event", json!("../x y"), json!(["odd-name"])),
    ];
    for (key, value, notes) in cases {
        let mut body = full.clone();
        body[key] = value;
        let (event, data) = posted(&body);
        assert_eq!(data["notes"], notes);
        assert!(data["raw_base64"].is_string());
        assert!(event.kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)));
    }
    for body in [json!([]), json!({"event": ""}), json!({"event": 3}), json!("x")] {
        assert_eq!(posted(&body).0.kind, "gluster.unreadable");
    }
}

#[test]
fn a_node_id_that_is_none_names_no_source() {
    for nodeid in [json!("../../etc"), json!(""), json!(7), json!("x".repeat(500)), Value::Null] {
        let body = json!({"event": "E", "nodeid": nodeid, "ts": 1, "message": {"a": "b"}});
        assert_eq!(posted(&body).0.source, "/gluster/unknown");
    }
}

#[test]
fn what_is_nested_too_deeply_is_not_read() {
    let body = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"event":"E","nodeid":"n","ts":1,"message":{{"a":{open}{close}}}}}"#)
    };
    let kind = |body: &str| {
        let mut event = Event::default();
        let arrival = Arrival { nanos: 1, count: 1, nodeid: None };
        Decoder::default().webhook(body.as_bytes(), &arrival, &mut event);
        event.kind
    };
    assert_eq!(kind(&body(100)), "gluster.e");
    assert_eq!(kind(&body(500_000)), "gluster.unreadable");
}
