//! Which paths lie on eventfs mounts.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::exit::Failed;
use crate::sys::fusemount::FS_TYPE;
use crate::sys::mounts;

/// The mountpoints of all eventfs mounts in view, each file system once.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn all() -> Result<Vec<PathBuf>, Failed> {
    let mounts = mounts::list().map_err(|error| Failed::io("/proc/self/mountinfo", &error))?;
    let mut seen = Vec::new();
    let mut points = Vec::new();
    for mount in mounts {
        let whole = mount.fs_type == FS_TYPE && mount.root == Path::new("/");
        if whole && !seen.contains(&mount.device) {
            seen.push(mount.device);
            points.push(mount.point);
        }
    }
    Ok(points)
}

/// Whether a path lies on an eventfs mount.
///
/// # Errors
/// When the path or `/proc` cannot be read.
pub(super) fn is_eventfs(path: &Path) -> io::Result<bool> {
    let device = std::fs::metadata(path)?.dev();
    let ours = |mount: &mounts::MountEntry| mount.device == device && mount.fs_type == FS_TYPE;
    Ok(mounts::list()?.iter().any(ours))
}

/// Refuses a path that does not lie on an eventfs mount.
///
/// # Errors
/// A line that says so, or what the system says.
pub(super) fn demand(path: &Path) -> Result<(), Failed> {
    match is_eventfs(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failed::new(format!("{}: not an eventfs mount", path.display()))),
        Err(error) => Err(Failed::io(path.display(), &error)),
    }
}
