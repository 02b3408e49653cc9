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
    rows: Vec<(&'static Row, Template)>,
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
        let groups: Vec<Compiled> = rules::groups()
            .filter(|group| systems.contains(&group.system))
            .map(|group| Compiled {
                group,
                head: Template::head(group.head),
                rows: group.rows.iter().map(|row| (row, Template::whole(row.text))).collect(),
            })
            .collect();
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
        for &number in candidates {
            let Some(compiled) = self.groups.get(usize::from(number)) else { continue };
            self.pieces.clear();
            let Some(start) = compiled.head.matches(text, 0, &mut self.pieces) else { continue };
            for (row, template) in &compiled.rows {
                if template.matches(text, start, &mut self.pieces).is_some()
                    && row.less.is_none_or(|names| is_less(names, text, &self.pieces))
                {
                    fill(compiled.group, row, text, &self.pieces, found);
                    return row.event_type != "USB_STORAGE_DISCONNECT"
                        || self.forget_usb(&found.device);
                }
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
            for (_, row) in &compiled.rows {
                row.first_bytes(&mut bytes);
            }
        }
        for (list, _) in by_first.iter_mut().zip(bytes).filter(|(_, may)| *may) {
            list.push(number);
        }
    }
    by_first
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
