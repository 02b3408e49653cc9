//! The parsers: a kernel text in, at most one event out.

use super::found::{Found, Severity, System};
use super::record::Record;
use super::rules::{self, Group, Row};
use super::template::{FirstBytes, Pieces, Template};
use super::user::UserRules;

/// USB devices remembered as storage; more than any machine has ports.
const USB_MAX: usize = 256;

struct Compiled {
    group: &'static Group,
    head: Template,
    /// What stands behind the first colon, for heads that begin with a value.
    behind_colon: Option<&'static [u8]>,
    rows: Vec<Line>,
}

/// A row and how it is found.
struct Line {
    row: &'static Row,
    template: Template,
    first: FirstBytes,
}

impl Compiled {
    fn new(group: &'static Group) -> Self {
        let head = Template::head(group.head);
        let line = |row: &'static Row| {
            let (template, mut first) = (Template::whole(row.text), [false; 256]);
            template.first_bytes(&mut first);
            Line { row, template, first }
        };
        let behind_colon = head.behind_colon();
        Self { group, head, behind_colon, rows: group.rows.iter().map(line).collect() }
    }

    /// The row that a text is matched by; `behind` is the text behind its first colon.
    fn find(&self, text: &[u8], behind: &[u8], pieces: &mut Pieces) -> Option<&'static Row> {
        if self.behind_colon.is_some_and(|bytes| !behind.starts_with(bytes)) {
            return None;
        }
        pieces.clear();
        let start = self.head.matches(text, 0, pieces)?;
        let first = text.get(start)?;
        let mark = pieces.len();
        for line in
            self.rows.iter().filter(|line| line.first.get(usize::from(*first)) == Some(&true))
        {
            pieces.truncate(mark);
            if line.template.matches(text, start, pieces).is_some()
                && line.row.less.is_none_or(|names| is_less(names, text, pieces))
            {
                return Some(line.row);
            }
        }
        None
    }
}

/// All parsers over one index: a text is only compared with the groups that may begin as it begins.
pub struct Parsers {
    groups: Vec<Compiled>,
    /// Groups by the first byte of a text, in the order of the tables.
    by_first: Vec<Vec<u16>>,
    user: UserRules,
    raw: bool,
    /// USB devices (`2-1`) that were storage.
    usb: Vec<String>,
    pieces: Pieces,
}

impl std::fmt::Debug for Parsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parsers").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}

impl Default for Parsers {
    fn default() -> Self {
        Self::new(&System::ALL, UserRules::default(), false)
    }
}

impl Parsers {
    /// Those of these systems, then the user's rules; with `raw` also a `RAW` event for what has the keys
    /// of a storage device and is no event.
    pub fn new(systems: &[System], user: UserRules, raw: bool) -> Self {
        let wanted = rules::groups().filter(|group| systems.contains(&group.system));
        let groups: Vec<Compiled> = wanted.map(Compiled::new).collect();
        let by_first = index(&groups);
        Self { groups, by_first, user, raw, usb: Vec::new(), pieces: Pieces::new() }
    }

    /// The same knowledge of the machine under other rules.
    pub fn replace(&mut self, systems: &[System], user: UserRules, raw: bool) {
        let usb = std::mem::take(&mut self.usb);
        *self = Self { usb, ..Self::new(systems, user, raw) };
    }

    /// Reads a record of the kernel log. False if it is no event.
    pub fn read(&mut self, record: &Record<'_>, found: &mut Found) -> bool {
        found.clear();
        let text = record.text.trim_ascii_end();
        let is_event = self.built_in(text, found)
            || self.user.apply(text, record.level(), found)
            || (self.raw && raw(record, found));
        if !is_event {
            return false;
        }
        found.priority = record.level();
        found.msg.extend_from_slice(text);
        found.raw_msg.extend_from_slice(record.text);
        if let Some(level) = record.level() {
            found.fields.push("kernel_priority", &[b'0' + level]);
        }
        true
    }

    fn built_in(&mut self, text: &[u8], found: &mut Found) -> bool {
        let Some(&first) = text.first() else { return false };
        self.note_usb(text);
        let Some(candidates) = self.by_first.get(usize::from(first)) else { return false };
        let behind = behind_colon(text);
        for &number in candidates {
            let Some(compiled) = self.groups.get(usize::from(number)) else { continue };
            if let Some(row) = compiled.find(text, behind, &mut self.pieces) {
                fill(compiled.group, row, text, &self.pieces, found);
                return row.event_type != "USB_STORAGE_DISCONNECT"
                    || self.forget_usb(&found.device);
            }
        }
        false
    }

    /// Remembers a USB device that the driver of storage names: `usb-storage 2-1:1.0: ...`,
    /// `scsi host9: usb-storage 1-4:1.0`.
    fn note_usb(&mut self, text: &[u8]) {
        let named =
            [&b"usb-storage "[..], b"uas "].iter().find_map(|lead| text.strip_prefix(*lead));
        let named = named.or_else(|| {
            let host = text.strip_prefix(b"scsi host")?;
            let place = host.windows(2).position(|pair| pair == b": ")?;
            let driver = host.get(place + 2..)?;
            driver.strip_prefix(b"usb-storage ").or_else(|| driver.strip_prefix(b"uas "))
        });
        let Some(named) = named else { return };
        let port = named.split(|byte| matches!(byte, b':' | b' ')).next().unwrap_or_default();
        if let Ok(port) = std::str::from_utf8(port) {
            self.remember_usb(port);
        }
    }

    /// A USB device (`2-1`) known to be storage, such as one that was there before the log began.
    pub fn remember_usb(&mut self, port: &str) {
        let is_port = port.contains('-') && port.len() < 64;
        if is_port && self.usb.len() < USB_MAX && !self.usb.iter().any(|known| known == port) {
            self.usb.push(port.to_owned());
        }
    }

    fn forget_usb(&mut self, port: &str) -> bool {
        let before = self.usb.len();
        self.usb.retain(|known| known != port);
        self.usb.len() < before
    }
}

/// Which groups may match a text by its first byte.
fn index(groups: &[Compiled]) -> Vec<Vec<u16>> {
    let mut by_first = vec![Vec::new(); 256];
    for (number, compiled) in (0u16..).zip(groups) {
        let mut bytes: FirstBytes = [false; 256];
        if !compiled.head.first_bytes(&mut bytes) {
            for line in &compiled.rows {
                line.template.first_bytes(&mut bytes);
            }
        }
        for (list, _) in by_first.iter_mut().zip(bytes).filter(|(_, may)| *may) {
            list.push(number);
        }
    }
    by_first
}

/// The text behind its first colon and blank.
fn behind_colon(text: &[u8]) -> &[u8] {
    memchr::memchr_iter(b':', text)
        .filter_map(|place| text.get(place + 1..)?.strip_prefix(b" "))
        .next()
        .unwrap_or_default()
}

fn is_less((less, more): (&str, &str), text: &[u8], pieces: &Pieces) -> bool {
    let number = |name| {
        let (_, piece) = pieces.iter().find(|(known, _)| *known == name)?;
        std::str::from_utf8(piece.of(text)).ok()?.parse::<u64>().ok()
    };
    number(less).zip(number(more)).is_some_and(|(less, more)| less < more)
}

fn fill(group: &Group, row: &Row, text: &[u8], pieces: &Pieces, found: &mut Found) {
    found.event_type.push_str(row.event_type);
    found.severity = row.severity;
    found.system = group.system;
    found.subsystem.push_str(group.subsystem);
    for (name, piece) in pieces {
        let value = piece.of(text);
        match *name {
            "dev" => found.set_device(value),
            "subsystem" => {
                found.subsystem.clear();
                found.subsystem.push_str(std::str::from_utf8(value).unwrap_or_default());
            }
            name => found.fields.push(name, value),
        }
    }
    if found.device.is_empty()
        && let Some(address) = found.fields.text("scsi_id")
    {
        found.device.push_str(address);
    }
    if group.subsystem == "dm-multipath"
        && matches!(row.event_type, "DM_MPATH_PATH_DOWN" | "DM_MPATH_PATH_UP")
    {
        found.fields.push("path_major_minor", found.device.as_bytes());
    }
}

/// An event of a record that says only which storage device it is about.
fn raw(record: &Record<'_>, found: &mut Found) -> bool {
    found.system = match record.subsystem {
        b"scsi" => System::Scsi,
        b"block" | b"nvme" => System::Block,
        _ => return false,
    };
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let device = match record.device {
        [b'b', number @ ..] => number,
        [b'+', name @ ..] => name
            .iter()
            .position(|&byte| byte == b':')
            .and_then(|at| name.get(at + 1..))
            .unwrap_or_default(),
        // A character device has no block name; the text has: `nvme nvme0: ...`.
        [b'c', ..] => {
            record.text.split(|byte| matches!(byte, b' ' | b':')).nth(1).unwrap_or_default()
        }
        _ => return false,
    };
    found.set_device(device);
    found.event_type.push_str("RAW");
    found.subsystem.push_str(text(record.subsystem));
    found.severity = Severity::of_priority(record.level().unwrap_or(6));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn read(parsers: &mut Parsers, text: &str) -> Option<Found> {
        let mut found = Found::default();
        let record = Record {
            form: crate::decode::storage::Form::Kmsg,
            priority: Some(6),
            sequence: 1,
            micros: Some(1),
            text: text.as_bytes(),
            subsystem: b"",
            device: b"",
        };
        parsers.read(&record, &mut found).then_some(found)
    }

    /// The row that a text is matched by.
    fn row(parsers: &Parsers, text: &str) -> Option<*const Row> {
        let text = text.trim_ascii_end().as_bytes();
        let mut pieces = Pieces::new();
        let find = |compiled: &Compiled| compiled.find(text, behind_colon(text), &mut pieces);
        parsers.groups.iter().find_map(find).map(std::ptr::from_ref)
    }

    #[test]
    fn every_row_is_reached_by_a_wording_of_it() {
        let mut parsers = Parsers::default();
        let mut reached = BTreeSet::new();
        for line in include_str!("../../../tests/data/storage/wordings.txt").lines() {
            let Some((expected, text)) = line.split_once('|').filter(|_| !line.starts_with('#'))
            else {
                continue;
            };
            let text = text.replace("\\n", "\n");
            let found = read(&mut parsers, &text).unwrap_or_else(|| panic!("no event: {text}"));
            let device = if found.device.is_empty() { "-" } else { &found.device };
            let is = format!(
                "{} {}/{} {device}",
                found.event_type,
                found.system.as_str(),
                found.subsystem
            );
            assert_eq!(is, expected, "{text}");
            reached.extend(row(&parsers, &text));
        }
        for line in include_str!("../../../tests/data/storage/lines.jsonl").lines() {
            let sample: serde_json::Value = serde_json::from_str(line).unwrap();
            reached.extend(row(&parsers, sample["text"].as_str().unwrap()));
        }
        reached.extend(row(&parsers, "usb 2-1: USB disconnect, device number 2"));
        for compiled in &parsers.groups {
            for line in &compiled.rows {
                let text = [compiled.group.head, line.row.text].concat();
                assert!(reached.contains(&std::ptr::from_ref(line.row)), "no wording for {text}");
            }
        }
    }

    #[test]
    fn a_usb_disk_that_goes_was_known_as_storage() {
        let mut parsers = Parsers::default();
        let gone = "usb 2-1: USB disconnect, device number 2";
        assert!(read(&mut parsers, gone).is_none());
        for known in [
            "usb-storage 2-1:1.0: USB Mass Storage device detected",
            "scsi host9: usb-storage 2-1:1.0",
            "uas 2-1:1.0: USB something",
        ] {
            read(&mut parsers, known);
            let found = read(&mut parsers, gone).expect(known);
            assert_eq!(
                (found.device.as_str(), found.fields.text("device_number")),
                ("2-1", Some("2"))
            );
            assert!(read(&mut parsers, gone).is_none(), "only once");
        }
        parsers.remember_usb("3-1.4");
        parsers.replace(&System::ALL, UserRules::default(), false);
        assert!(read(&mut parsers, "usb 3-1.4: USB disconnect, device number 9").is_some());
        for number in 0..2 * USB_MAX {
            parsers.remember_usb(&format!("1-{number}"));
        }
        assert_eq!(parsers.usb.len(), USB_MAX);
    }

    #[test]
    fn parsers_that_are_off_find_nothing_and_user_rules_come_last() {
        let rule = |regex: &str| super::super::UserRule {
            regex: regex.into(),
            event_type: "MINE".into(),
            ..super::super::UserRule::default()
        };
        let (user, _) = UserRules::compile(&[rule(r"(?P<kdev>sd\w+)")]);
        let mut parsers = Parsers::new(&[System::Fs], user, false);
        let block = "I/O error, dev sda, sector 8";
        assert_eq!(read(&mut parsers, block).unwrap().event_type, "MINE");
        let fs = "EXT4-fs (sda1): Remounting filesystem read-only";
        assert_eq!(read(&mut parsers, fs).unwrap().event_type, "FS_REMOUNT_READ_ONLY");
        assert!(read(&mut parsers, "nothing of ours").is_none());
    }

    #[test]
    fn raw_events_are_for_records_with_the_keys_of_a_device() {
        let mut parsers = Parsers::new(&System::ALL, UserRules::default(), true);
        let mut found = Found::default();
        let mut scratch = Vec::new();
        for (record, device) in [
            ("4,1,2,-;sd 0:0:0:0: hello\n SUBSYSTEM=scsi\n DEVICE=+scsi:0:0:0:0", Some("0:0:0:0")),
            ("4,1,2,-;x\n SUBSYSTEM=block\n DEVICE=b8:16", Some("8:16")),
            ("4,1,2,-;nvme nvme0: hello\n SUBSYSTEM=nvme\n DEVICE=c245:1", Some("nvme0")),
            ("4,1,2,-;x\n SUBSYSTEM=usb\n DEVICE=+usb:2-1", None),
            ("4,1,2,-;x\n SUBSYSTEM=scsi\n", None),
            ("4,1,2,-;x", None),
        ] {
            let record =
                crate::decode::storage::read_record(record.as_bytes(), &mut scratch).unwrap();
            let is_event = parsers.read(&record, &mut found);
            assert_eq!(is_event.then_some(found.device.as_str()), device);
            assert!(!is_event || (found.event_type == "RAW" && found.severity == Severity::Warn));
        }
    }

    #[test]
    fn texts_are_compared_with_few_groups() {
        let parsers = Parsers::default();
        let most = parsers.by_first.iter().map(Vec::len).max();
        assert!(most.is_some_and(|most| most < 20), "{most:?} groups for one byte");
    }
}
