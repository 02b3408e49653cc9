//! A table whose cells are tests: a row is something that is done, a column is who does it.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{EVENTFS, Mounted, as_user_with_groups, is_root, skip};
use crate::help::put;

/// The owner of the queue.
pub(crate) const OWNER: u32 = 5001;
/// Who is of the queue's group.
pub(crate) const MEMBER: u32 = 5002;
/// Anybody else.
pub(crate) const STRANGER: u32 = 5003;
/// Whose event it is where it is nobody's who tries.
pub(crate) const BYSTANDER: u32 = 5004;
/// The group of the queue.
pub(crate) const TEAM: u32 = 5009;

/// It is done.
pub(crate) const YES: i32 = 0;
pub(crate) use libc::{EACCES, EINVAL, EOPNOTSUPP, EPERM};

/// One row: its name, and what the owner, a member of the group, a stranger and root are answered.
pub(crate) type Row = (&'static str, [i32; 4]);

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Owner,
    Group,
    Other,
    Root,
}

impl Who {
    pub(crate) fn uid(self) -> u32 {
        [OWNER, MEMBER, STRANGER, 0][self as usize]
    }

    fn is(self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let groups: &[u32] = if matches!(self, Who::Group) { &[TEAM] } else { &[] };
        match self {
            Who::Root => work(),
            _ => as_user_with_groups(self.uid(), self.uid(), groups, work),
        }
    }
}

/// A mount with a queue `q` of [`OWNER`] and [`TEAM`], and a queue of who tries.
pub(crate) struct Stage {
    pub(crate) mount: Mounted,
    pub(crate) queue: PathBuf,
    /// A queue that belongs to who tries.
    pub(crate) own: PathBuf,
    pub(crate) who: Who,
}

impl Stage {
    /// The queue has this mode.
    pub(crate) fn new(who: Who, bits: u32) -> Self {
        let mount = Mounted::with("allow_other,root_mode=1777");
        let (queue, own) = (mount.queue("q"), mount.queue("own"));
        give(&queue, OWNER, TEAM, bits);
        give(&own, who.uid(), who.uid(), 0o700);
        Self { mount, queue, own, who }
    }

    /// Puts an event of this user and mode.
    pub(crate) fn event(self, name: &str, uid: u32, gid: u32, bits: u32) -> Self {
        let path = self.queue.join(name);
        put(&path, name);
        give(&path, uid, gid, bits);
        self
    }

    /// Tries.
    pub(crate) fn answers(&self, work: impl FnOnce(&Self) -> io::Result<()>) -> i32 {
        match self.who.is(|| work(self)) {
            Ok(()) => YES,
            Err(error) => error.raw_os_error().expect("a system error"),
        }
    }

    /// `eventfs pop`, its refusal as an error number.
    pub(crate) fn pop(&self) -> io::Result<()> {
        let mut pop = Command::new(EVENTFS);
        pop.arg("pop").arg(&self.queue).stdin(Stdio::null());
        let output = pop.output()?;
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        let refusals = [("Permission denied", EACCES), ("Operation not permitted", EPERM)];
        match refusals.iter().find(|(why, _)| line.trim_end().ends_with(why)) {
            Some((_, number)) => Err(io::Error::from_raw_os_error(*number)),
            None if output.status.success() => Ok(()),
            None => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}

/// Changes user, group and mode.
pub(crate) fn give(path: &Path, uid: u32, gid: u32, bits: u32) {
    chown(path, Some(uid), Some(gid)).expect("chown");
    mode(path, bits).expect("chmod");
}

pub(crate) fn mode(path: &Path, bits: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
}

/// Runs one cell.
pub(crate) fn check(
    who: Who,
    stage: fn(Who) -> Stage,
    work: fn(&Stage) -> io::Result<()>,
    answers: [i32; 4],
) {
    if !is_root() {
        return skip("other users need root");
    }
    let found = stage(who).answers(work);
    assert_eq!(found, answers[who as usize], "{who:?} was answered {found}");
}

/// A table: `stage` sets up each cell anew, a row is `name: [owner, group, other, root], work;`.
macro_rules! cells {
    ($stage:ident; $($name:ident: $answers:expr, $work:expr;)+) => {
        /// The rows of this table.
        pub(crate) const ROWS: &[$crate::cells::Row] = &[$((stringify!($name), $answers)),+];

        $(mod $name {
            #[allow(unused_imports, reason = "not every row needs all")]
            use super::*;
            use $crate::cells::{Who, check};

            #[test]
            fn owner() {
                check(Who::Owner, $stage, $work, $answers);
            }

            #[test]
            fn group() {
                check(Who::Group, $stage, $work, $answers);
            }

            #[test]
            fn other() {
                check(Who::Other, $stage, $work, $answers);
            }

            #[test]
            fn root() {
                check(Who::Root, $stage, $work, $answers);
            }
        })+
    };
}
