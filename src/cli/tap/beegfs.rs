//! `eventfs tap beegfs`.

use std::path::PathBuf;

use clap::{ArgMatches, Args};

use super::super::exit::{Failed, Status};
use super::args::CommonArgs;
use super::drive;
use crate::tap::beegfs::{Beegfs, Listen};

/// Where the metadata servers connect to unless told otherwise.
const SOCKET: &str = "/run/beegfs/eventlog";

#[derive(Args, Debug)]
pub(super) struct BeegfsArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Socket that the metadata servers connect to (their sysFileEventLogTarget)
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// Permission bits of the socket, octal
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = super::super::args::parse_mode)]
    socket_mode: u32,
    /// Group of the socket, a name or a number
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    /// Leave out what a mirror's secondary logs as well
    #[arg(long)]
    skip_secondary: bool,
}

pub(super) fn run(args: &BeegfsArgs, matches: &ArgMatches) -> Result<Status, Failed> {
    let options = args.common.options("beegfs", matches, str::to_owned)?;
    let listen = Listen {
        path: args.socket.clone(),
        mode: args.socket_mode,
        group: args.socket_group.clone(),
        skip_secondary: args.skip_secondary,
    };
    drive(options, |sink| Beegfs::open(&listen, sink))
}
