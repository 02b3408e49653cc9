//! What `eventfs tap` understands: the words of all taps, and those of each source.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Subcommand, ValueEnum};

use super::super::exit::Failed;
use crate::config::parse_size;
use crate::tap::rules::{Rules, glob};
use crate::tap::{Form, From, Options};

/// `eventfs tap SOURCE ...`.
#[derive(Args, Debug)]
pub(in super::super) struct TapArgs {
    #[command(subcommand)]
    pub(super) source: TapSource,
}

/// One variant a source.
#[derive(Debug, Subcommand)]
pub(super) enum TapSource {
    /// File events of BeeGFS metadata servers
    Beegfs(Box<super::beegfs::BeegfsArgs>),
    /// Events of a Gluster cluster
    Gluster(Box<super::gluster::GlusterArgs>),
    /// Feeds of Hestia, and robinhood's YAML
    Hestia(Box<super::hestia::HestiaArgs>),
    /// Storage events of the kernel: disks, paths, arrays, volumes, file systems
    Storage(Box<super::storage::StorageArgs>),
}

/// Words that every tap understands.
#[derive(Args, Debug)]
pub(super) struct CommonArgs {
    /// Queue, or any other directory, to write into; further ones get links
    #[arg(long, value_name = "DIR", required = true)]
    pub(super) queue: Vec<PathBuf>,
    /// Queues that the tap makes live on without it
    #[arg(long)]
    pub(super) sticky: bool,
    /// Write into a queue of another user
    #[arg(long)]
    pub(super) shared: bool,
    /// Write the native record alone, as JSON
    #[arg(long, value_name = "yaml", num_args = 0..=1, require_equals = true)]
    #[arg(value_enum, default_missing_value = "json")]
    pub(super) bare: Option<BareArg>,
    /// Set the CloudEvents attributes as extended attributes too
    #[arg(long)]
    pub(super) xattrs: bool,
    /// Pass events of these types
    #[arg(long, value_name = "GLOB")]
    pub(super) filter: Vec<String>,
    /// Leave out events of these types
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Write events of these types into another queue
    #[arg(long, value_name = "GLOB=DIR")]
    pub(super) route: Vec<String>,
    /// Most events in one file
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) batch: u64,
    /// Most events kept in memory while the queue is full
    #[arg(long, value_name = "N", default_value_t = Options::BACKLOG_EVENTS as u64)]
    pub(super) backlog: u64,
    /// Most bytes of events kept in memory while the queue is full
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "64m")]
    pub(super) backlog_bytes: u64,
    /// File that keeps the positions; an attribute of the queue if absent
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// Where to begin
    #[arg(long, value_enum, default_value_t = FromArg::Resume)]
    pub(super) from: FromArg,
    /// Name of the tap in `eventfs status` [default: the source]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) name: Option<String>,
}

/// `--bare` and `--bare=yaml`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum BareArg {
    /// One JSON object
    Json,
    /// The record's own bytes
    Yaml,
}

/// `--from`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FromArg {
    /// At the saved position, else at the oldest
    Resume,
    /// At the oldest that there is
    Oldest,
    /// At what comes from now on
    Newest,
}

/// A name goes into the name of an attribute.
fn parse_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err("up to 64 letters, digits, '-' and '_' are needed".to_owned());
    }
    Ok(text.to_owned())
}

impl CommonArgs {
    /// The options of a tap. `matches` knows the order of `--filter` and `--exclude`; `pattern` turns a
    /// glob as the source's users write it into one on types.
    ///
    /// # Errors
    /// Usage: a glob that is none, a route without a directory.
    pub(super) fn options(
        &self,
        source: &'static str,
        matches: &ArgMatches,
        pattern: fn(&str) -> String,
    ) -> Result<Options, Failed> {
        let mut options = Options::new(source, self.queue.clone());
        options.name = self.name.clone().unwrap_or_else(|| source.to_owned());
        (options.sticky, options.shared, options.xattrs) = (self.sticky, self.shared, self.xattrs);
        options.form = match self.bare {
            None => Form::CloudEvents,
            Some(BareArg::Json) => Form::Bare,
            Some(BareArg::Yaml) => Form::Raw,
        };
        options.rules = self.rules(matches, pattern)?;
        for route in &self.route {
            self.route(route, pattern, &mut options)?;
        }
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        options.batch = count(self.batch);
        options.backlog_events = count(self.backlog);
        options.backlog_bytes = count(self.backlog_bytes);
        options.state = self.state.clone();
        options.from = match self.from {
            FromArg::Resume => From::Resume,
            FromArg::Oldest => From::Oldest,
            FromArg::Newest => From::Newest,
        };
        Ok(options)
    }

    /// Filters in the order of the command line.
    fn rules(&self, matches: &ArgMatches, pattern: fn(&str) -> String) -> Result<Rules, Failed> {
        let ordered = |id: &str, globs: &[String], pass: bool| -> Vec<(usize, bool, String)> {
            let indices = matches.indices_of(id).into_iter().flatten();
            indices.zip(globs).map(|(index, glob)| (index, pass, glob.clone())).collect()
        };
        let mut all = ordered("filter", &self.filter, true);
        all.extend(ordered("exclude", &self.exclude, false));
        all.sort();
        let mut rules = Rules::default();
        for (_, pass, text) in all {
            let glob = glob(&pattern(&text)).map_err(|why| bad_glob(&text, &why))?;
            rules.add(pass, glob);
        }
        Ok(rules)
    }

    fn route(
        &self,
        route: &str,
        pattern: fn(&str) -> String,
        options: &mut Options,
    ) -> Result<(), Failed> {
        let (text, dir) = route
            .split_once('=')
            .filter(|(text, dir)| !text.is_empty() && !dir.is_empty())
            .ok_or_else(|| Failed::usage(format!("--route {route}: GLOB=DIR is needed")))?;
        let glob = glob(&pattern(text)).map_err(|why| bad_glob(text, &why))?;
        let dirs = vec![PathBuf::from(dir)];
        let known = options.places.iter().position(|place| *place == dirs);
        let place = known.unwrap_or(options.places.len());
        if place == options.places.len() {
            options.places.push(dirs);
        }
        options.rules.add_route(glob, place);
        Ok(())
    }
}

fn bad_glob(text: &str, why: &str) -> Failed {
    Failed::usage(format!("pattern '{text}': {why}"))
}
