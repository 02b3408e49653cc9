//! An event as one JSON line, the same for `pop` and `watch`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::wire::Event;

/// One line of `--json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct EventLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data_base64: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) gone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
}

/// Text where it is UTF-8, else base64.
pub(super) fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

/// RFC 3339 in UTC with nine digits.
pub(super) fn rfc3339(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

impl EventLine {
    /// The line with its end.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("text and numbers always make JSON");
        line.push(b'\n');
        line
    }
}

impl From<&Event> for EventLine {
    fn from(event: &Event) -> Self {
        let (name, name_base64) = text_or_base64(&event.name);
        let (data, data_base64) = text_or_base64(event.data.as_deref().unwrap_or_default());
        Self {
            name,
            name_base64,
            seq: Some(event.seq),
            time: Some(rfc3339(event.time_ns)),
            size: Some(event.size),
            data,
            data_base64,
            ..Self::default()
        }
    }
}

/// Prints a line.
///
/// # Errors
/// An output that does not take it.
pub(super) fn print_line(text: &str) -> Result<(), super::exit::Failed> {
    use std::io::Write as _;
    let written = writeln!(std::io::stdout(), "{text}");
    written.map_err(|error| super::exit::Failed::io("standard output", &error))
}
