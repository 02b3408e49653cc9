//! Which process is meant: by the mount's rule, by a word, by a number as the caller sees it.

use super::owners::{OwnerChoice, Owners};
use crate::model::xattr::OwnerWord;
use crate::model::{Caller, OwnerId, Reason};
use crate::sys::process;

/// The process number that nobody but root may name: it lives as long as the machine.
const INIT: u32 = 1;

/// Takes hold of the owner that the mount's rule chooses for a queue made by thread `tid` of a
/// process of user `uid`: the creator, where parent or session leader do not serve.
///
/// # Errors
/// `NoDescriptor`, `NoProcess`.
pub fn owner_by_rule(
    owners: &Owners,
    rule: OwnerChoice,
    tid: u32,
    uid: u32,
) -> Result<OwnerId, Reason> {
    let other = match rule {
        OwnerChoice::Creator => None,
        OwnerChoice::Parent => relative(owners, tid, OwnerWord::Parent),
        OwnerChoice::Session => relative(owners, tid, OwnerWord::Session),
    };
    match other {
        Some((owner, info)) if info.pid != INIT && info.uid == uid => Ok(owner),
        Some((owner, _)) => {
            owners.release(owner);
            owners.acquire(tid)
        }
        None => owners.acquire(tid),
    }
}

/// Takes hold of the parent or session leader of a thread's process, surely the right one.
fn relative(owners: &Owners, tid: u32, word: OwnerWord) -> Option<(OwnerId, process::Info)> {
    let find = || match word {
        OwnerWord::Parent => process::info(tid).ok().map(|info| info.parent),
        OwnerWord::Session => process::session(tid).ok(),
        OwnerWord::Pid(_) => None,
    };
    let pid = find().filter(|pid| *pid > 0)?;
    let owner = owners.acquire(pid).ok()?;
    // The number was taken from the caller before the hold: only if it is still the caller's
    // relative, and alive, the hold is on the right process.
    let info = process::info(pid).ok();
    match info {
        Some(info) if find() == Some(pid) && !owners.has_ended(owner) => Some((owner, info)),
        _ => {
            owners.release(owner);
            None
        }
    }
}

/// Takes hold of the process that `user.eventfs_owner` names.
///
/// # Errors
/// `NoProcess` where the caller sees no such living process; `NotPermitted` for a process of
/// another user than `queue_uid` or for process 1, unless the caller is root; `NoDescriptor`.
pub fn owner_by_word(
    owners: &Owners,
    word: OwnerWord,
    tid: u32,
    caller: Caller,
    queue_uid: u32,
) -> Result<OwnerId, Reason> {
    let (owner, info) = match word {
        OwnerWord::Parent | OwnerWord::Session => {
            let (owner, info) = relative(owners, tid, word).ok_or(Reason::NoProcess)?;
            // That of the first process of a container lies outside: not the caller's to name.
            if seen_pid(info.pid, tid) == 0 {
                owners.release(owner);
                return Err(Reason::NoProcess);
            }
            (owner, info)
        }
        OwnerWord::Pid(seen) => by_number(owners, seen, tid)?,
    };
    if !caller.is_root() && (info.uid != queue_uid || info.pid == INIT) {
        owners.release(owner);
        return Err(Reason::NotPermitted);
    }
    Ok(owner)
}

fn by_number(owners: &Owners, seen: u32, tid: u32) -> Result<(OwnerId, process::Info), Reason> {
    let pid = real_pid(seen, tid).ok_or(Reason::NoProcess)?;
    // A number of a thread names no process.
    let leads = |info: &process::Info| info.pid == pid;
    process::info(pid).ok().filter(leads).ok_or(Reason::NoProcess)?;
    let owner = owners.acquire(pid)?;
    match process::info(pid).ok().filter(leads) {
        Some(info) if real_pid(seen, tid) == Some(pid) && !owners.has_ended(owner) => {
            Ok((owner, info))
        }
        _ => {
            owners.release(owner);
            Err(Reason::NoProcess)
        }
    }
}

/// How deep below ours the caller's namespace lies, and its identity. `None` for our own.
fn namespace_below(tid: u32) -> Option<(usize, u64)> {
    let own = process::pid_namespace(std::process::id(), 0).ok()?;
    let theirs = process::pid_namespace(tid, 0).ok()?;
    if own == theirs {
        return None;
    }
    let depth = process::info(tid).ok()?.pids_by_namespace.len();
    Some((depth, theirs))
}

/// The number of a process in the namespace that lies `depth` numbers deep, if it is visible there.
fn pid_in(info: &process::Info, depth: usize, namespace: u64) -> Option<u32> {
    let above = info.pids_by_namespace.len().checked_sub(depth)?;
    let theirs = process::pid_namespace(info.pid, above).ok()?;
    if theirs != namespace { None } else { info.pids_by_namespace.get(depth - 1).copied() }
}

/// Our number of the process that the caller numbers `seen`.
fn real_pid(seen: u32, tid: u32) -> Option<u32> {
    let Some((depth, namespace)) = namespace_below(tid) else { return Some(seen) };
    process::all().ok()?.into_iter().find(|pid| {
        process::info(*pid).is_ok_and(|info| pid_in(&info, depth, namespace) == Some(seen))
    })
}

/// The number of process `pid` as thread `tid` sees it; 0 where it does not.
pub fn seen_pid(pid: u32, tid: u32) -> u32 {
    match namespace_below(tid) {
        None => pid,
        Some((depth, namespace)) => {
            let info = process::info(pid).ok();
            info.and_then(|info| pid_in(&info, depth, namespace)).unwrap_or(0)
        }
    }
}
