//! Where events go besides the queue: to clients of the WebSocket, and to webhooks.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Options;
use super::inbox::Inbox;
use super::publish::{self, Publisher};
use super::settings::Effective;
use super::store::{Credentials, Webhooks};
use super::web::{Frame, Peers, Server, Snapshot, Subscriber, tokens};
use crate::event::Event;
use crate::tap::Failure;
use crate::tap::sink::Sink;

/// How often a full spool is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Frames remembered of what is in no file yet.
const UNWRITTEN_MAX: usize = 100_000;

/// Bytes of them.
const UNWRITTEN_BYTES_MAX: usize = 64 << 20;

/// All of them.
#[derive(Debug)]
pub(super) struct Outlets {
    server: Option<Server>,
    peers: Arc<Peers>,
    subscribers: Vec<Subscriber>,
    /// Events that the sink may still have in memory, oldest first.
    unwritten: Unwritten,
    publisher: Option<Publisher>,
    publish: publish::Settings,
    /// URLs of the command line.
    own: Webhooks,
    floor: u64,
}

/// Frames of what may be in no file yet, the newest.
#[derive(Debug, Default)]
struct Unwritten {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Unwritten {
    fn push(&mut self, frame: Frame) {
        self.bytes += frame.text.len();
        self.frames.push_back(frame);
        while self.frames.len() > UNWRITTEN_MAX || self.bytes > UNWRITTEN_BYTES_MAX {
            let Some(oldest) = self.frames.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }
}

/// What the outlets begin with.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) inbox: &'a Arc<Inbox>,
    /// Those of `eventfs webhook`.
    pub(super) webhooks: Webhooks,
    pub(super) settings: &'a Effective,
}

impl Outlets {
    /// Starts the server and, if anybody is to be posted to, the publisher.
    ///
    /// # Errors
    /// One line with what the command line asks for and cannot be had.
    pub(super) fn open(
        options: &Options,
        sink: &Sink,
        start: Start<'_>,
        floor: u64,
    ) -> Result<Self, Failure> {
        let peers = Arc::new(Peers::new(options.glusterd.clone()));
        let mut outlets = Self {
            server: None,
            peers: Arc::clone(&peers),
            subscribers: Vec::new(),
            unwritten: Unwritten::default(),
            publisher: None,
            own: own_hooks(&options.publish)?,
            publish: options.publish.clone(),
            floor,
        };
        let mut hooks = outlets.own.clone();
        hooks.extend(start.webhooks);
        if !hooks.is_empty() {
            match outlets.start_publisher(&hooks, start.settings, sink) {
                Ok(publisher) => outlets.publisher = Some(publisher),
                Err(failure) if outlets.own.is_empty() => log::error!("publishing: {failure}"),
                Err(failure) => return Err(failure),
            }
        }
        if !options.web.addresses.is_empty() {
            let inbox = Arc::clone(start.inbox);
            outlets.server = Some(Server::start(options.web.clone(), inbox, peers)?);
        }
        Ok(outlets)
    }

    fn start_publisher(
        &self,
        hooks: &Webhooks,
        settings: &Effective,
        sink: &Sink,
    ) -> Result<Publisher, Failure> {
        let options = sink.options();
        Publisher::start(publish::Making {
            spool: self.spool(sink),
            shared: options.shared,
            backlog: (options.backlog_events, options.backlog_bytes),
            hooks,
            floor: self.floor,
            ca: self.publish.ca.clone(),
            timeout: settings.publish_timeout(),
            cloudevents: self.is_cloudevents(settings),
        })
    }

    /// The directory of what is to be posted: beside the queue, unless told otherwise.
    fn spool(&self, sink: &Sink) -> PathBuf {
        let queue = sink.options().places.first().and_then(|place| place.first());
        self.publish.spool.clone().unwrap_or_else(|| {
            // `q/` is `q`.
            let queue: PathBuf =
                queue.map(|queue| queue.components().collect()).unwrap_or_default();
            let mut name = queue.into_os_string();
            name.push(".publish");
            name.into()
        })
    }

    fn is_cloudevents(&self, settings: &Effective) -> bool {
        self.publish.cloudevents.unwrap_or_else(|| settings.publish_format() == "cloudevents")
    }

    /// From now on posts to these webhooks and those of the command line.
    pub(super) fn apply(&mut self, webhooks: &Webhooks, settings: &Effective, sink: &Sink) {
        let mut hooks = self.own.clone();
        hooks.extend(webhooks.clone());
        let cloudevents = self.is_cloudevents(settings);
        match &mut self.publisher {
            Some(publisher) => publisher.change(&hooks, settings.publish_timeout(), cloudevents),
            None if hooks.is_empty() => {}
            None => match self.start_publisher(&hooks, settings, sink) {
                Ok(publisher) => self.publisher = Some(publisher),
                Err(failure) => log::error!("publishing: {failure}"),
            },
        }
    }

    /// The largest number that an event has had, as far as is known here.
    pub(super) fn newest(&self) -> u64 {
        self.publisher.as_ref().map_or(0, Publisher::newest)
    }

    /// An event that goes into the queue as well.
    pub(super) fn deliver(&mut self, number: u64, event: &Event, publish: bool, sink: &Sink) {
        if let Some(publisher) = self.publisher.as_mut().filter(|_| publish)
            && publisher.is_wanted()
        {
            publisher.publish(number, event);
        }
        if self.server.is_none() {
            return;
        }
        if !sink.has_waiting() {
            self.unwritten = Unwritten::default();
        }
        if let Some(frame) = Frame::new(&event.data, number) {
            self.subscribers.retain(|subscriber| subscriber.send(&frame));
            self.unwritten.push(frame);
        }
    }

    /// A client that gets every event after number `upto` from now on.
    pub(super) fn subscribe(&mut self, subscriber: Subscriber, upto: u64, sink: &Sink) -> Snapshot {
        if !sink.has_waiting() {
            self.unwritten = Unwritten::default();
        }
        self.subscribers.push(subscriber);
        let first = |place: &Vec<PathBuf>| place.first().cloned();
        Snapshot {
            upto,
            unwritten: self.unwritten.frames.iter().cloned().collect(),
            directories: sink.options().places.iter().filter_map(first).collect(),
        }
    }

    /// A node that posts.
    pub(super) fn saw(&self, source: &str, from: IpAddr) {
        if let Some(nodeid) = source.strip_prefix("/gluster/").filter(|id| *id != "unknown") {
            self.peers.saw(nodeid, from);
        }
    }

    /// Tries again what found no room to be published from, and tells what was lost of it.
    pub(super) fn retry(&mut self, sink: &mut Sink) {
        let Some(publisher) = &mut self.publisher else { return };
        let lost = publisher.retry();
        publisher.rest();
        if lost > 0 {
            log::error!("{lost} events are not published: the spool was full");
            sink.note("gap", "/gluster/publish", |fields| {
                fields.null("first");
                fields.null("last");
                fields.number("count", lost);
                fields.text("reason", "not published: no room in the spool");
            });
        }
    }

    /// When to.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let waiting = self.publisher.as_ref().is_some_and(Publisher::is_waiting);
        waiting.then(|| Instant::now() + RETRY_EVERY)
    }

    /// Reads tokens and certificates again; those of publishing hold with the next [`Outlets::apply`].
    pub(super) fn reload(&mut self) {
        if let Some(server) = &self.server {
            server.reload();
        }
        match own_hooks(&self.publish) {
            Ok(own) => self.own = own,
            Err(failure) => log::error!("{failure}: the old ones stay"),
        }
    }

    /// The server accepts nothing more.
    pub(super) fn begin_end(&self) {
        if let Some(server) = &self.server {
            server.begin_end();
        }
    }

    /// Whether the server has answered everybody.
    pub(super) fn server_has_ended(&self) -> bool {
        self.server.as_ref().is_none_or(Server::has_ended)
    }

    /// Ends.
    pub(super) fn end(&mut self, sink: &mut Sink) {
        self.retry(sink);
        self.server = None;
        if let Some(mut publisher) = self.publisher.take() {
            publisher.end();
        }
    }
}

/// The URLs of the command line with what is in its files.
fn own_hooks(settings: &publish::Settings) -> Result<Webhooks, Failure> {
    let first = |file: &Option<PathBuf>| match file {
        Some(file) => tokens(file).map(|tokens| tokens.into_iter().next().unwrap_or_default()),
        None => Ok(String::new()),
    };
    let credentials =
        Credentials { token: first(&settings.token_file)?, secret: first(&settings.secret_file)? };
    Ok(settings.urls.iter().map(|url| (url.clone(), credentials.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_what_is_in_no_file_are_bounded_in_number_and_bytes() {
        let mut unwritten = Unwritten::default();
        let small = Frame::new(b"{}", 1).unwrap();
        for _ in 0..UNWRITTEN_MAX + 5 {
            unwritten.push(small.clone());
        }
        assert_eq!(unwritten.frames.len(), UNWRITTEN_MAX);
        let large = Frame { seq: 2, text: "x".repeat(UNWRITTEN_BYTES_MAX / 2).into() };
        for _ in 0..3 {
            unwritten.push(large.clone());
        }
        assert_eq!((unwritten.frames.len(), unwritten.bytes), (2, UNWRITTEN_BYTES_MAX));
    }
}
