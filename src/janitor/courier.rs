//! The thread that writes notifications to the FUSE device, because the herald must not hold it.
//!
//! If the process is killed while the herald waits in the kernel for an answer of our session, only
//! the closing of the device frees it; so its descriptor table is without the device, see
//! [`crate::sys::background::leave_descriptors`].

use std::io;
use std::sync::Arc;

use super::herald::KernelNotify;
use super::sync::{Receiver, Sender, SyncSender, channel, sync_channel, thread};
use crate::model::Ino;

enum What {
    Inode(Ino),
    Entry(Ino, Box<[u8]>),
    Deleted(Ino, Ino, Box<[u8]>),
    Unused(Box<[Ino]>),
}

struct Order {
    what: What,
    done: SyncSender<io::Result<()>>,
}

/// Hands notifications to the courier and waits until they are delivered.
pub(super) struct Courier(Sender<Order>);

impl Courier {
    /// Starts the thread. It runs until the process ends.
    pub(super) fn start(notify: Arc<dyn KernelNotify>) -> io::Result<Self> {
        let (orders, inbox) = channel();
        thread::Builder::new().name("courier".into()).spawn(move || deliver(&inbox, &*notify))?;
        Ok(Self(orders))
    }

    fn order(&self, what: What) -> io::Result<()> {
        let gone = || io::Error::other("the courier is gone");
        let (done, answer) = sync_channel(1);
        self.0.send(Order { what, done }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

fn deliver(inbox: &Receiver<Order>, notify: &dyn KernelNotify) {
    for Order { what, done } in inbox {
        let outcome = match what {
            What::Inode(ino) => notify.inval_inode(ino),
            What::Entry(parent, name) => notify.inval_entry(parent, &name),
            What::Deleted(parent, child, name) => notify.delete(parent, child, &name),
            What::Unused(inos) => notify.prune(&inos),
        };
        // The herald waits, unless it panicked.
        let _ = done.send(outcome);
    }
}

impl KernelNotify for Courier {
    fn inval_inode(&self, ino: Ino) -> io::Result<()> {
        self.order(What::Inode(ino))
    }

    fn inval_entry(&self, parent: Ino, name: &[u8]) -> io::Result<()> {
        self.order(What::Entry(parent, name.into()))
    }

    fn delete(&self, parent: Ino, child: Ino, name: &[u8]) -> io::Result<()> {
        self.order(What::Deleted(parent, child, name.into()))
    }

    fn prune(&self, inos: &[Ino]) -> io::Result<()> {
        self.order(What::Unused(inos.into()))
    }
}
