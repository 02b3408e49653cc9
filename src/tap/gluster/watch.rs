//! Watches the directory of the state: what `eventfs webhook` and `eventfs config` change holds at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// The directory, or as long as there is none, the nearest one above it.
#[derive(Debug)]
pub(super) struct Watch {
    directory: PathBuf,
    inotify: Inotify,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the system has no inotify instance left.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: directory.to_owned(), inotify: begin(directory)? })
    }

    /// Whether anything has changed since this was asked last.
    pub(super) fn has_changed(&mut self) -> bool {
        let mut any = false;
        while let Ok(events) = self.inotify.read_events() {
            any |= !events.is_empty();
        }
        if any {
            // The directory may have come, or gone: watch what there is now.
            match begin(&self.directory) {
                Ok(inotify) => self.inotify = inotify,
                Err(error) => log::warn!("{}: {error}", self.directory.display()),
            }
        }
        any
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn begin(directory: &Path) -> io::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let changes = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    for candidate in directory.ancestors() {
        let path = if candidate == Path::new("") { Path::new(".") } else { candidate };
        if inotify.add_watch(path, changes).is_ok() {
            // One below it may have been made in between.
            let below = directory.ancestors().take_while(|below| *below != candidate).last();
            if below.is_some_and(Path::is_dir) {
                return begin(directory);
            }
            break;
        }
    }
    Ok(inotify)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_is_watched_before_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b");
        let mut watch = Watch::new(&target).unwrap();
        assert!(!watch.has_changed());
        fs::create_dir(dir.path().join("a")).unwrap();
        assert!(watch.has_changed());
        fs::create_dir(&target).unwrap();
        assert!(watch.has_changed());
        for _ in 0..2 {
            fs::write(target.join("new"), "x").unwrap();
            fs::rename(target.join("new"), target.join("file")).unwrap();
            assert!(watch.has_changed());
            assert!(!watch.has_changed());
        }
        fs::remove_dir_all(&target).unwrap();
        assert!(watch.has_changed());
        fs::create_dir(&target).unwrap();
        assert!(watch.has_changed());
    }
}
