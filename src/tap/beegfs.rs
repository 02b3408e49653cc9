//! BeeGFS: the listener that metadata servers connect to.
//!
//! Sockets and bytes are here; what they mean is in [`crate::decode::beegfs`].

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, SockType, getsockopt, send, sockopt::PeerCredentials};
use serde_json::Value;

use super::sink::Sink;
use super::source::{Failure, Flow, From, Resume, Source, Start, Wait};
use super::unix::{Binding, BoundSocket, bind_at};
use crate::decode::beegfs::{
    self as decode, Dropped, Memory, Note, Now, Outlet, Place, Saved, Session, Settings, Step,
    V7_STREAM, Word,
};
use crate::event::{Event, UnixNanos};
use crate::sys::{clock, packets::Packets};

/// Packets taken from a connection at once.
const BURST_PACKETS: usize = 64;

/// Room for a packet. Real ones have at most 16 KiB; what is longer than this is told as cut.
const PACKET_BYTES_MAX: usize = 64 << 10;

/// Connections served at once: real sites have tens of metadata servers.
const CONNECTIONS_MAX: usize = 1_024;

/// How long goodbye takes at most.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What the command line says about the socket.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// Name or number of its group.
    pub group: Option<String>,
    /// Leave out what the secondary of a mirrored pair tells.
    pub skip_secondary: bool,
}

/// The source.
#[derive(Debug)]
pub struct Beegfs {
    /// Nothing any more once we say goodbye.
    listener: Option<BoundSocket>,
    connections: Vec<Connection>,
    memory: Memory,
    packets: Packets,
    started: Instant,
    /// Accepting failed and is not worth a try before.
    accept_again: Option<Instant>,
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    session: Session,
}

impl Beegfs {
    /// Listens, and goes on where the sink's state says.
    ///
    /// # Errors
    /// One line about the socket.
    pub fn open(listen: &Listen, sink: &mut Sink) -> Result<Self, Failure> {
        let from = match sink.options().from {
            From::Resume => decode::From::Resume,
            From::Oldest => decode::From::Oldest,
            From::Newest => decode::From::Newest,
        };
        let settings = Settings { from, skip_secondary: listen.skip_secondary };
        let binding = Binding {
            path: &listen.path,
            kind: SockType::SeqPacket,
            mode: listen.mode,
            group: listen.group.as_deref(),
        };
        let mut source = Self {
            listener: Some(bind_at(&binding)?),
            connections: Vec::new(),
            memory: Memory::new(settings),
            packets: Packets::new(BURST_PACKETS, PACKET_BYTES_MAX),
            started: Instant::now(),
            accept_again: None,
        };
        source.restore(sink);
        Ok(source)
    }

    fn restore(&mut self, sink: &mut Sink) {
        let starts = sink.starts().to_vec();
        for resume in &starts {
            self.memory.restore_context(resume.stream, &resume.context);
        }
        let saved: Vec<Saved> = starts.iter().map(saved).collect();
        for note in self.memory.restore(&saved) {
            tell(&note, sink);
        }
    }

    fn now(&self) -> Now {
        Now { steady: self.started.elapsed(), unix: UnixNanos(clock::wall_ns()) }
    }

    /// Takes new connections.
    fn accept(&mut self, sink: &mut Sink) {
        while self.connections.len() < CONNECTIONS_MAX {
            let Some(listener) = &self.listener else { return };
            // Asking is cheap; accepting makes a socket before it finds nobody, at every burst.
            if !has(listener.as_fd(), PollFlags::POLLIN) {
                return;
            }
            match crate::sys::accept(listener.as_fd()) {
                Ok(socket) => {
                    let session = {
                        let mut outlet = Out { socket: socket.as_fd(), sink };
                        Session::accept(&self.memory, peer(&socket), self.now(), &mut outlet)
                    };
                    self.connections.push(Connection { socket, session });
                }
                Err(Errno::EAGAIN | Errno::ECONNABORTED | Errno::EINTR) => return,
                Err(error) => {
                    log::warn!("{}: accept: {}", listener.path().display(), error.desc());
                    self.accept_again = Some(Instant::now() + Duration::from_secs(1));
                    return;
                }
            }
        }
    }

    /// Gives one connection its turn; whether it has more.
    fn serve(&mut self, index: usize, sink: &mut Sink) -> (Step, bool) {
        let now = self.now();
        let Self { connections, memory, packets, .. } = self;
        let Some(Connection { socket, session }) = connections.get_mut(index) else {
            return (Step::Go, false);
        };
        let mut outlet = Out { socket: socket.as_fd(), sink };
        let mut more = false;
        if session.wants_packets() {
            match packets.receive(socket.as_fd()) {
                Ok(count) => {
                    more = count == packets.room();
                    for (packet, is_cut) in packets.iter() {
                        let step = session.on_packet(memory, packet, is_cut, now, &mut outlet);
                        if step != Step::Go {
                            return (step, false);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (session.on_end(memory, now), false),
            }
        } else if has_hung_up(socket.as_fd()) {
            return (session.on_end(memory, now), false);
        }
        // What is there comes before what is late.
        let step = if more { Step::Go } else { session.on_timer(memory, now, &mut outlet) };
        (step, more)
    }

    /// Every connection once; whether any has more.
    fn serve_all(&mut self, sink: &mut Sink) -> bool {
        let (mut index, mut any) = (0, false);
        while index < self.connections.len() {
            let (step, more) = self.serve(index, sink);
            any |= more;
            match step {
                Step::Go => index += 1,
                Step::Close(end) => {
                    log::info!("connection: {end}");
                    self.connections.swap_remove(index);
                }
            }
        }
        any
    }

    fn accepts(&self) -> bool {
        self.connections.len() < CONNECTIONS_MAX
            && self.accept_again.is_none_or(|again| again <= Instant::now())
    }
}

impl Source for Beegfs {
    fn keeps(&self) -> bool {
        true
    }

    fn wait(&self) -> Wait<'_> {
        let listener = self.listener.as_ref().filter(|_| self.accepts());
        let mut on: Vec<(BorrowedFd<'_>, PollFlags)> =
            listener.map(|listener| (listener.as_fd(), PollFlags::POLLIN)).into_iter().collect();
        on.extend(self.connections.iter().map(|connection| {
            let wants = connection.session.wants_packets();
            let flags = if wants { PollFlags::POLLIN } else { PollFlags::empty() };
            (connection.socket.as_fd(), flags)
        }));
        let deadlines = self.connections.iter().filter_map(|c| c.session.deadline());
        let until = deadlines.min().map(|steady| self.started + steady);
        let again = self.accept_again.filter(|_| self.listener.is_some());
        Wait { on, until: [until, again].into_iter().flatten().min() }
    }

    fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure> {
        self.accept_again = self.accept_again.filter(|again| *again > Instant::now());
        if self.accepts() {
            self.accept(sink);
        }
        Ok(if self.serve_all(sink) { Flow::More } else { Flow::Wait })
    }

    fn locate(&self, name: &str) -> Option<(u64, u64)> {
        Place::of_name(name).map(|place| (place.stream, place.msn))
    }

    fn rewind(&mut self, sink: &mut Sink) -> bool {
        // The servers connect again at once, and are asked from where it is needed.
        self.connections.clear();
        self.restore(sink);
        true
    }

    fn goodbye(&mut self, sink: &mut Sink) {
        // First: a server that was told goodbye connects again within 50 ms.
        self.listener = None;
        let now = self.now();
        for Connection { socket, session } in &mut self.connections {
            let mut outlet = Out { socket: socket.as_fd(), sink };
            // What it says is told by what comes, or does not.
            let _ = session.goodbye(&mut self.memory, now, &mut outlet);
        }
        let until = Instant::now() + GOODBYE_MAX;
        while !self.connections.is_empty() && sink.ready() && Instant::now() < until {
            if !self.serve_all(sink) {
                let mut fds: Vec<PollFd<'_>> = self
                    .connections
                    .iter()
                    .map(|connection| PollFd::new(connection.socket.as_fd(), PollFlags::POLLIN))
                    .collect();
                // An interrupted wait is a short one.
                let _ = poll(&mut fds, PollTimeout::from(20u8));
            }
        }
        self.connections.clear();
    }
}

/// Where a saved stream goes on.
fn saved(resume: &Resume) -> Saved {
    let stream = resume.stream;
    match resume.start {
        // Without a mark it is known only where to go on, not what was before.
        Start::After(position) if position.mark == 0 && stream != V7_STREAM => {
            Saved::At { stream, msn: position.next }
        }
        Start::After(position) => Saved::After { stream, msn: position.at, mark: position.mark },
        Start::At(msn) => Saved::At { stream, msn },
    }
}

/// The process at the other end: tells one server from another before it says who it is.
fn peer(socket: &OwnedFd) -> u64 {
    getsockopt(socket, PeerCredentials).map_or(0, |peer| peer.pid().unsigned_abs().into())
}

fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    // Told whether asked for or not.
    has(socket, PollFlags::POLLHUP | PollFlags::POLLERR)
}

/// Whether poll(2) tells any of these just now.
fn has(socket: BorrowedFd<'_>, wanted: PollFlags) -> bool {
    let mut fds = [PollFd::new(socket, wanted)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
        && fds[0].revents().is_some_and(|events| events.intersects(wanted))
}

/// A gap or a reset becomes an event, and a gap that says how many is counted.
fn tell(note: &Note, sink: &mut Sink) {
    log::warn!("{note}");
    if let Note::Gap { count: Some(count), .. } = note {
        sink.lost(*count);
    }
    let mut event = Event::default();
    note.fill(&mut event);
    sink.offer(&mut event);
}

/// What comes out of a session goes to its socket and to the sink.
struct Out<'a> {
    socket: BorrowedFd<'a>,
    sink: &'a mut Sink,
}

impl Outlet for Out<'_> {
    fn send(&mut self, packet: &[u8]) {
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        // If it cannot be sent, the end of the connection follows.
        let _ = send(self.socket.as_raw_fd(), packet, flags);
    }

    fn event(&mut self, event: &mut Event) {
        self.sink.offer(event);
    }

    fn note(&mut self, note: &Note) {
        tell(note, self.sink);
    }

    fn dropped(&mut self, why: Dropped) {
        match why {
            Dropped::Duplicate | Dropped::Overlap => self.sink.duplicate(1),
            Dropped::Secondary => self.sink.filtered(1),
        }
    }

    fn describe(&mut self, stream: u64, context: Value) {
        self.sink.describe(stream, context);
    }

    fn say(&mut self, word: &Word) {
        log::info!("{word}");
    }
}
