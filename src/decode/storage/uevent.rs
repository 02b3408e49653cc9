//! Kernel uevents, as netlink brings them: from the kernel itself, or with udev's additions.

use super::found::{Collector, Found, Severity, System};

/// A message longer than this is not one: the kernel's buffer has 2048 bytes, udev's properties some
/// thousands more.
pub const MESSAGE_MAX: usize = 65_536;

/// What a message of udev begins with: `libudev`, then the magic number in network order.
const UDEV_LEAD: &[u8] = b"libudev\0\xfe\xed\xca\xfe";

/// A uevent: its properties, still where they were received.
#[derive(Clone, Copy, Debug)]
pub struct Uevent<'a> {
    properties: &'a [u8],
}

impl<'a> Uevent<'a> {
    /// Reads a message: `action@path`, or udev's 40-byte head, then `KEY=value` each with a zero.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(message: &'a [u8]) -> Result<Self, &'static str> {
        let properties = if message.starts_with(b"libudev\0") {
            udev_properties(message)?
        } else {
            let end = message.iter().position(|&byte| byte == 0).ok_or("no end of the head")?;
            let head = message.get(..end).unwrap_or_default();
            if !head.contains(&b'@') {
                return Err("no action and path");
            }
            message.get(end + 1..).unwrap_or_default()
        };
        let uevent = Self { properties };
        for key in ["ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM"] {
            uevent.get(key).ok_or("no ACTION, DEVPATH, SUBSYSTEM or SEQNUM")?;
        }
        uevent.sequence().ok_or("no number in SEQNUM")?;
        Ok(uevent)
    }

    /// Each `KEY=value`.
    pub fn properties(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.properties.split(|&byte| byte == 0).filter_map(|line| {
            let place = line.iter().position(|&byte| byte == b'=')?;
            Some((line.get(..place)?, line.get(place + 1..)?))
        })
    }

    /// A property that is text.
    pub fn get(self, key: &str) -> Option<&'a str> {
        let (_, value) = self.properties().find(|(known, _)| *known == key.as_bytes())?;
        std::str::from_utf8(value).ok()
    }

    /// Its number; rises over all uevents since boot.
    pub fn sequence(self) -> Option<u64> {
        self.get("SEQNUM")?.parse().ok()
    }

    /// Whether somebody made it by writing to a file `uevent`.
    pub fn is_synthetic(self) -> bool {
        self.get("SYNTH_UUID").is_some()
    }

    /// The name of the device without `/dev/`.
    fn device_name(self) -> &'a str {
        let name = self.get("DEVNAME").unwrap_or_default();
        name.strip_prefix("/dev/").unwrap_or(name)
    }

    fn last_of_path(self) -> &'a str {
        self.get("DEVPATH").unwrap_or_default().rsplit('/').next().unwrap_or_default()
    }

    fn has(self, (key, wanted): (&str, &str)) -> bool {
        self.get(key).is_some_and(|value| wanted == ANY || value == wanted)
    }
}

fn udev_properties(message: &[u8]) -> Result<&[u8], &'static str> {
    if !message.starts_with(UDEV_LEAD) {
        return Err("wrong magic number of udev");
    }
    // Header size, offset and length of the properties, in the order of this machine.
    let word = |at: usize| {
        let bytes = message.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_ne_bytes(bytes)).ok()
    };
    let (offset, length) = word(16).zip(word(20)).ok_or("ends inside the head of udev")?;
    let end = offset.checked_add(length).ok_or("properties outside of the message")?;
    message.get(offset..end).ok_or("properties outside of the message")
}

/// Any value will do.
const ANY: &str = "*";

/// Which property names the device.
#[derive(Clone, Copy, Debug)]
enum Device {
    /// DEVNAME.
    Name,
    /// The last part of DEVPATH.
    Path,
    /// DM_PATH.
    Multipath,
}

/// One kind of uevent: what it must have, and what it is.
#[derive(Debug)]
struct Rule {
    subsystem: &'static str,
    action: &'static str,
    has: &'static [(&'static str, &'static str)],
    event_type: &'static str,
    severity: Severity,
    system: System,
    name: &'static str,
    device: Device,
    /// Keys of `extension` and the properties that they come from.
    keys: &'static [(&'static str, &'static str)],
}

const fn block(
    action: &'static str,
    has: &'static [(&'static str, &'static str)],
    event_type: &'static str,
    severity: Severity,
) -> Rule {
    Rule {
        subsystem: "block",
        action,
        has,
        event_type,
        severity,
        system: System::Block,
        name: "block",
        device: Device::Name,
        keys: &[],
    }
}

const fn multipath(
    has: &'static [(&'static str, &'static str)],
    event_type: &'static str,
    severity: Severity,
) -> Rule {
    Rule {
        system: System::Multipath,
        name: "dm-multipath",
        device: Device::Multipath,
        keys: &[
            ("map", "DM_NAME"),
            ("nr_valid_paths", "DM_NR_VALID_PATHS"),
            ("path_major_minor", "DM_PATH"),
            ("dm_uuid", "DM_UUID"),
        ],
        ..block("change", has, event_type, severity)
    }
}

const fn scsi(
    has: &'static [(&'static str, &'static str)],
    event_type: &'static str,
    severity: Severity,
) -> Rule {
    Rule {
        subsystem: "scsi",
        system: System::Scsi,
        name: "scsi",
        device: Device::Path,
        ..block("change", has, event_type, severity)
    }
}

const fn nvme(has: &'static [(&'static str, &'static str)], event_type: &'static str) -> Rule {
    Rule {
        subsystem: "nvme",
        name: "nvme",
        keys: &[("aen", "NVME_AEN")],
        ..block("change", has, event_type, Severity::Info)
    }
}

/// The first that fits is it.
const RULES: &[Rule] = &[
    multipath(
        &[("DM_TARGET", "multipath"), ("DM_ACTION", "PATH_FAILED"), ("DM_PATH", ANY)],
        "DM_MPATH_PATH_DOWN",
        Severity::Warn,
    ),
    multipath(
        &[("DM_TARGET", "multipath"), ("DM_ACTION", "PATH_REINSTATED"), ("DM_PATH", ANY)],
        "DM_MPATH_PATH_UP",
        Severity::Info,
    ),
    block("add", &[("DEVTYPE", "disk")], "BLOCK_DEVICE_ADDED", Severity::Info),
    block("add", &[("DEVTYPE", "partition")], "BLOCK_DEVICE_ADDED", Severity::Info),
    block("remove", &[("DEVTYPE", "disk")], "BLOCK_DEVICE_REMOVED", Severity::Warn),
    block("remove", &[("DEVTYPE", "partition")], "BLOCK_DEVICE_REMOVED", Severity::Warn),
    block("change", &[("RESIZE", "1")], "BLOCK_CAPACITY_CHANGED", Severity::Info),
    block("change", &[("DISK_MEDIA_CHANGE", "1")], "BLOCK_MEDIA_CHANGED", Severity::Info),
    block("change", &[("DISK_EJECT_REQUEST", "1")], "BLOCK_MEDIA_CHANGED", Severity::Info),
    Rule {
        keys: &[("read_only", "DISK_RO")],
        ..block("change", &[("DISK_RO", "1")], "BLOCK_READ_ONLY_CHANGED", Severity::Warn)
    },
    Rule {
        keys: &[("read_only", "DISK_RO")],
        ..block("change", &[("DISK_RO", "0")], "BLOCK_READ_ONLY_CHANGED", Severity::Info)
    },
    scsi(&[("SDEV_UA", "INQUIRY_DATA_HAS_CHANGED")], "SCSI_INQUIRY_CHANGED", Severity::Warn),
    scsi(&[("SDEV_UA", "CAPACITY_DATA_HAS_CHANGED")], "SCSI_CAPACITY_CHANGED", Severity::Info),
    scsi(
        &[("SDEV_UA", "THIN_PROVISIONING_SOFT_THRESHOLD_REACHED")],
        "SCSI_THIN_SOFT_THRESHOLD",
        Severity::Warn,
    ),
    scsi(&[("SDEV_UA", "MODE_PARAMETERS_CHANGED")], "SCSI_MODE_PARAMETERS_CHANGED", Severity::Info),
    scsi(&[("SDEV_UA", "REPORTED_LUNS_DATA_HAS_CHANGED")], "SCSI_LUN_MAP_CHANGED", Severity::Warn),
    scsi(
        &[("SDEV_UA", "ASYMMETRIC_ACCESS_STATE_CHANGED")],
        "SCSI_ALUA_STATE_CHANGED",
        Severity::Warn,
    ),
    scsi(&[("SDEV_UA", "POWER_ON_RESET_OCCURRED")], "SCSI_DEVICE_RESET", Severity::Warn),
    Rule {
        system: System::Block,
        ..scsi(&[("SDEV_MEDIA_CHANGE", "1")], "BLOCK_MEDIA_CHANGED", Severity::Info)
    },
    nvme(&[("NVME_AEN", ANY)], "NVME_ASYNC_EVENT"),
    nvme(&[("NVME_EVENT", "connected")], "NVME_CONNECTED"),
    nvme(&[("NVME_EVENT", "rediscover")], "NVME_REDISCOVER"),
];

/// Properties that say nothing about the event itself, or are told elsewhere.
const NOT_IN_TEXT: [&str; 4] = ["ACTION", "DEVPATH", "SEQNUM", "UDEV_DATABASE_VERSION"];

/// Finds the event in a uevent. `synthetic` takes those that somebody made by hand, too.
pub fn find_uevent(
    uevent: Uevent<'_>,
    systems: &[System],
    synthetic: bool,
    found: &mut Found,
) -> bool {
    found.clear();
    let fits = |rule: &&Rule| {
        uevent.get("SUBSYSTEM") == Some(rule.subsystem)
            && uevent.get("ACTION") == Some(rule.action)
            && rule.has.iter().all(|has| uevent.has(*has))
    };
    let Some(rule) = RULES.iter().find(fits) else { return false };
    if !systems.contains(&rule.system) || (uevent.is_synthetic() && !synthetic) {
        return false;
    }
    found.collector = Collector::Uevent;
    found.event_type.push_str(rule.event_type);
    found.severity = rule.severity;
    found.system = rule.system;
    found.subsystem.push_str(rule.name);
    found.set_device(
        match rule.device {
            Device::Name => uevent.device_name(),
            Device::Path => uevent.last_of_path(),
            Device::Multipath => uevent.get("DM_PATH").unwrap_or_default(),
        }
        .as_bytes(),
    );
    keys(uevent, rule, found);
    text(uevent, &mut found.raw_msg);
    found.msg.extend_from_slice(&found.raw_msg);
    true
}

fn keys(uevent: Uevent<'_>, rule: &Rule, found: &mut Found) {
    for (key, property) in rule.keys {
        if let Some(value) = uevent.get(property) {
            found.fields.push(key, value.as_bytes());
        }
    }
    if let (System::Multipath, Some(major), Some(minor)) =
        (rule.system, uevent.get("MAJOR"), uevent.get("MINOR"))
    {
        found.fields.push("dm", format!("{major}:{minor}").as_bytes());
    }
    if let Device::Path = rule.device {
        found.fields.push("scsi_id", uevent.last_of_path().as_bytes());
    }
}

/// `uevent change /devices/virtual/block/dm-0 DM_ACTION=PATH_FAILED ...`.
fn text(uevent: Uevent<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"uevent ");
    out.extend_from_slice(uevent.get("ACTION").unwrap_or_default().as_bytes());
    out.push(b' ');
    out.extend_from_slice(uevent.get("DEVPATH").unwrap_or_default().as_bytes());
    for (key, value) in uevent.properties() {
        if !NOT_IN_TEXT.iter().any(|name| name.as_bytes() == key) {
            out.push(b' ');
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(properties: &[&str]) -> Vec<u8> {
        let mut message = b"change@/devices/x\0".to_vec();
        for property in
            ["ACTION=change", "DEVPATH=/devices/x/6:0:0:1", "SEQNUM=7"].iter().chain(properties)
        {
            message.extend_from_slice(property.as_bytes());
            message.push(0);
        }
        message
    }

    fn find(properties: &[&str], synthetic: bool) -> Option<Found> {
        let message = message(properties);
        let uevent = Uevent::read(&message).unwrap();
        let mut found = Found::default();
        find_uevent(uevent, &System::ALL, synthetic, &mut found).then_some(found)
    }

    #[test]
    fn each_rule_finds_its_own() {
        for rule in RULES.iter().filter(|rule| rule.action == "change") {
            let mut properties =
                vec![format!("SUBSYSTEM={}", rule.subsystem), "DEVNAME=/dev/sda".into()];
            let value = |wanted: &'static str| if wanted == ANY { "8:16" } else { wanted };
            properties
                .extend(rule.has.iter().map(|(key, wanted)| format!("{key}={}", value(wanted))));
            let properties: Vec<&str> = properties.iter().map(String::as_str).collect();
            let found = find(&properties, false).expect(rule.event_type);
            assert_eq!(
                (found.event_type.as_str(), found.severity),
                (rule.event_type, rule.severity)
            );
            let device = match rule.device {
                Device::Name => "sda",
                Device::Path => "6:0:0:1",
                Device::Multipath => "8:16",
            };
            assert_eq!(found.device, device);
            let text = String::from_utf8(found.msg).unwrap();
            assert!(text.starts_with("uevent change /devices/x/6:0:0:1 SUBSYSTEM="), "{text}");
        }
    }

    #[test]
    fn what_a_hand_made_needs_the_option() {
        let properties = ["SUBSYSTEM=block", "DEVNAME=sda", "RESIZE=1", "SYNTH_UUID=0"];
        assert!(find(&properties, false).is_none());
        assert_eq!(find(&properties, true).unwrap().event_type, "BLOCK_CAPACITY_CHANGED");
        assert!(find(&["SUBSYSTEM=block", "DM_COOKIE=1"], true).is_none());
    }

    #[test]
    fn a_system_that_is_off_finds_nothing() {
        let message = message(&["SUBSYSTEM=block", "RESIZE=1"]);
        let uevent = Uevent::read(&message).unwrap();
        assert!(!find_uevent(uevent, &[System::Scsi], false, &mut Found::default()));
    }

    #[test]
    fn broken_messages_say_why() {
        let head = |offset: u32, length: u32| {
            let mut head = UDEV_LEAD.to_vec();
            for word in [40, offset, length] {
                head.extend_from_slice(&u32::to_ne_bytes(word));
            }
            head.resize(40, 0);
            head
        };
        for (message, reason) in [
            (b"".to_vec(), "no end of the head"),
            (b"add".to_vec(), "no end of the head"),
            (b"add\0".to_vec(), "no action and path"),
            (b"add@/x\0ACTION=add\0".to_vec(), "no ACTION, DEVPATH, SUBSYSTEM or SEQNUM"),
            (
                b"add@/x\0ACTION=add\0DEVPATH=/x\0SUBSYSTEM=a\0SEQNUM=x\0".to_vec(),
                "no number in SEQNUM",
            ),
            (b"libudev\0\0\0\0\0".to_vec(), "wrong magic number of udev"),
            (UDEV_LEAD.to_vec(), "ends inside the head of udev"),
            (head(40, 1), "properties outside of the message"),
            (head(u32::MAX, u32::MAX), "properties outside of the message"),
            (head(40, 0), "no ACTION, DEVPATH, SUBSYSTEM or SEQNUM"),
        ] {
            assert_eq!(Uevent::read(&message).err(), Some(reason), "{message:?}");
        }
    }
}
