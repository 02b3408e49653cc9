//! Calls on a directory that is held by descriptor, none of which leaves its filesystem.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// A directory, held without the right to list it.
pub struct Dir(OwnedFd);

/// Which directory it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub ino: u64,
}

impl Dir {
    /// Opens a directory by path.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> nix::Result<Self> {
        let how = OpenHow::new().flags(flags()).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(AT_FDCWD, path, how).map(Self)
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// `EXDEV` where something is mounted on it; what else the system says.
    pub fn open_in(&self, name: &[u8]) -> nix::Result<Self> {
        let resolve = ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let how = OpenHow::new().flags(flags()).resolve(resolve | ResolveFlag::RESOLVE_BENEATH);
        openat2(&self.0, OsStr::from_bytes(name), how).map(Self)
    }

    /// Asks which directory it is, and the filesystem for its attributes if they are out of date.
    ///
    /// # Errors
    /// What the system says.
    pub fn identity(&self) -> io::Result<Identity> {
        let metadata = File::from(self.0.try_clone()?).metadata()?;
        Ok(Identity { device: metadata.dev(), ino: metadata.ino() })
    }

    /// Sets its times to the present.
    ///
    /// # Errors
    /// What the system says.
    pub fn touch(&self) -> nix::Result<()> {
        // Not "self": the calling thread may have descriptors of its own.
        let path = format!("/proc/thread-self/fd/{}", self.0.as_raw_fd());
        let now = TimeSpec::UTIME_NOW;
        utimensat(AT_FDCWD, path.as_str(), &now, &now, UtimensatFlags::FollowSymlink)
    }

    /// unlink(2) of a name in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn unlink(&self, name: &[u8]) -> nix::Result<()> {
        unlinkat(self.0.as_fd(), OsStr::from_bytes(name), UnlinkatFlags::NoRemoveDir)
    }

    /// rmdir(2) of a name in it.
    ///
    /// # Errors
    /// What the system says: `EBUSY` where something is mounted on it.
    pub fn rmdir(&self, name: &[u8]) -> nix::Result<()> {
        unlinkat(self.0.as_fd(), OsStr::from_bytes(name), UnlinkatFlags::RemoveDir)
    }
}

fn flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_is_asked_below_itself_and_nowhere_else() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        let path = temporary.path();
        std::fs::create_dir_all(path.join("a/b")).expect("directories");
        std::fs::write(path.join("a/file"), "").expect("file");
        std::os::unix::fs::symlink("a", path.join("link")).expect("link");
        let dir = Dir::open(path).expect("directory");
        let inner = dir.open_in(b"a").expect("directory");
        let metadata = std::fs::metadata(path.join("a")).expect("metadata");
        let identity = Identity { device: metadata.dev(), ino: metadata.ino() };
        assert_eq!(inner.identity().expect("identity"), identity);
        assert!(dir.open_in(b"link").is_err() && inner.open_in(b"..").is_err());
        inner.touch().expect("its times");
        assert!(std::fs::metadata(path.join("a")).expect("metadata").mtime_nsec() > 0);
        inner.unlink(b"file").expect("unlink");
        inner.rmdir(b"b").expect("rmdir");
        dir.rmdir(b"a").expect("it is empty");
    }
}
