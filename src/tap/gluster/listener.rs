//! The thread that empties the local sockets as fast as they fill: UDP, UNIX datagrams, UNIX streams.
//!
//! It does nothing but copy: a file written for one event takes longer than a kernel's buffer of the usual
//! size can wait.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{MsgFlags, recv};
use parking_lot::Mutex;

use super::inbox::{Inbox, Item, Message};
use super::udp::Udp;
use crate::sys::clock;
use crate::tap::Failure;
use crate::tap::unix::BoundSocket;

/// Longest message of a socket without a limit of its own, bytes: that of the webhook. What is longer is
/// delivered in pieces.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Stream connections at once. One more, and the oldest is taken for a message that ends here.
const STREAMS_MAX: usize = 256;

/// Datagrams read from one socket before the others have their turn.
const TURN_MESSAGES: usize = 1_000;

/// The sockets in the file system.
#[derive(Debug)]
pub(super) struct UnixSockets {
    /// One message a datagram.
    pub(super) datagrams: BoundSocket,
    /// A message ends with its line or its connection.
    pub(super) streams: BoundSocket,
}

/// What the other threads tell this one.
#[derive(Debug)]
struct Orders {
    wake: EventFd,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    default_udp: Option<Vec<Udp>>,
    stop: bool,
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Listener {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub(super) fn start(
        udp: Vec<Udp>,
        unix: Option<UnixSockets>,
        inbox: Arc<Inbox>,
    ) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::io("listening", &error);
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_value_and_flags(0, flags).map_err(|error| fail(error.into()))?;
        let orders = Arc::new(Orders { wake, given: Mutex::default() });
        let sockets = Sockets {
            udp,
            unix,
            streams: Vec::new(),
            inbox,
            buffer: vec![0; MESSAGE_BYTES_MAX],
            orders: Arc::clone(&orders),
        };
        let builder = thread::Builder::new().name("listener".into());
        let thread = builder.spawn(move || sockets.serve()).map_err(fail)?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Listens at these default addresses from now on, and not at those before.
    pub(super) fn replace_default(&self, udp: Vec<Udp>) {
        self.orders.given.lock().default_udp = Some(udp);
        let _ = self.orders.wake.write(1);
    }

    /// Reads what has already come, and ends.
    pub(super) fn stop(&mut self) {
        self.orders.given.lock().stop = true;
        let _ = self.orders.wake.write(1);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the listening thread has ended early");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A stream connection and what it has sent of a message.
#[derive(Debug)]
struct Stream {
    socket: UnixStream,
    partial: Vec<u8>,
}

/// The thread's own.
struct Sockets {
    udp: Vec<Udp>,
    unix: Option<UnixSockets>,
    streams: Vec<Stream>,
    inbox: Arc<Inbox>,
    buffer: Vec<u8>,
    orders: Arc<Orders>,
}

impl Sockets {
    fn serve(mut self) {
        loop {
            self.wait();
            let _ = self.orders.wake.read();
            let given = std::mem::take(&mut *self.orders.given.lock());
            if let Some(udp) = given.default_udp {
                // What the old ones have is not lost.
                while self.read_udp() {}
                self.udp.retain(|udp| !udp.is_default());
                self.udp.extend(udp);
            }
            let more = self.read_all();
            if given.stop {
                let mut more = more;
                while more {
                    more = self.read_all();
                }
                break;
            }
        }
        for stream in std::mem::take(&mut self.streams) {
            deliver(&self.inbox, &stream.partial);
        }
    }

    fn wait(&self) {
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.orders.wake.as_fd()];
        fds.extend(self.udp.iter().map(AsFd::as_fd));
        if let Some(unix) = &self.unix {
            fds.extend([unix.datagrams.as_fd(), unix.streams.as_fd()]);
        }
        fds.extend(self.streams.iter().map(|stream| stream.socket.as_fd()));
        let mut fds: Vec<PollFd<'_>> =
            fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An error here would be a bug; reading without waiting does no harm.
        let _ = poll(&mut fds, PollTimeout::NONE);
    }

    /// One round over everything; true while there may be more.
    fn read_all(&mut self) -> bool {
        let udp = self.read_udp();
        let datagrams = self.read_unix_datagrams();
        self.accept();
        let streams = self.read_streams();
        udp || datagrams || streams
    }

    fn read_udp(&mut self) -> bool {
        let mut more = false;
        for udp in &mut self.udp {
            let mut read = 0;
            // An error that a peer can cause, such as a refused answer, is told once and is gone.
            while read < TURN_MESSAGES {
                match udp.receive(&mut self.buffer) {
                    Ok(length) => deliver_datagram(&self.inbox, &self.buffer, length),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => log::debug!("{}: {error}", udp.address()),
                }
                read += 1;
            }
            more |= read == TURN_MESSAGES;
            let count = udp.newly_dropped();
            if count > 0 {
                self.inbox.put(Item::Dropped { address: udp.address().to_string(), count });
            }
        }
        more
    }

    fn read_unix_datagrams(&mut self) -> bool {
        let Some(unix) = &self.unix else { return false };
        for _ in 0..TURN_MESSAGES {
            match receive(&unix.datagrams, &mut self.buffer) {
                Some(length) => deliver_datagram(&self.inbox, &self.buffer, length),
                None => return false,
            }
        }
        true
    }

    fn accept(&mut self) {
        let Some(unix) = &self.unix else { return };
        let Ok(listener) = unix.streams.as_fd().try_clone_to_owned().map(UnixListener::from) else {
            return;
        };
        while let Ok((socket, _)) = listener.accept() {
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            if self.streams.len() >= STREAMS_MAX {
                let oldest = self.streams.remove(0);
                deliver(&self.inbox, &oldest.partial);
            }
            self.streams.push(Stream { socket, partial: Vec::new() });
        }
    }

    fn read_streams(&mut self) -> bool {
        let mut more = false;
        let Self { streams, inbox, buffer, .. } = self;
        streams.retain_mut(|stream| match stream.socket.read(buffer) {
            Ok(0) => {
                deliver(inbox, &stream.partial);
                false
            }
            Ok(length) => {
                more = true;
                stream.take(inbox, buffer.get(..length).unwrap_or_default());
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => {
                deliver(inbox, &stream.partial);
                false
            }
        });
        more
    }
}

impl Stream {
    /// Cuts what came into lines.
    fn take(&mut self, inbox: &Inbox, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= MESSAGE_BYTES_MAX {
                deliver(inbox, &self.partial);
                self.partial.clear();
            }
        }
    }
}

/// A datagram without waiting; nothing when there is none.
fn receive(socket: &BoundSocket, buffer: &mut [u8]) -> Option<usize> {
    use std::os::fd::AsRawFd;
    recv(socket.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()
}

/// One datagram is one message, even an empty one.
fn deliver_datagram(inbox: &Inbox, buffer: &[u8], length: usize) {
    let bytes = buffer.get(..length).unwrap_or(buffer).to_vec();
    inbox.put(Item::Message(Message { bytes, nanos: now() }));
}

/// The end of a stream, or an empty line, is no message.
fn deliver(inbox: &Inbox, bytes: &[u8]) {
    if !bytes.trim_ascii().is_empty() {
        inbox.put(Item::Message(Message { bytes: bytes.to_vec(), nanos: now() }));
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    u64::try_from(clock::wall_ns()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_cut() {
        let inbox = Inbox::new().unwrap();
        let (socket, _other) = UnixStream::pair().unwrap();
        let mut stream = Stream { socket, partial: Vec::new() };
        for _ in 0..50 {
            stream.take(&inbox, &[b'x'; 100_000]);
            assert!(stream.partial.len() < MESSAGE_BYTES_MAX);
        }
        let mut items = Vec::new();
        inbox.take(usize::MAX, &mut items);
        let length = |item: &Item| match item {
            Item::Message(message) => message.bytes.len(),
            _ => 0,
        };
        let lengths: Vec<usize> = items.iter().map(length).collect();
        assert_eq!(lengths.iter().sum::<usize>() + stream.partial.len(), 5_000_000);
        assert!(lengths.len() >= 4 && lengths.iter().all(|length| *length >= MESSAGE_BYTES_MAX));
    }
}
