//! From the words of the command line and the configuration to checked settings.

use super::{Failure, Request};
use crate::config::{
    self, Atime, Config, MountOptions, NotifyRule, OrphanRule, OwnerRule, PublishRule, Size,
};
use crate::fuse::Edge;
use crate::janitor::{NotifyPolicy, OwnerChoice};
use crate::model::Settings;
use crate::sys::fusemount::{self, Flag};
use crate::sys::memory;

/// Everything that a mount is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Options, the command line's over the file's.
    pub options: MountOptions,
    /// The configuration file.
    pub config: Config,
}

/// Reads the options and the configuration.
///
/// # Errors
/// Usage for a bad option on the command line; else what is wrong in the file.
pub fn plan(request: &Request) -> Result<Plan, Failure> {
    let mut words = MountOptions::default();
    apply_words(&mut words, request)?;
    let config = config::load(request.config.as_deref())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    check_taps(&config, request)?;
    let mut options = MountOptions::default();
    let from_file = config.path.as_deref().map(|path| path.display().to_string());
    config
        .apply_mount(&mut options)
        .map_err(|error| Failure::Failed(format!("{}: {error}", from_file.unwrap_or_default())))?;
    apply_words(&mut options, request)?;
    if options.allow_other && options.allow_root {
        let why = "allow_other and allow_root exclude each other";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(Plan { options, config })
}

/// Refuses a tap that could not even start.
fn check_taps(config: &Config, request: &Request) -> Result<(), Failure> {
    for tap in &config.taps {
        (request.check_tap)(tap).map_err(|(key, why)| {
            let file = config.path.as_deref().unwrap_or(std::path::Path::new(""));
            Failure::Failed(format!("{}:{}: {why}", file.display(), tap.line_of(&key)))
        })?;
    }
    Ok(())
}

fn apply_words(options: &mut MountOptions, request: &Request) -> Result<(), Failure> {
    for list in &request.options {
        options.apply_list(list).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    Ok(())
}

impl Plan {
    pub(super) fn settings(&self) -> Settings {
        let options = &self.options;
        let percent = |part: u32| memory::limit_bytes() / 100 * u64::from(part);
        Settings {
            size_bytes: match options.size {
                None => percent(50),
                Some(Size::Percent(part)) => percent(part),
                Some(Size::Bytes(bytes)) => bytes,
            },
            events_max: options.nr_events,
            queues_max: options.nr_queues,
            event_bytes_max: options.max_event,
            grace_ns: i64::try_from(options.grace.as_nanos()).unwrap_or(i64::MAX),
            publish_at_create: options.publish == PublishRule::Create,
            report_popped: options.notify == NotifyRule::Full,
            // No type bits: the configuration bounds it to 07777.
            root_mode: (options.root_mode & 0o7777) as u16,
            root_uid: options.uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw()),
            root_gid: options.gid.unwrap_or_else(|| nix::unistd::getegid().as_raw()),
        }
    }

    pub(super) fn edge(&self) -> Edge {
        Edge {
            only_root_and_owner: self.options.allow_root,
            owner: match self.options.owner {
                OwnerRule::Creator => OwnerChoice::Creator,
                OwnerRule::Parent => OwnerChoice::Parent,
                OwnerRule::Session => OwnerChoice::Session,
            },
            adopt_orphans: self.options.orphans == OrphanRule::Sticky,
        }
    }

    pub(super) fn policy(&self) -> NotifyPolicy {
        match self.options.notify {
            NotifyRule::Full | NotifyRule::Lazy => NotifyPolicy::Visible,
            NotifyRule::Off => NotifyPolicy::Silent,
        }
    }

    pub(super) fn mount(&self, request: &Request) -> fusemount::Request {
        let options = &self.options;
        let atime = match options.atime {
            Atime::Default => None,
            Atime::Noatime => Some(Flag::NOATIME),
            Atime::Relatime => Some(Flag::RELATIME),
            Atime::Strictatime => Some(Flag::STRICTATIME),
        };
        let switches = [
            (options.read_only, Flag::RO),
            (options.noexec, Flag::NOEXEC),
            (options.synchronous, Flag::SYNC),
            (options.dirsync, Flag::DIRSYNC),
            (options.nodiratime, Flag::NODIRATIME),
            (options.lazytime, Flag::LAZYTIME),
        ];
        let on = switches.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag);
        fusemount::Request {
            source: request.source.clone(),
            allow_other: options.allow_other || options.allow_root,
            flags: on.chain(atime).collect(),
        }
    }
}
