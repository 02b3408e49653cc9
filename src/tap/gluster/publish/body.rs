//! What is posted for an event: the shipped daemon's object, or the CloudEvents line.

use serde_json::{Value, json};

use crate::decode::gluster::shipped;

/// A request's body and what a signed token says of it.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: &'static str,
    pub(super) subject: String,
    pub(super) ts: u64,
}

/// Name under which a receiver of the shipped form gets what could not be read.
const UNREADABLE: &str = "UNREADABLE";

/// The body for a CloudEvents line; nothing for what is none, such as a file of somebody else's.
pub(super) fn body(line: &[u8], cloudevents: bool) -> Option<Body> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let data = event.get("data")?;
    let ts = data.get("ts").and_then(Value::as_u64).or_else(|| seconds(&event)).unwrap_or(0);
    let name = data.get("event").and_then(Value::as_str);
    let subject = name.unwrap_or(UNREADABLE).to_owned();
    if cloudevents {
        let bytes = line.trim_ascii_end().to_vec();
        return Some(Body { bytes, content_type: "application/cloudevents+json", subject, ts });
    }
    let object = match name {
        Some(_) => data.clone(),
        None => json!({"event": UNREADABLE, "message": data, "nodeid": null, "ts": ts}),
    };
    let bytes = shipped(object.to_string().as_bytes())?;
    Some(Body { bytes, content_type: "application/json", subject, ts })
}

/// Of the envelope's time.
fn seconds(event: &Value) -> Option<u64> {
    let time: jiff::Timestamp = event.get("time")?.as_str()?.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_shipped_body_or_its_line() {
        let line = br#"{"id":"1","data":{"nodeid":"n","ts":7,"event":"E","message":{"a":"b"},"notes":[]}}"#;
        let shipped = body(line, false).unwrap();
        assert_eq!(
            shipped.bytes,
            br#"{"event": "E", "message": {"a": "b"}, "nodeid": "n", "ts": 7}"#
        );
        assert_eq!(
            (shipped.content_type, &*shipped.subject, shipped.ts),
            ("application/json", "E", 7)
        );
        let whole = body(&[line, &b"\n"[..]].concat(), true).unwrap();
        assert_eq!(whole.bytes, line);
        assert!(body(b"x", false).is_none());
    }

    #[test]
    fn what_could_not_be_read_is_posted_too() {
        let line = br#"{"time":"1970-01-01T00:00:09.000000000Z","data":{"reason":"r"}}"#;
        let posted = body(line, false).unwrap();
        let expected =
            br#"{"event": "UNREADABLE", "message": {"reason": "r"}, "nodeid": null, "ts": 9}"#;
        assert_eq!((&posted.bytes[..], posted.ts), (&expected[..], 9));
    }
}
