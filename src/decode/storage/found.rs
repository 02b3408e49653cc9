//! What a parser found in a record: the event before its device is looked up.

use std::fmt;

/// The six systems of the event object, and the parser that each stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum System {
    /// `scsi`, with `ata` and `usb` below it.
    Scsi,
    /// `lvm`: device-mapper other than multipath.
    Lvm,
    /// `multipath`; its parser is called `mpath`.
    Multipath,
    /// `block`, with `nvme` and `nbd` below it.
    Block,
    /// `fs`.
    Fs,
    /// `mdraid`.
    Mdraid,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Scsi, Self::Lvm, Self::Multipath, Self::Block, Self::Fs, Self::Mdraid];

    /// As it is written in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scsi => "scsi",
            Self::Lvm => "lvm",
            Self::Multipath => "multipath",
            Self::Block => "block",
            Self::Fs => "fs",
            Self::Mdraid => "mdraid",
        }
    }

    /// By the name of the system or of its parser.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mpath" => Some(Self::Multipath),
            _ => Self::ALL.into_iter().find(|system| system.as_str() == name),
        }
    }
}

/// The three severities of the event object, rising.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Something to know.
    #[default]
    Info,
    /// Something to look at.
    Warn,
    /// Something is broken.
    Error,
}

impl Severity {
    /// As it is written in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// For a kernel priority (0 to 7), where nothing better is known.
    pub fn of_priority(level: u8) -> Self {
        match level {
            0..=3 => Self::Error,
            4 => Self::Warn,
            _ => Self::Info,
        }
    }

    /// By name: ours, the eight of syslog with peripety's misspelt one, or a digit.
    pub fn named(name: &str) -> Option<Self> {
        let level = match name.to_ascii_lowercase().as_str() {
            "emergency" | "emerg" => 0,
            "alert" => 1,
            "critical" | "ctritical" | "crit" => 2,
            "error" | "err" => 3,
            "warning" | "warn" => 4,
            "notice" => 5,
            "info" => 6,
            "debug" => 7,
            digit => digit.parse().ok().filter(|level| *level <= 7)?,
        };
        Some(Self::of_priority(level))
    }
}

/// Which of the two kinds of collector a record came from.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Collector {
    /// The kernel log, or a file in its place.
    #[default]
    Kmsg,
    /// Kernel uevents.
    Uevent,
}

/// Names and values, both without their own memory: one buffer serves record after record.
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Ends of each name and each value in `bytes`.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    /// Adds one; the name is kept as text, the value is as it came, without blanks at its ends.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.bytes.extend_from_slice(name.as_bytes());
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value.trim_ascii());
        self.ends.push((name_end, self.bytes.len()));
    }

    /// Forgets all and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// In the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let name = self.bytes.get(start..name_end).unwrap_or_default();
            start = end;
            let value = self.bytes.get(name_end..end).unwrap_or_default();
            (std::str::from_utf8(name).unwrap_or_default(), value)
        })
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The first value of this name, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(k, v)| (k, String::from_utf8_lossy(v)))).finish()
    }
}

/// An event before its device is looked up; reused from record to record.
#[derive(Clone, Debug)]
pub struct Found {
    /// Such as `DM_MPATH_PATH_DOWN`.
    pub event_type: String,
    /// By the table.
    pub severity: Severity,
    /// One of the six.
    pub system: System,
    /// Finer: `ext4`, `nvme`, `dm-thin`.
    pub subsystem: String,
    /// The device as the record names it (`kdev`); empty where it names none.
    pub device: String,
    /// What goes into `extension`.
    pub fields: Fields,
    /// The text for people.
    pub msg: Vec<u8>,
    /// The text before anything was done to it.
    pub raw_msg: Vec<u8>,
    /// The kernel's own priority, 0 to 7.
    pub priority: Option<u8>,
    /// Where the record came from.
    pub collector: Collector,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            event_type: String::new(),
            severity: Severity::Info,
            system: System::Block,
            subsystem: String::new(),
            device: String::new(),
            fields: Fields::default(),
            msg: Vec::new(),
            raw_msg: Vec::new(),
            priority: None,
            collector: Collector::Kmsg,
        }
    }
}

impl Found {
    /// Empties it and keeps the room.
    pub fn clear(&mut self) {
        self.event_type.clear();
        self.subsystem.clear();
        self.device.clear();
        self.fields.clear();
        self.msg.clear();
        self.raw_msg.clear();
        self.priority = None;
        self.severity = Severity::Info;
        self.system = System::Block;
        self.collector = Collector::Kmsg;
    }

    /// Names the device by what the kernel calls it: the hidden path `nvme0c1n1` of native multipath is
    /// the disk `nvme0n1`, and `?` stands for none.
    pub fn set_device(&mut self, name: &[u8]) {
        self.device.clear();
        let Ok(name) = std::str::from_utf8(name) else { return };
        if name == "?" {
            return;
        }
        match hidden_path(name) {
            Some((controller, namespace)) => {
                self.device.push_str(controller);
                self.device.push_str(namespace);
            }
            None => self.device.push_str(name),
        }
    }
}

/// `nvme0c1n1p2` in the parts that stay: `nvme0` and `n1p2`.
fn hidden_path(name: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let subsystem = name.strip_prefix("nvme").map(digits).filter(|count| *count > 0)? + 4;
    let (start, rest) = name.split_at(subsystem);
    let rest = rest.strip_prefix('c')?;
    let (path, namespace) = rest.split_at(digits(rest));
    (!path.is_empty() && namespace.starts_with('n')).then_some((start, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_in_order() {
        let mut fields = Fields::default();
        fields.push("a", b" 1 ");
        fields.push("", b"");
        fields.push("b", b"\xff");
        fields.push("a", b"2");
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("a", &b"1"[..]), ("", b""), ("b", b"\xff"), ("a", b"2")]);
        assert_eq!(fields.text("a"), Some("1"));
        assert_eq!((fields.text("b"), fields.get("c")), (None, None));
        fields.clear();
        assert_eq!(fields.iter().count(), 0);
    }

    #[test]
    fn hidden_paths_are_their_disk() {
        let mut found = Found::default();
        for (name, device) in [
            ("nvme0c1n1", "nvme0n1"),
            ("nvme10c2n3p4", "nvme10n3p4"),
            ("nvme0", "nvme0"),
            ("nvmec1n1", "nvmec1n1"),
            ("nvme0cn1", "nvme0cn1"),
            ("nvme0c1", "nvme0c1"),
            ("sda", "sda"),
            ("?", ""),
        ] {
            found.set_device(name.as_bytes());
            assert_eq!(found.device, device);
        }
        found.set_device(b"\xff");
        assert_eq!(found.device, "");
    }

    #[test]
    fn names_of_severities_and_systems() {
        assert_eq!(Severity::named("Ctritical"), Some(Severity::Error));
        assert_eq!(Severity::named("warn"), Some(Severity::Warn));
        assert_eq!(Severity::named("5"), Some(Severity::Info));
        assert_eq!((Severity::named("8"), Severity::named("loud")), (None, None));
        assert_eq!(System::named("mpath"), Some(System::Multipath));
        assert_eq!(System::named("mdraid"), Some(System::Mdraid));
        assert_eq!(System::named("dm"), None);
        for system in System::ALL {
            assert_eq!(System::named(system.as_str()), Some(system));
        }
    }
}
