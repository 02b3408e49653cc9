//! Putting events into a queue, whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that sorts by time and is unique: `20261121T031400.123456789Z-PID-N`.
pub fn event_name() -> String {
    let now = jiff::Timestamp::now();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", now.strftime("%Y%m%dT%H%M%S.%9fZ"), std::process::id())
}

/// Writes everything that `content` gives into one event and returns its name, `name` or a new one.
/// It is staged under a dot name and published by renaming, so nobody ever sees half of it; that
/// works on any directory.
///
/// # Errors
/// `EEXIST` when the name is taken; what the system says. Nothing is left behind.
pub fn push(queue: &Path, name: Option<&OsStr>, content: &mut dyn Read) -> io::Result<OsString> {
    let fresh = event_name();
    let staged = queue.join(format!(".push-{fresh}"));
    let name = name.map_or_else(|| OsString::from(&fresh), OsStr::to_owned);
    let published = write(&staged, content).and_then(|()| publish(&staged, &queue.join(&name)));
    if let Err(error) = published {
        // It may not even have been made.
        let _ = fs::remove_file(&staged);
        return Err(error);
    }
    Ok(name)
}

fn write(staged: &Path, content: &mut dyn Read) -> io::Result<()> {
    let mut file = File::create_new(staged)?;
    io::copy(content, &mut file)?;
    Ok(())
}

fn publish(staged: &Path, target: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, staged, AT_FDCWD, target, RenameFlags::RENAME_NOREPLACE) {
        // A file system without that flag.
        Err(Errno::EINVAL) => {
            fs::hard_link(staged, target)?;
            fs::remove_file(staged)
        }
        other => other.map_err(io::Error::from),
    }
}
