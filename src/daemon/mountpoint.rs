//! The directory to mount on: resolved, cleared of a dead mount of ours, checked.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::Failure;
use crate::sys::fusemount::FS_TYPE;
use crate::sys::{mounts, plain};

/// Dead mounts cleared at one place before giving up.
const STALE_MAX: usize = 64;

/// Resolves the mountpoint and sees to it that it can be used.
///
/// # Errors
/// What is wrong with it.
pub(super) fn prepare(point: &Path) -> Result<PathBuf, Failure> {
    let what = point.display();
    let failed = |error: &io::Error| Failure::of(&what, error);
    let resolved = mounts::resolve(point).map_err(|error| failed(&error))?;
    clear_stale(&resolved, point)?;
    let metadata = std::fs::metadata(&resolved).map_err(|error| failed(&error))?;
    if !metadata.is_dir() {
        return Err(Failure::Failed(format!("{what}: not a directory")));
    }
    let top = mounts::top_at(&resolved).map_err(|error| failed(&error))?;
    if top.is_some_and(|mount| mount.fs_type == FS_TYPE) {
        return Err(Failure::Failed(format!("{what}: already an eventfs mount")));
    }
    let mut entries = std::fs::read_dir(&resolved).map_err(|error| failed(&error))?;
    if entries.next().is_some() {
        return Err(Failure::Failed(format!("{what}: directory is not empty")));
    }
    Ok(resolved)
}

/// Detaches eventfs mounts whose daemon is gone. Never anything else.
fn clear_stale(resolved: &Path, shown: &Path) -> Result<(), Failure> {
    for _ in 0..STALE_MAX {
        let top = mounts::top_at(resolved).map_err(|error| Failure::of(shown.display(), &error))?;
        if top.is_none_or(|mount| mount.fs_type != FS_TYPE) {
            return Ok(());
        }
        // Not stat(2): the kernel may answer that from its cache though nobody serves any more.
        match statvfs(resolved) {
            Err(Errno::ENOTCONN | Errno::ECONNABORTED) => {}
            _ => return Ok(()),
        }
        mounts::detach(resolved).map_err(|error| {
            let why = plain(&error);
            Failure::Failed(format!("{}: cannot clear the stale mount: {why}", shown.display()))
        })?;
    }
    Ok(())
}

/// Asks the new mount something.
///
/// # Errors
/// When it does not answer.
pub(super) fn answers(point: &Path) -> Result<(), Failure> {
    std::fs::metadata(point).map(drop).map_err(|error| Failure::of(point.display(), &error))
}
