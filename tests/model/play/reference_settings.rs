//! The reference's attributes, owners and deadlines.

use eventfs::model::limits::SECOND_NS;
use eventfs::model::{
    Caller, Cause, Fate, Now, Outcome, Overflow, OwnerId, Reason, SetAttr, XattrFlags,
};

use super::ops::Setting;
use super::reference::{Id, Reference, Usage, Xattrs, value_bytes, xattr_room};

impl Reference {
    pub(crate) fn set_file_attr(
        &mut self,
        file: Id,
        set: SetAttr,
        who: Caller,
        now: Now,
    ) -> Outcome<()> {
        let this = &self.files[&file];
        let (uid, gid) = (set.uid.unwrap_or(this.uid), set.gid.unwrap_or(this.gid));
        let charge = Usage { files: 1, bytes: this.bytes(), dirs: 0 };
        let fits = (uid == this.uid || self.admits_user(uid, charge))
            && (gid == this.gid || self.admits_group(gid, charge));
        if !fits {
            return Err(Reason::OverQuota);
        }
        let this = self.files.get_mut(&file).unwrap();
        (this.uid, this.gid) = (uid, gid);
        if let Some(len) = set.size {
            self.resize(file, len, who, now)?;
        }
        let this = self.files.get_mut(&file).unwrap();
        this.mode = set.mode.unwrap_or(this.mode);
        Ok(())
    }

    pub(crate) fn chown_queue(&mut self, queue: Id, uid: u32, gid: u32) -> Outcome<()> {
        let this = &self.queues[queue];
        if !this.is_known() {
            return Err(Reason::NotFound);
        }
        if this.alive && (uid, gid) != (this.uid, this.gid) {
            let charge = Usage { dirs: 1, files: 0, bytes: value_bytes(&this.xattrs) };
            let fits = (uid == this.uid || self.admits_user(uid, charge))
                && (gid == this.gid || self.admits_group(gid, charge))
                && this.links().count() as u64 <= self.per_dir(uid, gid);
            if !fits {
                return Err(Reason::OverQuota);
            }
        }
        let this = &mut self.queues[queue];
        (this.uid, this.gid) = (uid, gid);
        Ok(())
    }

    fn may_control(&self, queue: Id, who: Caller) -> Outcome<()> {
        let this = &self.queues[queue];
        if !this.is_known() {
            return Err(Reason::NotFound);
        }
        if who.uid != 0 && who.uid != this.uid {
            return Err(Reason::NotPermitted);
        }
        if this.alive { Ok(()) } else { Err(Reason::NotFound) }
    }

    pub(crate) fn set_control(
        &mut self,
        queue: Id,
        what: Setting,
        value: u8,
        who: Caller,
    ) -> Outcome<()> {
        self.may_control(queue, who)?;
        let this = &mut self.queues[queue];
        match what {
            Setting::Sticky => this.fate = Fate::Sticky { last: this.fate.owner() },
            Setting::MaxEvents => this.max_events = value.into(),
            Setting::MaxBytes => this.max_bytes = value.into(),
            Setting::Ttl => this.ttl_seconds = value.into(),
            Setting::Overflow if value.is_multiple_of(2) => this.overflow = Overflow::Reject,
            Setting::Overflow => this.overflow = Overflow::DropOldest,
            Setting::Depth => return Err(Reason::NotPermitted),
            Setting::Unknown => return Err(Reason::Invalid),
        }
        Ok(())
    }

    pub(crate) fn reset_control(
        &mut self,
        queue: Id,
        what: Setting,
        who: Caller,
        now: Now,
    ) -> Outcome<()> {
        if what == Setting::Unknown {
            return Err(Reason::NoAttribute);
        }
        self.may_control(queue, who)?;
        let until_ns = now.boot_ns + self.settings.grace_ns;
        let this = &mut self.queues[queue];
        match what {
            Setting::Sticky => {
                let Fate::Sticky { last } = this.fate else { return Err(Reason::NoAttribute) };
                this.fate = last
                    .map_or(Fate::Orphan { until_ns }, |owner| Fate::Owned { owner, named: true });
            }
            Setting::MaxEvents => this.max_events = 0,
            Setting::MaxBytes => this.max_bytes = 0,
            Setting::Ttl => this.ttl_seconds = 0,
            Setting::Overflow => this.overflow = Overflow::Reject,
            Setting::Depth | Setting::Unknown => return Err(Reason::NotPermitted),
        }
        Ok(())
    }

    pub(crate) fn set_owner(&mut self, queue: Id, owner: OwnerId, who: Caller) -> Outcome<()> {
        self.may_control(queue, who)?;
        let this = &mut self.queues[queue];
        this.fate = match this.fate {
            Fate::Sticky { .. } => Fate::Sticky { last: Some(owner) },
            _ => Fate::Owned { owner, named: true },
        };
        Ok(())
    }

    pub(crate) fn set_file_xattr(
        &mut self,
        file: Id,
        (name, value): (&[u8], &[u8]),
        flags: XattrFlags,
        who: Caller,
    ) -> Outcome<()> {
        let (bytes, room) = grows(&self.files[&file].xattrs, name, value, flags)?;
        self.charge(file, bytes, room, who)?;
        self.files.get_mut(&file).unwrap().xattrs.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    pub(crate) fn set_queue_xattr(
        &mut self,
        queue: Id,
        (name, value): (&[u8], &[u8]),
        flags: XattrFlags,
        who: Caller,
    ) -> Outcome<()> {
        let this = &self.queues[queue];
        if !this.alive {
            return Err(Reason::NotFound);
        }
        let (bytes, room) = grows(&this.xattrs, name, value, flags)?;
        let (uid, gid) = (this.uid, this.gid);
        self.check_space(room, 0)?;
        self.check_quota(uid, gid, Usage { bytes, ..Usage::default() }, who)?;
        self.make_room(queue, bytes, value.len() as u64, None)?;
        self.queues[queue].xattrs.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    pub(crate) fn owner_died(&mut self, owner: OwnerId, now: Now) {
        for queue in 0..self.queues.len() {
            let this = &mut self.queues[queue];
            if !this.alive || this.fate.owner() != Some(owner) {
                continue;
            }
            let until_ns = this.born_ns + self.settings.grace_ns;
            match this.fate {
                Fate::Owned { named: false, .. } if now.boot_ns < until_ns => {
                    this.fate = Fate::Orphan { until_ns };
                }
                Fate::Sticky { .. } => this.fate = Fate::Sticky { last: None },
                _ => self.end_by_itself(queue),
            }
        }
    }

    fn end_by_itself(&mut self, queue: Id) {
        self.end_queue(queue);
        self.ended.push(queue);
    }

    /// When the oldest event of a queue is due.
    fn due(&self, queue: Id) -> Option<i64> {
        let queue = &self.queues[queue];
        let super::reference::State::Queued { at_ns, .. } = queue.events.first()?.state else {
            return None;
        };
        (queue.ttl_seconds > 0).then(|| at_ns + queue.ttl_seconds as i64 * SECOND_NS)
    }

    /// The next moment at which something is to be done.
    pub(crate) fn next_due(&self) -> Option<i64> {
        let graces = self.live_queues().filter_map(|queue| match queue.fate {
            Fate::Orphan { until_ns } => Some(until_ns),
            _ => None,
        });
        graces.chain((0..self.queues.len()).filter_map(|queue| self.due(queue))).min()
    }

    pub(crate) fn tick(&mut self, now: Now) {
        for queue in 0..self.queues.len() {
            if let Fate::Orphan { until_ns } = self.queues[queue].fate
                && until_ns <= now.boot_ns
            {
                self.end_by_itself(queue);
            }
            while self.due(queue).is_some_and(|due| due <= now.boot_ns) {
                self.remove_oldest(queue, Cause::Expired);
            }
        }
    }
}

/// Bytes and room by which an attribute makes its holder grow.
fn grows(xattrs: &Xattrs, name: &[u8], value: &[u8], flags: XattrFlags) -> Outcome<(u64, u64)> {
    let old = xattrs.get(name);
    match old {
        Some(_) if flags.create => return Err(Reason::Exists),
        None if flags.replace => return Err(Reason::NoAttribute),
        _ => {}
    }
    let bytes = old.map_or(0, |old| old.len() as u64);
    let room = old.map_or(0, |old| xattr_room(name, old));
    let more = (value.len() as u64).saturating_sub(bytes);
    Ok((more, xattr_room(name, value).saturating_sub(room)))
}
