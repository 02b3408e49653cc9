//! Bind mounts that are gone with the test, however it ends.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount, umount2};

/// Mounts a directory at a second place.
pub(crate) fn bind(what: &Path, point: &Path) {
    mount(Some(what), point, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind mount");
}

/// A bind mount at a place of its own.
pub(crate) struct Bound {
    pub(crate) point: PathBuf,
    _dir: tempfile::TempDir,
}

impl Bound {
    /// Mounts a directory there.
    pub(crate) fn of(what: &Path) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let point = dir.path().join("bound");
        fs::create_dir(&point).expect("mkdir");
        bind(what, &point);
        Self { point, _dir: dir }
    }

    /// Something in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.point.join(name)
    }

    /// Takes it off; that must be possible without force.
    pub(crate) fn off(self) {
        umount(&self.point).expect("umount");
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = umount2(&self.point, MntFlags::MNT_DETACH);
    }
}
