//! Rules of the user: regular expressions with named groups, after the built-in tables.

use regex::bytes::Regex;

use super::found::{Found, Severity, System};

/// One rule as the configuration has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserRule {
    /// With a group named `kdev`, the device.
    pub regex: String,
    /// Only for texts that begin so: cheaper than the expression.
    pub starts_with: String,
    /// System or finer name; `scsi`, `ext4`.
    pub sub_system: String,
    /// The name of the event.
    pub event_type: String,
    /// By the kernel's priority where there is none.
    pub severity: Option<Severity>,
}

struct Compiled {
    rule: UserRule,
    regex: Regex,
}

/// The rules that are valid, in their order.
#[derive(Default)]
pub struct UserRules {
    rules: Vec<Compiled>,
}

impl std::fmt::Debug for UserRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|compiled| &compiled.rule)).finish()
    }
}

/// Memory that one compiled expression may take, bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl UserRules {
    /// Takes those that are valid; the others come back with what is wrong with them.
    pub fn compile(rules: &[UserRule]) -> (Self, Vec<String>) {
        let (mut valid, mut faults) = (Vec::new(), Vec::new());
        for rule in rules {
            match compile(rule) {
                Ok(regex) => valid.push(Compiled { rule: rule.clone(), regex }),
                Err(why) => faults.push(format!("rule {}: {why}", rule.regex)),
            }
        }
        (Self { rules: valid }, faults)
    }

    /// The first rule that matches makes the event.
    pub(super) fn apply(&self, text: &[u8], level: Option<u8>, found: &mut Found) -> bool {
        self.rules.iter().any(|compiled| compiled.apply(text, level, found))
    }
}

fn compile(rule: &UserRule) -> Result<Regex, String> {
    let builder = &mut regex::bytes::RegexBuilder::new(&rule.regex);
    let regex = builder.size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        let text = error.to_string();
        // The crate draws a picture over several lines; its last line says what is wrong.
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    if !regex.capture_names().flatten().any(|name| name == "kdev") {
        return Err("no group named kdev".into());
    }
    if rule.event_type.is_empty() {
        return Err("no event_type".into());
    }
    Ok(regex)
}

impl Compiled {
    fn apply(&self, text: &[u8], level: Option<u8>, found: &mut Found) -> bool {
        if !text.starts_with(self.rule.starts_with.as_bytes()) {
            return false;
        }
        let Some(captures) = self.regex.captures(text) else { return false };
        found.event_type.push_str(&self.rule.event_type);
        found.severity = self.rule.severity.unwrap_or(Severity::of_priority(level.unwrap_or(6)));
        found.system = system_of(&self.rule.sub_system);
        found.subsystem.push_str(&self.rule.sub_system);
        for name in self.regex.capture_names().flatten() {
            let Some(value) = captures.name(name) else { continue };
            match name {
                "kdev" => found.set_device(value.as_bytes()),
                _ => found.fields.push(name, value.as_bytes()),
            }
        }
        true
    }
}

/// The system that a finer name belongs to.
fn system_of(name: &str) -> System {
    if let Some(system) = System::named(name) {
        return system;
    }
    match name {
        "ata" | "usb" => System::Scsi,
        "ext2" | "ext3" | "ext4" | "jbd2" | "xfs" | "iomap" | "btrfs" | "f2fs" | "fat" | "zfs" => {
            System::Fs
        }
        "dm-multipath" => System::Multipath,
        "md" => System::Mdraid,
        name if name.starts_with("dm") || name.starts_with("lvm") => System::Lvm,
        _ => System::Block,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_groups_become_the_device_and_the_extension() {
        let rule = UserRule {
            regex: r"^drbd (?P<resource>\S+)/0 (?P<kdev>drbd\d+): disk\( (?P<old>\w+)".into(),
            starts_with: "drbd ".into(),
            sub_system: "drbd".into(),
            event_type: "DRBD_DISK".into(),
            severity: None,
        };
        let (rules, faults) = UserRules::compile(&[rule]);
        assert_eq!(faults, Vec::<String>::new());
        let mut found = Found::default();
        assert!(rules.apply(b"drbd r0/0 drbd1: disk( UpToDate -> Failed )", Some(3), &mut found));
        assert_eq!((found.event_type.as_str(), found.device.as_str()), ("DRBD_DISK", "drbd1"));
        assert_eq!((found.severity, found.system), (Severity::Error, System::Block));
        assert_eq!(found.fields.text("resource"), Some("r0"));
        assert_eq!(found.fields.text("old"), Some("UpToDate"));
        assert!(!rules.apply(b"Xdrbd r0/0 drbd1: disk( UpToDate", Some(3), &mut found));
    }

    #[test]
    fn an_invalid_rule_is_told_and_the_others_stay() {
        let rule = |regex: &str, event_type: &str| UserRule {
            regex: regex.into(),
            event_type: event_type.into(),
            ..UserRule::default()
        };
        let (rules, faults) = UserRules::compile(&[
            rule("(", "A"),
            rule("x", "B"),
            rule("(?P<kdev>x)", ""),
            rule("(?P<kdev>x)", "C"),
        ]);
        assert_eq!(rules.rules.len(), 1);
        assert_eq!(
            faults,
            [
                "rule (: unclosed group",
                "rule x: no group named kdev",
                "rule (?P<kdev>x): no event_type"
            ]
        );
    }

    #[test]
    fn finer_names_have_a_system() {
        for (name, system) in [
            ("ext4", System::Fs),
            ("mpath", System::Multipath),
            ("dm-thin", System::Lvm),
            ("ata", System::Scsi),
            ("nvme", System::Block),
            ("md", System::Mdraid),
        ] {
            assert_eq!(system_of(name), system, "{name}");
        }
    }
}
