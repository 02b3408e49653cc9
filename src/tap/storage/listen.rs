//! A receiver of other hosts' events.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use serde_json::Value;

use crate::decode::storage::{Identity, heard};
use crate::event::{Class, Event, UnixNanos, json::Object};
use crate::sys::packets::Packets;
use crate::sys::{clock, sockets};
use crate::tap::sink::Sink;
use crate::tap::source::{Failure, Flow, Source, Wait};

/// Datagrams taken at once, and room for each: the largest there are.
const BURST: usize = 32;
const DATAGRAM_ROOM: usize = 65_536;

/// Room for datagrams that nobody had time for yet, bytes.
const ROOM: usize = 16 << 20;

/// How often lost datagrams are looked for.
const TICK: Duration = Duration::from_millis(500);

/// The source.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    socket: UdpSocket,
    packets: Packets,
    event: Event,
    /// Datagrams so far.
    count: u64,
    dropped: u32,
    next_tick: Instant,
}

impl Listener {
    /// Listens; `interface` names the one that multicast comes in by.
    ///
    /// # Errors
    /// One line with the address.
    pub fn open(address: SocketAddr, interface: Option<IpAddr>) -> Result<Self, Failure> {
        let socket = open(address, interface).map_err(|error| Failure::io(address, &error))?;
        Ok(Self {
            address,
            socket,
            packets: Packets::new(BURST, DATAGRAM_ROOM),
            event: Event::default(),
            count: 0,
            dropped: 0,
            next_tick: Instant::now() + TICK,
        })
    }

    /// What the kernel had no room for is told.
    fn tell_dropped(&mut self, sink: &mut Sink) {
        // A kernel that cannot say it has lost nothing that we know of.
        let dropped = sockets::dropped(self.socket.as_fd()).unwrap_or(self.dropped);
        let lost = dropped.wrapping_sub(std::mem::replace(&mut self.dropped, dropped));
        if lost == 0 {
            return;
        }
        sink.note("gap", &format!("/storage/{}", self.address), |fields| {
            fields.value("first", &Value::Null);
            fields.value("last", &Value::Null);
            fields.number("count", u64::from(lost));
            fields.text("reason", "the socket had no room");
            fields.text("listen", &self.address.to_string());
        });
        sink.lost(u64::from(lost));
    }
}

impl Source for Listener {
    fn keeps(&self) -> bool {
        false
    }

    fn wait(&self) -> Wait<'_> {
        // The drops are looked at with the next datagram, or when the time has come.
        Wait { on: vec![(self.socket.as_fd(), PollFlags::POLLIN)], until: Some(self.next_tick) }
    }

    fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure> {
        let now = clock::wall_ns();
        let got = match self.packets.receive(self.socket.as_fd()) {
            Ok(got) => got,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                0
            }
            Err(error) => return Err(Failure::io(self.address, &error)),
        };
        if got > 0 {
            for (datagram, _) in self.packets.iter() {
                self.count += 1;
                take(datagram, now, self.count, &mut self.event);
                sink.offer(&mut self.event);
            }
        }
        if Instant::now() >= self.next_tick {
            self.next_tick = Instant::now() + TICK;
            self.tell_dropped(sink);
        }
        Ok(if got == self.packets.room() { Flow::More } else { Flow::Wait })
    }

    fn locate(&self, _name: &str) -> Option<(u64, u64)> {
        None
    }

    fn rewind(&mut self, _sink: &mut Sink) -> bool {
        false
    }

    fn goodbye(&mut self, sink: &mut Sink) {
        self.tell_dropped(sink);
    }
}

/// One datagram: an event as it is, or what it was.
fn take(datagram: &[u8], now: i64, count: u64, event: &mut Event) {
    let arrival = Identity::Arrival(u64::try_from(now).unwrap_or(0), count);
    match heard(datagram, event) {
        Ok(()) => {
            // The id is the event's own, so that it is the same event wherever it was heard.
            let id = std::mem::take(&mut event.id);
            arrival.write(1, event);
            if !id.is_empty() {
                event.id = id;
            }
            if event.time == UnixNanos(0) {
                event.time = UnixNanos(now);
            }
        }
        Err(reason) => {
            event.clear();
            arrival.write(1, event);
            event.class = Class::Unreadable;
            event.kind.push_str("storage.unreadable");
            event.source.push_str("/storage/unknown");
            event.time = UnixNanos(now);
            let mut object = Object::begin(&mut event.data);
            object.text("reason", reason);
            object.base64("raw_base64", datagram);
            object.number("position", count);
            object.end();
        }
    }
}

fn open(address: SocketAddr, interface: Option<IpAddr>) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Datagram, flags, None)?;
    if address.ip().is_multicast() {
        // Every receiver on this host gets every event.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    }
    if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &ROOM)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    let socket = UdpSocket::from(socket);
    match address.ip() {
        IpAddr::V4(group) if group.is_multicast() => join(&socket, group, interface)?,
        IpAddr::V6(group) if group.is_multicast() => socket.join_multicast_v6(&group, 0)?,
        _ => {}
    }
    Ok(socket)
}

/// Joins on the interface that is named; else on the system's choice and on the loopback.
fn join(socket: &UdpSocket, group: Ipv4Addr, interface: Option<IpAddr>) -> io::Result<()> {
    if let Some(IpAddr::V4(interface)) = interface {
        return socket.join_multicast_v4(&group, &interface);
    }
    let chosen = socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED);
    let local = socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
    // A host without a way out has the loopback at least.
    local.or(chosen)
}
