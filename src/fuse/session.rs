//! The session: serving an open FUSE descriptor.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::thread::JoinHandle;

use fuser::{Config, INodeNo, Notifier, Session, SessionACL};

use super::state::Ops;
use crate::janitor::{KernelNotify, OwnerChoice, Shared};
use crate::model::Ino;

/// What the edge decides by itself.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Let only the mounter and root through (`allow_root`).
    pub only_root_and_owner: bool,
    /// Which process owns a queue made by `mkdir`.
    pub owner: OwnerChoice,
    /// Let processes make sticky queues whose process number we cannot see (`orphans=sticky`).
    pub adopt_orphans: bool,
}

struct Kernel {
    notifier: Notifier,
    /// The device once more, for what fuser has no words for.
    device: File,
}

impl KernelNotify for Kernel {
    fn inval_inode(&self, ino: Ino) -> io::Result<()> {
        // Not the pages: the kernel would wait for those that are being read. Contents change through the
        // kernel alone, which knows of it.
        self.notifier.inval_inode(INodeNo(ino.0), -1, 0)
    }

    fn inval_entry(&self, parent: Ino, name: &[u8]) -> io::Result<()> {
        self.notifier.inval_entry(INodeNo(parent.0), OsStr::from_bytes(name))
    }

    fn delete(&self, parent: Ino, child: Ino, name: &[u8]) -> io::Result<()> {
        self.notifier.delete(INodeNo(parent.0), INodeNo(child.0), OsStr::from_bytes(name))
    }

    fn prune(&self, inos: &[Ino]) -> io::Result<()> {
        let message = prune_message(inos);
        // The device takes a message whole or not at all.
        match (&self.device).write(&message) {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error),
        }
    }
}

/// FUSE_NOTIFY_PRUNE of the kernel's `fuse.h`, since Linux 6.18.
const NOTIFY_PRUNE: i32 = 9;

/// The notification in the kernel's form: `fuse_out_header` (length, code, 0), `fuse_notify_prune_out`
/// (count, 0, 0), numbers; all in the machine's byte order.
fn prune_message(inos: &[Ino]) -> Vec<u8> {
    let len = 32 + 8 * inos.len();
    let mut message = Vec::with_capacity(len);
    message.extend_from_slice(&(len as u32).to_ne_bytes());
    message.extend_from_slice(&NOTIFY_PRUNE.to_ne_bytes());
    message.extend_from_slice(&0_u64.to_ne_bytes());
    message.extend_from_slice(&(inos.len() as u32).to_ne_bytes());
    message.extend_from_slice(&[0; 12]);
    for ino in inos {
        message.extend_from_slice(&ino.0.to_ne_bytes());
    }
    message
}

/// A session being served, with the way back to the kernel's caches.
pub struct Serving {
    /// Ends when the last mount of the file system is gone.
    pub thread: JoinHandle<io::Result<()>>,
    /// For the janitor.
    pub notify: Arc<dyn KernelNotify>,
}

/// Greets the kernel on the descriptor of a fresh mount and serves it on a thread of its own.
///
/// # Errors
/// When the kernel is too old or the mount is gone already.
pub fn serve(descriptor: OwnedFd, shared: Arc<Shared>, edge: Edge) -> io::Result<Serving> {
    // The kernel itself keeps strangers out of a mount without allow_other.
    let acl = if edge.only_root_and_owner { SessionACL::RootAndOwner } else { SessionACL::All };
    let mut config = Config::default();
    config.n_threads = Some(1);
    let device = File::from(descriptor.try_clone()?);
    let session = Session::from_fd(Ops::new(shared, edge), descriptor, acl, config)?;
    let notify = Arc::new(Kernel { notifier: session.notifier(), device });
    // One worker, see docs/ARCHITECTURE.md: it makes "published at the last close" exact.
    let thread = std::thread::Builder::new().name("session".into()).spawn(move || session.run())?;
    Ok(Serving { thread, notify })
}
