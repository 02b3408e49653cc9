//! The original's receivers: each event as a datagram, and on standard output.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::decode::storage::fit;
use crate::tap::source::Failure;

/// Lines that wait for standard output.
const LINES_MAX: usize = 1000;

/// How long the end waits for standard output.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// What is lost on the way to one receiver.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    pub(super) count: u64,
    pub(super) reason: String,
}

/// An address that events are sent to.
#[derive(Debug)]
struct Target {
    address: SocketAddr,
    socket: UdpSocket,
    lost: Lost,
    /// Said already, until something gets through.
    failing: bool,
}

/// Everybody who gets every event.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    targets: Vec<Target>,
    lines: Option<Printer>,
    lines_lost: Lost,
}

impl Receivers {
    /// Makes a socket for each address; `bind` names the interface that multicast goes out of.
    ///
    /// # Errors
    /// One line with the address.
    pub(super) fn open(
        addresses: &[SocketAddr],
        bind: Option<IpAddr>,
        stdout: bool,
    ) -> Result<Self, Failure> {
        let target = |address: &SocketAddr| {
            let socket = sender(*address, bind).map_err(|error| Failure::io(address, &error))?;
            Ok(Target { address: *address, socket, lost: Lost::default(), failing: false })
        };
        let targets = addresses.iter().map(target).collect::<Result<Vec<_>, Failure>>()?;
        let lines = stdout
            .then(printer)
            .transpose()
            .map_err(|error| Failure::io("standard output", &error))?;
        Ok(Self { targets, lines, lines_lost: Lost::default() })
    }

    /// Gives everybody an event, without waiting for anybody.
    pub(super) fn send(&mut self, data: &[u8]) {
        if let Some(lines) = &self.lines
            && lines.sender.try_send([data, b"\n"].concat()).is_err()
        {
            self.lines_lost.count += 1;
            "standard output is slow or closed".clone_into(&mut self.lines_lost.reason);
        }
        if self.targets.is_empty() {
            return;
        }
        let text = fit(data);
        for target in &mut self.targets {
            target.send(text.as_deref());
        }
    }

    /// What was lost since this was asked last, by receiver.
    pub(super) fn take_lost(&mut self) -> Vec<(String, Lost)> {
        let targets =
            self.targets.iter_mut().map(|target| (target.address.to_string(), &mut target.lost));
        let all = targets.chain([("stdout".to_owned(), &mut self.lines_lost)]);
        all.filter(|(_, lost)| lost.count > 0)
            .map(|(name, lost)| (name, std::mem::take(lost)))
            .collect()
    }
}

impl Target {
    fn send(&mut self, text: Option<&[u8]>) {
        let sent = match text {
            Some(text) => {
                self.socket.send_to(text, self.address).map_err(|error| crate::sys::plain(&error))
            }
            None => Err("too large for a datagram".to_owned()),
        };
        match sent {
            Ok(_) => self.failing = false,
            Err(reason) => {
                if !std::mem::replace(&mut self.failing, true) {
                    log::warn!("{}: {reason}", self.address);
                }
                self.lost.count += 1;
                self.lost.reason = reason;
            }
        }
    }
}

/// A socket to send from. Multicast leaves by the interface whose address the socket is bound to, goes no
/// further than the next router, and is heard on this host too.
fn sender(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // What is meant for an interface does not bind a sender to everywhere else.
    let from =
        bind.filter(|bind| address.ip().is_multicast() && bind.is_ipv4() == address.is_ipv4());
    let socket = UdpSocket::bind((from.unwrap_or(any), 0))?;
    if address.ip().is_multicast() && address.is_ipv4() {
        socket.set_multicast_loop_v4(true)?;
        socket.set_multicast_ttl_v4(1)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A thread that prints, so that a slow terminal holds up nobody.
#[derive(Debug)]
struct Printer {
    sender: mpsc::SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

fn printer() -> io::Result<Printer> {
    let (sender, lines) = mpsc::sync_channel::<Vec<u8>>(LINES_MAX);
    let thread = std::thread::Builder::new().name("stdout".into()).spawn(move || {
        let mut out = io::stdout();
        for line in lines {
            if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    })?;
    Ok(Printer { sender, thread })
}

impl Drop for Receivers {
    /// What is in memory is printed, if that does not take long.
    fn drop(&mut self) {
        let Some(Printer { sender, thread }) = self.lines.take() else { return };
        drop(sender);
        let until = Instant::now() + LAST_WAIT;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_text_and_losses_are_counted() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        let mut receivers = Receivers::open(&addresses, None, false).unwrap();
        receivers.send(br#"{"event_type":"X"}"#);
        for socket in [&one, &two] {
            let mut text = [0; 64];
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..length], br#"{"event_type":"X"}"#);
        }
        assert!(receivers.take_lost().is_empty());
        receivers.send(&vec![b'x'; 100_000]);
        let lost = receivers.take_lost();
        assert_eq!(lost.len(), 2);
        assert_eq!((lost[0].1.count, lost[0].1.reason.as_str()), (1, "too large for a datagram"));
        assert!(receivers.take_lost().is_empty());
    }

    #[test]
    fn multicast_on_the_loopback_is_heard() {
        let group = Ipv4Addr::new(239, 0, 0, 77);
        let local = Ipv4Addr::LOCALHOST;
        let heard = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        heard.join_multicast_v4(&group, &local).unwrap();
        heard.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let address = SocketAddr::from((group, heard.local_addr().unwrap().port()));
        let mut receivers = Receivers::open(&[address], Some(local.into()), false).unwrap();
        receivers.send(b"{}");
        assert_eq!(heard.recv(&mut [0; 8]).unwrap(), 2);
    }
}
