//! The reference's files: made, written, linked, renamed, removed.

use eventfs::model::{Caller, Cause, HandleId, Ino, Node, Now, Outcome, Overflow, Reason};

use super::reference::{
    File, Gone, Handle, Id, Link, Reference, State, Usage, Xattrs, check_length, is_reserved,
    is_staged, link_room,
};

/// Where a link stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) queue: Id,
    pub(crate) link: Id,
}

impl Reference {
    fn live(&self, queue: Id) -> Outcome<()> {
        if self.queues[queue].alive { Ok(()) } else { Err(Reason::NotFound) }
    }

    fn check_new_name(&self, queue: Id, name: &[u8]) -> Outcome<()> {
        self.live(queue)?;
        check_length(name)?;
        if is_reserved(name) {
            return Err(Reason::NotPermitted);
        }
        if self.queues[queue].find(name).is_some() { Err(Reason::Exists) } else { Ok(()) }
    }

    fn check_per_dir(&self, queue: Id, replaced: usize, who: Caller) -> Outcome<()> {
        let queue = &self.queues[queue];
        let many = queue.links().count() - replaced + 1;
        let fits = many as u64 <= self.per_dir(queue.uid, queue.gid);
        if fits || who.uid == 0 { Ok(()) } else { Err(Reason::OverQuota) }
    }

    fn check_max_events(&self, queue: Id, replaced: usize) -> Outcome<()> {
        let queue = &self.queues[queue];
        let many = (queue.events.len() - replaced + 1) as u64;
        let rejects = queue.overflow == Overflow::Reject && queue.max_events > 0;
        if rejects && many > queue.max_events { Err(Reason::OverQuota) } else { Ok(()) }
    }

    fn new_file(
        &mut self,
        queue: Id,
        name: &[u8],
        mode: u16,
        unfinished: bool,
        who: Caller,
        now: Now,
    ) -> Outcome<Place> {
        self.check_new_name(queue, name)?;
        let setgid = self.queues[queue].mode & 0o2000 != 0;
        let gid = if setgid { self.queues[queue].gid } else { who.gid };
        self.check_space(16 + link_room(name), 1)?;
        self.check_quota(who.uid, gid, Usage { files: 1, ..Usage::default() }, who)?;
        self.check_per_dir(queue, 0, who)?;
        if !is_staged(name) {
            self.check_max_events(queue, 0)?;
        }
        let file = self.new_id();
        self.files.insert(
            file,
            File {
                ino: Ino::ROOT,
                data: Vec::new(),
                mode,
                uid: who.uid,
                gid,
                mtime: now.wall_ns,
                opens: 0,
                spoiled: false,
                fresh: false,
                made: None,
                seq: None,
                xattrs: Xattrs::new(),
            },
        );
        Ok(self.attach(queue, file, name, unfinished, now))
    }

    pub(crate) fn create(
        &mut self,
        queue: Id,
        name: &[u8],
        mode: u16,
        who: Caller,
        now: Now,
    ) -> Outcome<(Id, Id)> {
        let at_create = self.settings.publish_at_create;
        let place = self.new_file(queue, name, mode, !at_create, who, now)?;
        let file = self.link(place).file;
        let this = self.files.get_mut(&file).unwrap();
        this.opens = 1;
        this.fresh = true;
        this.made = Some(place.link);
        let handle = self.new_id();
        let made = Handle { id: HandleId(0), file, maker: true, writes: true };
        self.handles.insert(handle, made);
        Ok((file, handle))
    }

    pub(crate) fn mknod(
        &mut self,
        queue: Id,
        name: &[u8],
        mode: u16,
        who: Caller,
        now: Now,
    ) -> Outcome<Id> {
        let place = self.new_file(queue, name, mode, false, who, now)?;
        Ok(self.link(place).file)
    }

    pub(crate) fn link(&self, place: Place) -> &Link {
        self.queues[place.queue].links().find(|link| link.id == place.link).unwrap()
    }

    /// Gives a file one more name; a plain one is published unless it is unfinished.
    fn attach(&mut self, queue: Id, file: Id, name: &[u8], unfinished: bool, now: Now) -> Place {
        let id = self.new_id();
        let publishes = !is_staged(name) && !unfinished;
        let loose = if is_staged(name) { State::Staged } else { State::Unfinished };
        let link = Link { id, name: name.to_vec(), file, state: loose };
        self.queues[queue].loose.push(link);
        let place = Place { queue, link: id };
        if publishes {
            self.publish(place, now);
        }
        place
    }

    pub(crate) fn publish(&mut self, place: Place, now: Now) {
        while self.queues[place.queue].overflow == Overflow::DropOldest
            && self.queues[place.queue].max_events > 0
            && self.queues[place.queue].events.len() as u64 >= self.queues[place.queue].max_events
        {
            self.remove_oldest(place.queue, Cause::Dropped);
        }
        let queue = &mut self.queues[place.queue];
        let at = queue.loose.iter().position(|link| link.id == place.link).unwrap();
        let mut link = queue.loose.remove(at);
        let seq = queue.next_seq;
        queue.next_seq += 1;
        queue.published += 1;
        link.state = State::Queued { seq, at_ns: now.boot_ns };
        let file = link.file;
        queue.events.push(link);
        self.files.get_mut(&file).unwrap().seq = Some(seq);
    }

    fn withdraw(&mut self, place: Place) {
        let queue = &mut self.queues[place.queue];
        let at = queue.events.iter().position(|link| link.id == place.link).unwrap();
        let mut link = queue.events.remove(at);
        link.state = State::Staged;
        let file = link.file;
        queue.loose.push(link);
        queue.removed += 1;
        if self.nlink(file) == 1 {
            self.files.get_mut(&file).unwrap().seq = None;
        }
    }

    /// Removes the oldest event on the filesystem's own account.
    pub(crate) fn remove_oldest(&mut self, queue: Id, cause: Cause) {
        let link = self.queues[queue].events.remove(0);
        match cause {
            Cause::Dropped => self.queues[queue].dropped += 1,
            _ => self.queues[queue].expired += 1,
        }
        self.report(queue, &link, cause);
        self.forget_unused();
    }

    fn report(&mut self, queue: Id, link: &Link, cause: Cause) {
        let file = self.files[&link.file].ino;
        self.gone.push(Gone { queue, file, name: link.name.clone(), cause });
    }

    fn remove(&mut self, place: Place) {
        let queue = &mut self.queues[place.queue];
        let before = queue.events.len();
        queue.events.retain(|link| link.id != place.link);
        queue.loose.retain(|link| link.id != place.link);
        queue.removed += (before - queue.events.len()) as u64;
        self.forget_unused();
    }

    pub(crate) fn unlink(&mut self, queue: Id, name: &[u8]) -> Outcome<()> {
        self.live(queue)?;
        let found = match name {
            b"head" => self.queues[queue].events.first(),
            b"tail" => self.queues[queue].events.last(),
            name => self.queues[queue].find(name),
        };
        let link = found.ok_or(Reason::NotFound)?.clone();
        if is_reserved(name) && self.settings.report_popped {
            self.report(queue, &link, Cause::Popped);
        }
        self.remove(Place { queue, link: link.id });
        Ok(())
    }

    /// Makes room for `more` bytes in a queue, or refuses.
    pub(crate) fn make_room(
        &mut self,
        queue: Id,
        more: u64,
        whole: u64,
        keep: Option<Id>,
    ) -> Outcome<()> {
        loop {
            let max = self.queues[queue].max_bytes;
            if more == 0 || max == 0 || self.queue_bytes(queue) + more <= max {
                return Ok(());
            }
            if self.queues[queue].overflow == Overflow::Reject || whole > max {
                return Err(Reason::OverQuota);
            }
            match self.queues[queue].events.first() {
                Some(oldest) if Some(oldest.file) != keep => {}
                _ => return Err(Reason::OverQuota),
            }
            self.remove_oldest(queue, Cause::Dropped);
        }
    }

    /// The queues that hold a file and how often, in the order in which the tree asks them.
    fn queues_of(&self, file: Id) -> Vec<(Id, u64)> {
        let count = |queue: Id| self.queues[queue].links().filter(|l| l.file == file).count();
        let mut queues: Vec<(Id, u64)> = (0..self.queues.len())
            .map(|queue| (queue, count(queue) as u64))
            .filter(|(_, count)| *count > 0)
            .collect();
        queues.sort_by_key(|(queue, _)| match self.queues[*queue].ino.node() {
            Node::Queue(key) => key,
            _ => unreachable!("queues have queue numbers"),
        });
        queues
    }

    /// Whether a file may grow; what must give way has given way.
    pub(crate) fn charge(&mut self, file: Id, bytes: u64, room: u64, who: Caller) -> Outcome<()> {
        self.check_space(room, 0)?;
        let (uid, gid) = (self.files[&file].uid, self.files[&file].gid);
        self.check_quota(uid, gid, Usage { bytes, ..Usage::default() }, who)?;
        let total = self.files[&file].bytes() + bytes;
        for (queue, times) in self.queues_of(file) {
            self.make_room(queue, bytes * times, total * times, Some(file))?;
        }
        Ok(())
    }

    fn grow(&mut self, file: Id, end: u64, who: Caller) -> Outcome<()> {
        let more = end.saturating_sub(self.files[&file].data.len() as u64);
        let outcome = match more {
            0 => Ok(()),
            _ if end > self.settings.event_bytes_max => Err(Reason::TooBig),
            more => self.charge(file, more, more, who),
        };
        let this = self.files.get_mut(&file).unwrap();
        if outcome.is_err() {
            this.spoiled = this.fresh;
        }
        outcome
    }

    pub(crate) fn write(
        &mut self,
        handle: Id,
        offset: u64,
        data: &[u8],
        who: Caller,
        now: Now,
    ) -> Outcome<()> {
        let Handle { file, writes, .. } = self.handles[&handle];
        if !writes {
            return Err(Reason::BadHandle);
        }
        if data.is_empty() {
            return Ok(());
        }
        let end = offset + data.len() as u64;
        self.grow(file, end, who)?;
        let this = self.files.get_mut(&file).unwrap();
        let len = this.data.len().max(end as usize);
        this.data.resize(len, 0);
        this.data[offset as usize..end as usize].copy_from_slice(data);
        this.mtime = now.wall_ns;
        Ok(())
    }

    pub(crate) fn resize(&mut self, file: Id, len: u64, who: Caller, now: Now) -> Outcome<()> {
        self.grow(file, len, who)?;
        let this = self.files.get_mut(&file).unwrap();
        this.data.resize(len as usize, 0);
        this.mtime = now.wall_ns;
        Ok(())
    }

    pub(crate) fn allocate(&mut self, handle: Id, end: u64, who: Caller, now: Now) -> Outcome<()> {
        let Handle { file, writes, .. } = self.handles[&handle];
        if !writes {
            return Err(Reason::BadHandle);
        }
        let grows = end > self.files[&file].data.len() as u64;
        if grows { self.resize(file, end, who, now) } else { Ok(()) }
    }

    pub(crate) fn open(
        &mut self,
        file: Id,
        truncates: bool,
        writes: bool,
        now: Now,
    ) -> Outcome<Id> {
        if truncates {
            self.resize(file, 0, Caller::ROOT, now)?;
        }
        self.files.get_mut(&file).unwrap().opens += 1;
        let handle = self.new_id();
        self.handles.insert(handle, Handle { id: HandleId(0), file, maker: false, writes });
        Ok(handle)
    }

    pub(crate) fn release(&mut self, handle: Id, now: Now) {
        let Handle { file, maker, .. } = self.handles.remove(&handle).unwrap();
        let this = self.files.get_mut(&file).unwrap();
        this.opens -= 1;
        if maker {
            this.fresh = false;
            let (spoiled, made) = (std::mem::take(&mut this.spoiled), this.made.take());
            self.finish(made.unwrap(), spoiled, now);
        }
        self.forget_unused();
    }

    fn finish(&mut self, made: Id, spoiled: bool, now: Now) {
        let holds = |queue: &Id| self.queues[*queue].links().any(|link| link.id == made);
        let Some(queue) = (0..self.queues.len()).find(holds) else { return };
        let place = Place { queue, link: made };
        let link = self.link(place).clone();
        if spoiled {
            self.report(queue, &link, Cause::Spoiled);
            self.remove(place);
        } else if link.state == State::Unfinished {
            self.publish(place, now);
        }
    }

    pub(crate) fn link_file(
        &mut self,
        file: Id,
        queue: Id,
        name: &[u8],
        who: Caller,
        now: Now,
    ) -> Outcome<()> {
        self.check_new_name(queue, name)?;
        if self.nlink(file) == 0 {
            return Err(Reason::NotFound);
        }
        self.check_space(link_room(name), 1)?;
        self.check_per_dir(queue, 0, who)?;
        if !is_staged(name) {
            self.check_max_events(queue, 0)?;
        }
        let bytes = self.files[&file].bytes();
        self.make_room(queue, bytes, bytes, Some(file))?;
        self.attach(queue, file, name, false, now);
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        from: (Id, &[u8]),
        to: (Id, &[u8]),
        no_replace: bool,
        who: Caller,
        now: Now,
    ) -> Outcome<()> {
        check_length(to.1)?;
        self.live(from.0)?;
        self.live(to.0)?;
        if is_reserved(from.1) || is_reserved(to.1) {
            return Err(Reason::NotPermitted);
        }
        let link = self.queues[from.0].find(from.1).ok_or(Reason::NotFound)?.clone();
        let replaced = self.queues[to.0].find(to.1).cloned();
        match &replaced {
            Some(_) if no_replace => return Err(Reason::Exists),
            Some(other) if other.file == link.file => return Ok(()),
            Some(_) => {}
            None => self.check_space(to.1.len().saturating_sub(from.1.len()) as u64, 0)?,
        }
        if from.0 == to.0 {
            self.rename_within(from.0, &link, to.1, replaced, now)
        } else {
            self.move_across(from.0, &link, to, replaced, who, now)
        }
    }

    fn rename_within(
        &mut self,
        queue: Id,
        link: &Link,
        name: &[u8],
        replaced: Option<Link>,
        now: Now,
    ) -> Outcome<()> {
        let place = Place { queue, link: link.id };
        let publishes = link.state == State::Staged && !is_staged(name);
        if publishes {
            let freed = replaced.iter().filter(|other| other.state.is_queued()).count();
            self.check_max_events(queue, freed)?;
        }
        if let Some(other) = replaced {
            self.remove(Place { queue, link: other.id });
        }
        let lists = &mut self.queues[queue];
        let this = lists.events.iter_mut().chain(&mut lists.loose).find(|l| l.id == link.id);
        let this = this.unwrap();
        this.name = name.to_vec();
        if this.state == State::Unfinished && is_staged(name) {
            this.state = State::Staged;
        }
        if publishes {
            self.publish(place, now);
        } else if link.state.is_queued() && is_staged(name) {
            self.withdraw(place);
        }
        Ok(())
    }

    fn move_across(
        &mut self,
        source: Id,
        link: &Link,
        to: (Id, &[u8]),
        replaced: Option<Link>,
        who: Caller,
        now: Now,
    ) -> Outcome<()> {
        let freed = replaced.iter().filter(|other| other.state.is_queued()).count();
        if !is_staged(to.1) {
            self.check_max_events(to.0, freed)?;
        }
        self.check_per_dir(to.0, replaced.iter().count(), who)?;
        let bytes = self.files[&link.file].bytes();
        let freed = replaced.iter().map(|other| self.files[&other.file].bytes()).sum();
        self.make_room(to.0, bytes.saturating_sub(freed), bytes, Some(link.file))?;
        match self.queues[to.0].find(to.1) {
            Some(other) => self.remove(Place { queue: to.0, link: other.id }),
            // The one to be replaced was dropped and frees nothing any more.
            None => self.make_room(to.0, bytes, bytes, Some(link.file))?,
        }
        let unfinished = link.state == State::Unfinished;
        let place = self.attach(to.0, link.file, to.1, unfinished, now);
        let made = self.files.get_mut(&link.file).unwrap();
        if made.made == Some(link.id) {
            made.made = Some(place.link);
        }
        self.remove(Place { queue: source, link: link.id });
        if self.nlink(link.file) == 1 && !self.link(place).state.is_queued() {
            self.files.get_mut(&link.file).unwrap().seq = None;
        }
        Ok(())
    }
}
