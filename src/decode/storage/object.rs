//! The event object of the "Storage Event Notification Daemon", and the event around it.

use std::hash::{DefaultHasher, Hasher};

use super::device::Device;
use super::found::{Found, System};
use crate::event::json::Object;
use crate::event::{Digits, Event, TimeText, UnixNanos};

/// What a record is called, over all deliveries of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity<'a> {
    /// A record of the kernel log: its boot (eight hexadecimal digits) and its number.
    Record(&'a str, u64),
    /// A uevent: the boot and its number.
    Uevent(&'a str, u64),
    /// A line of dmesg: when the tap began (nanoseconds since the epoch) and the line's number.
    Line(u64, u64),
    /// Something without an identity: when it arrived (nanoseconds) and a counter.
    Arrival(u64, u64),
}

impl Identity<'_> {
    /// Writes the file name without `.json`, and the id. `part` counts the events of one record from 1.
    pub fn write(self, part: u32, event: &mut Event) {
        event.name.clear();
        event.id.clear();
        let (name, id) = (&mut event.name, &mut event.id);
        match self {
            Self::Record(boot, number) => {
                let number = Digits::of(number);
                push(name, ["storage-", boot, "-", number.padded(20)]);
                push(id, [boot, "-", number.text()]);
            }
            Self::Uevent(boot, number) => {
                let number = Digits::of(number);
                push(name, ["storage-", boot, "-u-", number.padded(20)]);
                push(id, [boot, "-u-", number.text()]);
            }
            Self::Line(start, line) => {
                let (start, line) = (Digits::of(start), Digits::of(line));
                push(name, ["storage-l", start.padded(20), "-", line.padded(20)]);
                push(id, ["l", start.text(), "-", line.text()]);
            }
            Self::Arrival(nanos, number) => {
                let (nanos, number) = (Digits::of(nanos), Digits::of(number));
                push(name, ["storage-", nanos.padded(20), "-", number.padded(20)]);
                push(id, [nanos.text(), "-", number.text()]);
            }
        }
        if part > 1 {
            let part = Digits::of(part.into());
            push(name, ["-", part.text()]);
            push(id, ["-", part.text()]);
        }
    }
}

fn push<const COUNT: usize>(text: &mut String, parts: [&str; COUNT]) {
    parts.into_iter().for_each(|part| text.push_str(part));
}

/// Fields of the object that an extension's key never overwrites.
const FIXED: [&str; 14] = [
    "hostname",
    "severity",
    "system",
    "event_id",
    "event_type",
    "dev_wwid",
    "dev_name",
    "msg",
    "timestamp",
    "subsystem",
    "raw_msg",
    "owners_wwids",
    "owners_names",
    "extension",
];

/// Turns what was found into events.
#[derive(Debug)]
pub struct Writer {
    hostname: String,
    /// Repeats the keys of the extension at the top, for readers of the original's form.
    flat: bool,
    /// Makes the random ids: the same for the same event of one tap, whenever it is delivered.
    salt: [u8; 16],
    times: TimeText,
}

impl Writer {
    /// For the events of this host.
    pub fn new(hostname: &str, flat: bool, salt: [u8; 16]) -> Self {
        Self { hostname: hostname.to_owned(), flat, salt, times: TimeText::default() }
    }

    /// Fills an event; its position is the caller's.
    pub fn write(
        &mut self,
        found: &Found,
        device: &Device,
        (identity, part): (Identity<'_>, u32),
        time: UnixNanos,
        event: &mut Event,
    ) {
        event.clear();
        identity.write(part, event);
        event.source.push_str("/storage/");
        event.source.push_str(&self.hostname);
        event.kind.push_str("storage.");
        event.kind.push_str(&found.event_type);
        event.kind.make_ascii_lowercase();
        event.subject.push_str(&device.name);
        event.time = time;
        self.object(found, device, time, event);
    }

    fn object(&mut self, found: &Found, device: &Device, time: UnixNanos, event: &mut Event) {
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = self.uuid(&event.name).hyphenated().encode_lower(&mut id);
        let mut object = Object::begin(&mut event.data);
        object.text("hostname", &self.hostname);
        object.raw_text("severity", found.severity.as_str());
        object.raw_text("system", found.system.as_str());
        object.raw_text("event_id", id);
        object.text("event_type", &found.event_type);
        object.text("dev_wwid", wwid(found, device));
        object.text("dev_name", &device.name);
        object.bytes("msg", &found.msg);
        // Nine digits and a Z come; six and a Z go.
        let time = self.times.text(time);
        object.raw_text("timestamp", &[time.get(..26).unwrap_or(time), "Z"].concat());
        object.text("subsystem", &found.subsystem);
        object.bytes("raw_msg", &found.raw_msg);
        list(&mut object, "owners_wwids", &device.owners_wwids);
        list(&mut object, "owners_names", &device.owners_names);
        let mut extension = object.object("extension");
        values(found, device, |key, value| bytes(&mut extension, key, value));
        extension.end();
        if self.flat {
            values(found, device, |key, value| {
                if !FIXED.contains(&key) {
                    bytes(&mut object, key, value);
                }
            });
        }
        object.end();
    }

    /// A random UUID (version 4) that is the same for the same name.
    fn uuid(&self, name: &str) -> uuid::Uuid {
        let half = |number: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write(&self.salt);
            hasher.write_u8(number);
            hasher.write(name.as_bytes());
            u128::from(hasher.finish())
        };
        let bits = half(0) << 64 | half(1);
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// The id of a file system's device where nothing better is known: what the text says of it.
fn wwid<'a>(found: &'a Found, device: &'a Device) -> &'a str {
    let of_text = || found.fields.text("uuid").filter(|_| found.system == System::Fs);
    match device.wwid.as_str() {
        "" => of_text().or_else(|| device.get("uuid")).unwrap_or(""),
        wwid => wwid,
    }
}

/// All values of the extension, each key once: what the text says goes before what was looked up.
fn values<'a>(found: &'a Found, device: &'a Device, mut each: impl FnMut(&'a str, &'a [u8])) {
    for (place, (key, value)) in found.fields.iter().enumerate() {
        if !found.fields.iter().take(place).any(|(known, _)| known == key) {
            each(key, value);
        }
    }
    for (key, value) in &device.extension {
        if found.fields.get(key).is_none() {
            each(key, value.as_bytes());
        }
    }
}

fn bytes(object: &mut Object<'_>, key: &str, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(text) => object.foreign(key, text),
        Err(_) => object.base64(&format!("{key}_base64"), value),
    }
}

fn list(object: &mut Object<'_>, name: &str, values: &[String]) {
    if values.is_empty() {
        return object.json(name, b"[]");
    }
    let mut text = vec![b'['];
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            text.push(b',');
        }
        crate::event::json::write_text(value, &mut text);
    }
    text.push(b']');
    object.json(name, &text);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::decode::storage::{Parsers, read_record};

    fn event(raw: &[u8], device: &Device, flat: bool) -> (Event, Value) {
        let mut scratch = Vec::new();
        let record = read_record(raw, &mut scratch).unwrap();
        let mut found = Found::default();
        assert!(Parsers::default().read(&record, &mut found));
        let mut event = Event::default();
        let mut writer = Writer::new("box", flat, [7; 16]);
        let identity = (Identity::Record("0a1b2c3d", record.sequence), 1);
        writer.write(&found, device, identity, UnixNanos(1_761_998_400_123_456_789), &mut event);
        let value = serde_json::from_slice(&event.data).unwrap();
        (event, value)
    }

    const MEDIUM: &[u8] =
        b"6,420,17727751,-;sd 0:0:0:0: [sda] tag#177 Sense Key : Medium Error [current] ";

    #[test]
    fn the_object_is_the_seeds_with_additions() {
        let device = Device {
            name: "sda".into(),
            wwid: "naa.33333330000007d0".into(),
            owners_names: vec!["a".into(), "b".into()],
            extension: vec![("transport", "FC".into()), ("scsi_id", "x".into())],
            ..Device::default()
        };
        let (event, mut value) = event(MEDIUM, &device, false);
        assert_eq!(event.name, "storage-0a1b2c3d-00000000000000000420");
        assert_eq!(event.id, "0a1b2c3d-420");
        assert_eq!((event.source.as_str(), event.subject.as_str()), ("/storage/box", "sda"));
        assert_eq!(event.kind, "storage.scsi_medium_error");
        let id = value["event_id"].take();
        let uuid = uuid::Uuid::parse_str(id.as_str().unwrap()).unwrap();
        assert_eq!(
            (uuid.get_version_num(), uuid.hyphenated().to_string()),
            (4, id.as_str().unwrap().to_owned())
        );
        assert_eq!(
            value,
            json!({
                "hostname": "box", "severity": "error", "system": "scsi", "event_id": null,
                "event_type": "SCSI_MEDIUM_ERROR", "dev_wwid": "naa.33333330000007d0", "dev_name": "sda",
                "msg": "sd 0:0:0:0: [sda] tag#177 Sense Key : Medium Error [current]",
                "timestamp": "2025-11-01T12:00:00.123456Z", "subsystem": "scsi",
                "raw_msg": "sd 0:0:0:0: [sda] tag#177 Sense Key : Medium Error [current] ",
                "owners_wwids": [], "owners_names": ["a", "b"],
                "extension": {
                    "scsi_id": "0:0:0:0", "tag": "177", "sense_key": "Medium Error",
                    "is_deferred": "current", "kernel_priority": "6", "transport": "FC"
                }
            })
        );
    }

    #[test]
    fn flat_repeats_the_extension_and_overwrites_nothing() {
        let device = Device { extension: vec![("msg", "no".into())], ..Device::named("sda") };
        let (_, value) = event(MEDIUM, &device, true);
        assert_eq!(value["sense_key"], "Medium Error");
        assert_eq!(value["extension"]["sense_key"], "Medium Error");
        assert_eq!(value["extension"]["msg"], "no");
        assert!(value["msg"].as_str().unwrap().starts_with("sd 0:0:0:0"));
    }

    #[test]
    fn ids_are_the_same_for_the_same_event_and_differ_for_others() {
        let (_, a) = event(MEDIUM, &Device::named("sda"), false);
        let (_, b) = event(MEDIUM, &Device::named("sda"), false);
        let other = MEDIUM
            .to_vec()
            .into_iter()
            .map(|b| if b == b'4' { b'5' } else { b })
            .collect::<Vec<_>>();
        let (_, c) = event(&other, &Device::named("sda"), false);
        assert_eq!(a["event_id"], b["event_id"]);
        assert_ne!(a["event_id"], c["event_id"]);
        let salted = Writer::new("box", false, [8; 16]).uuid("x");
        assert_ne!(salted, Writer::new("box", false, [7; 16]).uuid("x"));
    }

    #[test]
    fn a_file_system_is_known_by_its_uuid_at_least() {
        let raw =
            b"6,1,2,-;EXT4-fs (sda1): unmounting filesystem 0be5abf3-5e4e-4fc3-ad99-459a193873fc.";
        let (_, value) = event(raw, &Device::named("sda1"), false);
        assert_eq!(value["dev_wwid"], "0be5abf3-5e4e-4fc3-ad99-459a193873fc");
        let known = Device { wwid: "naa.1".into(), ..Device::named("sda1") };
        assert_eq!(event(raw, &known, false).1["dev_wwid"], "naa.1");
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        let (_, value) =
            event(br"6,1,2,-;ata1.00: failed command: A\xff", &Device::named("ata1.00"), false);
        assert_eq!(value["extension"]["command_base64"], "Qf8=");
        assert_eq!(value.get("msg"), None);
        assert!(value["msg_base64"].is_string());
    }

    #[test]
    fn names_and_ids_of_every_kind() {
        let names = |identity: Identity<'_>, part| {
            let mut event = Event::default();
            identity.write(part, &mut event);
            (event.name, event.id)
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            names(Identity::Record("0a1b2c3d", 7), 2),
            pair("storage-0a1b2c3d-00000000000000000007-2", "0a1b2c3d-7-2")
        );
        assert_eq!(
            names(Identity::Uevent("0a1b2c3d", 7), 1),
            pair("storage-0a1b2c3d-u-00000000000000000007", "0a1b2c3d-u-7")
        );
        assert_eq!(
            names(Identity::Line(5, 6), 1),
            pair("storage-l00000000000000000005-00000000000000000006", "l5-6")
        );
        assert_eq!(
            names(Identity::Arrival(5, 6), 1),
            pair("storage-00000000000000000005-00000000000000000006", "5-6")
        );
    }
}
