//! `eventfs tap hestia`.

use std::path::PathBuf;

use clap::{ArgGroup, ArgMatches, Args};

use super::super::exit::{Failed, Status};
use super::args::CommonArgs;
use super::drive;
use crate::config::parse_size;
use crate::decode::hestia::Limits;
use crate::tap::hestia::{Feed, Hestia, Settings};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("input").required(true).args(["feed", "feed_listen"]))]
pub(super) struct HestiaArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Feed to read: a file, a FIFO, a socket to connect to, or - for standard input
    #[arg(long, value_name = "PATH|-")]
    feed: Option<PathBuf>,
    /// Socket that writers of a feed connect to
    #[arg(long, value_name = "PATH")]
    feed_listen: Option<PathBuf>,
    /// End at the end of the feed
    #[arg(long)]
    once: bool,
    /// Most bytes of a document
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1m")]
    max_document: u64,
    /// Most sequences and mappings inside one another
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=250))]
    max_depth: u16,
    /// Most values in a document
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_nodes: u64,
    /// Most bytes of one value
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256k")]
    max_text: u64,
}

pub(super) fn run(args: &HestiaArgs, matches: &ArgMatches) -> Result<Status, Failed> {
    let options = args.common.options("hestia", matches, str::to_owned)?;
    let feed = match (&args.feed, &args.feed_listen) {
        (Some(path), _) if path.as_os_str() == "-" => Feed::Stdin,
        (Some(path), _) => Feed::Path(path.clone()),
        (None, Some(path)) => Feed::Listen(path.clone()),
        (None, None) => return Err(Failed::usage("--feed or --feed-listen is needed")),
    };
    let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let limits = Limits {
        document_bytes_max: count(args.max_document),
        depth_max: usize::from(args.max_depth),
        nodes_max: count(args.max_nodes),
        text_bytes_max: count(args.max_text),
    };
    let settings = Settings { feed, once: args.once, limits };
    drive(options, |sink| Hestia::open(settings, sink))
}
