//! What the threads that listen hand to the one that writes.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Most messages that wait here; then the sockets are not read, and the kernel's buffers fill.
const ITEMS_MAX: usize = 200_000;

/// Most bytes of them.
const BYTES_MAX: usize = 64 << 20;

/// A message as it came in.
#[derive(Debug)]
pub(super) struct Message {
    /// Its bytes, without what separates it from others.
    pub(super) bytes: Vec<u8>,
    /// When, nanoseconds since 1970.
    pub(super) nanos: u64,
}

/// Something for the thread that writes.
#[derive(Debug)]
pub(super) enum Item {
    /// A local message.
    Message(Message),
    /// Datagrams that the kernel dropped at a socket since it was asked last.
    Dropped { address: String, count: u64 },
    /// From the web server.
    #[cfg(feature = "web")]
    Web(super::web::Request),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.bytes.len() + size_of::<Self>(),
            #[cfg(feature = "web")]
            Self::Web(super::web::Request::Event { body, .. }) => body.len() + size_of::<Self>(),
            _ => size_of::<Self>(),
        }
    }
}

#[derive(Debug, Default)]
struct Items {
    waiting: VecDeque<Item>,
    bytes: usize,
}

/// The queue between the threads.
#[derive(Debug)]
pub(super) struct Inbox {
    items: Mutex<Items>,
    /// Told when there is room again.
    room: Condvar,
    /// Readable while something waits.
    wake: EventFd,
    closed: AtomicBool,
}

impl Inbox {
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_value_and_flags(0, flags)?;
        Ok(Self {
            items: Mutex::default(),
            room: Condvar::new(),
            wake,
            closed: AtomicBool::new(false),
        })
    }

    /// Puts something in, waiting for room as long as the inbox is open. What comes after is dropped only
    /// by the kernel, which counts.
    pub(super) fn put(&self, item: Item) {
        let mut items = self.items.lock();
        while items.waiting.len() >= ITEMS_MAX || items.bytes >= BYTES_MAX {
            if self.closed.load(Ordering::Acquire) {
                break;
            }
            self.room.wait(&mut items);
        }
        self.push(items, item);
    }

    fn push(&self, mut items: MutexGuard<'_, Items>, item: Item) {
        let was_empty = items.waiting.is_empty();
        items.bytes += item.bytes();
        items.waiting.push_back(item);
        drop(items);
        if was_empty {
            // It can only say that the counter is at its end, and then it is readable anyway.
            let _ = self.wake.write(1);
        }
    }

    /// Puts something in if there is room; for threads that must not wait.
    #[cfg(feature = "web")]
    pub(super) fn try_put(&self, item: Item) -> bool {
        let items = self.items.lock();
        let room = items.waiting.len() < ITEMS_MAX && items.bytes < BYTES_MAX;
        if room {
            self.push(items, item);
        }
        room
    }

    /// Takes up to `count` of what waits, the oldest first, and says whether more is left.
    pub(super) fn take(&self, count: usize, into: &mut Vec<Item>) -> bool {
        let mut items = self.items.lock();
        let count = count.min(items.waiting.len());
        into.extend(items.waiting.drain(..count));
        let taken: usize = into.iter().rev().take(count).map(Item::bytes).sum();
        items.bytes -= taken;
        let more = !items.waiting.is_empty();
        if !more {
            let _ = self.wake.read();
        }
        drop(items);
        self.room.notify_all();
        more
    }

    /// From here on nobody waits for room: the end is near, and all that is left is taken.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _items = self.items.lock();
        self.room.notify_all();
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn message(length: usize) -> Item {
        Item::Message(Message { bytes: vec![0; length], nanos: 0 })
    }

    fn is_readable(inbox: &Inbox) -> bool {
        let mut fds = [PollFd::new(inbox.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn it_is_readable_while_something_waits() {
        let inbox = Inbox::new().unwrap();
        assert!(!is_readable(&inbox));
        inbox.put(message(1));
        inbox.put(message(2));
        assert!(is_readable(&inbox));
        let mut taken = Vec::new();
        assert!(inbox.take(1, &mut taken));
        assert!(is_readable(&inbox));
        assert!(!inbox.take(5, &mut taken));
        assert!(!is_readable(&inbox));
        assert_eq!((taken.len(), inbox.items.lock().bytes), (2, 0));
    }

    #[test]
    fn who_puts_too_much_waits_until_there_is_room() {
        let inbox = Inbox::new().unwrap();
        std::thread::scope(|scope| {
            let putting = scope.spawn(|| (0..3).for_each(|_| inbox.put(message(BYTES_MAX / 2))));
            let mut taken = Vec::new();
            while taken.len() < 3 {
                inbox.take(1, &mut taken);
            }
            putting.join().unwrap();
            // Nobody waits for what is closed.
            inbox.close();
            (0..4).for_each(|_| inbox.put(message(BYTES_MAX / 2)));
        });
        assert_eq!(inbox.items.lock().waiting.len(), 4);
    }
}
