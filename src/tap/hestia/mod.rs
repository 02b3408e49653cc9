//! Hestia and robinhood: feeds of YAML documents.
//!
//! A feed is a file that grows (`file`, with what is saved of it in `resume`), or something that flows: a
//! pipe, a socket, standard input (`channels`). Which of them a path is shows when it is there. What the
//! bytes mean is in [`crate::decode::hestia`].

mod arrivals;
mod between;
mod channels;
mod file;
mod reading;
mod resume;
mod watch;

use std::path::{Path, PathBuf};

use super::options::Form;
use super::sink::Sink;
use super::source::{Failure, Flow, From, Source, Wait};
use crate::decode::hestia::{Decoder, Limits};
use channels::Channels;
use file::FileFeed;

/// Where a feed comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Feed {
    /// A file, a FIFO, or a socket to connect to.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// A socket that writers connect to.
    Listen(PathBuf),
}

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The feed.
    pub feed: Feed,
    /// End at its end.
    pub once: bool,
    /// What one document may have.
    pub limits: Limits,
}

/// The source.
#[derive(Debug)]
pub struct Hestia {
    settings: Settings,
    raw: bool,
    input: Input,
}

#[derive(Debug)]
enum Input {
    File(Box<FileFeed>),
    Channels(Channels),
}

impl Hestia {
    /// Opens the feed, or waits for it, and goes on where the sink's state says.
    ///
    /// # Errors
    /// One line about what cannot be a feed, or a socket that cannot be made.
    pub fn open(settings: Settings, sink: &mut Sink) -> Result<Self, Failure> {
        let raw = sink.options().form == Form::Raw;
        let from = sink.options().from;
        let input = open(&settings, raw, from, sink)?;
        Ok(Self { settings, raw, input })
    }
}

fn open(settings: &Settings, raw: bool, from: From, sink: &mut Sink) -> Result<Input, Failure> {
    let decoders = Decoders { name: feed_name(&settings.feed), limits: settings.limits, raw };
    let path = match &settings.feed {
        Feed::Stdin => return Ok(Input::Channels(Channels::stdin(decoders))),
        Feed::Listen(path) => {
            return Channels::listen(path, settings.once, decoders).map(Input::Channels);
        }
        Feed::Path(path) => path,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            Channels::open(path, settings.once, decoders).map(Input::Channels)
        }
        _ => {
            let file = FileFeed::open(path, settings.once, decoders, from, sink)?;
            Ok(Input::File(Box::new(file)))
        }
    }
}

/// The last part of a path; `-` for standard input.
fn feed_name(feed: &Feed) -> String {
    let last = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into();
    match feed {
        Feed::Path(path) | Feed::Listen(path) => last(path),
        Feed::Stdin => "-".to_owned(),
    }
}

/// Makes decoders of a feed.
#[derive(Clone, Debug)]
struct Decoders {
    name: String,
    limits: Limits,
    raw: bool,
}

impl Decoders {
    fn make(&self) -> Decoder {
        Decoder::new(&self.name, self.limits, self.raw)
    }
}

impl Source for Hestia {
    /// A file keeps everything, a writer to a pipe or a socket waits.
    fn keeps(&self) -> bool {
        true
    }

    fn wait(&self) -> Wait<'_> {
        match &self.input {
            Input::File(file) => file.wait(),
            Input::Channels(channels) => channels.wait(),
        }
    }

    fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure> {
        let file = match &mut self.input {
            Input::File(file) => file,
            Input::Channels(channels) => return channels.turn(sink),
        };
        if let Some(flow) = file.turn(sink)? {
            return Ok(flow);
        }
        // The path has become a pipe or a socket.
        self.input = open(&self.settings, self.raw, From::Oldest, sink)?;
        Ok(Flow::More)
    }

    fn locate(&self, name: &str) -> Option<(u64, u64)> {
        match &self.input {
            Input::File(file) => file.locate(name),
            Input::Channels(_) => None,
        }
    }

    fn rewind(&mut self, sink: &mut Sink) -> bool {
        if let Input::Channels(_) = &self.input {
            return false;
        }
        // What was asked for at the start holds as long as nothing was delivered.
        let from = if sink.starts().is_empty() { sink.options().from } else { From::Resume };
        match open(&self.settings, self.raw, from, sink) {
            Ok(input) => {
                self.input = input;
                true
            }
            Err(failure) => {
                log::error!("{failure}");
                false
            }
        }
    }

    fn goodbye(&mut self, sink: &mut Sink) {
        match &mut self.input {
            Input::File(file) => file.goodbye(sink),
            Input::Channels(channels) => channels.goodbye(sink),
        }
    }
}
