//! Gluster's events: the local message of `glustereventsd`, the object that it posts to webhooks, and the
//! dotted form of the design that came before both.
//!
//! Whatever comes in becomes exactly one [`Event`]: what cannot be read is `gluster.unreadable` with its
//! bytes, what is doubtful has notes and its bytes.
//!
//! ```text
//! 1795226203 3 name=gv0;force=0     ──┐
//! Volume.Start=gv0                  ──┼─► {"nodeid":…,"ts":…,"event":"VOLUME_START","message":{…}}
//! {"event": "VOLUME_START", …}      ──┘
//! ```

mod dotted;
mod fact;
mod fields;
mod members;
mod message;
mod notes;
mod options;
mod pattern;
pub mod property;
mod shipped;
mod types;
mod webhook;

pub use fact::Merger;
pub use pattern::{Categories, category_of, glob, tag};
pub use shipped::shipped;
pub use types::{Category, EventType, Numbers, TYPES, by_name, by_number};
pub use webhook::event_name;

use crate::event::json::{Object, write_padded};
use crate::event::{Class, Event, UnixNanos};
use members::Members;

/// Most bytes of a message that are delivered with it as `raw_base64` (contract section 9).
pub const RAW_BYTES_MAX: usize = 64 << 10;

/// When and where a message came in: what the message itself does not say.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Nanoseconds since 1970.
    pub nanos: u64,
    /// A number that rises from message to message.
    pub count: u64,
    /// UUID of the node that the message was sent on, if known.
    pub nodeid: Option<&'a str>,
}

/// Reads messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    numbers: Numbers,
}

impl Decoder {
    /// For senders with these numbers.
    pub fn new(numbers: Numbers) -> Self {
        Self { numbers }
    }

    /// Reads a local message: a datagram, or what one connection sent.
    pub fn message(&self, bytes: &[u8], arrival: &Arrival<'_>, event: &mut Event) {
        begin(arrival, event);
        let text = trim_end(bytes).trim_ascii_start();
        let read = if text.first().is_some_and(u8::is_ascii_digit) {
            message::read(text, self.numbers, arrival)
        } else {
            dotted::read(text, arrival)
        };
        finish(read, bytes, arrival, event);
    }

    /// Reads the body of a webhook request; an empty one is the ping, which is no event and not for here.
    pub fn webhook(&self, body: &[u8], arrival: &Arrival<'_>, event: &mut Event) {
        begin(arrival, event);
        finish(webhook::read(body, arrival), body, arrival, event);
    }
}

/// Without the white space and NUL at the end.
fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0 && !byte.is_ascii_whitespace());
    bytes.get(..end.map_or(0, |last| last + 1)).unwrap_or_default()
}

fn begin(arrival: &Arrival<'_>, event: &mut Event) {
    event.clear();
    let mut id = Vec::with_capacity(48);
    write_padded(arrival.nanos, 20, &mut id);
    id.push(b'-');
    write_padded(arrival.count, 20, &mut id);
    // Digits and a dash.
    event.id.push_str(&String::from_utf8_lossy(&id));
    event.name.push_str("gluster-");
    event.name.push_str(&event.id);
}

fn finish(
    read: Result<Members<'_>, &'static str>,
    bytes: &[u8],
    arrival: &Arrival<'_>,
    event: &mut Event,
) {
    match read {
        Ok(members) => members.fill(bytes, event),
        Err(reason) => unreadable(reason, bytes, arrival, event),
    }
}

/// Delivers what could not be read.
fn unreadable(reason: &str, bytes: &[u8], arrival: &Arrival<'_>, event: &mut Event) {
    event.class = Class::Unreadable;
    event.kind.push_str("gluster.unreadable");
    set_source(arrival.nodeid, event);
    event.time = UnixNanos(i64::try_from(arrival.nanos).unwrap_or(i64::MAX));
    let mut data = Object::begin(&mut event.data);
    data.text("reason", reason);
    data.base64("raw_base64", head(bytes));
    data.raw_text("position", &event.id);
    data.end();
}

/// What of a message is delivered as it came.
fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..RAW_BYTES_MAX).unwrap_or(bytes)
}

/// Longest node id that is taken for one; a UUID has 36 characters.
const NODEID_BYTES_MAX: usize = 128;

/// `/gluster/NODEID`, or `/gluster/unknown` where there is none or something else stands in its place.
fn set_source(nodeid: Option<&str>, event: &mut Event) {
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= NODEID_BYTES_MAX
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    event.source.push_str("/gluster/");
    event.source.push_str(nodeid.filter(plain).unwrap_or("unknown"));
}

#[cfg(test)]
mod tests;
