//! What a tap says: an [`Event`] and its CloudEvents form.
//!
//! Pure: no I/O, no clock. A decoder fills an [`Event`] (reused from record to record, so that the hot
//! path allocates nothing), a tap's sink turns it into one line and writes that into a queue.

mod digits;
pub mod json;
mod name;
mod time;

pub use digits::Digits;
pub use name::plain_name;
pub use time::{TimeText, UnixNanos};

use json::Object;

/// What an event is to the counters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Class {
    /// A record of the source.
    #[default]
    Record,
    /// A record that could not be read; delivered with its raw bytes, and counted on its own as well.
    Unreadable,
    /// Something that the tap itself has to say: a gap, a reset. Counts in `notes` alone.
    Note,
}

/// Where in its source an event stands.
///
/// A source has one or several *streams* (a BeeGFS server each, the kernel log, a feed), and positions
/// rise within a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Position {
    /// Which stream; the source's own numbers.
    pub stream: u64,
    /// Of this event: its sequence number, or its first byte.
    pub at: u64,
    /// Where reading goes on after it.
    pub next: u64,
    /// The source's own mark to know the event again, such as a digest of its bytes; 0 if unused.
    pub mark: u64,
}

/// One event as a tap delivers it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Event {
    /// Name of its file without `.json`: `SOURCE-IDENTITY`, the same for the same event, sorting in
    /// order of arrival.
    pub name: String,
    /// CloudEvents `id`.
    pub id: String,
    /// CloudEvents `source`, such as `/beegfs/meta/12`.
    pub source: String,
    /// CloudEvents `type`: the source and the native name in lower case, such as `beegfs.create`.
    pub kind: String,
    /// CloudEvents `subject`; left out where empty.
    pub subject: String,
    /// CloudEvents `time`.
    pub time: UnixNanos,
    /// The native record as one JSON object without a line break.
    pub data: Vec<u8>,
    /// The record's own bytes, for sources that can deliver them (`--bare=yaml`); else empty.
    pub raw: Vec<u8>,
    /// What it is to the counters.
    pub class: Class,
    /// Where it stands; nothing for sources without positions. A note has one only if the source makes it
    /// anew when it is read from there again.
    pub position: Option<Position>,
}

impl Event {
    /// Empties every field and keeps the room.
    pub fn clear(&mut self) {
        let texts =
            [&mut self.name, &mut self.id, &mut self.source, &mut self.kind, &mut self.subject];
        for text in texts {
            text.clear();
        }
        self.data.clear();
        self.raw.clear();
        self.time = UnixNanos(0);
        self.class = Class::Record;
        self.position = None;
    }

    /// Appends the CloudEvents 1.0 line, line break included.
    pub fn write_line(&self, times: &mut TimeText, out: &mut Vec<u8>) {
        // Names, punctuation, time and type take some 170 bytes, and few texts have escapes.
        out.reserve(self.data.len() + self.subject.len() + self.source.len() + 256);
        let mut object = Object::continued(out, br#"{"specversion":"1.0""#);
        object.text("id", &self.id);
        object.text("source", &self.source);
        object.text("type", &self.kind);
        object.raw_text("time", times.text(self.time));
        if !self.subject.is_empty() {
            object.text("subject", &self.subject);
        }
        object.raw_text("datacontenttype", "application/json");
        object.json("data", &self.data);
        object.end();
        out.push(b'\n');
    }

    /// Appends the native record alone as one line.
    pub fn write_bare(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_cloud_event() {
        let event = Event {
            name: "beegfs-0000000012-00000000000000000002".into(),
            id: "12/2".into(),
            source: "/beegfs/meta/12".into(),
            kind: "beegfs.create".into(),
            subject: "/a \"b\"\n".into(),
            time: UnixNanos(1_761_998_400_123_456_789),
            data: br#"{"msn":2}"#.to_vec(),
            ..Event::default()
        };
        let mut line = Vec::new();
        event.write_line(&mut TimeText::default(), &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["specversion"], "1.0");
        assert_eq!(value["time"], "2025-11-01T12:00:00.123456789Z");
        assert_eq!(value["subject"], "/a \"b\"\n");
        assert_eq!(value["data"]["msn"], 2);
        let mut bare = Vec::new();
        event.write_bare(&mut bare);
        assert_eq!(bare, b"{\"msn\":2}\n");
    }

    #[test]
    fn an_empty_subject_is_left_out_and_clear_empties() {
        let mut event = Event { kind: "x.y".into(), class: Class::Note, ..Event::default() };
        let mut line = Vec::new();
        event.write_line(&mut TimeText::default(), &mut line);
        assert!(!String::from_utf8(line).unwrap().contains("subject"));
        event.clear();
        assert_eq!(event, Event::default());
    }
}
