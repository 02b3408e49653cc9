//! Reading sysfs: small attributes and links, from a root that may be a copy.
//!
//! Nothing here is an error: a device may go while it is looked at, and what cannot be read is unknown.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest attribute that is read, bytes: sysfs has a page.
const ATTRIBUTE_MAX: usize = 4096;

/// A sysfs, or a copy of one.
#[derive(Clone, Debug)]
pub(super) struct Sysfs {
    root: PathBuf,
}

impl Sysfs {
    /// At this root; where that has no sysfs but a directory `sys`, there.
    pub(super) fn new(root: &Path) -> Self {
        let inside = root.join("sys");
        let is_above = !root.join("class").is_dir() && inside.is_dir();
        Self { root: if is_above { inside } else { root.to_owned() } }
    }

    /// A path below the root.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The directory of a block device, if it is there.
    pub(super) fn block(&self, name: &str) -> Option<PathBuf> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return None;
        }
        // A slash in a device's name is a bang in sysfs; the kernel's messages have either.
        ["class/block", "block"]
            .iter()
            .map(|dir| self.at(dir).join(name))
            .find(|path| path.exists())
    }

    /// The block device of a number such as `8:16`.
    pub(super) fn block_of_number(&self, number: &str) -> Option<String> {
        last_of_link(&self.at("dev/block").join(number))
    }
}

/// A small attribute without blanks and zeros at its end; nothing where it is empty or cannot be read.
pub(super) fn attribute(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(bytes.get(..ATTRIBUTE_MAX).unwrap_or(&bytes)).into_owned();
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '\0').trim_start();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The names in a directory, sorted; none where it cannot be read.
pub(super) fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The last part of where a link points.
pub(super) fn last_of_link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// An id as events show it: each run of blanks becomes a dash, zeros go.
pub(super) fn clean(id: &str) -> String {
    id.split(|c: char| c.is_whitespace() || c == '\0')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lose_their_blanks() {
        assert_eq!(clean("t10.ATA     Model  Serial\n"), "t10.ATA-Model-Serial");
        assert_eq!(clean("naa.5000\0\0"), "naa.5000");
        assert_eq!(clean(" \n"), "");
    }

    #[test]
    fn what_is_not_there_is_unknown() {
        let dir = tempfile::TempDir::new().unwrap();
        let sysfs = Sysfs::new(dir.path());
        assert_eq!(sysfs.block("sda"), None);
        assert_eq!(sysfs.block("../etc"), None);
        assert_eq!(sysfs.block_of_number("8:0"), None);
        assert_eq!(attribute(&dir.path().join("none")), None);
        assert_eq!(names(&dir.path().join("none")), Vec::<String>::new());
        fs::write(dir.path().join("a"), " x y \n\0").unwrap();
        assert_eq!(attribute(&dir.path().join("a")).as_deref(), Some("x y"));
        fs::create_dir_all(dir.path().join("sys/class/block/sda")).unwrap();
        assert!(Sysfs::new(dir.path()).block("sda").is_some(), "a root above sys");
    }
}
