//! The settings that can be changed while a tap runs: names, defaults, what they may be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::udp::DEFAULT_PORT;
use crate::decode::gluster::{glob, tag};
use crate::tap::rules;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// With dashes, as Gluster's own tool spells it.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    default: fn() -> Value,
    read: fn(&str) -> Result<Value, &'static str>,
}

impl Setting {
    /// Its default.
    pub fn default(&self) -> Value {
        (self.default)()
    }

    /// What a text stands for.
    ///
    /// # Errors
    /// What it should be, with the name in front.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        (self.read)(text.trim()).map_err(|why| format!("{}: {why}", self.name))
    }
}

/// All settings.
pub static SETTINGS: [Setting; 5] = [
    Setting {
        name: "disable",
        about: "events that are not wanted: patterns and @categories, separated by commas",
        default: || "".into(),
        read: |text| match patterns(text) {
            Ok(_) => Ok(text.into()),
            Err(_) => Err("patterns such as Volume.* or @local are needed, separated by commas"),
        },
    },
    Setting {
        name: "log-level",
        about: "how much the tap says on standard error",
        default: || "INFO".into(),
        read: |text| {
            let level = text.to_ascii_uppercase();
            match level.as_str() {
                "ERROR" | "WARNING" | "INFO" | "DEBUG" => Ok(level.into()),
                _ => Err("ERROR, WARNING, INFO or DEBUG is needed"),
            }
        },
    },
    Setting {
        name: "port",
        about: "UDP port of --udp default",
        default: || DEFAULT_PORT.into(),
        read: |text| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port.into()),
            _ => Err("a number from 1 to 65535 is needed"),
        },
    },
    Setting {
        name: "publish-format",
        about: "body of what is posted to webhooks",
        default: || "gluster".into(),
        read: |text| match text {
            "gluster" | "cloudevents" => Ok(text.into()),
            _ => Err("gluster or cloudevents is needed"),
        },
    },
    Setting {
        name: "publish-timeout",
        about: "seconds that one try to post may take",
        default: || 10.into(),
        read: |text| match text.parse::<u32>() {
            Ok(seconds @ 1..=3600) => Ok(seconds.into()),
            _ => Err("a number of seconds from 1 to 3600 is needed"),
        },
    },
];

/// The setting of a name, with dashes or underscores.
pub fn find(name: &str) -> Option<&'static Setting> {
    let name = name.replace('_', "-");
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// How long one try to post may take, with these settings changed.
pub fn publish_timeout(changed: BTreeMap<&'static str, Value>) -> Duration {
    Effective::new(changed).publish_timeout()
}

/// Every setting as it holds now.
#[derive(Clone, Debug)]
pub(super) struct Effective {
    values: BTreeMap<&'static str, Value>,
}

impl Effective {
    /// Defaults, and over them what was changed.
    pub(super) fn new(changed: BTreeMap<&'static str, Value>) -> Self {
        let mut values: BTreeMap<&'static str, Value> =
            SETTINGS.iter().map(|setting| (setting.name, setting.default())).collect();
        values.extend(changed);
        Self { values }
    }

    fn text(&self, name: &str) -> &str {
        self.values.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.values.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        u16::try_from(self.number("port")).unwrap_or(DEFAULT_PORT)
    }

    /// `gluster` or `cloudevents`.
    #[cfg(feature = "web")]
    pub(super) fn publish_format(&self) -> &str {
        self.text("publish-format")
    }

    pub(super) fn publish_timeout(&self) -> Duration {
        Duration::from_secs(self.number("publish-timeout"))
    }

    pub(super) fn log_level(&self) -> log::LevelFilter {
        match self.text("log-level") {
            "ERROR" => log::LevelFilter::Error,
            "WARNING" => log::LevelFilter::Warn,
            "DEBUG" => log::LevelFilter::Debug,
            _ => log::LevelFilter::Info,
        }
    }

    pub(super) fn disabled(&self) -> Disabled {
        patterns(self.text("disable")).unwrap_or_default()
    }
}

/// Types of events that are not wanted.
#[derive(Debug, Default)]
pub(super) struct Disabled(Vec<Pattern>);

#[derive(Debug)]
enum Pattern {
    Kind(globset::GlobMatcher),
    Tag(crate::decode::gluster::Category),
}

impl Disabled {
    /// Whether an event of this type is among them.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Kind(glob) => glob.is_match(kind),
            Pattern::Tag(category) => crate::decode::gluster::category_of(kind) == Some(*category),
        })
    }
}

fn patterns(list: &str) -> Result<Disabled, String> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    let pattern = |word: &str| match tag(word) {
        Some(category) => Ok(Pattern::Tag(category)),
        None if word.starts_with('@') => Err(word.to_owned()),
        None => rules::glob(&glob(word)).map(Pattern::Kind),
    };
    words.map(pattern).collect::<Result<_, _>>().map(Disabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_takes_its_default_and_refuses_nonsense() {
        for setting in &SETTINGS {
            let default = setting.default();
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert_eq!(setting.parse(&text), Ok(default), "{}", setting.name);
            if setting.name != "disable" {
                let why = setting.parse("BANANA").unwrap_err();
                assert!(why.starts_with(setting.name), "{why}");
            }
        }
        assert!(find("port").unwrap().parse("0").is_err());
        assert!(find("disable").unwrap().parse("@weather").is_err());
        assert_eq!(find("log_level").map(|setting| setting.name), Some("log-level"));
        assert!(find("nonsense").is_none());
    }

    #[test]
    fn what_is_disabled_is_named_in_any_spelling() {
        let changed = BTreeMap::from([("disable", "Volume.*, @local".into())]);
        let disabled = Effective::new(changed).disabled();
        assert!(disabled.has("gluster.volume_set"));
        assert!(disabled.has("gluster.client_connect"));
        assert!(!disabled.has("gluster.peer_attach"));
    }
}
