//! Feeds that flow: a FIFO, standard input, a socket that is connected to or listened on.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::read;

use super::Decoders;
use super::reading::{PIECE_BYTES, Reading, TURN_PIECES};
use crate::decode::hestia::{Origin, Splitter, Stand};
use crate::sys::clock;
use crate::tap::sink::Sink;
use crate::tap::source::{Failure, Flow, Wait};
use crate::tap::unix::{Binding, BoundSocket, bind_at};

/// Writers served at once.
const CONNECTIONS_MAX: usize = 256;

/// Permission bits of the socket that is listened on.
const SOCKET_MODE: u32 = 0o660;

/// Pause before a socket that does not answer is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a writer writes into.
#[derive(Debug)]
enum End {
    Stdin(io::Stdin),
    Open(OwnedFd),
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin(stdin) => stdin.as_fd(),
            Self::Open(fd) => fd.as_fd(),
        }
    }
}

#[derive(Debug)]
struct Channel {
    end: End,
    reading: Reading,
}

#[derive(Debug)]
enum Kind {
    /// Standard input, or a device: its end is the end.
    Single,
    Fifo(PathBuf),
    Connect(PathBuf),
    Listen(BoundSocket),
}

/// The feed.
#[derive(Debug)]
pub(super) struct Channels {
    kind: Kind,
    once: bool,
    decoders: Decoders,
    channels: Vec<Channel>,
    retry: Option<Instant>,
    /// Somebody has connected.
    served: bool,
    last_start: u64,
    piece: Vec<u8>,
}

/// What a read gave.
enum Got {
    Bytes(usize),
    Nothing,
    End,
}

impl Channels {
    fn new(kind: Kind, once: bool, decoders: Decoders) -> Self {
        Self {
            kind,
            once,
            decoders,
            channels: Vec::new(),
            retry: None,
            served: false,
            last_start: 0,
            piece: vec![0; PIECE_BYTES],
        }
    }

    /// Standard input.
    pub(super) fn stdin(decoders: Decoders) -> Self {
        let mut channels = Self::new(Kind::Single, true, decoders);
        channels.add(End::Stdin(io::stdin()));
        channels
    }

    /// Writers connect to this socket.
    pub(super) fn listen(path: &Path, once: bool, decoders: Decoders) -> Result<Self, Failure> {
        let binding = Binding { path, kind: SockType::Stream, mode: SOCKET_MODE, group: None };
        let socket = bind_at(&binding)?;
        Ok(Self::new(Kind::Listen(socket), once, decoders))
    }

    /// What is at a path and is no file.
    pub(super) fn open(path: &Path, once: bool, decoders: Decoders) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::io(path.display(), &error);
        let file_type = std::fs::metadata(path).map_err(fail)?.file_type();
        if file_type.is_socket() {
            return Ok(Self::new(Kind::Connect(path.to_owned()), once, decoders));
        }
        if file_type.is_fifo() {
            let mut channels = Self::new(Kind::Fifo(path.to_owned()), once, decoders);
            channels.add(End::Open(open_fifo(path).map_err(fail)?));
            return Ok(channels);
        }
        if !file_type.is_char_device() {
            return Err(Failure(format!("{}: cannot be a feed", path.display())));
        }
        let mut channels = Self::new(Kind::Single, true, decoders);
        channels.add(End::Open(File::open(path).map_err(fail)?.into()));
        Ok(channels)
    }

    /// A stream of its own, named by the time at which it begins.
    fn add(&mut self, end: End) {
        let now = u64::try_from(clock::wall_ns()).unwrap_or_default();
        let start = now.max(self.last_start + 1);
        self.last_start = start;
        let stand = Stand { origin: Origin::Stream { start }, stream: 0 };
        let splitter = Splitter::new(self.decoders.limits.document_bytes_max);
        let reading = Reading::new(splitter, self.decoders.make(), stand);
        self.channels.push(Channel { end, reading });
        self.served = true;
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        let mut on: Vec<(BorrowedFd<'_>, PollFlags)> = Vec::new();
        if let Kind::Listen(listener) = &self.kind
            && self.accepts()
        {
            on.push((listener.as_fd(), PollFlags::POLLIN));
        }
        on.extend(self.channels.iter().map(|channel| (channel.end.as_fd(), PollFlags::POLLIN)));
        let releases = self.channels.iter().filter_map(|channel| channel.reading.release_at);
        Wait { on, until: releases.chain(self.retry).min() }
    }

    fn accepts(&self) -> bool {
        self.channels.len() < CONNECTIONS_MAX && self.retry.is_none()
    }

    pub(super) fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure> {
        self.retry = self.retry.filter(|at| *at > Instant::now());
        match &self.kind {
            Kind::Listen(_) => self.accept(),
            Kind::Connect(_) if self.channels.is_empty() && self.retry.is_none() => self.connect(),
            _ => {}
        }
        let (mut index, mut more) = (0, false);
        while index < self.channels.len() {
            match self.serve(index, sink) {
                Flow::Wait => index += 1,
                Flow::More => {
                    more = true;
                    index += 1;
                }
                Flow::Ended => self.end(index, sink)?,
            }
        }
        let over = self.once && self.served && self.channels.is_empty();
        Ok(match (over, more) {
            (true, _) => Flow::Ended,
            (false, true) => Flow::More,
            (false, false) => Flow::Wait,
        })
    }

    fn accept(&mut self) {
        while self.accepts() {
            let Kind::Listen(listener) = &self.kind else { return };
            match crate::sys::accept(listener.as_fd()) {
                Ok(socket) => self.add(End::Open(socket)),
                Err(Errno::EAGAIN | Errno::ECONNABORTED | Errno::EINTR) => return,
                Err(error) => {
                    log::warn!("{}: accept: {}", listener.path().display(), error.desc());
                    self.retry = Some(Instant::now() + RETRY_AFTER);
                }
            }
        }
    }

    fn connect(&mut self) {
        let Kind::Connect(path) = &self.kind else { return };
        match connect_to(path) {
            Ok(socket) => self.add(End::Open(socket)),
            Err(error) => {
                log::debug!("{}: {}", path.display(), error.desc());
                self.retry = Some(Instant::now() + RETRY_AFTER);
            }
        }
    }

    /// Gives one writer its turn.
    fn serve(&mut self, index: usize, sink: &mut Sink) -> Flow {
        let Self { channels, piece, .. } = self;
        let Some(Channel { end, reading }) = channels.get_mut(index) else { return Flow::Wait };
        reading.release_late(sink);
        for _ in 0..TURN_PIECES {
            if !sink.ready() {
                return Flow::More;
            }
            match take(end.as_fd(), piece) {
                Got::Bytes(count) => {
                    reading.push(piece.get(..count).unwrap_or_default(), sink);
                }
                Got::Nothing => return Flow::Wait,
                Got::End => return Flow::Ended,
            }
        }
        Flow::More
    }

    /// A writer has closed its end. Others may open a FIFO again, or be connected to.
    fn end(&mut self, index: usize, sink: &mut Sink) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(index) else { return Ok(()) };
        channel.reading.finish(sink);
        match &self.kind {
            Kind::Fifo(path) if !self.once => {
                // Before the old end is closed: a writer that comes now must find a reader.
                let fifo = open_fifo(path);
                channel.end = match fifo {
                    Ok(fifo) => End::Open(fifo),
                    Err(error) => return Err(Failure::io(path.display(), &error)),
                };
            }
            Kind::Connect(_) => {
                self.channels.remove(index);
                self.retry = Some(Instant::now() + RETRY_AFTER);
            }
            _ => {
                self.channels.remove(index);
            }
        }
        Ok(())
    }

    pub(super) fn goodbye(&mut self, sink: &mut Sink) {
        for channel in &mut self.channels {
            channel.reading.release(sink);
        }
    }
}

/// Without a writer this does not wait, and no end is told until there was one.
fn open_fifo(path: &Path) -> io::Result<OwnedFd> {
    let fifo = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    Ok(fifo.into())
}

fn connect_to(path: &Path) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &address)?;
    Ok(socket)
}

/// Reads what is there. Standard input may be shared with others and blocks, so it is asked first.
fn take(end: BorrowedFd<'_>, piece: &mut [u8]) -> Got {
    let mut fds = [PollFd::new(end, PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(0) | Err(_) => return Got::Nothing,
        Ok(_) => {}
    }
    let events = fds[0].revents().unwrap_or(PollFlags::empty());
    if !events.contains(PollFlags::POLLIN) {
        return Got::End;
    }
    match read(end, piece) {
        Ok(0) => Got::End,
        Ok(count) => Got::Bytes(count),
        Err(Errno::EAGAIN | Errno::EINTR) => Got::Nothing,
        Err(_) => Got::End,
    }
}
