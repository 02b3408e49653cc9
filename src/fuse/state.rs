//! What the handlers share.

use std::sync::Arc;

use fuser::{FileHandle, FopenFlags, INodeNo, ReplyOpen};

use super::consume::Consumers;
use super::convert::ino;
use super::errno::errno;
use super::session::Edge;
use crate::janitor::{After, Shared};
use crate::model::{Node, Now, Outcome, Reason, Tree};

/// The file system as `fuser` sees it.
pub(super) struct Ops {
    pub(super) shared: Arc<Shared>,
    pub(super) edge: Edge,
    pub(super) consumers: Consumers,
    /// Whether numbers in `/proc` mean the processes that call us.
    pub(super) proc_is_ours: bool,
}

impl Ops {
    pub(super) fn new(shared: Arc<Shared>, edge: Edge) -> Self {
        let proc_is_ours = crate::sys::process::proc_is_ours();
        if !proc_is_ours {
            log::warn!("/proc shows another process namespace: no queue can have an owner");
        }
        Self { shared, edge, consumers: Consumers::default(), proc_is_ours }
    }

    /// Performs an operation, again and again while it says that it did one step of several.
    pub(super) fn with<R>(
        &self,
        mut operation: impl FnMut(&mut Tree, Now) -> Outcome<R>,
    ) -> (Outcome<R>, After<'_>) {
        loop {
            match self.shared.with(&mut operation) {
                (Err(Reason::Again), after) => drop(after),
                other => return other,
            }
        }
    }

    /// Opens a directory, or a queue through its door.
    pub(super) fn open_queue(&self, number: INodeNo, flags: FopenFlags, reply: ReplyOpen) {
        let (opened, _after) = self.with(|tree, _| tree.opendir(ino(number)));
        match opened {
            Ok(id) => reply.opened(FileHandle(id.0), flags),
            Err(reason) => reply.error(errno(reason)),
        }
    }
}

/// Whether a number is that of a queue's door.
pub(super) fn is_door(number: INodeNo) -> bool {
    matches!(ino(number).node(), Node::Door(_))
}
