//! Gluster: what `glustereventsd` gets, without its losses.
//!
//! ```text
//! UDP, UNIX sockets ─► listener thread ─┐                       ┌─► sink ─► queue
//! webhooks          ─► web thread      ─┴─► inbox ─► this thread ┼─► WebSocket clients
//!                                                               └─► publisher ─► webhooks
//! ```
//!
//! What messages mean is in [`crate::decode::gluster`].

mod inbox;
mod listener;
mod node;
#[cfg(feature = "web")]
mod outlets;
#[cfg(feature = "web")]
pub mod publish;
pub mod settings;
pub mod store;
mod udp;
mod watch;
#[cfg(feature = "web")]
pub mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::sys::socket::SockType;

use super::rules::{Rules, Verdict};
use super::sink::Sink;
use super::source::{Failure, Flow, Source, Wait};
use super::unix::{Binding, bind_at};
use crate::decode::gluster::{Arrival, Categories, Decoder, Merger, Numbers};
use crate::event::{Class, Event};
use crate::sys::clock;
use inbox::{Inbox, Item};
use listener::{Listener, UnixSockets};
use node::Node;
use settings::{Disabled, Effective};
use store::Store;
pub use udp::Listen;
use watch::Watch;

/// Messages taken in one turn.
const TURN_ITEMS: usize = 1_024;

/// How long the end waits for requests that are under way.
#[cfg(feature = "web")]
const END_WAIT: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// UDP addresses.
    pub udp: Vec<Listen>,
    /// Path of the datagram socket; the stream socket is at `PATH.stream`.
    pub socket: Option<PathBuf>,
    /// Permission bits of both.
    pub socket_mode: u32,
    /// Group of both, a name or a number.
    pub socket_group: Option<String>,
    /// Which numbers the senders use.
    pub numbers: Numbers,
    /// UUID of this node; read from `glusterd` if absent.
    pub nodeid: Option<String>,
    /// Directory of the management daemon.
    pub glusterd: PathBuf,
    /// Which categories are wanted; all if absent.
    pub categories: Option<Categories>,
    /// How long the same fact is told once only; not at all if absent.
    pub merge: Option<Duration>,
    /// Directory of webhooks and settings.
    pub store: PathBuf,
    /// The web server.
    #[cfg(feature = "web")]
    pub web: web::Settings,
    /// Publishing.
    #[cfg(feature = "web")]
    pub publish: publish::Settings,
}

/// The source.
#[derive(Debug)]
pub struct Gluster {
    options: Options,
    decoder: Decoder,
    node: Node,
    inbox: Arc<Inbox>,
    listener: Listener,
    items: Vec<Item>,
    event: Event,
    /// Of the next event: rises also from one run to the next, because a run begins with the microsecond.
    number: u64,
    /// Arrival of the last message: names sort in the order of arrival even if the clock is set back.
    nanos: u64,
    rules: Rules,
    merger: Option<Merger>,
    store: Store,
    watch: Option<Watch>,
    settings: Effective,
    disabled: Disabled,
    /// SIGHUP came: everything is to be read again with the next turn.
    stale: bool,
    #[cfg(feature = "web")]
    outlets: outlets::Outlets,
    /// To be told that their event is safe, when what is gathered for a batch is in the queue.
    #[cfg(feature = "web")]
    askers: Vec<web::Asker>,
}

/// Where an event came from, as far as it matters to where it goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    /// Anywhere; it is posted on.
    Any,
    /// A daemon that posts it to everybody itself.
    #[cfg(feature = "web")]
    Listen,
}

impl Gluster {
    /// Listens wherever it is told to.
    ///
    /// # Errors
    /// One line with what cannot be had.
    pub fn open(options: &Options, sink: &mut Sink) -> Result<Self, Failure> {
        let inbox = Arc::new(Inbox::new().map_err(|error| Failure::io("inbox", &error))?);
        let store = Store::new(options.store.clone());
        let watch = Watch::new(store.directory())
            .inspect_err(|error| log::warn!("{}: {error}", store.directory().display()));
        let changed = store.changed().unwrap_or_else(|failure| {
            log::error!("{failure}: the defaults hold");
            Default::default()
        });
        let is_level_set = changed.contains_key("log-level");
        let settings = Effective::new(changed);
        if is_level_set {
            log::set_max_level(settings.log_level());
        }
        let sockets = udp::bind_all(&options.udp, settings.port())?;
        let unix = options.socket.as_ref().map(|path| unix_sockets(path, options)).transpose()?;
        let micros = u64::try_from(clock::wall_ns() / 1_000).unwrap_or(0);
        #[cfg(feature = "web")]
        let outlets = {
            let webhooks = store.webhooks().unwrap_or_else(|failure| {
                log::error!("{failure}: no webhooks are known");
                Default::default()
            });
            let start = outlets::Start { inbox: &inbox, webhooks, settings: &settings };
            outlets::Outlets::open(options, sink, start, micros)?
        };
        #[cfg(feature = "web")]
        let micros = micros.max(outlets.newest() + 1);
        #[cfg(not(feature = "web"))]
        let _ = sink.options();
        Ok(Self {
            decoder: Decoder::new(options.numbers),
            node: Node::new(options.nodeid.clone(), &options.glusterd),
            listener: Listener::start(sockets, unix, Arc::clone(&inbox))?,
            inbox,
            items: Vec::with_capacity(TURN_ITEMS),
            event: Event::default(),
            number: micros,
            nanos: 0,
            rules: sink.options().rules.clone(),
            merger: options.merge.map(|window| Merger::new(nanos(window))),
            store,
            watch: watch.ok(),
            disabled: settings.disabled(),
            settings,
            stale: false,
            #[cfg(feature = "web")]
            outlets,
            #[cfg(feature = "web")]
            askers: Vec::new(),
            options: options.clone(),
        })
    }

    /// Reads webhooks and settings, and lives by them from now on. What cannot be read stays as it was.
    fn apply(&mut self, sink: &Sink) {
        match self.store.changed() {
            Ok(changed) => {
                let settings = Effective::new(changed);
                if settings.log_level() != self.settings.log_level() {
                    log::set_max_level(settings.log_level());
                }
                self.move_port(settings.port());
                self.disabled = settings.disabled();
                self.settings = settings;
            }
            Err(failure) => log::error!("{failure}: the settings stay as they were"),
        }
        #[cfg(feature = "web")]
        {
            match self.store.webhooks() {
                Ok(webhooks) => self.outlets.apply(&webhooks, &self.settings, sink),
                Err(failure) => log::error!("{failure}: the webhooks stay as they were"),
            }
            self.number = self.number.max(self.outlets.newest() + 1);
        }
        #[cfg(not(feature = "web"))]
        let _ = sink;
    }

    fn move_port(&mut self, port: u16) {
        if port == self.settings.port() || !self.options.udp.contains(&Listen::Default) {
            return;
        }
        match udp::bind_default(port) {
            Ok(sockets) => {
                log::info!("listening at port {port}/udp");
                self.listener.replace_default(sockets);
            }
            Err(failure) => log::error!("{failure}: the port stays as it was"),
        }
    }

    fn handle(&mut self, item: Item, sink: &mut Sink) {
        match item {
            Item::Message(message) => {
                let mut event = std::mem::take(&mut self.event);
                let nanos = self.arrived(message.nanos);
                let nodeid = self.node.id();
                let arrival = Arrival { nanos, count: self.number, nodeid };
                self.decoder.message(&message.bytes, &arrival, &mut event);
                self.deliver(&mut event, Origin::Any, sink);
                self.event = event;
            }
            Item::Dropped { address, count } => self.tell_dropped(&address, count, sink),
            #[cfg(feature = "web")]
            Item::Web(request) => self.answer(request, sink),
        }
    }

    /// The time of an arrival, never before that of the last one.
    fn arrived(&mut self, nanos: u64) -> u64 {
        self.nanos = self.nanos.max(nanos);
        self.nanos
    }

    fn tell_dropped(&mut self, address: &str, count: u64, sink: &mut Sink) {
        log::warn!("{address}/udp: the kernel had no room for {count} datagrams");
        sink.lost(count);
        let source = format!("/gluster/{}", self.node.id().unwrap_or("unknown"));
        sink.note("gap", &source, |fields| {
            fields.null("first");
            fields.null("last");
            fields.number("count", count);
            fields.text("reason", "the kernel's receive buffer was full");
            fields.text("address", address);
        });
    }

    /// An event on its way: what is not wanted is counted, everything else is delivered.
    fn deliver(&mut self, event: &mut Event, origin: Origin, sink: &mut Sink) {
        let is_record = event.class == Class::Record;
        let unwanted = |categories: &Categories| !categories.want(&event.kind);
        if is_record
            && (self.options.categories.as_ref().is_some_and(unwanted)
                || self.disabled.has(&event.kind))
        {
            return sink.filtered(1);
        }
        if self.rules.decide(&event.kind, event.class) == Verdict::Drop {
            return sink.offer(event);
        }
        if self.merger.as_mut().is_some_and(|merger| merger.repeats(event, self.nanos)) {
            return sink.duplicate(1);
        }
        #[cfg(feature = "web")]
        self.outlets.deliver(self.number, event, origin == Origin::Any, sink);
        #[cfg(not(feature = "web"))]
        let _ = origin;
        self.number += 1;
        sink.offer(event);
    }

    #[cfg(feature = "web")]
    fn answer(&mut self, request: web::Request, sink: &mut Sink) {
        match request {
            web::Request::Event { body, nanos, from, listen, answer } => {
                let taken = self.take_posted(&body, nanos, from, listen, sink);
                if taken == web::Taken::Yes && sink.has_waiting() {
                    self.askers.push(answer);
                } else {
                    // An asker that has gone has nothing to hear.
                    let _ = answer.send(taken);
                }
            }
            web::Request::Subscribe { subscriber, answer } => {
                sink.flush();
                let snapshot = self.outlets.subscribe(subscriber, self.number - 1, sink);
                let _ = answer.send(snapshot);
            }
        }
    }

    #[cfg(feature = "web")]
    fn take_posted(
        &mut self,
        body: &[u8],
        nanos: u64,
        from: std::net::IpAddr,
        listen: bool,
        sink: &mut Sink,
    ) -> web::Taken {
        // The event is larger than its body by its envelope, and by the body once more where that is kept.
        if !sink.has_room(3 * body.len() + 512) {
            return web::Taken::Full;
        }
        let mut event = std::mem::take(&mut self.event);
        let nanos = self.arrived(nanos);
        self.decoder.webhook(
            body,
            &Arrival { nanos, count: self.number, nodeid: None },
            &mut event,
        );
        self.outlets.saw(&event.source, from);
        let origin = if listen { Origin::Listen } else { Origin::Any };
        self.deliver(&mut event, origin, sink);
        self.event = event;
        web::Taken::Yes
    }

    /// Takes what waits; whether there is more.
    fn take(&mut self, sink: &mut Sink) -> bool {
        let mut items = std::mem::take(&mut self.items);
        let more = self.inbox.take(TURN_ITEMS, &mut items);
        for item in items.drain(..) {
            self.handle(item, sink);
        }
        self.items = items;
        #[cfg(feature = "web")]
        if !self.askers.is_empty() {
            sink.flush();
            for asker in self.askers.drain(..) {
                let _ = asker.send(web::Taken::Yes);
            }
        }
        more
    }
}

fn nanos(window: Duration) -> u64 {
    u64::try_from(window.as_nanos()).unwrap_or(u64::MAX)
}

fn unix_sockets(path: &std::path::Path, options: &Options) -> Result<UnixSockets, Failure> {
    let (mode, group) = (options.socket_mode, options.socket_group.as_deref());
    let mut streams = path.as_os_str().to_owned();
    streams.push(".stream");
    let streams = PathBuf::from(streams);
    let datagrams = Binding { path, kind: SockType::Datagram, mode, group };
    let streams = Binding { path: &streams, kind: SockType::Stream, mode, group };
    Ok(UnixSockets { datagrams: bind_at(&datagrams)?, streams: bind_at(&streams)? })
}

impl Source for Gluster {
    fn keeps(&self) -> bool {
        false
    }

    fn wait(&self) -> Wait<'_> {
        use std::os::fd::AsFd;
        let mut on = vec![(self.inbox.as_fd(), PollFlags::POLLIN)];
        on.extend(self.watch.as_ref().map(|watch| (watch.as_fd(), PollFlags::POLLIN)));
        #[cfg(feature = "web")]
        let until = self.outlets.retry_at();
        #[cfg(not(feature = "web"))]
        let until: Option<Instant> = None;
        Wait { on, until: if self.stale { Some(Instant::now()) } else { until } }
    }

    fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure> {
        let has_changed = self.watch.as_mut().is_some_and(Watch::has_changed);
        if has_changed || std::mem::take(&mut self.stale) {
            self.apply(sink);
        }
        let more = self.take(sink);
        #[cfg(feature = "web")]
        self.outlets.retry(sink);
        Ok(if more { Flow::More } else { Flow::Wait })
    }

    fn locate(&self, _name: &str) -> Option<(u64, u64)> {
        None
    }

    fn rewind(&mut self, _sink: &mut Sink) -> bool {
        false
    }

    fn reload(&mut self) {
        self.stale = true;
        #[cfg(feature = "web")]
        self.outlets.reload();
    }

    /// Takes what has come, answers what was asked.
    fn goodbye(&mut self, sink: &mut Sink) {
        self.inbox.close();
        #[cfg(feature = "web")]
        {
            self.outlets.begin_end();
            let until = Instant::now() + END_WAIT;
            while !self.outlets.server_has_ended() && Instant::now() < until {
                self.take(sink);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.listener.stop();
        while self.take(sink) {}
        #[cfg(feature = "web")]
        self.outlets.end(sink);
    }
}
