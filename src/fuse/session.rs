//! The session: serving an open FUSE descriptor.

use std::ffi::OsStr;
use std::io;
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

struct Kernel(Notifier);

impl KernelNotify for Kernel {
    fn inval_inode(&self, ino: Ino) -> io::Result<()> {
        self.0.inval_inode(INodeNo(ino.0), 0, 0)
    }

    fn inval_entry(&self, parent: Ino, name: &[u8]) -> io::Result<()> {
        self.0.inval_entry(INodeNo(parent.0), OsStr::from_bytes(name))
    }

    fn delete(&self, parent: Ino, child: Ino, name: &[u8]) -> io::Result<()> {
        self.0.delete(INodeNo(parent.0), INodeNo(child.0), OsStr::from_bytes(name))
    }
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
    let session = Session::from_fd(Ops::new(shared, edge), descriptor, acl, config)?;
    let notify = Arc::new(Kernel(session.notifier()));
    // One worker, see docs/ARCHITECTURE.md: it makes "published at the last close" exact.
    let thread = std::thread::Builder::new().name("session".into()).spawn(move || session.run())?;
    Ok(Serving { thread, notify })
}
