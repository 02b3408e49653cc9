//! Gluster: the captured messages and requests, the table of types, random bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::gluster::{
    Arrival, Decoder, EventType, TYPES, by_name, by_number, property, shipped,
};
use eventfs::event::{Class, Event};
use proptest::prelude::*;
use serde_json::{Value, json};

const NODE: &str = "35b6eeec-c6ff-4d4e-a300-88ba989d0892";

fn samples(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

fn datagrams() -> Vec<Value> {
    samples(include_str!("../data/gluster/datagrams.jsonl"))
}

fn posts() -> Vec<Value> {
    samples(include_str!("../data/gluster/posts.jsonl"))
}

fn bytes(sample: &Value) -> Vec<u8> {
    STANDARD.decode(sample["b64"].as_str().expect("text")).expect("base64")
}

fn read(message: &[u8]) -> (Event, Value) {
    let mut event = Event::default();
    Decoder::default().message(message, &arrival(), &mut event);
    let data = serde_json::from_slice(&event.data).expect("JSON");
    (event, data)
}

fn arrival() -> Arrival<'static> {
    Arrival { nanos: 1_795_226_203_000_000_001, count: 1, nodeid: Some(NODE) }
}

#[test]
fn every_captured_datagram_is_read_with_care() {
    let samples = datagrams();
    assert_eq!(samples.len(), 48);
    for sample in samples {
        let (event, data) = read(&bytes(&sample));
        let careful = &sample["careful"];
        let name = careful["event"].as_str().expect("a name");
        for member in ["ts", "event", "message"] {
            assert_eq!(data[member], careful[member], "{sample}");
        }
        assert_eq!(data["nodeid"], NODE);
        assert_eq!(event.kind, format!("gluster.{}", name.to_ascii_lowercase()));
        assert_eq!(event.class, Class::Record);
        let (notes, raw) = match careful["notes"].as_array().is_some_and(|notes| notes.is_empty()) {
            true => (Value::Null, Value::Null),
            false => (careful["notes"].clone(), sample["b64"].clone()),
        };
        assert_eq!((&data["notes"], &data["raw_base64"]), (&notes, &raw), "{sample}");
        let category = by_name(name).expect("a type").category.name();
        assert_eq!(careful["category"], category);
    }
}

#[test]
fn the_table_is_the_samples_table() {
    let table: Vec<Value> =
        serde_json::from_str(include_str!("../data/gluster/event_types.json")).expect("JSON");
    assert_eq!(table.len(), TYPES.len());
    for row in table {
        let number = row["number"].as_u64().expect("a number");
        let found = by_number(number, Default::default()).expect("a type");
        assert_eq!(row["event"], found.name);
        assert_eq!(row["category"], found.category.name());
        let names = |key: &str| {
            let names = row[key].as_array().expect("a list").clone();
            names.into_iter().map(|name| name.as_str().expect("text").to_owned())
        };
        for name in names("attributes").chain(names("old_attributes")) {
            assert!(found.has(&name), "{} has no {name}", found.name);
        }
        let count = names("attributes").filter(|name| !name.ends_with(['1', '2'])).count();
        assert_eq!(words(found), count, "{} has attributes of its own", found.name);
        assert!(!found.has("") && !found.has("nonsense"));
    }
}

fn words(event_type: &EventType) -> usize {
    event_type.attributes.split_whitespace().count()
}

/// The object of a webhook request by our rules: no blanks in front of names.
fn careful(body: &Value) -> Value {
    let mut body = body.clone();
    let message = body["message"].as_object().expect("a message").clone();
    body["message"] =
        message.into_iter().map(|(name, value)| (name.trim().to_owned(), value)).collect();
    body
}

#[test]
fn every_captured_post_is_read_and_can_be_posted_on() {
    let bodies: Vec<String> = posts()
        .iter()
        .map(|post| post["body"].as_str().expect("text").to_owned())
        .filter(|body| !body.is_empty())
        .collect();
    assert_eq!(bodies.len(), 19);
    for body in bodies {
        let mut event = Event::default();
        Decoder::default().webhook(body.as_bytes(), &arrival(), &mut event);
        let object: Value = serde_json::from_str(&body).expect("JSON");
        let data: Value = serde_json::from_slice(&event.data).expect("JSON");
        for member in ["nodeid", "ts", "event", "message"] {
            assert_eq!(data[member], careful(&object)[member]);
        }
        assert_eq!(event.source, format!("/gluster/{}", object["nodeid"].as_str().expect("text")));
        let posted = String::from_utf8(shipped(&event.data).expect("a body")).expect("text");
        if data["notes"].is_null() {
            assert_eq!(posted, body, "not what the shipped daemon posts");
        } else {
            assert_eq!(data["notes"], json!(["blank-before-attribute"]));
        }
    }
}

#[test]
fn what_the_daemon_would_post_is_what_we_post() {
    let mut compared = 0;
    for sample in datagrams() {
        let (_, data) = read(&bytes(&sample));
        let mut post = sample["shipped"]["post"].clone();
        if post.is_null() || !data["notes"].is_null() || post["message"] != data["message"] {
            continue;
        }
        post["nodeid"] = json!(NODE);
        let ours = shipped(data.to_string().as_bytes()).expect("a body");
        assert_eq!(serde_json::from_slice::<Value>(&ours).expect("JSON"), post);
        compared += 1;
    }
    assert!(compared > 35, "only {compared}");
}

/// Messages that are nearly right.
fn near_messages() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![Just("name"), Just("options"), Just("force"), Just("x"), Just("file")];
    let value = prop_oneof![
        "[a-z0-9 .,=;/]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6)
    ];
    let field = (names, value).prop_map(|(name, value)| [name.as_bytes(), b"=", &value].concat());
    let body = proptest::collection::vec(field, 0..6).prop_map(|fields| fields.join(&b';'));
    (any::<u32>(), 0u32..150, body)
        .prop_map(|(ts, number, body)| [format!("{ts} {number} ").as_bytes(), &body].concat())
}

proptest! {
    #[test]
    fn any_bytes_are_one_event(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        property::message_becomes_one_event(&bytes);
        property::webhook_becomes_one_event(&bytes);
    }

    #[test]
    fn nearly_right_messages_are_one_event(bytes in near_messages()) {
        property::message_becomes_one_event(&bytes);
    }

    #[test]
    fn a_split_brain_file_name_comes_back_whole(name in "[a-z;=, /.\\-]{1,40}") {
        let file = format!("<gfid:1>/{name}");
        let text = format!("1 110 client-pid=0;subvol=s;type=file;file={file};count=2;child-0=s");
        let (_, data) = read(text.as_bytes());
        // A name may itself hold `;type=` or the like; this alphabet cannot spell a known one that
        // stands before the file, but the rules say nothing of those that are not there otherwise.
        if !name.contains(";gfid=") {
            prop_assert_eq!(data["message"]["file"].as_str(), Some(file.as_str()));
        }
    }

    #[test]
    fn nearly_right_bodies_are_one_event(
        event in ".{0,12}", name in ".{0,8}", value in ".{0,8}", ts in any::<i64>(),
    ) {
        let body = json!({"event": event, "ts": ts, "message": {name: value}}).to_string();
        property::webhook_becomes_one_event(body.as_bytes());
        for cut in 0..body.len() {
            property::webhook_becomes_one_event(&body.as_bytes()[..cut]);
        }
    }
}
