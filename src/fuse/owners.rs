//! What an operation needs beside the tree: owners of queues, and the herald's ghosts.

use fuser::{Errno, ReplyEmpty, Request};

use super::convert::caller;
use super::state::Ops;
use crate::janitor::{self, After, Ghost};
use crate::model::xattr::{OwnerWord, owner_word};
use crate::model::{Attr, Fate, Ino, Kind, Node, Outcome, OwnerId, Reason, XattrFlags};

impl Ops {
    pub(super) fn is_herald(&self, request: &Request) -> bool {
        self.shared.herald().is_herald(request.pid())
    }

    /// The ghost that the herald is about to remove under this name.
    pub(super) fn ghost(&self, parent: Ino, name: &[u8]) -> Option<Ghost> {
        self.shared.herald().ghost().filter(|ghost| ghost.parent == parent && *ghost.name == *name)
    }

    /// Shows the herald what it is to remove.
    pub(super) fn lookup_ghost(&self, ghost: &Ghost) -> Outcome<Attr> {
        let ghost_ino = ghost.ino;
        let (found, _after) = self.with(|tree, _| {
            if ghost.parent == Ino::ROOT {
                return tree.remember(ghost_ino);
            }
            let known = tree.getattr(ghost_ino);
            if !matches!(ghost_ino.node(), Node::File(_)) {
                return known;
            }
            // A file that lives on elsewhere or is still open keeps its true attributes.
            Ok(known.unwrap_or(Attr {
                ino: ghost_ino,
                kind: Kind::File,
                mode: 0o600,
                uid: 0,
                gid: 0,
                size: 0,
                nlink: 1,
                atime: 0,
                mtime: 0,
                ctime: 0,
            }))
        });
        found
    }

    /// Answers the herald's removal, if it is of what was meant, with success or with what makes the kernel
    /// forget the name in silence; touches nothing.
    pub(super) fn remove_ghost(&self, parent: Ino, name: &[u8], reply: ReplyEmpty) {
        let taken =
            parent == Ino::ROOT && self.with(|tree, _| Ok(tree.has_queue(name))).0 == Ok(true);
        match self.ghost(parent, name) {
            Some(ghost) if !taken && ghost.told => reply.ok(),
            Some(_) if !taken => reply.error(Errno::EINTR),
            _ => reply.error(Errno::ENOENT),
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
        match (owner, made.is_ok()) {
            (Some(owner), true) => self.shared.watch(owner),
            (Some(owner), false) => self.shared.owners().release(owner),
            (None, _) => {}
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
        match set {
            Ok(()) => self.shared.watch(owner),
            Err(_) => owners.release(owner),
        }
        set
    }
}
