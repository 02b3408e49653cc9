//! A metadata server that has its packets ready and sends them as fast as they are taken.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use eventfs::decode::beegfs::{Form, Packet};
use eventfs::sys::packets::Packets;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockType, UnixAddr, connect, recv, send,
    sendmmsg, socket, socketpair,
};

use super::decode::packet_of;
use crate::common::{Broken, cpu};

/// Longest wait for anything.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Packets handed to the kernel at once.
const SENT_AT_ONCE: usize = 64;

/// Room of the bare loop: as the tap has it.
const RECEIVED_AT_ONCE: usize = 64;

/// The packets of one run.
pub(crate) struct Load(Vec<Vec<u8>>);

impl Load {
    pub(crate) fn of(count: u32) -> Self {
        Self((0..count).map(|number| packet_of(number.into(), number)).collect())
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    /// Sends all; returns the processor time that this took.
    pub(crate) fn send(&self, to: &OwnedFd) -> nix::Result<Duration> {
        let start = cpu::time_of_thread()?;
        let mut headers = MultiHeaders::<UnixAddr>::preallocate(SENT_AT_ONCE, None);
        for some in self.0.chunks(SENT_AT_ONCE) {
            let slices: Vec<[IoSlice<'_>; 1]> =
                some.iter().map(|packet| [IoSlice::new(packet)]).collect();
            let nowhere = [None; SENT_AT_ONCE];
            // It waits until all are sent, unless the connection breaks: then the last one never comes.
            sendmmsg(to.as_raw_fd(), &mut headers, &slices, nowhere, [], MsgFlags::empty())?;
        }
        Ok(cpu::time_of_thread()?.saturating_sub(start))
    }
}

/// Connects as a server does, up to the request for the stream.
pub(crate) fn shake_hands(path: &Path, count: u32) -> Result<OwnedFd, Broken> {
    let server = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(server.as_raw_fd(), &UnixAddr::new(path)?)?;
    let say = |packet: Packet<'_>| send(server.as_raw_fd(), &packet.to_bytes(), MsgFlags::empty());
    say(Packet::HandshakeResponse { major: 2, minor: 0, meta_id: 12, mirror_group: 0 })?;
    let mut buffer = [0; 64];
    loop {
        let length = recv(server.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        match Packet::decode(&buffer[..length], Form::Strict)? {
            Packet::RangeRequest => {
                say(Packet::Range { next: count.into(), oldest: 0 })?;
            }
            Packet::StreamStart { .. } => return Ok(server),
            _ => {}
        }
    }
}

/// How a loop did that receives the packets as the tap does, and does nothing with them.
pub(crate) struct Bare {
    pub(crate) took: Duration,
    /// Processor time of the receiver alone.
    pub(crate) processor: Duration,
}

impl Bare {
    pub(crate) fn run(load: &Load) -> Result<Self, Broken> {
        let (near, far) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        std::thread::scope(|scope| {
            let (start, before) = (Instant::now(), cpu::time_of_thread()?);
            let sender = scope.spawn(move || load.send(&far));
            let mut room = Packets::new(RECEIVED_AT_ONCE, 64 << 10);
            let mut got = 0;
            while got < load.count() as usize {
                let mut fds = [PollFd::new(near.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::from(1_000_u16))?;
                got += room.receive(near.as_fd())?;
            }
            let (took, after) = (start.elapsed(), cpu::time_of_thread()?);
            sender.join().map_err(|_| "the sender panicked")??;
            Ok(Self { took, processor: after.saturating_sub(before) })
        })
    }
}
