//! What can be typed. One doc comment a flag feeds the help; a test compares it with the pages.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::export::ExportArgs;
use super::tap::TapArgs;
use crate::config::parse_size;

/// First words that are commands.
pub(super) const COMMANDS: [&str; 11] = [
    "completions",
    "config",
    "export",
    "help",
    "mkqueue",
    "pop",
    "push",
    "status",
    "tap",
    "watch",
    "webhook",
];

/// Mount an eventfs: a filesystem in which every directory is a queue and every file an event.
#[derive(Debug, Parser)]
#[command(
    name = "eventfs",
    version,
    after_help = "Commands: eventfs mkqueue, push, pop, watch, status, tap, export, webhook, config, \
                  completions (see eventfs COMMAND --help).\n\
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
    /// Write queued events in the form of another program
    Export(ExportArgs),
    /// Make queues that belong to the calling shell, or to nobody
    Mkqueue(MkqueueArgs),
    /// Print the oldest events and remove them
    Pop(PopArgs),
    /// Make one event from standard input and print its name
    Push(PushArgs),
    /// Show the queues of a mount
    Status(StatusArgs),
    /// Bring the events of a storage system into a queue
    Tap(TapArgs),
    /// Print events as they are published; removes nothing
    Watch(WatchArgs),
    /// Webhooks that a Gluster tap posts its events to
    Webhook(super::webhook::WebhookArgs),
    /// Settings of Gluster taps
    Config(super::config::ConfigArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
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
pub(super) struct PopArgs {
    /// Most events to print
    #[arg(short = 'n', value_name = "N", default_value_t = 1, conflicts_with = "all")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: u64,
    /// Print every event that is there
    #[arg(long)]
    pub(super) all: bool,
    /// Wait for an event if there is none, for ever or so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true)]
    #[arg(value_parser = parse_wait, default_missing_value = "")]
    pub(super) wait: Option<Wait>,
    /// One JSON object an event and line
    #[arg(long)]
    pub(super) json: bool,
    /// The queue
    pub(super) queue: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct PushArgs {
    /// The queue, or any other directory
    pub(super) queue: PathBuf,
    /// Name of the event; one that sorts by time if absent
    pub(super) name: Option<OsString>,
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

#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// One JSON object an event and line
    #[arg(long)]
    pub(super) json: bool,
    /// Queues, or any other directories
    #[arg(value_name = "QUEUE", required = true)]
    pub(super) queues: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: ShellArg,
}

/// Shells with completion scripts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ShellArg {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// For ever.
    Forever,
    /// So long.
    For(Duration),
}

/// Seconds with decimals; nothing is for ever.
fn parse_wait(text: &str) -> Result<Wait, String> {
    if text.is_empty() {
        return Ok(Wait::Forever);
    }
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    let wait = Duration::try_from_secs_f64(seconds);
    // What a clock cannot count to is for ever.
    let bounded = |wait: Duration| {
        if wait.as_secs() < 1 << 32 { Wait::For(wait) } else { Wait::Forever }
    };
    wait.map(bounded).map_err(|_| "a positive number of seconds is needed".to_owned())
}

pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 && !text.starts_with('+') => Ok(mode),
        _ => Err("an octal number up to 7777 is needed".to_owned()),
    }
}
