//! What the text of a scalar means. The rules are those of the C library and of libb64 as the real reader
//! uses them, not those of YAML's schemas.

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};
use saphyr_parser::Tag as ParsedTag;

/// Prefix of the tags that are written `!!x`.
const CORE: &str = "tag:yaml.org,2002:";

/// A resolved tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Tag {
    /// None given.
    None,
    Binary,
    Bool,
    Int,
    Null,
    Str,
    Uint32,
    Uint64,
    Int32,
    Int64,
    Double,
    Regex,
    /// Another `!!x`: these are not ours to extend.
    Core(String),
    /// A local tag that is not in the table, with its `!`.
    Local(String),
}

/// The tags of the two families.
const TAGS: [(&str, Tag); 11] = [
    ("!uint32", Tag::Uint32),
    ("!uint64", Tag::Uint64),
    ("!int32", Tag::Int32),
    ("!int64", Tag::Int64),
    ("!double", Tag::Double),
    ("!regex", Tag::Regex),
    ("tag:yaml.org,2002:binary", Tag::Binary),
    ("tag:yaml.org,2002:bool", Tag::Bool),
    ("tag:yaml.org,2002:int", Tag::Int),
    ("tag:yaml.org,2002:null", Tag::Null),
    ("tag:yaml.org,2002:str", Tag::Str),
];

impl Tag {
    /// Handle and suffix together are what libyaml calls the tag.
    pub(super) fn of(tag: Option<&ParsedTag>) -> Self {
        let Some(ParsedTag { handle, suffix }) = tag else { return Self::None };
        let is = |name: &str| name.strip_prefix(handle.as_str()) == Some(suffix);
        if let Some((_, known)) = TAGS.iter().find(|(name, _)| is(name)) {
            return known.clone();
        }
        let name = format!("{handle}{suffix}");
        if name.starts_with(CORE) { Self::Core(name) } else { Self::Local(name) }
    }

    /// As it is written, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::None => "no tag".to_owned(),
            Self::Local(name) => name.clone(),
            Self::Core(name) => name.replacen(CORE, "!!", 1),
            known => {
                let name = TAGS.iter().find(|(_, tag)| tag == known).map_or("", |(name, _)| name);
                name.replacen(CORE, "!!", 1)
            }
        }
    }
}

/// What strtoull and strtoll read: blanks, a sign, digits of base 8, 10 or 16 by their prefix, and
/// nothing behind. The empty text is 0.
fn magnitude(text: &str) -> Option<(bool, u64)> {
    if text.is_empty() {
        return Some((false, 0));
    }
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = match (hex, digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        // The zero itself stays: it may be all.
        (None, Some(_)) => (digits, 8),
        (None, None) => (digits, 10),
    };
    // from_str_radix would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(|number| (negative, number))
}

/// An unsigned number; a negative one wraps around, as in C.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    magnitude(text).map(|(negative, number)| if negative { number.wrapping_neg() } else { number })
}

/// A signed number.
pub(super) fn signed(text: &str) -> Option<i64> {
    let (negative, number) = magnitude(text)?;
    let number = i128::from(number);
    i64::try_from(if negative { -number } else { number }).ok()
}

/// The words of YAML 1.1.
pub(super) fn boolean(text: &str) -> Option<bool> {
    const TRUE: [&str; 11] =
        ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"];
    const FALSE: [&str; 11] =
        ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"];
    if TRUE.contains(&text) { Some(true) } else { FALSE.contains(&text).then_some(false) }
}

/// Whether an untagged plain scalar among attributes is no value.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Base64 whose padding was taken off, with whatever is left in the last digit.
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 with white space anywhere and with any padding at the end.
pub(super) fn binary(text: &str) -> Option<Vec<u8>> {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let digits = text.trim_end_matches(|c| blank(c) || c == '=');
    if digits.contains(blank) {
        let dense: String = digits.chars().filter(|c| !blank(*c)).collect();
        UNPADDED.decode(dense).ok()
    } else {
        UNPADDED.decode(digits).ok()
    }
}

/// A C decimal float.
pub(super) fn double(text: &str) -> Option<f64> {
    text.trim_start().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let cases: [(&str, Option<u64>); 22] = [
            ("", Some(0)),
            ("0", Some(0)),
            ("00", Some(0)),
            ("42", Some(42)),
            ("+42", Some(42)),
            (" \t42", Some(42)),
            ("0777", Some(511)),
            ("0x1ff", Some(511)),
            ("0X1FF", Some(511)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", Some(u64::MAX)),
            ("-18446744073709551615", Some(1)),
            ("42 ", None),
            ("08", None),
            ("0x", None),
            ("0o777", None),
            ("0b1", None),
            ("1_000", None),
            ("1e3", None),
            ("+-1", None),
            ("-", None),
        ];
        for (text, number) in cases {
            assert_eq!(unsigned(text), number, "{text:?}");
        }
        assert_eq!(signed("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed("9223372036854775807"), Some(i64::MAX));
        assert_eq!(signed("9223372036854775808"), None);
        assert_eq!(signed("-0x10"), Some(-16));
        assert_eq!(unsigned(" "), None);
    }

    #[test]
    fn base64_forgives_blanks_and_padding_and_nothing_else() {
        let read = |text| binary(text);
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read("c2FtcGxl"), Some(b"sample".to_vec()));
        assert_eq!(read("c2Ft\n cGxl "), Some(b"sample".to_vec()));
        assert_eq!(read("YQ=="), Some(b"a".to_vec()));
        assert_eq!(read("YQ"), Some(b"a".to_vec()));
        assert_eq!(read("YQ= = ="), Some(b"a".to_vec()));
        assert_eq!(read("YQ==YQ"), None);
        assert_eq!(read("a-_a"), None);
        assert_eq!(read("c2Ft!Gxl"), None);
        assert_eq!(read("A"), None);
    }

    #[test]
    fn booleans_are_the_listed_words() {
        for word in ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"] {
            assert_eq!(boolean(word), Some(true), "{word}");
        }
        for word in ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"] {
            assert_eq!(boolean(word), Some(false), "{word}");
        }
        for word in ["yES", "1", "0", "", "t", "nO"] {
            assert_eq!(boolean(word), None, "{word}");
        }
    }

    #[test]
    fn tags_are_their_handle_and_suffix_together() {
        let tag = |handle: &str, suffix: &str| {
            let tag = ParsedTag { handle: handle.to_owned(), suffix: suffix.to_owned() };
            Tag::of(Some(&tag))
        };
        assert_eq!(tag("!", "uint32"), Tag::Uint32);
        assert_eq!(tag("", "!uint32"), Tag::Uint32);
        assert_eq!(tag(CORE, "binary"), Tag::Binary);
        assert_eq!(tag("tag:yaml.org,", "2002:binary"), Tag::Binary);
        assert_eq!(tag(CORE, "uint32").name(), "!!uint32");
        assert_eq!(tag("!", "new"), Tag::Local("!new".to_owned()));
        assert_eq!(Tag::Bool.name(), "!!bool");
        assert_eq!(Tag::of(None), Tag::None);
    }
}
