//! Files that were the feed and were rotated away before anyone looked: rotated twice since, the feed has
//! one between the file that is left and that which has the name now.
//!
//! They are known by name (that of the feed and more, as logrotate makes them), by the times of their birth
//! and last change, and by how they begin. A copy of one of the two is none.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::resume::{FileId, beside};

/// What is compared of a file that may be a copy, at its begin and at its end.
const COMPARED_BYTES: u64 = 64 << 10;

/// How files of the usual compressors begin: gzip, bzip2, xz, zstd, lz4.
const PACKED: [&[u8]; 5] =
    [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"];

/// How a feed begins: a document, a directive, a comment.
const FEED: [&[u8]; 3] = [b"---", b"%", b"#"];

/// A file that was the feed for a time.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) file: File,
    pub(super) metadata: Metadata,
    /// Compressed: it cannot be read any more.
    pub(super) packed: bool,
}

/// A file beside the feed that is called like a rotated one.
struct Sibling {
    file: File,
    metadata: Metadata,
    id: FileId,
    /// Compressed.
    packed: bool,
}

/// What was the feed after `left` and before `present`, the oldest first. `is_known` tells of an inode
/// whether something of it was read before.
pub(super) fn between(
    path: &Path,
    left: &File,
    present: &File,
    is_known: impl Fn(u64) -> bool,
) -> Vec<Missed> {
    let (Some(left), Some(present)) = (Sibling::of(left), Sibling::of(present)) else {
        return Vec::new();
    };
    let siblings = siblings(path);
    let is_missed = |sibling: &Sibling| {
        if sibling.id.is(left.id) || sibling.id.is(present.id) {
            return false;
        }
        if sibling.packed {
            // Compressors keep the time of the last change: of a copy of the file that is left, that.
            return left.changed() < sibling.changed() && sibling.changed() <= present.changed();
        }
        let is_later = || left.id.born.zip(sibling.id.born).is_some_and(|(left, it)| left < it);
        sibling.is_between(&left, &present)
            && begins(&sibling.file, &FEED)
            && (is_later() || !is_known(sibling.id.inode))
            && !sibling.is_copy(&left)
            && !sibling.is_copy(&present)
            && !siblings
                .iter()
                .any(|other| other.id.born < sibling.id.born && sibling.is_copy(other))
    };
    let is_missed: Vec<bool> = siblings.iter().map(is_missed).collect();
    let missed = siblings.into_iter().zip(is_missed).filter(|(_, is_missed)| *is_missed);
    let mut missed: Vec<Sibling> = missed.map(|(sibling, _)| sibling).collect();
    missed.sort_by_key(|sibling| (sibling.changed(), sibling.id.born));
    let missed = missed.into_iter();
    missed.map(|Sibling { file, metadata, packed, .. }| Missed { file, metadata, packed }).collect()
}

fn siblings(path: &Path) -> Vec<Sibling> {
    let rotated = beside(path).filter(|other| is_rotated_name(path, other));
    rotated.filter_map(|other| Sibling::open(&other)).collect()
}

/// The feed's name and more, or more between its stem and its extension: `feed.yaml.1`, `feed-20261121.yaml`.
fn is_rotated_name(feed: &Path, name: &Path) -> bool {
    let bytes = |path: &Path| path.file_name().map(|name| name.as_encoded_bytes().to_vec());
    let (Some(feed_name), Some(name)) = (bytes(feed), bytes(name)) else { return false };
    if name == feed_name {
        return false;
    }
    let is_more = |rest: &[u8]| rest.first().is_some_and(|byte| b".-_~".contains(byte));
    if name.strip_prefix(feed_name.as_slice()).is_some_and(is_more) {
        return true;
    }
    let (Some(stem), Some(extension)) = (feed.file_stem(), feed.extension()) else { return false };
    let rest = name.strip_prefix(stem.as_encoded_bytes());
    // A compressor's extension may follow.
    rest.is_some_and(|rest| {
        is_more(rest)
            && rest
                .split(|byte| *byte == b'.')
                .skip(1)
                .any(|part| part == extension.as_encoded_bytes())
    })
}

impl Sibling {
    fn of(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        let id = FileId::of(&metadata);
        let packed = begins(&file, &PACKED);
        Some(Self { file, metadata, id, packed })
    }

    /// A regular file; a pipe of that name must not block us, and a link leads elsewhere.
    fn open(path: &Path) -> Option<Self> {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        Self::of(&File::options().read(true).custom_flags(flags).open(path).ok()?)
    }

    fn changed(&self) -> (i64, i64) {
        (self.metadata.mtime(), self.metadata.mtime_nsec())
    }

    /// Born and changed between two others. Times are as fine as the kernel's tick.
    fn is_between(&self, since: &Self, until: &Self) -> bool {
        let is_ordered = |one: &Self, other: &Self| {
            let born = one.id.born.zip(other.id.born);
            one.changed() <= other.changed() && born.is_none_or(|(one, other)| one <= other)
        };
        is_ordered(since, self) && is_ordered(self, until)
    }

    /// Whether another file is this one, or begins with all that is in it.
    fn is_copy(&self, other: &Self) -> bool {
        let length = self.metadata.len();
        let part = length.min(COMPARED_BYTES);
        let is_same = |at: u64| {
            let read = |file: &File| {
                let mut bytes = vec![0; part as usize];
                file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
            };
            let bytes = read(&self.file);
            bytes.is_some() && bytes == read(&other.file)
        };
        length <= other.metadata.len() && is_same(0) && is_same(length - part)
    }
}

fn begins(file: &File, with: &[&[u8]]) -> bool {
    let mut bytes = [0; 8];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    let head = bytes.get(..count).unwrap_or_default();
    with.iter().any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    #[test]
    fn names_that_rotation_makes() {
        let feed = Path::new("/var/log/feed.yaml");
        let is = |name: &str| is_rotated_name(feed, Path::new(name));
        for name in [
            "feed.yaml.1",
            "feed.yaml-20261121",
            "feed.yaml.2.gz",
            "feed-20261121.yaml",
            "feed.1.yaml.xz",
        ] {
            assert!(is(name), "{name}");
        }
        for name in [
            "feed.yaml",
            "feed.yamlish",
            "feeder.yaml",
            "other.1",
            ".feed.yaml.swp",
            "feed.1",
            "feed",
        ] {
            assert!(!is(name), "{name}");
        }
        assert!(is_rotated_name(Path::new("feed"), Path::new("feed.1")));
    }

    struct Site {
        dir: tempfile::TempDir,
    }

    impl Site {
        /// Times of change and birth rise from file to file.
        fn write(&self, name: &str, text: &str) {
            std::thread::sleep(Duration::from_millis(12));
            fs::write(self.dir.path().join(name), text).unwrap();
        }

        fn missed(&self, is_known: impl Fn(u64) -> bool) -> Vec<(String, bool)> {
            let path = self.dir.path().join("feed");
            let left = File::open(self.dir.path().join("feed.9")).unwrap();
            let missed = between(&path, &left, &File::open(&path).unwrap(), is_known);
            let text = |missed: &Missed| {
                let mut bytes = vec![0; missed.metadata.len() as usize];
                missed.file.read_exact_at(&mut bytes, 0).unwrap();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            missed.iter().map(|missed| (text(missed), missed.packed)).collect()
        }
    }

    #[test]
    fn what_was_the_feed_between_two_files() {
        let site = Site { dir: tempfile::TempDir::new().unwrap() };
        let path = |name: &str| site.dir.path().join(name);
        site.write("feed.10", "--- older\n");
        site.write("feed.9", "--- left\n--- left too\n");
        site.write("feed.8", "--- second\n");
        site.write("feed.7", "BZhpacked");
        site.write("feed.6", "--- fourth\n");
        site.write("feed.index", "no feed");
        site.write("feed.copy", "--- left\n");
        site.write("feed.empty", "");
        site.write("feed.copy2", "--- second\n");
        site.write("other.1", "--- other\n");
        site.write("feed", "--- present\n");
        fs::hard_link(path("feed.9"), path("feed.again")).unwrap();
        fs::hard_link(path("feed"), path("feed.now")).unwrap();
        symlink("other.1", path("feed.link")).unwrap();
        site.write("feed.tmp", "--- later\n");
        // Its inode is known, and it was made after the file that is left: the number was used again.
        let reused = FileId::of(&fs::metadata(path("feed.6")).unwrap()).inode;
        let second = ("--- second\n".to_owned(), false);
        let fourth = ("--- fourth\n".to_owned(), false);
        let packed = ("BZhpacked".to_owned(), true);
        assert_eq!(site.missed(|inode| inode == reused), [second, packed, fourth]);
    }

    #[test]
    fn what_was_read_before_is_not_read_again() {
        let site = Site { dir: tempfile::TempDir::new().unwrap() };
        site.write("feed.8", "--- read\n");
        site.write("feed.9", "--- left\n");
        // Somebody touched it.
        site.write("feed.8", "--- read\n--- and more\n");
        site.write("feed", "--- present\n");
        assert_eq!(site.missed(|_| true), []);
    }
}
