//! UDP: sockets with room for a burst, and what the kernel dropped at them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use crate::sys::sockets;
use crate::tap::Failure;

/// Where the senders of releases 9.6, 10.0 and later send to, unless they were built otherwise; before, it
/// was 24009.
pub(super) const DEFAULT_PORT: u16 = 55_555;

/// Receive buffer asked for, in bytes: 50 000 datagrams of the usual 200 bytes, each of which takes some
/// 1 300 bytes in the kernel's accounting.
const BUFFER_BYTES: usize = 96 << 20;

/// Where to listen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    /// IPv4 any and `::1`, as the shipped daemon; the port is a setting.
    Default,
    /// Exactly there.
    At(SocketAddr),
}

/// One bound socket.
#[derive(Debug)]
pub(super) struct Udp {
    socket: UdpSocket,
    address: SocketAddr,
    /// At the default addresses, whose port is a setting.
    is_default: bool,
    dropped: u32,
}

/// Binds all that is asked for.
///
/// # Errors
/// One line with the address that cannot be had.
pub(super) fn bind_all(wanted: &[Listen], default_port: u16) -> Result<Vec<Udp>, Failure> {
    let mut sockets = Vec::new();
    for listen in wanted {
        match listen {
            Listen::At(address) => sockets.push(Udp::bind(*address)?),
            Listen::Default => sockets.extend(bind_default(default_port)?),
        }
    }
    Ok(sockets)
}

/// Binds the default addresses.
///
/// # Errors
/// One line with the address that cannot be had.
pub(super) fn bind_default(port: u16) -> Result<Vec<Udp>, Failure> {
    let any = Udp::bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    let mut sockets = vec![Udp { is_default: true, ..any }];
    match Udp::bind((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(socket) => sockets.push(Udp { is_default: true, ..socket }),
        Err(failure) if !has_ipv6() => log::info!("no IPv6 here: {failure}"),
        Err(failure) => return Err(failure),
    }
    Ok(sockets)
}

fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

impl Udp {
    fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let new = || -> nix::Result<UdpSocket> {
            let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(family, SockType::Datagram, flags, None)?;
            if address.is_ipv6() {
                // So that any IPv4 and any IPv6 address stand side by side.
                setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
            }
            if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
                // As much as net.core.rmem_max allows.
                setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES)?;
            }
            bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
            Ok(socket.into())
        };
        let socket = new().map_err(|error| refused(address, error))?;
        let address = socket.local_addr().unwrap_or(address);
        Ok(Self { socket, address, is_default: false, dropped: 0 })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is one of the default addresses.
    pub(super) fn is_default(&self) -> bool {
        self.is_default
    }

    /// One datagram without waiting.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer)
    }

    /// Datagrams that the kernel dropped since this was asked last.
    pub(super) fn newly_dropped(&mut self) -> u64 {
        let Ok(total) = sockets::dropped(self.socket.as_fd()) else { return 0 };
        let new = total.wrapping_sub(self.dropped);
        self.dropped = total;
        u64::from(new)
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn refused(address: SocketAddr, error: Errno) -> Failure {
    let hint = match error {
        Errno::EADDRINUSE => " (if glustereventsd has it: be its webhook, with --webhook)",
        _ => "",
    };
    Failure(format!("{address}/udp: {}{hint}", error.desc()))
}
