//! Where messages go: standard error in the foreground, syslog in the background.

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::syslog::{Facility, Priority, Severity, syslog};

use crate::fuse::UNWANTED_REPLIES;

/// Environment variable with `env_logger` filters; `RUST_LOG` is read when it is absent.
const FILTER_VARIABLE: &str = "EVENTFS_LOG";

/// Messages go to standard error; under systemd with the priority that the journal understands.
pub(super) fn to_stderr(debug: bool) {
    let quiet = format!("info,eventfs=debug,{UNWANTED_REPLIES}=off");
    let default = if debug { "debug" } else { &quiet };
    let filters = std::env::var(FILTER_VARIABLE).or_else(|_| std::env::var("RUST_LOG"));
    let is_quiet = filters.is_err() && !debug;
    let for_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let built = env_logger::Builder::new()
        .parse_filters(filters.as_deref().unwrap_or(default))
        .format(move |out, record| match for_journal {
            true => writeln!(out, "<{}>{}", priority(record.level()), record.args()),
            false => writeln!(out, "eventfs: {}", record.args()),
        })
        .try_init();
    // A second logger is a test's business.
    drop(built);
    if is_quiet {
        // The logger would say more: a tap's setting may ask for it later.
        log::set_max_level(LevelFilter::Info);
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

struct Syslog;

impl Log for Syslog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info && !metadata.target().starts_with(UNWANTED_REPLIES)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let severity = match record.level() {
            Level::Error => Severity::LOG_ERR,
            Level::Warn => Severity::LOG_WARNING,
            _ => Severity::LOG_INFO,
        };
        let text = format!("eventfs[{}]: {}", std::process::id(), record.args());
        // Nobody is left to tell that the system log does not answer.
        let _ = syslog(Priority::new(severity, Facility::LOG_DAEMON), &text.replace('\0', "?"));
    }

    fn flush(&self) {}
}

/// Messages go to the system log.
pub(super) fn to_syslog() {
    if log::set_logger(&Syslog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
