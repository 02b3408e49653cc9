//! JSON objects written straight into a buffer, in the order in which the fields are told.
//!
//! serde_json would want a struct or a tree per record; a decoder has borrowed bytes that may not even
//! be UTF-8. What is written here is read back by serde_json in the tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An object being written. [`Object::end`] closes it.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens an object.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Closes it.
    pub fn end(self) {
        self.out.push(b'}');
    }

    /// A name that needs no escapes, then the colon; the value is to follow.
    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A field whose name may be anything, such as a key that a peer chose.
    fn foreign_name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_text(name, self.out);
        self.out.push(b':');
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(value, self.out);
    }

    /// A text under a name that may need escapes.
    pub fn foreign(&mut self, name: &str, value: &str) {
        self.foreign_name(name);
        write_text(value, self.out);
    }

    /// A text that needs no escapes.
    pub fn raw_text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A byte string: `"NAME"` where it is UTF-8, else `"NAME_base64"`.
    pub fn bytes(&mut self, name: &str, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.text(name, text),
            Err(_) => self.base64(&format!("{name}_base64"), value),
        }
    }

    /// Bytes as base64 under this very name.
    pub fn base64(&mut self, name: &str, value: &[u8]) {
        self.raw_text(name, &STANDARD.encode(value));
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        write_number(value, self.out);
    }

    /// A number that may be negative.
    pub fn signed(&mut self, name: &str, value: i64) {
        self.name(name);
        if value < 0 {
            self.out.push(b'-');
        }
        write_number(value.unsigned_abs(), self.out);
    }

    /// True or false.
    pub fn flag(&mut self, name: &str, value: bool) {
        self.json(name, if value { b"true" } else { b"false" });
    }

    /// Null.
    pub fn null(&mut self, name: &str) {
        self.json(name, b"null");
    }

    /// A value that is JSON already.
    pub fn json(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(value);
    }

    /// An object inside; the caller ends it.
    pub fn object(&mut self, name: &str) -> Object<'_> {
        self.name(name);
        Object::begin(self.out)
    }

    /// A value that serde knows.
    pub fn value(&mut self, name: &str, value: &serde_json::Value) {
        self.foreign_name(name);
        // Writing a tree of values into memory cannot fail.
        let _ = serde_json::to_writer(&mut *self.out, value);
    }
}

/// Appends a quoted, escaped text.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut rest = bytes;
    // Runs without escapes go in one piece: nearly every text is one such run.
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        write_escape(byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

/// Appends a number in decimal digits.
pub fn write_number(value: u64, out: &mut Vec<u8>) {
    write_padded(value, 1, out);
}

/// Appends a number in at least `digits` decimal digits (at most 20).
pub fn write_padded(mut value: u64, digits: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while value > 0 || text.len() - at < digits.min(20) {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        object.text("all", &all);
        object.bytes("good", "grün".as_bytes());
        object.bytes("bad", &[0xff, 0x00]);
        object.number("max", u64::MAX);
        object.number("zero", 0);
        object.signed("min", i64::MIN);
        object.flag("yes", true);
        object.null("none");
        object.foreign("a \"key\"", "v");
        object.value("v", &serde_json::json!({"x": [1, 2]}));
        let mut inner = object.object("inner");
        inner.text("a", "b");
        inner.end();
        object.end();
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["all"], all.as_str());
        assert_eq!(value["good"], "grün");
        assert_eq!(value["bad_base64"], "/wA=");
        assert_eq!(value["max"], u64::MAX);
        assert_eq!(value["zero"], 0);
        assert_eq!(value["min"], i64::MIN);
        assert_eq!(value["yes"], true);
        assert_eq!(value["none"], Value::Null);
        assert_eq!(value["a \"key\""], "v");
        assert_eq!(value["v"]["x"][1], 2);
        assert_eq!(value["inner"]["a"], "b");
    }

    #[test]
    fn numbers_are_padded() {
        let text = |value, digits| {
            let mut out = Vec::new();
            write_padded(value, digits, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0, 1), "0");
        assert_eq!(text(0, 0), "");
        assert_eq!(text(12, 10), "0000000012");
        assert_eq!(text(u64::MAX, 1), "18446744073709551615");
        assert_eq!(text(7, 20).len(), 20);
    }
}
