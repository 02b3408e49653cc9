//! `eventfs tap SOURCE`: a source's events become files in a queue.

mod args;
mod beegfs;
mod gluster;
mod hestia;
mod storage;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory};

pub(super) use args::TapArgs;
use args::TapSource;

use super::exit::{Failed, Status};
use crate::config::TapTable;
use crate::tap::{self, Failure, Signals, Sink, Source};

/// Runs a tap until it ends. `matches` are those of `eventfs tap`.
pub(super) fn run(args: &TapArgs, matches: &ArgMatches) -> Result<Status, Failed> {
    crate::daemon::log_to_stderr();
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    match &args.source {
        TapSource::Beegfs(args) => beegfs::run(args, matches),
        TapSource::Gluster(args) => gluster::run(args, matches),
        TapSource::Hestia(args) => hestia::run(args, matches),
        TapSource::Storage(args) => storage::run(args, matches),
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::new(failure.0)
    }
}

/// Whether a `[tap.NAME]` of the configuration makes a good command line; else the key and the reason.
pub(super) fn check(table: &TapTable) -> Result<(), (String, String)> {
    let mut arguments = vec!["eventfs".to_owned()];
    arguments.extend(table.arguments(str::to_owned));
    let parsed = super::args::Cli::command().try_get_matches_from(arguments);
    let Err(error) = parsed else { return Ok(()) };
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    let end = argument.find(['=', ' ', '[']).unwrap_or(argument.len());
    let key = argument[..end].trim_start_matches('-').to_owned();
    let why = match error.kind() {
        ErrorKind::UnknownArgument => format!("unknown key '{key}' for a {} tap", table.source),
        ErrorKind::InvalidSubcommand => format!("unknown source '{}'", table.source),
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    };
    Err((key, why))
}

/// Opens the sink, then the source that `open` makes with it, and drives them. The counters are the last
/// line on standard error unless it fails at the start.
fn drive<S: Source>(
    options: tap::Options,
    open: impl FnOnce(&mut Sink) -> Result<S, Failure>,
) -> Result<Status, Failed> {
    let signals = Signals::take()?;
    let mut sink = Sink::open(options)?;
    let mut source = open(&mut sink)?;
    let ended = tap::run(sink, &mut source, &signals);
    // Its sockets go before the last word.
    drop(source);
    if let Some(failure) = &ended.failure {
        eprintln!("eventfs: {failure}");
    }
    eprintln!("{}", ended.counters.to_json());
    Ok(if ended.failure.is_some() { Status::Failure } else { Status::Done })
}
