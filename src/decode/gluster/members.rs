//! What was read of a message, on its way into an [`Event`]: the four members of the webhook object.

use std::borrow::Cow;

use super::notes::Notes;
use super::{head, set_source};
use crate::event::json::{Object, write_text};
use crate::event::{Event, UnixNanos};

/// The members of the webhook object.
#[derive(Debug)]
pub(super) struct Members<'a> {
    pub(super) nodeid: Option<Cow<'a, str>>,
    /// Seconds since 1970; nothing where there is none.
    pub(super) ts: Option<u64>,
    /// What stands in for `ts` in the envelope.
    pub(super) arrival_nanos: u64,
    /// `VOLUME_SET`.
    pub(super) event: Cow<'a, str>,
    /// A JSON value.
    pub(super) message: Vec<u8>,
    /// What the event is about; empty if nothing is known.
    pub(super) subject: String,
    pub(super) notes: Notes,
}

impl Members<'_> {
    /// Fills all of an event but its identity, which it has.
    pub(super) fn fill(&self, bytes: &[u8], event: &mut Event) {
        set_kind(&self.event, event);
        set_source(self.nodeid.as_deref(), event);
        event.subject.push_str(&self.subject);
        event.time = match self.ts {
            Some(ts) => UnixNanos::from_seconds(i64::try_from(ts).unwrap_or(i64::MAX)),
            None => UnixNanos(i64::try_from(self.arrival_nanos).unwrap_or(i64::MAX)),
        };
        let mut data = Object::begin(&mut event.data);
        match self.nodeid.as_deref() {
            Some(nodeid) => data.text("nodeid", nodeid),
            None => data.null("nodeid"),
        }
        match self.ts {
            Some(ts) => data.number("ts", ts),
            None => data.null("ts"),
        }
        data.text("event", &self.event);
        data.json("message", &self.message);
        self.add_doubts(bytes, data);
    }

    fn add_doubts(&self, bytes: &[u8], mut data: Object<'_>) {
        if self.notes.any() {
            data.base64("raw_base64", head(bytes));
            let mut words = Vec::new();
            self.notes.write(&mut words);
            data.json("notes", &words);
        }
        data.end();
    }
}

/// Longest name of an event in a type; the longest known one has 39 characters.
const NAME_BYTES_MAX: usize = 128;

/// `gluster.volume_set`. What cannot stand in a type becomes `_`; names come from anybody.
fn set_kind(name: &str, event: &mut Event) {
    event.kind.push_str("gluster.");
    let plain = |c: char| {
        if is_plain(c) { c.to_ascii_lowercase() } else { '_' }
    };
    event.kind.extend(name.chars().take(NAME_BYTES_MAX).map(plain));
}

/// Whether a character may stand in a type.
pub(super) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Attributes that hold a flag; with blanks in front of them as `-` in the shipped daemon's list.
const FLAGS: [&str; 5] = ["force", "push_pem", "no_verify", "push-pem", "no-verify"];

/// Attributes that hold a number.
const NUMBERS: [&str; 2] = ["ssh_port", "ssh-port"];

/// An attribute whose text stands for a flag or a number, as JSON; nothing for all others.
pub(super) fn converted(name: &str, text: &str, notes: &mut Notes) -> Option<Vec<u8>> {
    if FLAGS.contains(&name) {
        return Some(flag(text, notes).to_string().into_bytes());
    }
    let number = NUMBERS.contains(&name).then(|| text.parse::<u32>().ok()).flatten();
    number.map(|number| number.to_string().into_bytes())
}

/// Yes is `1`, `on`, `true`, `yes` in any case; everything else is no, as in the shipped daemon.
fn flag(text: &str, notes: &mut Notes) -> bool {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let yes = is_one_of(&["1", "on", "true", "yes"]);
    if !yes && !is_one_of(&["0", "off", "false", "no", ""]) {
        notes.add(Notes::FLAG);
    }
    yes
}

/// Lists of options as a JSON array of arrays.
pub(super) fn write_pairs(pairs: &[Vec<String>]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, pair) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_texts(pair, &mut out);
    }
    out.push(b']');
    out
}

/// A JSON array of texts.
pub(super) fn write_texts(texts: &[String], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(text, out);
    }
    out.push(b']');
}

/// Attributes that name the volume of an event, which is what an event is about. `name` is a volume in
/// the types that have it but `SNAPSHOT_*`, which have none.
const VOLUMES: [&str; 8] = [
    "volume",
    "name",
    "Volume",
    "volume_name",
    "primary_volume",
    "master_volume",
    "primary",
    "master",
];

/// Whether an attribute says what the event is about.
pub(super) fn is_subject(name: &str) -> bool {
    VOLUMES.contains(&name)
}
