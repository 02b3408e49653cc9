//! The words behind `-o` and what they mean: a table from word to effect.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::error::one_line;
use super::values::{
    at_least_one, parse_count, parse_id, parse_limit, parse_mode, parse_seconds, parse_size,
};

/// Bytes of the largest event where `max_event` is not given.
const DEFAULT_MAX_EVENT: u64 = 64 << 20;

/// How access times are kept, as in mount(8).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Atime {
    /// No word was given, or `atime` took the others back: the kernel's own rule.
    #[default]
    Default,
    /// `noatime`: reading never sets them.
    Noatime,
    /// `relatime`: reading sets them when they are older than the last change, or a day.
    Relatime,
    /// `strictatime`: every reading sets them.
    Strictatime,
}

/// How much the mount may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Size {
    /// So many bytes; never 0.
    Bytes(u64),
    /// So many percent, from 1 to 100, of the smaller of memory and cgroup limit.
    Percent(u32),
}

/// Which process owns a queue made by plain mkdir.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OwnerRule {
    /// The process that called mkdir.
    #[default]
    Creator,
    /// Its parent.
    Parent,
    /// The leader of its session.
    Session,
}

/// When a file becomes an event.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PublishRule {
    /// When it is closed.
    #[default]
    Close,
    /// As soon as it is created.
    Create,
}

/// What inotify watchers are told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NotifyRule {
    /// All of `Lazy`, and the real name of what is removed through `head` or `tail`.
    Full,
    /// Every new event, and what the filesystem does by itself.
    #[default]
    Lazy,
    /// Only what the kernel reports by itself.
    Off,
}

/// What becomes of a mkdir by a process without a visible process id.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OrphanRule {
    /// It fails with EPERM.
    #[default]
    Refuse,
    /// The queue is sticky.
    Sticky,
}

/// The options of a mount as plain data; `Default` is a mount without any `-o`.
///
/// Nothing here is checked against another option: `allow_other` with `allow_root` can be said.
#[derive(Clone, Debug, PartialEq)]
pub struct MountOptions {
    /// `ro`.
    pub read_only: bool,
    /// `noexec`.
    pub noexec: bool,
    /// `sync`.
    pub synchronous: bool,
    /// `dirsync`.
    pub dirsync: bool,
    /// `noatime`, `relatime`, `strictatime`.
    pub atime: Atime,
    /// `nodiratime`.
    pub nodiratime: bool,
    /// `lazytime`.
    pub lazytime: bool,
    /// `allow_other`: every user may use the mount.
    pub allow_other: bool,
    /// `allow_root`: beside the mounter, root may.
    pub allow_root: bool,
    /// `size`; `None` is 50 % of the smaller of memory and cgroup limit.
    pub size: Option<Size>,
    /// `nr_events`: over the whole mount, never 0; `None` is no limit.
    pub nr_events: Option<u64>,
    /// `nr_queues`: never 0; `None` is no limit.
    pub nr_queues: Option<u64>,
    /// `max_event`: bytes of the largest event, never 0.
    pub max_event: u64,
    /// `root_mode`: permission bits of the root directory, at most 0o7777.
    pub root_mode: u32,
    /// `uid` of the root directory; `None` is the mounter.
    pub uid: Option<u32>,
    /// `gid` of the root directory; `None` is the mounter's.
    pub gid: Option<u32>,
    /// `owner`.
    pub owner: OwnerRule,
    /// `grace`: how long a queue outlives an owner that ends right after the mkdir.
    pub grace: Duration,
    /// `publish`.
    pub publish: PublishRule,
    /// `notify`.
    pub notify: NotifyRule,
    /// `orphans`.
    pub orphans: OrphanRule,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            noexec: false,
            synchronous: false,
            dirsync: false,
            atime: Atime::default(),
            nodiratime: false,
            lazytime: false,
            allow_other: false,
            allow_root: false,
            size: None,
            nr_events: None,
            nr_queues: None,
            max_event: DEFAULT_MAX_EVENT,
            root_mode: 0o755,
            uid: None,
            gid: None,
            owner: OwnerRule::default(),
            grace: Duration::from_secs(1),
            publish: PublishRule::default(),
            notify: NotifyRule::default(),
            orphans: OrphanRule::default(),
        }
    }
}

/// A word that no mount takes; `Display` is one line without the program's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OptionError {
    /// There is no such option.
    Unknown {
        /// As it was written, without value.
        name: String,
    },
    /// The option is a word of its own and came with a value.
    NoValueAllowed {
        /// The option.
        name: String,
    },
    /// The option needs a value and came without.
    ValueMissing {
        /// The option.
        name: String,
    },
    /// The value is none for this option.
    BadValue {
        /// The option.
        name: String,
        /// As it was written.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Unknown { name } => format!("unknown mount option '{name}'"),
            Self::NoValueAllowed { name } => format!("option '{name}' takes no value"),
            Self::ValueMissing { name } => format!("option '{name}' needs a value"),
            Self::BadValue { name, value, why } => {
                format!("bad value '{value}' for option '{name}': {why}")
            }
        };
        out.write_str(&one_line(&text))
    }
}

impl Error for OptionError {}

impl MountOptions {
    /// Applies one `-o` word, `name` or `name=value`; a later word takes back an earlier one.
    ///
    /// # Errors
    ///
    /// The word is unknown, or its value is bad, missing or out of place; nothing has changed then.
    pub fn apply(&mut self, word: &str) -> Result<(), OptionError> {
        match word.split_once('=') {
            Some((name, value)) => self.set(name, Some(value)),
            None => self.set(word, None),
        }
    }

    /// Applies the words of a list separated by commas, in order; empty words count for nothing.
    ///
    /// # Errors
    ///
    /// Those of [`MountOptions::apply`] for the first bad word; the words before it have been
    /// applied.
    pub fn apply_list(&mut self, list: &str) -> Result<(), OptionError> {
        list.split(',').filter(|word| !word.is_empty()).try_for_each(|word| self.apply(word))
    }

    /// [`MountOptions::apply`] for a word that is split already.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), OptionError> {
        if is_comment(name) {
            return Ok(());
        }
        if let Some(effect) = flag(name) {
            if value.is_some() {
                return Err(OptionError::NoValueAllowed { name: name.to_owned() });
            }
            effect(self);
            return Ok(());
        }
        let effect = valued(name).ok_or_else(|| OptionError::Unknown { name: name.to_owned() })?;
        let value = value.ok_or_else(|| OptionError::ValueMissing { name: name.to_owned() })?;
        effect(self, value).map_err(|why| OptionError::BadValue {
            name: name.to_owned(),
            value: value.to_owned(),
            why,
        })
    }
}

/// Whether `name` says nothing to a filesystem and may have any value: the `x-` words of
/// userspace tools, and `user`, which mount(8) hands on as `user=NAME` where fstab says so.
fn is_comment(name: &str) -> bool {
    name == "user" || name.starts_with("x-")
}

/// Whether `name` is an option without value (and not a comment).
pub(super) fn is_flag(name: &str) -> bool {
    flag(name).is_some()
}

/// The effect of an option without value.
fn flag(name: &str) -> Option<fn(&mut MountOptions)> {
    let effect: fn(&mut MountOptions) = match name {
        "rw" => |options| options.read_only = false,
        "ro" => |options| options.read_only = true,
        "exec" => |options| options.noexec = false,
        "noexec" => |options| options.noexec = true,
        "async" => |options| options.synchronous = false,
        "sync" => |options| options.synchronous = true,
        "dirsync" => |options| options.dirsync = true,
        "atime" => |options| options.atime = Atime::Default,
        "noatime" => |options| options.atime = Atime::Noatime,
        "relatime" => |options| options.atime = Atime::Relatime,
        "strictatime" => |options| options.atime = Atime::Strictatime,
        "diratime" => |options| options.nodiratime = false,
        "nodiratime" => |options| options.nodiratime = true,
        "lazytime" => |options| options.lazytime = true,
        "nolazytime" => |options| options.lazytime = false,
        "allow_other" => |options| options.allow_other = true,
        "allow_root" => |options| options.allow_root = true,
        // The mount is always nosuid and nodev. The others speak to mount(8) and systemd, which
        // have done what they mean (`users` comes together with its noexec).
        "dev" | "nodev" | "suid" | "nosuid" | "defaults" | "users" | "nouser" | "nofail"
        | "noauto" | "auto" | "_netdev" => |_| (),
        _ => return None,
    };
    Some(effect)
}

/// Words that take each other back, the default first.
const OPPOSITES: [(&str, &str); 6] = [
    ("rw", "ro"),
    ("exec", "noexec"),
    ("async", "sync"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("nolazytime", "lazytime"),
];

/// The word that says that the flag `name` does not hold; `None` where only silence says so.
pub(super) fn opposite(name: &str) -> Option<&'static str> {
    OPPOSITES.iter().find_map(|&(one, other)| match name {
        _ if name == one => Some(other),
        _ if name == other => Some(one),
        _ => None,
    })
}

/// Sets what a value says, or gives the reason why it says nothing.
type SetValue = fn(&mut MountOptions, &str) -> Result<(), String>;

/// The effect of an option with a value.
fn valued(name: &str) -> Option<SetValue> {
    let effect: SetValue = match name {
        "size" => |options, value| put(&mut options.size, parse_limit(value)),
        "nr_events" => |options, value| put(&mut options.nr_events, parse_count(value)),
        "nr_queues" => |options, value| put(&mut options.nr_queues, parse_count(value)),
        "max_event" => |options, value| {
            options.max_event = parse_size(value).and_then(at_least_one)?;
            Ok(())
        },
        "root_mode" => |options, value| {
            options.root_mode = parse_mode(value)?;
            Ok(())
        },
        "uid" => |options, value| put(&mut options.uid, parse_id(value)),
        "gid" => |options, value| put(&mut options.gid, parse_id(value)),
        "grace" => |options, value| {
            options.grace = parse_seconds(value)?;
            Ok(())
        },
        "owner" => |options, value| {
            use OwnerRule::{Creator, Parent, Session};
            let rules = [("creator", Creator), ("parent", Parent), ("session", Session)];
            choose(&mut options.owner, value, &rules)
        },
        "publish" => |options, value| {
            let rules = [("close", PublishRule::Close), ("create", PublishRule::Create)];
            choose(&mut options.publish, value, &rules)
        },
        "notify" => |options, value| {
            use NotifyRule::{Full, Lazy, Off};
            choose(&mut options.notify, value, &[("full", Full), ("lazy", Lazy), ("off", Off)])
        },
        "orphans" => |options, value| {
            let rules = [("refuse", OrphanRule::Refuse), ("sticky", OrphanRule::Sticky)];
            choose(&mut options.orphans, value, &rules)
        },
        _ => return None,
    };
    Some(effect)
}

fn put<T>(slot: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *slot = Some(value?);
    Ok(())
}

/// Sets `rule` to the one of `rules` that is named `value`.
fn choose<T: Copy>(rule: &mut T, value: &str, rules: &[(&str, T)]) -> Result<(), String> {
    match rules.iter().find(|(name, _)| *name == value) {
        Some((_, found)) => {
            *rule = *found;
            Ok(())
        }
        None => {
            let names: Vec<&str> = rules.iter().map(|(name, _)| *name).collect();
            Err(format!("must be one of {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `list` must give the options that `change` makes of the defaults.
    fn check(list: &str, change: impl FnOnce(&mut MountOptions)) {
        let mut expected = MountOptions::default();
        change(&mut expected);
        let mut found = MountOptions::default();
        assert_eq!(found.apply_list(list), Ok(()), "{list}");
        assert_eq!(found, expected, "{list}");
    }

    fn check_bad(word: &str, expected: &str) {
        let mut options = MountOptions::default();
        assert_eq!(options.apply(word).unwrap_err().to_string(), expected, "{word}");
        assert_eq!(options, MountOptions::default(), "{word} changed something");
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let options = MountOptions::default();
        assert_eq!((options.max_event, options.root_mode), (64 * 1024 * 1024, 0o755));
        assert_eq!((options.size, options.nr_events, options.nr_queues), (None, None, None));
        assert_eq!((options.owner, options.grace), (OwnerRule::Creator, Duration::from_secs(1)));
        assert_eq!((options.publish, options.notify), (PublishRule::Close, NotifyRule::Lazy));
        assert_eq!((options.orphans, options.atime), (OrphanRule::Refuse, Atime::Default));
    }

    #[test]
    fn words_without_effect() {
        check("", |_| ());
        check(",,defaults,", |_| ());
        check("dev,nodev,suid,nosuid,user,users,nouser,nofail,noauto,auto,_netdev", |_| ());
        check("user=ann,x-systemd.automount,x-systemd.requires=a=b,x-", |_| ());
    }

    #[test]
    fn flags_and_their_opposites() {
        check("ro,noexec,sync", |o| (o.read_only, o.noexec, o.synchronous) = (true, true, true));
        check("ro,noexec,sync,rw,exec,async", |_| ());
        check("rw,ro", |o| o.read_only = true);
        check("dirsync,nodiratime,lazytime", |o| {
            (o.dirsync, o.nodiratime, o.lazytime) = (true, true, true);
        });
        check("nodiratime,lazytime,diratime,nolazytime", |_| ());
        check("allow_other", |o| o.allow_other = true);
        check("allow_root", |o| o.allow_root = true);
        check("noatime,relatime", |o| o.atime = Atime::Relatime);
        check("relatime,noatime", |o| o.atime = Atime::Noatime);
        check("strictatime", |o| o.atime = Atime::Strictatime);
        check("strictatime,atime", |_| ());
    }

    #[test]
    fn sizes_and_counts() {
        check("size=4096", |o| o.size = Some(Size::Bytes(4096)));
        check("size=1k,size=2M", |o| o.size = Some(Size::Bytes(2 << 20)));
        check("size=100%", |o| o.size = Some(Size::Percent(100)));
        check("size=1%", |o| o.size = Some(Size::Percent(1)));
        check("max_event=1G", |o| o.max_event = 1 << 30);
        check("nr_events=1,nr_queues=18446744073709551615", |o| {
            (o.nr_events, o.nr_queues) = (Some(1), Some(u64::MAX));
        });
    }

    #[test]
    fn modes_ids_and_seconds() {
        check("root_mode=01777", |o| o.root_mode = 0o1777);
        check("root_mode=0", |o| o.root_mode = 0);
        check("uid=0,gid=4294967294", |o| (o.uid, o.gid) = (Some(0), Some(u32::MAX - 1)));
        check("grace=0", |o| o.grace = Duration::ZERO);
        check("grace=0.5", |o| o.grace = Duration::from_millis(500));
        check("grace=10.000000001", |o| o.grace = Duration::new(10, 1));
    }

    #[test]
    fn rules() {
        check("owner=parent", |o| o.owner = OwnerRule::Parent);
        check("owner=session", |o| o.owner = OwnerRule::Session);
        check("owner=session,owner=creator", |_| ());
        check("publish=create", |o| o.publish = PublishRule::Create);
        check("notify=full", |o| o.notify = NotifyRule::Full);
        check("notify=off", |o| o.notify = NotifyRule::Off);
        check("orphans=sticky", |o| o.orphans = OrphanRule::Sticky);
    }

    #[test]
    fn unknown_and_misused_words() {
        check_bad("foo", "unknown mount option 'foo'");
        check_bad("foo=1", "unknown mount option 'foo'");
        check_bad("RO", "unknown mount option 'RO'");
        check_bad(" ro", "unknown mount option ' ro'");
        check_bad("=", "unknown mount option ''");
        check_bad("x", "unknown mount option 'x'");
        check_bad("a\nb", "unknown mount option 'a\\nb'");
        check_bad("ro=1", "option 'ro' takes no value");
        check_bad("allow_other=", "option 'allow_other' takes no value");
        check_bad("size", "option 'size' needs a value");
    }

    #[test]
    fn bad_values_change_nothing() {
        for (word, why) in [
            ("size=0", "0 would leave room for nothing"),
            ("size=0%", "must be from 1% to 100%"),
            ("max_event=0", "0 would leave room for nothing"),
            ("max_event=5%", "not a number of bytes with an optional k, m, g or t"),
            ("nr_events=0", "0 would allow none; leave the option out for no limit"),
            ("nr_queues=18446744073709551616", "too large"),
            ("root_mode=888", "must be octal, 0 to 07777"),
            ("uid=-1", "not a whole number from 0 up"),
            ("gid=4294967296", "too large"),
            ("grace=1s", "not a number of seconds such as 2 or 0.5"),
            ("owner=me", "must be one of creator, parent, session"),
            ("publish=Close", "must be one of close, create"),
            ("notify=on", "must be one of full, lazy, off"),
            ("orphans=", "must be one of refuse, sticky"),
        ] {
            let (name, value) = word.split_once('=').unwrap();
            check_bad(word, &format!("bad value '{value}' for option '{name}': {why}"));
        }
    }

    #[test]
    fn opposites_take_each_other_back() {
        for (one, other) in OPPOSITES {
            assert_eq!((opposite(one), opposite(other)), (Some(other), Some(one)));
            check(&format!("{other},{one}"), |_| ());
            assert!(is_flag(one) && is_flag(other));
        }
        assert_eq!(opposite("allow_other"), None);
    }

    #[test]
    fn a_list_stops_at_the_first_bad_word() {
        let mut options = MountOptions::default();
        assert!(options.apply_list("ro,foo,noexec").is_err());
        assert_eq!((options.read_only, options.noexec), (true, false));
    }
}
