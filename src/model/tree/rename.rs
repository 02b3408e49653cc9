//! Renaming: inside a queue, between queues, and of queues.

use super::space::entry_room;
use super::{Tree, check_length, is_reserved_name, is_staged_name};
use crate::model::caller::{Caller, Now};
use crate::model::change::Change;
use crate::model::error::{Outcome, Reason};
use crate::model::inode::{Ino, Node};
use crate::model::queue::State;
use crate::model::slab::Key;

impl Tree {
    /// Renames an event, a staged file or a queue.
    ///
    /// # Errors
    /// `NotPermitted` from or to `head` and `tail` and between root and queue, `NotFound`, `Exists`
    /// with `no_replace`, `NotEmpty`, `NameTooLong`, `NoSpace`, `OverQuota`; `Again`: call again.
    pub fn rename(
        &mut self,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        no_replace: bool,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        check_length(to.1)?;
        match (from.0.node(), to.0.node()) {
            (Node::Root, Node::Root) => self.rename_queue(from.1, to.1, no_replace, now),
            (Node::Root, _) | (_, Node::Root) => Err(Reason::NotPermitted),
            _ => self.rename_file(from, to, no_replace, caller, now),
        }
    }

    fn rename_queue(&mut self, from: &[u8], to: &[u8], no_replace: bool, now: Now) -> Outcome<()> {
        let key = self.queue_names.get(from).copied().ok_or(Reason::NotFound)?;
        match self.queue_names.get(to).copied() {
            Some(_) if no_replace => return Err(Reason::Exists),
            Some(other) if other == key => return Ok(()),
            Some(other) if self.queue(other).entries() > 0 => return Err(Reason::NotEmpty),
            Some(other) => self.end_queue(other, now),
            None => {}
        }
        self.queue_names.remove(from);
        self.queue_names.insert(to.into(), key);
        let queue = self.queue_mut(key);
        queue.name = to.into();
        queue.ctime = now.wall_ns;
        self.touch_root(now);
        self.changes.push(Change::Attributes(Node::Queue(key).into()));
        Ok(())
    }

    fn rename_file(
        &mut self,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        no_replace: bool,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        let (source, target) = (self.live_queue(from.0)?, self.live_queue(to.0)?);
        if is_reserved_name(from.1) || is_reserved_name(to.1) {
            return Err(Reason::NotPermitted);
        }
        let slot = self.find(source, from.1).ok_or(Reason::NotFound)?;
        let replaced = self.find(target, to.1);
        if replaced.is_none() && self.find_any(target, to.1).is_some() {
            return Err(Reason::Exists);
        }
        if replaced.is_some() && no_replace {
            return Err(Reason::Exists);
        }
        if replaced.is_some_and(|other| self.entry(other).file == self.entry(slot).file) {
            return Ok(());
        }
        let state = match (self.entry(slot).state(), is_staged_name(to.1)) {
            (_, true) => State::Staged,
            (State::Unfinished, false) => State::Unfinished,
            _ => State::Queued,
        };
        self.check_name_room(from.1, to.1, replaced)?;
        let ino = Ino::from(Node::File(self.file_of(slot)));
        if source == target {
            self.rename_within(target, slot, to.1, replaced, state, now)?;
        } else {
            self.move_across(target, slot, to.1, replaced, state, caller, now)?;
        }
        if let Node::File(file) = ino.node() {
            self.file_mut(file).extra().ctime = now.wall_ns;
        }
        self.changes.push(Change::Attributes(ino));
        Ok(())
    }

    /// A longer name needs room too.
    fn check_name_room(&self, from: &[u8], to: &[u8], replaced: Option<u32>) -> Outcome<()> {
        if replaced.is_some() || to.len() <= from.len() {
            return Ok(());
        }
        self.check_space((to.len() - from.len()) as u64, 0)
    }

    fn rename_within(
        &mut self,
        queue: Key,
        slot: u32,
        name: &[u8],
        replaced: Option<u32>,
        state: State,
        now: Now,
    ) -> Outcome<()> {
        let was = self.entry(slot).state();
        let publishes = state == State::Queued && was != State::Queued;
        if publishes {
            self.check_event_fits(queue, self.queued(replaced))?;
        }
        if let Some(other) = replaced {
            self.remove_entry(other, now);
        }
        let slot = self.change_name(slot, name);
        if publishes {
            self.publish(slot, now);
        } else if state == State::Staged && was == State::Queued {
            self.withdraw(slot);
        } else if state == State::Staged && was == State::Unfinished {
            self.entry_mut(slot).set_state(State::Staged);
        }
        self.touch_queue(queue, now);
        Ok(())
    }

    /// 1 for an entry that is an event, else 0.
    fn queued(&self, entry: Option<u32>) -> u64 {
        u64::from(entry.is_some_and(|slot| self.entry(slot).state() == State::Queued))
    }

    #[expect(clippy::too_many_arguments, reason = "all of them decide what a move does")]
    fn move_across(
        &mut self,
        target: Key,
        slot: u32,
        name: &[u8],
        replaced: Option<u32>,
        state: State,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        let file = self.file_of(slot);
        if state != State::Staged {
            self.check_event_fits(target, self.queued(replaced))?;
        }
        self.check_entry_fits(target, u64::from(replaced.is_some()), false, caller)?;
        let (bytes, freed) = (self.file(file).bytes(), self.bytes_of(replaced));
        self.make_room_for_bytes(target, bytes.saturating_sub(freed), bytes, Some(file), now)?;
        match self.find(target, name) {
            Some(other) => self.remove_entry(other, now),
            // The one to be replaced was dropped to make room and frees nothing any more.
            None => self.make_room_for_bytes(target, bytes, bytes, Some(file), now)?,
        }
        let new = self.attach(target, file, name, state, now);
        self.hand_over(file, slot, new);
        self.remove_entry(slot, now);
        let this = self.file_mut(file);
        if this.nlink == 1 {
            this.extra().last_seq = None;
        }
        Ok(())
    }

    fn bytes_of(&self, entry: Option<u32>) -> u64 {
        entry.map_or(0, |slot| self.file(self.file_of(slot)).bytes())
    }

    /// Gives an entry another name in its queue and place.
    fn change_name(&mut self, slot: u32, name: &[u8]) -> u32 {
        let old = entry_room(self.entry(slot).name.as_bytes());
        self.set_entry_name(slot, name);
        self.space.bytes = self.space.bytes - old + entry_room(name);
        slot
    }
}
