//! Quotas of users and groups: what is allowed, what is used, charge before, release after.

use std::collections::HashMap;

/// The limits of one user or group; `None` means no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quota {
    /// Queues that the user or group may have.
    pub max_dirs: Option<u64>,
    /// Files (events, staged and unfinished ones) that it may have.
    pub max_files: Option<u64>,
    /// Files that one queue of it may hold.
    pub max_files_per_dir: Option<u64>,
    /// Bytes of data and extended attribute values that it may hold.
    pub max_bytes: Option<u64>,
}

/// All limits of a mount, resolved to numeric ids.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Quotas {
    /// For every user without an entry in `users`.
    pub default: Quota,
    /// By uid; already completed with the defaults.
    pub users: HashMap<u32, Quota>,
    /// By gid; already completed with the defaults. A group without an entry has no limit.
    pub groups: HashMap<u32, Quota>,
}

/// Something to charge or to give back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Charge {
    pub(crate) dirs: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Charge {
    pub(crate) const DIR: Charge = Charge { dirs: 1, files: 0, bytes: 0 };

    pub(crate) fn bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }

    fn fits(self, used: Charge, quota: Quota) -> bool {
        let within = |used: u64, more: u64, limit: Option<u64>| {
            more == 0 || limit.is_none_or(|limit| used.saturating_add(more) <= limit)
        };
        within(used.dirs, self.dirs, quota.max_dirs)
            && within(used.files, self.files, quota.max_files)
            && within(used.bytes, self.bytes, quota.max_bytes)
    }
}

/// What users and groups use, beside what they may.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) quotas: Quotas,
    users: HashMap<u32, Charge>,
    groups: HashMap<u32, Charge>,
}

impl Ledger {
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self { quotas, ..Self::default() }
    }

    fn user_quota(&self, uid: u32) -> Quota {
        self.quotas.users.get(&uid).copied().unwrap_or(self.quotas.default)
    }

    fn group_quota(&self, gid: u32) -> Quota {
        self.quotas.groups.get(&gid).copied().unwrap_or_default()
    }

    /// Whether the user's and the group's limits leave room.
    pub(crate) fn admits(&self, uid: u32, gid: u32, charge: Charge) -> bool {
        self.admits_user(uid, charge) && self.admits_group(gid, charge)
    }

    pub(crate) fn admits_user(&self, uid: u32, charge: Charge) -> bool {
        let used = self.users.get(&uid).copied().unwrap_or_default();
        charge.fits(used, self.user_quota(uid))
    }

    pub(crate) fn admits_group(&self, gid: u32, charge: Charge) -> bool {
        let used = self.groups.get(&gid).copied().unwrap_or_default();
        charge.fits(used, self.group_quota(gid))
    }

    /// Files that a queue of this user and group may hold.
    pub(crate) fn files_per_dir(&self, uid: u32, gid: u32) -> u64 {
        let user = self.user_quota(uid).max_files_per_dir.unwrap_or(u64::MAX);
        user.min(self.group_quota(gid).max_files_per_dir.unwrap_or(u64::MAX))
    }

    pub(crate) fn add(&mut self, uid: u32, gid: u32, charge: Charge) {
        for used in [self.users.entry(uid).or_default(), self.groups.entry(gid).or_default()] {
            used.dirs += charge.dirs;
            used.files += charge.files;
            used.bytes += charge.bytes;
        }
    }

    pub(crate) fn release(&mut self, uid: u32, gid: u32, charge: Charge) {
        for (table, id) in [(&mut self.users, uid), (&mut self.groups, gid)] {
            if let Some(used) = table.get_mut(&id) {
                used.dirs -= charge.dirs;
                used.files -= charge.files;
                used.bytes -= charge.bytes;
                if *used == Charge::default() {
                    table.remove(&id);
                }
            }
        }
    }

    /// Whether nobody is charged for anything.
    pub(crate) fn is_clear(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}
