//! What can be typed. One doc comment a flag feeds the help; a test compares it with the pages.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::parse_size;

/// First words that are commands.
pub(super) const COMMANDS: [&str; 3] = ["mkqueue", "status", "help"];

/// Mount an eventfs: a filesystem in which every directory is a queue and every file an event.
#[derive(Debug, Parser)]
#[command(
    name = "eventfs",
    version,
    after_help = "Commands: eventfs mkqueue, eventfs status (see eventfs COMMAND --help).\n\
                  Mount options and everything else: eventfs(8)."
)]
pub(super) struct MountArgs {
    /// Stay in the foreground
    #[arg(short = 'f')]
    pub(super) foreground: bool,
    /// Log every request; implies -f
    #[arg(short = 'd')]
    pub(super) debug: bool,
    /// Accepted for compatibility: the daemon has one worker anyway
    #[arg(short = 's')]
    pub(super) _single: bool,
    /// Mount options, separated by commas
    #[arg(short = 'o', value_name = "OPT[,OPT...]")]
    pub(super) options: Vec<String>,
    /// Configuration file instead of those in /etc/eventfs
    #[arg(short = 'c', value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What to show as the source of the mount, then the directory to mount on
    #[arg(value_name = "[SOURCE] MOUNTPOINT", required = true, num_args = 1..=2)]
    pub(super) words: Vec<OsString>,
}

/// Work with queues.
#[derive(Debug, Parser)]
#[command(name = "eventfs", version, disable_help_subcommand = false)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make queues that belong to the calling shell, or to nobody
    Mkqueue(MkqueueArgs),
    /// Show the queues of a mount
    Status(StatusArgs),
}

#[derive(Args, Debug)]
pub(super) struct MkqueueArgs {
    /// The queue lives until it is removed
    #[arg(long)]
    pub(super) sticky: bool,
    /// Process that the queue lives with: a number, parent or session [default: parent]
    #[arg(long, value_name = "PID|parent|session")]
    pub(super) owner: Option<String>,
    /// Permission bits, octal [default: 0777 less the umask]
    #[arg(long, value_parser = parse_mode)]
    pub(super) mode: Option<u32>,
    /// Most events that the queue may hold
    #[arg(long, value_name = "N")]
    pub(super) max_events: Option<u64>,
    /// Most bytes that the queue may hold, with k, m, g or t
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(super) max_bytes: Option<u64>,
    /// What to do with an event that does not fit
    #[arg(long, value_enum)]
    pub(super) overflow: Option<OverflowArg>,
    /// Seconds that an event lives
    #[arg(long, value_name = "SECONDS")]
    pub(super) ttl: Option<u64>,
    /// Directories to make, directly below a mount
    #[arg(value_name = "QUEUE", required = true)]
    pub(super) queues: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OverflowArg {
    /// Refuse it
    Reject,
    /// Drop the oldest events
    DropOldest,
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// One JSON object a queue and line
    #[arg(long)]
    pub(super) json: bool,
    /// A mount; all eventfs mounts if absent
    #[arg(value_name = "MOUNTPOINT")]
    pub(super) mountpoint: Option<PathBuf>,
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 && !text.starts_with('+') => Ok(mode),
        _ => Err("an octal number up to 7777 is needed".to_owned()),
    }
}
