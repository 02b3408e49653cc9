//! Uevents: the kernel's netlink messages, or a file of them, each after its length.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
    UnixCredentials, bind, recvmsg, setsockopt, socket, sockopt,
};

use super::stream::{Got, Stream};
use crate::decode::storage::MESSAGE_MAX;
use crate::tap::source::Wait;

/// The multicast groups of NETLINK_KOBJECT_UEVENT: the kernel's own messages, and udev's.
const GROUP_KERNEL: u32 = 1;
const GROUP_UDEV: u32 = 2;

/// Room for messages that nobody had time for yet, bytes.
const ROOM: usize = 16 << 20;

/// What came.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// A message is in the buffer.
    Message,
    /// Somebody else than the kernel or udev sent something.
    Stranger,
    /// The kernel had no room and dropped some.
    Overflow,
    /// None for the time being.
    Nothing,
    /// None any more.
    End,
}

/// Where uevents come from.
#[derive(Debug)]
pub(super) enum Uevents {
    /// The kernel.
    Socket {
        socket: OwnedFd,
        /// udev's messages in place of the kernel's.
        udev: bool,
    },
    /// A file or a pipe.
    Stream {
        stream: Stream,
        /// Read and not yet taken.
        bytes: Vec<u8>,
        taken: usize,
        ended: bool,
    },
}

impl Uevents {
    /// Listens to the kernel, or with `udev` to udev.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn listen(udev: bool) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let kind = (SockType::Datagram, SockProtocol::NetlinkKObjectUEvent);
        let socket = socket(AddressFamily::Netlink, kind.0, flags, kind.1)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        // Without the right to more the system's limit holds.
        if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &ROOM)?;
        }
        let group = if udev { GROUP_UDEV } else { GROUP_KERNEL };
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, group))?;
        Ok(Self::Socket { socket, udev })
    }

    /// Opens a file or a pipe.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path, follow: bool) -> io::Result<Self> {
        let stream = Stream::open(path, follow)?;
        Ok(Self::Stream { stream, bytes: Vec::new(), taken: 0, ended: false })
    }

    /// Whether what is not read is kept for us.
    pub(super) fn keeps(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }

    /// Takes the next message into `message`.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn next(&mut self, message: &mut Vec<u8>) -> io::Result<Next> {
        match self {
            Self::Socket { socket, udev } => receive(socket, *udev, message),
            Self::Stream { stream, bytes, taken, ended } => {
                next_of_stream(stream, bytes, taken, ended, message)
            }
        }
    }

    /// What to wait for.
    pub(super) fn wait<'a>(&'a self, wait: &mut Wait<'a>, now: Instant) {
        match self {
            Self::Socket { socket, .. } => wait.on.push((socket.as_fd(), PollFlags::POLLIN)),
            Self::Stream { stream, .. } => {
                let (fd, every) = stream.wait();
                wait.on.extend(fd.map(|fd| (fd, PollFlags::POLLIN)));
                wait.until = wait.until.into_iter().chain(every.map(|every| now + every)).min();
            }
        }
    }
}

fn receive(socket: &OwnedFd, udev: bool, message: &mut Vec<u8>) -> io::Result<Next> {
    message.resize(MESSAGE_MAX, 0);
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(message)];
    let received = recvmsg::<NetlinkAddr>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    );
    let (count, is_ours) = match received {
        Ok(received) => {
            let sender = received.address.map(|address| address.pid());
            let user =
                received.cmsgs().ok().into_iter().flatten().find_map(|control| match control {
                    ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.uid()),
                    _ => None,
                });
            // The kernel is number 0; udev is anybody, but root.
            (received.bytes, if udev { user == Some(0) } else { sender == Some(0) })
        }
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Next::Nothing),
        Err(Errno::ENOBUFS) => return Ok(Next::Overflow),
        Err(error) => return Err(error.into()),
    };
    message.truncate(count);
    Ok(if is_ours { Next::Message } else { Next::Stranger })
}

/// Each message after its length, four bytes, the lowest first.
fn next_of_stream(
    stream: &mut Stream,
    bytes: &mut Vec<u8>,
    taken: &mut usize,
    ended: &mut bool,
    message: &mut Vec<u8>,
) -> io::Result<Next> {
    loop {
        let rest = bytes.get(*taken..).unwrap_or_default();
        if let Some((length, rest)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            // What is longer than any message is not cut into messages at all: the rest goes as one.
            let whole = rest.get(..length).filter(|_| length <= MESSAGE_MAX);
            let whole = whole.or((*ended || rest.len() > MESSAGE_MAX).then_some(rest));
            if let Some(whole) = whole {
                message.clear();
                message.extend_from_slice(whole);
                *taken += 4 + whole.len();
                return Ok(Next::Message);
            }
        } else if *ended {
            let rest = rest.to_vec();
            *taken = bytes.len();
            message.clone_from(&rest);
            return Ok(if rest.is_empty() { Next::End } else { Next::Message });
        }
        bytes.drain(..*taken);
        *taken = 0;
        let mut chunk = [0; 16_384];
        match stream.read(&mut chunk)? {
            Got::Bytes(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Got::Nothing => return Ok(Next::Nothing),
            Got::End => *ended = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        let mut uevents = Uevents::open(&path, false).unwrap();
        let (mut all, mut message) = (Vec::new(), Vec::new());
        while uevents.next(&mut message).unwrap() == Next::Message {
            all.push(message.clone());
        }
        assert_eq!(uevents.next(&mut message).unwrap(), Next::End);
        assert!(uevents.keeps());
        all
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&length.to_le_bytes()[..], message].concat()
    }

    #[test]
    fn messages_stand_after_their_length() {
        let long = vec![b'x'; 20_000];
        let file = [framed(b"one"), framed(&long), framed(b"")].concat();
        assert_eq!(messages(&file), [b"one".to_vec(), long, Vec::new()]);
        assert!(messages(b"").is_empty());
    }

    #[test]
    fn what_is_cut_or_no_length_is_one_message() {
        assert_eq!(
            messages(&[framed(b"one"), b"ab".to_vec()].concat()),
            [b"one".to_vec(), b"ab".to_vec()]
        );
        assert_eq!(messages(&framed(b"cut")[..6]), [b"cu".to_vec()]);
        let nonsense = vec![b'z'; 3000];
        assert_eq!(messages(&nonsense), [nonsense[4..].to_vec()]);
    }

    #[test]
    fn the_kernel_is_listened_to_without_privilege() {
        for udev in [false, true] {
            let mut uevents = Uevents::listen(udev).unwrap();
            assert!(!uevents.keeps());
            let mut wait = Wait::default();
            uevents.wait(&mut wait, Instant::now());
            assert_eq!(wait.on.len(), 1);
            // Whatever the machine does just now, it is no failure.
            uevents.next(&mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn a_message_longer_than_any_is_handed_on_in_pieces_of_bounded_length() {
        let length = 4 * MESSAGE_MAX;
        let bytes = [&u32::MAX.to_le_bytes()[..], &vec![b'x'; length]].concat();
        let pieces = messages(&bytes);
        assert!(pieces.len() >= 3, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() <= MESSAGE_MAX + 16_384));
    }
}
