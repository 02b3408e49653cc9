//! The command line: one file a subcommand; `exit.rs` names every status.

mod args;
mod completions;
mod config;
mod exit;
mod export;
mod line;
mod mkqueue;
mod mount;
mod mounted;
mod output;
mod pop;
mod push;
mod status;
mod tap;
mod waiting;
mod watch;
mod webhook;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use args::{Cli, Command, MountArgs};
pub use exit::{Failed, Status};

/// The parsers of the command line, for tests that compare them with the manual pages.
pub fn parsers() -> [clap::Command; 2] {
    [MountArgs::command(), Cli::command()]
}

/// Runs the program and returns its exit status.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let outcome = if is_command(&args) {
        let matches = Cli::command().get_matches_from(args);
        // The parser of these very matches.
        let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        match cli.command {
            Command::Export(args) => export::run(&args),
            Command::Mkqueue(args) => mkqueue::run(&args),
            Command::Pop(args) => pop::run(&args),
            Command::Push(args) => push::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Tap(args) => {
                tap::run(&args, matches.subcommand_matches("tap").unwrap_or(&matches))
            }
            Command::Watch(args) => watch::run(&args),
            Command::Webhook(args) => webhook::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Completions(args) => completions::run(&args),
        }
    } else {
        mount::run(MountArgs::parse_from(args))
    };
    match outcome {
        Ok(status) => status.into(),
        Err(failed) => {
            eprintln!("eventfs: {failed}");
            failed.status().into()
        }
    }
}

/// Whether the first word is a command: unless the call has the form of mount(8),
/// `eventfs WORD DIR -o ...`.
fn is_command(args: &[OsString]) -> bool {
    let is_name = |word: &OsString| args::COMMANDS.iter().any(|name| word == *name);
    if !args.get(1).is_some_and(is_name) {
        return false;
    }
    let starts = |index: usize, with: &str| {
        args.get(index).is_some_and(|word| word.as_encoded_bytes().starts_with(with.as_bytes()))
    };
    let by_mount = args.len() > 3 && !starts(2, "-") && starts(3, "-o");
    !by_mount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> bool {
        is_command(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_word_decides_unless_mount_calls() {
        assert!(command("eventfs status /mnt"));
        assert!(command("eventfs status"));
        assert!(command("eventfs mkqueue --sticky /mnt/q"));
        assert!(!command("eventfs status /mnt -o rw"));
        assert!(!command("eventfs status /mnt -orw"));
        assert!(!command("eventfs ./status"));
        assert!(!command("eventfs none /mnt -o rw"));
        assert!(!command("eventfs"));
    }

    #[test]
    fn the_parsers_are_sound() {
        for parser in parsers() {
            parser.debug_assert();
        }
    }
}
