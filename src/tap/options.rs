//! What all taps have in common on the command line.

use std::path::PathBuf;

use super::rules::Rules;
use super::source::From;

/// What is written for an event.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// The CloudEvents line.
    #[default]
    CloudEvents,
    /// `--bare`: the native record alone, as JSON.
    Bare,
    /// `--bare=yaml`: the record's own bytes.
    Raw,
}

/// How a tap delivers.
#[derive(Clone, Debug)]
pub struct Options {
    /// The source's word: first part of types and file names.
    pub source: &'static str,
    /// Name of the tap: its counters are the xattr `user.tap.NAME` of its queue.
    pub name: String,
    /// The places: first that of `--queue`, then one a `--route`. In each the first directory gets the
    /// file, the others links.
    pub places: Vec<Vec<PathBuf>>,
    /// Queues that the tap makes live on without it.
    pub sticky: bool,
    /// Queues of other users may be written.
    pub shared: bool,
    /// What is written.
    pub form: Form,
    /// CloudEvents attributes as xattrs too.
    pub xattrs: bool,
    /// Filters and routes.
    pub rules: Rules,
    /// Most events in one file.
    pub batch: usize,
    /// Most events kept in memory while the queue is full, for sources that keep nothing.
    pub backlog_events: usize,
    /// Most bytes of them.
    pub backlog_bytes: usize,
    /// Where positions are kept; in an xattr of the queue if absent.
    pub state: Option<PathBuf>,
    /// Where to begin.
    pub from: From,
}

impl Options {
    /// Default of `--backlog`.
    pub const BACKLOG_EVENTS: usize = 10_000;
    /// Default of `--backlog-bytes`.
    pub const BACKLOG_BYTES: usize = 64 << 20;

    /// One tap into these directories, everything else as by default.
    pub fn new(source: &'static str, queues: Vec<PathBuf>) -> Self {
        Self {
            source,
            name: source.to_owned(),
            places: vec![queues],
            sticky: false,
            shared: false,
            form: Form::CloudEvents,
            xattrs: false,
            rules: Rules::default(),
            batch: 1,
            backlog_events: Self::BACKLOG_EVENTS,
            backlog_bytes: Self::BACKLOG_BYTES,
            state: None,
            from: From::Resume,
        }
    }
}
