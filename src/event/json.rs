//! JSON objects written straight into a buffer, in the order in which the fields are told.
//!
//! serde_json would want a struct or a tree per record; a decoder has borrowed bytes that may not even
//! be UTF-8. What is written here is read back by serde_json in the tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Digits;

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

    /// Opens an object whose first fields are written already: `head` is its beginning without a comma
    /// at the end, such as `{"a":1`.
    #[inline]
    pub fn continued(out: &'a mut Vec<u8>, head: &[u8]) -> Self {
        out.extend_from_slice(head);
        Self { out, first: false }
    }

    /// Closes it.
    pub fn end(self) {
        self.out.push(b'}');
    }

    /// A name that needs no escapes, then the colon; the value is to follow.
    #[inline]
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
    #[inline]
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
    #[inline]
    pub fn raw_text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A byte string: `"NAME"` where it is UTF-8, else `"NAME_base64"`.
    #[inline]
    pub fn bytes(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        write_bytes(value, self.out);
    }

    /// Bytes as base64 under this very name.
    pub fn base64(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        write_base64(value, self.out);
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        write_number(value, self.out);
    }

    /// A number that may be negative.
    #[inline]
    pub fn signed(&mut self, name: &str, value: i64) {
        self.name(name);
        write_signed(value, self.out);
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

/// Appends a byte string as the value of the name that was written last, colon included: as text where
/// it is UTF-8; else the name gets `_base64` at its end.
#[inline]
pub fn write_bytes(value: &[u8], out: &mut Vec<u8>) {
    if is_plain_ascii(value) {
        out.push(b'"');
        out.extend_from_slice(value);
        out.push(b'"');
        return;
    }
    write_any_bytes(value, out);
}

fn write_any_bytes(value: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) => write_text(text, out),
        Err(_) => {
            // The quote and the colon that end the name make room for the rest of it.
            out.truncate(out.len().saturating_sub(2));
            out.extend_from_slice(b"_base64\":");
            write_base64(value, out);
        }
    }
}

/// Whether these bytes can stand in a JSON text as they are, whatever else there is.
#[inline]
fn is_plain_ascii(bytes: &[u8]) -> bool {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut last = [b'0'; 8];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    let special = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        specials(word) | (word & HIGHS)
    };
    words.iter().fold(special(&last), |found, word| found | special(word)) == 0
}

/// Appends a quoted, escaped text.
#[inline]
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Runs without escapes go in one piece: nearly every text is one such run.
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        write_escape(byte, out);
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes there are before the first that JSON wants escaped. Eight at a time.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return number * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let in_tail = tail.iter().position(special).unwrap_or(tail.len());
    words.len() * 8 + in_tail
}

/// Each byte 1.
const ONES: u64 = u64::MAX / 255;

/// The high bit of each byte.
const HIGHS: u64 = ONES << 7;

/// The high bit of the first byte that is a control, a quote or a backslash is set; those behind it may
/// be anything.
#[inline]
fn specials(word: u64) -> u64 {
    // A byte less than `limit` borrows into its high bit; what had it before is not counted.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

/// Appends bytes as a quoted text in base64.
pub fn write_base64(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let begin = out.len();
    out.resize(begin + value.len().div_ceil(3) * 4, 0);
    // The room is exact: four characters for each three bytes begun.
    let written = STANDARD.encode_slice(value, out.get_mut(begin..).unwrap_or_default());
    out.truncate(begin + written.unwrap_or(0));
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
#[inline]
pub fn write_number(value: u64, out: &mut Vec<u8>) {
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    out.extend_from_slice(Digits::of(value).bytes());
}

/// Appends a number that may be negative.
#[inline]
pub fn write_signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_number(value.unsigned_abs(), out);
}

/// Appends a number in at least `digits` decimal digits (at most 20).
pub fn write_padded(value: u64, digits: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(Digits::of(value).padded(digits).as_bytes());
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
    fn escapes_are_found_wherever_they_stand() {
        for length in 0..40 {
            for at in 0..length {
                for special in ["\"", "\\", "\n", "\0", "\u{1f}", "\u{7f}", "\u{80}", "é", "🦀"]
                {
                    let mut text = "x".repeat(at);
                    text.push_str(special);
                    text.push_str(&"!".repeat(length - at));
                    text.push_str(special);
                    let mut out = Vec::new();
                    write_text(&text, &mut out);
                    let expected = Value::from(text.as_str()).to_string();
                    assert_eq!(String::from_utf8(out).unwrap(), expected);
                    let mut out = Vec::new();
                    write_bytes(text.as_bytes(), &mut out);
                    assert_eq!(String::from_utf8(out).unwrap(), expected);
                    assert!(is_plain_ascii(text.as_bytes()) == (special == "\u{7f}"));
                }
            }
        }
    }

    #[test]
    fn numbers_are_padded() {
        let text = |value, digits| {
            let mut out = Vec::new();
            write_padded(value, digits, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0, 1), "0");
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(12, 10), "0000000012");
        assert_eq!(text(u64::MAX, 1), "18446744073709551615");
        assert_eq!(text(7, 20).len(), 20);
    }
}
