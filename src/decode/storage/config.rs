//! The original's configuration, with its own spellings and those of its successor.
//!
//! What is unknown is told and passed over: files of both are around with sections of plugins that
//! nobody has. What is not TOML is refused with its line.

use core::net::IpAddr;

use toml::{Table, Value};

use super::found::{Severity, System};
use super::user::UserRule;

/// Where the successor's receivers listened.
pub const PORT_DEFAULT: u16 = 6000;

/// What the configuration says; the default is that of an empty file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where every event is sent as a datagram; a multicast address or not.
    pub receiver: Option<IpAddr>,
    /// The port there.
    pub port: u16,
    /// The interface for multicast, by its address.
    pub bind: Option<IpAddr>,
    /// Events on standard output too.
    pub stdout: bool,
    /// One event for each block device at the start.
    pub dump: bool,
    /// Whether the kernel log is read.
    pub kmsg: bool,
    /// Whether uevents are read.
    pub uevent: bool,
    /// `RAW` events for records that say only which storage device they are about.
    pub raw: bool,
    /// Uevents that somebody made by writing to a file `uevent`.
    pub synthetic: bool,
    /// Systems whose parser is on and takes what the collectors make.
    pub systems: Vec<System>,
    /// The user's rules.
    pub rules: Vec<UserRule>,
    /// What was passed over, and why.
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            receiver: None,
            port: PORT_DEFAULT,
            bind: None,
            stdout: false,
            dump: false,
            kmsg: true,
            uevent: true,
            raw: false,
            synthetic: false,
            systems: System::ALL.to_vec(),
            rules: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Line and reason of what is not TOML, or is no address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tables: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        let mut config = Self::default();
        for (name, value) in &tables {
            let Value::Table(table) = value else {
                config.warn(format!("{name}: not in a section"));
                continue;
            };
            match name.as_str() {
                "main" => config.main(table)?,
                "collector" => config.collector(table),
                _ => config.plugin(name, table),
            }
        }
        Ok(config)
    }

    fn warn(&mut self, what: String) {
        self.warnings.push(what);
    }

    fn main(&mut self, table: &Table) -> Result<(), String> {
        for (key, value) in table {
            match key.as_str() {
                "receiver_multicast_ip" => self.receiver = Some(address(key, value)?),
                "receiver_bind_ip" => self.bind = Some(address(key, value)?),
                "receiver_multicast_port" => self.port = port(key, value)?,
                "notify_stdout" => self.stdout = flag(value),
                "dump_blk_info_at_start" => self.dump = flag(value),
                "save_to_journald" if !flag(value) => {}
                _ => self.warn(format!("[main] {key}: not known here")),
            }
        }
        Ok(())
    }

    fn collector(&mut self, table: &Table) {
        for (key, value) in table {
            match (key.as_str(), value) {
                ("regexs" | "regexes", Value::Array(rules)) => {
                    for rule in rules {
                        self.rule(rule);
                    }
                }
                _ => self.warn(format!("[collector] {key}: not known here")),
            }
        }
    }

    fn rule(&mut self, value: &Value) {
        let text =
            |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let severity = value.get("severity").map(|severity| match severity {
            Value::Integer(number) => number.to_string(),
            other => other.as_str().unwrap_or_default().to_owned(),
        });
        let rule = UserRule {
            regex: text("regex"),
            starts_with: text("starts_with"),
            sub_system: text("sub_system"),
            event_type: text("event_type"),
            severity: severity.as_deref().and_then(Severity::named),
        };
        if let Some(name) = severity.filter(|_| rule.severity.is_none()) {
            self.warn(format!("rule {}: severity {name}: not known", rule.regex));
        }
        self.rules.push(rule);
    }

    fn plugin(&mut self, name: &str, table: &Table) {
        let kind = table.get("type").and_then(Value::as_str).unwrap_or_default();
        let on = table.get("enabled").is_none_or(flag);
        match (name, kind) {
            ("kmsg", "sender" | "collector" | "") => {
                self.kmsg = on;
                self.raw = table.get("raw").is_some_and(flag);
            }
            ("udev" | "uevent", "sender" | "collector" | "") => {
                self.uevent = on;
                self.synthetic = table.get("synthetic").is_some_and(flag);
            }
            (_, "parser" | "") if !parsed_by(name).is_empty() => self.parser(name, on, table),
            (_, "sender" | "collector" | "parser" | "receiver" | "notifier") => {
                self.warn(format!("[{name}]: no such {kind} here"));
            }
            _ => self.warn(format!("[{name}]: type {kind:?}: not known")),
        }
    }

    /// A parser's filter: by class, and by the systems of what it takes.
    fn parser(&mut self, name: &str, on: bool, table: &Table) {
        let (mut classes, mut wanted) = (Vec::new(), Vec::new());
        for (key, value) in table {
            let Some(filter) = key.strip_prefix("filer_").or_else(|| key.strip_prefix("filter_"))
            else {
                continue;
            };
            for word in words(value) {
                match (filter, word.as_str()) {
                    ("type" | "class", "raw" | "synthetic") => classes.push(word),
                    // The original says the system here.
                    ("type" | "class" | "system", system) if !systems_of(system).is_empty() => {
                        wanted.extend(systems_of(system));
                    }
                    _ => self.warn(format!("[{name}] {key}: {word}: not known")),
                }
            }
        }
        // What the collectors make is raw; nothing here makes synthetic events for parsers.
        let takes_raw = classes.is_empty() || classes.iter().any(|class| class == "raw");
        let parses = parsed_by(name);
        self.systems.retain(|system| {
            !parses.contains(system)
                || (on && takes_raw && (wanted.is_empty() || wanted.contains(system)))
        });
    }
}

/// The systems that a parser is for.
fn parsed_by(name: &str) -> Vec<System> {
    match name {
        "dm" => vec![System::Multipath, System::Lvm],
        _ => System::named(name).into_iter().collect(),
    }
}

/// The systems that a word in a filter means.
fn systems_of(word: &str) -> Vec<System> {
    parsed_by(word)
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(word) => vec![word.clone()],
        Value::Array(list) => list.iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

fn flag(value: &Value) -> bool {
    match value {
        Value::Boolean(flag) => *flag,
        other => other.as_str() == Some("true"),
    }
}

fn address(key: &str, value: &Value) -> Result<IpAddr, String> {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_err(|_| format!("[main] {key}: {text:?} is no address"))
}

fn port(key: &str, value: &Value) -> Result<u16, String> {
    let number = match value {
        Value::Integer(number) => u16::try_from(*number).ok(),
        other => other.as_str().and_then(|text| text.parse().ok()),
    };
    number.filter(|port| *port > 0).ok_or_else(|| format!("[main] {key}: no port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_file_is_read_as_it_is() {
        let config = Config::parse(
            r#"
            [main]
            receiver_multicast_ip = "127.0.0.1"
            [kmsg]
            type = "sender"
            [mpath]
            type = "parser"
            filer_type = "dm"
            [jounal]
            type = "receiver"
            "#,
        )
        .unwrap();
        assert_eq!(config.receiver, Some("127.0.0.1".parse().unwrap()));
        assert_eq!((config.port, config.bind), (6000, None));
        assert_eq!(config.systems, System::ALL);
        assert_eq!(config.warnings, ["[jounal]: no such receiver here"]);
    }

    #[test]
    fn the_successors_file_too() {
        let config = Config::parse(
            r#"
            [main]
            receiver_multicast_ip = "239.0.0.1"
            receiver_multicast_port = "6001"
            receiver_bind_ip = "127.0.0.1"
            notify_stdout = true
            save_to_journald = true
            dump_blk_info_at_start = true
            [udev]
            type = "collector"
            synthetic = true
            [kmsg]
            raw = true
            [[collector.regexs]]
            starts_with = "drbd "
            regex = "^drbd (?P<kdev>\\w+)"
            sub_system = "drbd"
            event_type = "DRBD"
            [[collector.regexs]]
            regex = "(?P<kdev>x)"
            event_type = "X"
            severity = "Ctritical"
            "#,
        )
        .unwrap();
        assert_eq!((config.port, config.stdout, config.dump), (6001, true, true));
        assert_eq!((config.synthetic, config.raw), (true, true));
        assert_eq!(config.warnings, ["[main] save_to_journald: not known here"]);
        assert_eq!(config.rules.len(), 2);
        assert_eq!(config.rules[0].starts_with, "drbd ");
        assert_eq!(config.rules[1].severity, Some(Severity::Error));
        assert_eq!(Config::parse("[main]\nreceiver_multicast_port = 7000").unwrap().port, 7000);
    }

    #[test]
    fn filters_turn_systems_off() {
        let systems = |text: &str| Config::parse(text).unwrap().systems;
        let without = |gone: &[System]| {
            System::ALL.into_iter().filter(|system| !gone.contains(system)).collect::<Vec<_>>()
        };
        use System::*;
        assert_eq!(systems("[fs]\nenabled = false"), without(&[Fs]));
        assert_eq!(systems("[fs]\ntype = \"parser\"\nfilter_type = \"synthetic\""), without(&[Fs]));
        assert_eq!(systems("[fs]\nfilter_type = [\"synthetic\", \"raw\"]"), without(&[]));
        assert_eq!(systems("[scsi]\nfilter_system = \"dm\""), without(&[Scsi]));
        assert_eq!(systems("[dm]\nfiler_system = \"multipath\""), without(&[Lvm]));
        assert_eq!(systems("[mpath]\nfiler_system = \"dm\"\nfiler_type = \"raw\""), without(&[]));
        let config =
            Config::parse("[fs]\nfiler_type = \"odd\"\n[x]\ntype = \"y\"\n[kmsg]\nenabled = false")
                .unwrap();
        assert_eq!(
            config.warnings,
            ["[fs] filer_type: odd: not known", "[x]: type \"y\": not known"]
        );
        assert!(!config.kmsg && config.uevent);
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_line() {
        let fault = |text: &str| Config::parse(text).unwrap_err();
        assert!(fault("[main]\nreceiver_multicast_ip = 127.0.0.1\n").starts_with("line 2: "));
        assert!(fault("[main]\nreceiver_multicast_ip = \"x\"").contains("\"x\" is no address"));
        assert!(fault("[main]\nreceiver_multicast_port = 70000").contains("no port"));
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }
}
