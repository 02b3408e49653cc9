//! The body that `glustereventsd` posts to webhooks, byte for byte in its form: sorted keys, `", "` and
//! `": "`, everything beyond ASCII as `\uXXXX`.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// The body for an event's `data`: the four members and nothing else. Nothing for what is no webhook
/// object, such as the notes of a tap.
pub fn shipped(data: &[u8]) -> Option<Vec<u8>> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(data) else { return None };
    object.retain(|key, _| ["event", "message", "nodeid", "ts"].contains(&key.as_str()));
    if !object.contains_key("event") {
        return None;
    }
    object.sort_keys();
    let mut out = Vec::with_capacity(data.len() + 32);
    let mut serializer = Serializer::with_formatter(&mut out, Python);
    // Writing into memory cannot fail.
    Value::Object(object).serialize(&mut serializer).ok()?;
    Some(out)
}

/// What Python's `json.dumps(..., sort_keys=True)` writes.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> Step {
        separate(out, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> Step {
        separate(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> Step {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> Step {
        let mut units = [0; 2];
        for c in text.chars() {
            // JSON's own escapes do not cover DEL, and Python leaves it as it is.
            if c.is_ascii() {
                out.write_all(&[c as u8])?;
                continue;
            }
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

type Step = io::Result<()>;

fn separate<W: ?Sized + io::Write>(out: &mut W, first: bool) -> Step {
    if first { Ok(()) } else { out.write_all(b", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_python_would_write() {
        let data = r#"{"nodeid":"n","ts":1,"event":"E","message":{"b":[["x","ü\n😀"],[]],"a":true},
                       "notes":["x"],"raw_base64":"AA=="}"#;
        let expected = r#"{"event": "E", "message": {"a": true, "b": [["x", "\u00fc\n\ud83d\ude00"], []]}, "nodeid": "n", "ts": 1}"#;
        assert_eq!(String::from_utf8(shipped(data.as_bytes()).unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_webhook_object_has_no_body() {
        for data in [&br#"{"reason":"x"}"#[..], b"[]", b"x", b""] {
            assert_eq!(shipped(data), None);
        }
    }
}
