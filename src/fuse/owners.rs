//! What an operation needs beside the tree: owners of queues, and the herald's ghosts.

use fuser::{Errno, ReplyEmpty, Request};

use super::convert::caller;
use super::state::Ops;
use crate::janitor::{self, After, Removal};
use crate::model::xattr::{OwnerWord, owner_word};
use crate::model::{Attr, Fate, Ino, Outcome, OwnerId, Reason, XattrFlags};

impl Ops {
    pub(super) fn is_herald(&self, request: &Request) -> bool {
        self.shared.herald().is_herald(request.pid())
    }

    /// Answers the herald's removal of what it shows to be gone; touches nothing.
    pub(super) fn remove_ghost(&self, parent: Ino, name: &[u8], reply: ReplyEmpty) {
        match self.shared.remove_ghost(parent, name) {
            Removal::Done => reply.ok(),
            Removal::Forgotten => reply.error(Errno::EINTR),
            Removal::Absent => reply.error(Errno::ENOENT),
        }
    }

    /// Takes hold of the process that a new queue will belong to; `None` for a sticky one.
    pub(super) fn owner_for(&self, request: &Request) -> Outcome<Option<OwnerId>> {
        if request.pid() == 0 || !self.proc_is_ours {
            return if self.edge.adopt_orphans { Ok(None) } else { Err(Reason::NotPermitted) };
        }
        let owners = self.shared.owners();
        janitor::owner_by_rule(owners, self.edge.owner, request.pid(), request.uid()).map(Some)
    }

    pub(super) fn make_queue(
        &self,
        request: &Request,
        parent: Ino,
        name: &[u8],
        mode: u16,
    ) -> Outcome<(Attr, After<'_>)> {
        let caller = caller(request);
        // Only the root takes queues: no need to look for a process elsewhere.
        let owner = if parent == Ino::ROOT { self.owner_for(request)? } else { None };
        let (made, after) =
            self.with(|tree, now| tree.mkdir(parent, name, mode, owner, caller, now));
        if let Some(owner) = owner {
            self.shared.settle(owner, made.is_ok());
        }
        made.map(|attr| (attr, after))
    }

    /// `user.eventfs_owner` as the caller is to see it.
    pub(super) fn owner_seen(&self, request: &Request, ino: Ino) -> Outcome<Vec<u8>> {
        let fate = self.with(|tree, _| tree.fate(ino)).0?;
        let pid = match (fate, fate.owner()) {
            (Fate::Sticky { .. }, None) => return Err(Reason::NoAttribute),
            (_, owner) => owner.and_then(|owner| self.shared.owners().pid(owner)),
        };
        let seen = pid
            .filter(|_| request.pid() != 0)
            .map_or(0, |pid| janitor::seen_pid(pid, request.pid()));
        Ok(seen.to_string().into_bytes())
    }

    pub(super) fn set_owner(
        &self,
        request: &Request,
        ino: Ino,
        value: &[u8],
        flags: XattrFlags,
    ) -> Outcome<()> {
        let caller = caller(request);
        let (fate, uid) = self
            .with(|tree, _| {
                tree.may_control(ino, caller)?;
                Ok((tree.fate(ino)?, tree.getattr(ino)?.uid))
            })
            .0?;
        let exists = !fate.is_sticky() || fate.owner().is_some();
        match flags {
            XattrFlags { create: true, .. } if exists => return Err(Reason::Exists),
            XattrFlags { replace: true, .. } if !exists => return Err(Reason::NoAttribute),
            _ => {}
        }
        let word: OwnerWord = owner_word(value)?;
        if request.pid() == 0 || !self.proc_is_ours {
            return Err(Reason::NoProcess);
        }
        let owners = self.shared.owners();
        let owner = janitor::owner_by_word(owners, word, request.pid(), caller, uid)?;
        let (set, _after) = self.with(|tree, _| tree.set_owner(ino, owner, caller));
        self.shared.settle(owner, set.is_ok());
        set
    }
}
