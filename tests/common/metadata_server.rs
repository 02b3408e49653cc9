//! A BeeGFS metadata server as a listener meets it: a ring of events, the dialogue of a connection, and a
//! thread that holds one with a socket. It behaves as the real one was measured to: it sends its
//! handshake at once, tells an `oldest` that errs to the safe side, closes when what is asked for is not
//! there, and connects again after 50 ms.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use eventfs::decode::beegfs::{CloseReason, Form, Packet, Payload};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket,
};

/// How soon a server connects again.
const RECONNECT: Duration = Duration::from_millis(50);

/// What is kept under a number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stored {
    Event(Vec<u8>),
    /// Too long by a little: the number never comes.
    LeftOut,
    /// Too long by a lot: the stream crashes whenever it gets here.
    Unreadable,
}

/// The queue of a server.
#[derive(Debug, Default)]
pub struct Ring {
    stored: VecDeque<Stored>,
    first: u64,
    /// How many events `oldest` errs by.
    pub caution: u64,
}

impl Ring {
    /// Empty; `oldest` will err by so many events.
    pub fn with_caution(caution: u64) -> Self {
        Self { caution, ..Self::default() }
    }

    /// Stores an event; returns its number.
    pub fn push(&mut self, payload: Vec<u8>) -> u64 {
        self.store(Stored::Event(payload))
    }

    pub fn store(&mut self, stored: Stored) -> u64 {
        self.stored.push_back(stored);
        self.next() - 1
    }

    /// The number that the next event will get.
    pub fn next(&self) -> u64 {
        self.first + self.stored.len() as u64
    }

    /// The oldest that is really there.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// What the server says is the oldest.
    pub fn oldest(&self) -> u64 {
        (self.first + self.caution).min(self.next())
    }

    pub fn get(&self, msn: u64) -> Option<&Stored> {
        self.stored.get(usize::try_from(msn.checked_sub(self.first)?).ok()?)
    }

    /// The ring overwrites everything before this number.
    pub fn discard_before(&mut self, msn: u64) {
        while self.first < msn && self.stored.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Somebody deleted the queue's directory; the server made a new one.
    pub fn recreate(&mut self) {
        self.stored.clear();
        self.first = 0;
    }
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    pub meta_id: u32,
    pub mirror_group: u16,
    pub major: u16,
    pub minor: u16,
}

impl Identity {
    pub fn node(meta_id: u32) -> Self {
        Self { meta_id, mirror_group: 0, major: 2, minor: 0 }
    }

    pub fn handshake(&self) -> Vec<u8> {
        let Self { meta_id, mirror_group, major, minor } = *self;
        Packet::HandshakeResponse { major, minor, meta_id, mirror_group }.to_bytes()
    }
}

/// One connection, without its socket.
#[derive(Debug, Default)]
pub struct Dialogue {
    is_greeted: bool,
    /// Where the reader stands, once there is a stream.
    position: Option<u64>,
    is_over: bool,
    /// The numbers that streams were asked from.
    pub starts: Vec<u64>,
    /// What the listener did that it must not do.
    pub offences: Vec<String>,
}

impl Dialogue {
    /// Whether the server closes now, what it said having been sent.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next event to be sent, once there is a stream.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// Answers a packet of the listener.
    pub fn hear(&mut self, bytes: &[u8], ring: &Ring) -> Vec<Vec<u8>> {
        let Ok(packet) = Packet::decode(bytes, Form::Strict) else {
            self.offences.push(format!("sent {bytes:02x?}"));
            return self.close(CloseReason::ProtocolError);
        };
        match packet {
            Packet::HandshakeRequest { .. } if !self.is_greeted => {
                self.is_greeted = true;
                Vec::new()
            }
            _ if !self.is_greeted => {
                self.offences.push(format!("{} before its handshake", packet.name()));
                self.close(CloseReason::ProtocolError)
            }
            Packet::HandshakeRequest { .. } => {
                self.offences.push("a second handshake".to_owned());
                self.close(CloseReason::ProtocolError)
            }
            Packet::NewestRequest => vec![Packet::Newest { next: ring.next() }.to_bytes()],
            Packet::RangeRequest => {
                if self.position.is_some() {
                    self.offences.push("asked for the range of a running stream".to_owned());
                }
                vec![Packet::Range { next: ring.next(), oldest: ring.oldest() }.to_bytes()]
            }
            Packet::StreamStart { start } => self.start(start, ring),
            Packet::CloseRequest => self.close(CloseReason::Acknowledged),
            _ => Vec::new(),
        }
    }

    /// At most so many events of the stream.
    pub fn speak(&mut self, ring: &Ring, packets_max: usize) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        while let Some(msn) = self.position
            && said.len() < packets_max
            && !self.is_over
            && msn < ring.next()
        {
            match ring.get(msn) {
                Some(Stored::Event(payload)) => {
                    said.push(Packet::Message { msn, payload }.to_bytes());
                }
                Some(Stored::LeftOut) => {}
                Some(Stored::Unreadable) | None => {
                    said.extend(self.close(CloseReason::StreamCrashed));
                }
            }
            self.position = Some(msn + 1);
        }
        said
    }

    fn start(&mut self, start: u64, ring: &Ring) -> Vec<Vec<u8>> {
        if !self.starts.is_empty() {
            self.offences.push("a second stream on one connection".to_owned());
        }
        self.starts.push(start);
        if start < ring.first() || start > ring.next() {
            return self.close(CloseReason::StreamCrashed);
        }
        self.position = Some(start);
        Vec::new()
    }

    fn close(&mut self, reason: CloseReason) -> Vec<Vec<u8>> {
        self.is_over = true;
        vec![Packet::Close { reason }.to_bytes()]
    }
}

/// The payload of event `number`: a file is created.
pub fn created(number: u64) -> Vec<u8> {
    let entry_id = format!("{:X}-68F1C2D3-C", number + 40);
    let path = format!("/data/run/output-{number:07}");
    let payload = Payload {
        num_hardlinks: 1,
        event: 5,
        entry_id: entry_id.as_bytes(),
        parent_entry_id: b"1-68F1C2D0-C",
        path: path.as_bytes(),
        user_id: 1001,
        timestamp_ns: 1_761_998_400_000_000_000 + number as i64,
        ..Payload::default()
    };
    let mut bytes = Vec::new();
    payload.encode(&mut bytes);
    bytes
}

/// What the thread and the test share.
#[derive(Debug, Default)]
struct State {
    ring: Ring,
    /// Packets to be sent as they are, before anything else.
    injected: VecDeque<Vec<u8>>,
    /// The next event is to be cut to this length, bytes.
    cut: Option<usize>,
    wants_disconnect: bool,
    connections: usize,
    is_streaming: bool,
    starts: Vec<u64>,
    offences: Vec<String>,
    closes: usize,
}

/// A server with a thread of its own; ends with its value.
#[derive(Debug)]
pub struct MetadataServer {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetadataServer {
    /// Connects to this socket path, and again and again.
    pub fn start(path: &Path, identity: Identity) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let stop = Arc::<AtomicBool>::default();
        let (path, of_thread, end) = (path.to_owned(), Arc::clone(&state), Arc::clone(&stop));
        let thread = std::thread::spawn(move || serve(&path, identity, &of_thread, &end));
        Self { state, stop, thread: Some(thread) }
    }

    /// As [`MetadataServer::start`], with events from the beginning.
    pub fn with_events(path: &Path, identity: Identity, count: u64) -> Self {
        let server = Self::start(path, identity);
        server.burst(count);
        server
    }

    /// Looks at the ring, or changes it.
    pub fn ring<T>(&self, work: impl FnOnce(&mut Ring) -> T) -> T {
        work(&mut self.state().ring)
    }

    /// So many more events at once; returns the number of the first.
    pub fn burst(&self, count: u64) -> u64 {
        self.ring(|ring| {
            let first = ring.next();
            for number in first..first + count {
                ring.push(created(number));
            }
            first
        })
    }

    /// The server dies: the connection drops in mid-stream, and it comes back.
    pub fn disconnect(&self) {
        self.state().wants_disconnect = true;
    }

    /// As [`MetadataServer::disconnect`], and it comes back with the ring changed.
    pub fn disconnect_and(&self, change: impl FnOnce(&mut Ring)) {
        let mut state = self.state();
        change(&mut state.ring);
        state.wants_disconnect = true;
    }

    /// Sends these bytes as a packet in the stream.
    pub fn inject(&self, packet: &[u8]) {
        self.state().injected.push_back(packet.to_vec());
    }

    /// Cuts the next event to this many bytes.
    pub fn cut_next(&self, length: usize) {
        self.state().cut = Some(length);
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Whether a stream is asked for on the connection of this moment.
    pub fn is_streaming(&self) -> bool {
        self.state().is_streaming
    }

    /// The numbers that streams were asked from, in order, on all connections.
    pub fn starts(&self) -> Vec<u64> {
        self.state().starts.clone()
    }

    /// What listeners did that they must not do.
    pub fn offences(&self) -> Vec<String> {
        self.state().offences.clone()
    }

    /// How many goodbyes of listeners were answered.
    pub fn goodbyes(&self) -> usize {
        self.state().closes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for MetadataServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(path: &PathBuf, identity: Identity, state: &Mutex<State>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if let Ok(socket) = dial(path) {
            lock(state).connections += 1;
            // How it ended is the listener's affair.
            let _ = converse(&socket, identity, state, stop);
            lock(state).is_streaming = false;
        }
        std::thread::sleep(RECONNECT);
    }
}

fn dial(path: &PathBuf) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

/// One connection from handshake to end.
fn converse(
    socket: &OwnedFd,
    identity: Identity,
    state: &Mutex<State>,
    stop: &AtomicBool,
) -> nix::Result<()> {
    let mut dialogue = Dialogue::default();
    let mut buffer = vec![0; 16_384];
    tell(socket, &identity.handshake(), stop)?;
    while !stop.load(Ordering::Relaxed) {
        let packets = next_packets(state, &mut dialogue)?;
        for packet in &packets {
            tell(socket, packet, stop)?;
        }
        if dialogue.is_over() {
            return Ok(());
        }
        let patience = if packets.is_empty() { 2_u16 } else { 0 };
        if !wait(socket, PollFlags::POLLIN, patience)? {
            continue;
        }
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if length == 0 {
            return Ok(());
        }
        let answers = answer(state, &mut dialogue, &buffer[..length]);
        for packet in &answers {
            tell(socket, packet, stop)?;
        }
        if dialogue.is_over() {
            return Ok(());
        }
    }
    Ok(())
}

/// What is to be sent now; an error where the connection is to drop.
fn next_packets(state: &Mutex<State>, dialogue: &mut Dialogue) -> nix::Result<Vec<Vec<u8>>> {
    let mut state = lock(state);
    state.is_streaming = dialogue.position().is_some();
    if std::mem::take(&mut state.wants_disconnect) {
        return Err(Errno::ECONNRESET);
    }
    if dialogue.position().is_none() {
        return Ok(Vec::new());
    }
    let mut packets = dialogue.speak(&state.ring, 256);
    if !packets.is_empty()
        && let Some(length) = state.cut.take()
    {
        packets[0].truncate(length);
    }
    let mut all: Vec<Vec<u8>> = state.injected.drain(..).collect();
    all.extend(packets);
    Ok(all)
}

fn answer(state: &Mutex<State>, dialogue: &mut Dialogue, packet: &[u8]) -> Vec<Vec<u8>> {
    let mut state = lock(state);
    let known = dialogue.starts.len();
    let answers = dialogue.hear(packet, &state.ring);
    state.starts.extend(dialogue.starts.get(known..).unwrap_or_default());
    state.offences.append(&mut dialogue.offences);
    state.closes += usize::from(packet.first() == Some(&9));
    state.is_streaming = dialogue.position().is_some();
    answers
}

/// Sends a whole packet, waiting for room.
fn tell(socket: &OwnedFd, packet: &[u8], stop: &AtomicBool) -> nix::Result<()> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match send(socket.as_raw_fd(), packet, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::EAGAIN) if !stop.load(Ordering::Relaxed) => {
                wait(socket, PollFlags::POLLOUT, 20)?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn wait(socket: &OwnedFd, flags: PollFlags, milliseconds: u16) -> nix::Result<bool> {
    let mut fds = [PollFd::new(socket.as_fd(), flags)];
    Ok(poll(&mut fds, PollTimeout::from(milliseconds))? > 0)
}

/// A listening socket such as a tap has; for tests of this server itself.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    use nix::sys::socket::{Backlog, bind, listen};
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&listener, Backlog::new(8)?)?;
    Ok(listener)
}
