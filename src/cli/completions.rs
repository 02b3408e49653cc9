//! `eventfs completions`: completion scripts.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::args::{Cli, CompletionsArgs, ShellArg};
use super::exit::{Failed, Status};

pub(super) fn run(args: &CompletionsArgs) -> Result<Status, Failed> {
    let shell = match args.shell {
        ShellArg::Bash => Shell::Bash,
        ShellArg::Zsh => Shell::Zsh,
        ShellArg::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "eventfs", &mut script);
    let written = io::stdout().write_all(&script);
    written.map_err(|error| Failed::io("standard output", &error))?;
    Ok(Status::Done)
}
