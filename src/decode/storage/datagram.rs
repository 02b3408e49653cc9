//! Event objects as datagrams: the JSON text, no frame around it.

use serde_json::Value;

use crate::event::{Event, UnixNanos};

/// The most that a UDP datagram carries over IPv4.
pub const DATAGRAM_MAX: usize = 65_507;

/// Longest name of a type that is believed.
const TYPE_MAX: usize = 200;

/// The object as a datagram, without what is least needed where it is too large; nothing where even that
/// does not fit.
pub fn fit(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() <= DATAGRAM_MAX {
        return Some(data.to_vec());
    }
    let mut value: Value = serde_json::from_slice(data).ok()?;
    let object = value.as_object_mut()?;
    object.insert("truncated".into(), "true".into());
    for fields in [&["raw_msg", "raw_msg_base64"], &["owners_wwids", "owners_names"]] {
        for field in fields {
            object.remove(*field);
        }
        let text = serde_json::to_vec(object).ok()?;
        if text.len() <= DATAGRAM_MAX {
            return Some(text);
        }
    }
    None
}

/// Fills an event from what was heard. The file name is the caller's, and so is the time where none was
/// told (0 then).
///
/// # Errors
/// Why it is no event object, in words.
pub fn heard(datagram: &[u8], event: &mut Event) -> Result<(), &'static str> {
    event.clear();
    let value: Value = serde_json::from_slice(datagram).map_err(|_| "not JSON")?;
    let object = value.as_object().ok_or("not a JSON object")?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let event_type = text("event_type");
    if event_type.is_empty() || event_type.len() > TYPE_MAX {
        return Err("no event_type");
    }
    event.kind.push_str("storage.");
    event.kind.push_str(&event_type.to_ascii_lowercase());
    event.id.push_str(text("event_id"));
    event.source.push_str("/storage/");
    event.source.push_str(match text("hostname") {
        "" => "unknown",
        name => name,
    });
    event.subject.push_str(text("dev_name"));
    event.time = time(text("timestamp"));
    let datagram = datagram.trim_ascii();
    if datagram.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        // One event is one line, whoever wrote it.
        serde_json::to_writer(&mut event.data, &value).map_err(|_| "not JSON")?;
    } else {
        event.data.extend_from_slice(datagram);
    }
    Ok(())
}

fn time(text: &str) -> UnixNanos {
    let nanos = text.parse().ok().map(|time: jiff::Timestamp| time.as_nanosecond());
    UnixNanos(nanos.and_then(|nanos| i64::try_from(nanos).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_the_event() {
        let text = br#"{"hostname":"box","event_id":"u","event_type":"FS_ERROR","dev_name":"sda",
            "timestamp":"2025-11-01T13:00:00.000001+01:00","msg":"a\nb"}"#;
        let mut event = Event::default();
        heard(text, &mut event).unwrap();
        assert_eq!(
            (event.kind.as_str(), event.source.as_str()),
            ("storage.fs_error", "/storage/box")
        );
        assert_eq!((event.id.as_str(), event.subject.as_str()), ("u", "sda"));
        assert_eq!(event.time, UnixNanos(1_761_998_400_000_001_000));
        assert!(!event.data.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&event.data).unwrap();
        assert_eq!((&value["msg"], &value["dev_name"]), (&"a\nb".into(), &"sda".into()));
        let one = br#" {"event_type":"X","z":1,"a":2} "#;
        heard(one, &mut event).unwrap();
        assert_eq!(event.data, one.trim_ascii(), "byte for byte");
        assert_eq!((event.time, event.source.as_str()), (UnixNanos(0), "/storage/unknown"));
    }

    #[test]
    fn what_is_no_event_says_why() {
        for (text, reason) in [
            ("", "not JSON"),
            ("\u{7f}", "not JSON"),
            (&format!(r#"{{"event_type":"X","a":{}"#, "[".repeat(60_000)), "not JSON"),
            (&format!(r#"{{"event_type":"{}"}}"#, "x".repeat(TYPE_MAX + 1)), "no event_type"),
            ("[]", "not a JSON object"),
            ("{}", "no event_type"),
            (r#"{"event_type":3}"#, "no event_type"),
        ] {
            assert_eq!(heard(text.as_bytes(), &mut Event::default()), Err(reason));
        }
    }

    #[test]
    fn too_much_goes_without_what_is_least_needed() {
        let object = |raw: usize, owners: usize, msg: usize| {
            serde_json::json!({
                "event_type": "X", "msg": "m".repeat(msg), "raw_msg": "r".repeat(raw),
                "owners_wwids": ["w".repeat(owners)], "owners_names": ["n"],
            })
            .to_string()
            .into_bytes()
        };
        let keys = |data: Vec<u8>| {
            let text = fit(&data)?;
            assert!(text.len() <= DATAGRAM_MAX);
            let value: Value = serde_json::from_slice(&text).unwrap();
            Some(value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            keys(object(1, 1, 1)).unwrap(),
            "event_type msg owners_names owners_wwids raw_msg"
        );
        assert_eq!(
            keys(object(DATAGRAM_MAX, 1, 1)).unwrap(),
            "event_type msg owners_names owners_wwids truncated"
        );
        assert_eq!(
            keys(object(DATAGRAM_MAX, DATAGRAM_MAX, 1)).unwrap(),
            "event_type msg truncated"
        );
        assert_eq!(keys(object(1, 1, DATAGRAM_MAX)), None);
    }
}
