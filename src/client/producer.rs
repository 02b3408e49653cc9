//! Putting events into a queue, whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// Bytes read before a file is made, so that a small event leaves nothing behind whenever its
/// producer is killed; and bytes read at once after that.
const FIRST_BYTES_MAX: usize = 1 << 20;
const PIECE_BYTES: usize = 128 << 10;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that sorts by time and is unique: `20261121T031400.123456789Z-PID-N`.
pub fn event_name() -> String {
    let now = jiff::Timestamp::now();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", now.strftime("%Y%m%dT%H%M%S.%9fZ"), std::process::id())
}

/// Writes everything that `content` gives into one event and returns its name, `name` or a new one.
/// It is staged under a dot name and published by renaming, so nobody ever sees half of it; that
/// works on any directory. A producer killed in the middle of a large event leaves the staged file.
///
/// # Errors
/// `EEXIST` when the name is taken; what the system says. Nothing is left behind.
pub fn push(queue: &Path, name: Option<&OsStr>, content: &mut dyn Read) -> io::Result<OsString> {
    let fresh = event_name();
    let staged = queue.join(format!(".push-{fresh}"));
    let name = name.map_or_else(|| OsString::from(&fresh), OsStr::to_owned);
    let mut first = Vec::new();
    read_up_to(content, FIRST_BYTES_MAX, &mut first)?;
    let written = write(&staged, first, content);
    let published = written.and_then(|()| publish(&staged, &queue.join(&name)));
    if let Err(error) = published {
        // It may not even have been made.
        let _ = fs::remove_file(&staged);
        return Err(error);
    }
    Ok(name)
}

/// Fills the buffer with the next bytes, none at the end.
fn read_up_to(content: &mut dyn Read, count: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    content.take(count as u64).read_to_end(buffer).map(drop)
}

fn write(staged: &Path, first: Vec<u8>, content: &mut dyn Read) -> io::Result<()> {
    let mut file = File::create_new(staged)?;
    let mut piece = first;
    while !piece.is_empty() {
        file.write_all(&piece)?;
        read_up_to(content, PIECE_BYTES, &mut piece)?;
    }
    Ok(())
}

fn publish(staged: &Path, target: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, staged, AT_FDCWD, target, RenameFlags::RENAME_NOREPLACE) {
        // A file system without that flag.
        Err(Errno::EINVAL) => {
            fs::hard_link(staged, target)?;
            // It is published now, whatever becomes of the other name.
            let _ = fs::remove_file(staged);
            Ok(())
        }
        other => other.map_err(io::Error::from),
    }
}
