//! Which file, and where in it: what is saved of a feed, and what becomes of that at the next start.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::decode::hestia::{MARK_BYTES, Origin, mark_of, read_name};
use crate::event::Position;
use crate::tap::sink::Sink;
use crate::tap::source::{Resume, Start};

/// Files of a feed of which positions are kept: rotated ones whose events may be in the queue.
const STREAMS_MAX: usize = 64;

/// Which file it is. The number of an inode alone is soon given to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// When it was made, nanoseconds since 1970; nothing where the file system does not tell.
    pub(super) born: Option<u64>,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let since = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born = since.and_then(|since| u64::try_from(since.as_nanos()).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }

    pub(super) fn is(self, other: Self) -> bool {
        let same_birth = self.born.zip(other.born).is_none_or(|(one, other)| one == other);
        (self.device, self.inode) == (other.device, other.inode) && same_birth
    }
}

/// All that is in the directory of a file; nothing where that cannot be listed.
pub(super) fn beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let entries = fs::read_dir(parent.unwrap_or(Path::new(".")));
    entries.into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A file as it was saved.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) stream: u64,
    pub(super) id: FileId,
    pub(super) resets: u64,
    /// Rises from file to file.
    pub(super) serial: u64,
    pub(super) start: Start,
    written: Option<Position>,
}

impl Saved {
    fn of(resume: &Resume) -> Option<Self> {
        let number = |name: &str| resume.context.get(name).and_then(Value::as_u64);
        Some(Self {
            stream: resume.stream,
            id: FileId { device: number("device")?, inode: number("inode")?, born: number("born") },
            resets: number("resets")?,
            serial: number("serial")?,
            start: resume.start.clone(),
            written: resume.written,
        })
    }

    /// Where reading goes on.
    pub(super) fn offset(&self) -> u64 {
        match self.start {
            Start::After(position) => position.next,
            Start::At(at) => at,
        }
    }

    /// Whether a file is this one, and still has what was read of it.
    pub(super) fn is_in(&self, file: &File) -> Result<(), &'static str> {
        let metadata = file.metadata().map_err(|_| "feed replaced")?;
        if !FileId::of(&metadata).is(self.id) {
            return Err("feed replaced");
        }
        let read = self.written.map_or(0, |position| position.next);
        if metadata.len() < self.offset().max(read) {
            return Err("feed truncated");
        }
        match self.written {
            // A mark of 0 says that it is known only where to go on.
            Some(position) if position.mark != 0 => {
                let mark = before(file, position.next).map(|bytes| mark_of(&bytes));
                if mark == Some(position.mark) { Ok(()) } else { Err("feed rewritten") }
            }
            _ => Ok(()),
        }
    }

    /// The file, under this path or, since it was rotated, under another name beside it.
    pub(super) fn find(&self, path: &Path) -> Option<File> {
        let is_it = |path: &PathBuf| {
            let metadata = fs::metadata(path);
            metadata.is_ok_and(|m| m.is_file() && FileId::of(&m).is(self.id))
        };
        let found = std::iter::once(path.to_owned()).chain(beside(path)).find(is_it)?;
        File::open(found).ok().filter(|file| self.is_in(file).is_ok())
    }

    /// Whether the file is there and something stands behind the offset.
    pub(super) fn has_more(&self, path: &Path) -> bool {
        let file = self.find(path);
        let length = file.and_then(|file| file.metadata().ok()).map(|metadata| metadata.len());
        length.is_some_and(|length| length > self.offset())
    }
}

/// Files that were saved, the latest last.
pub(super) fn saved(sink: &Sink) -> Vec<Saved> {
    let mut saved: Vec<Saved> = sink.starts().iter().filter_map(Saved::of).collect();
    saved.sort_by_key(|saved| saved.serial);
    saved
}

/// The up to [`MARK_BYTES`] bytes before an offset; nothing if they cannot be read.
pub(super) fn before(file: &File, offset: u64) -> Option<Vec<u8>> {
    let length = offset.min(MARK_BYTES as u64);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset - length).ok()?;
    Some(bytes)
}

/// Numbers of the files of a feed.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_origin: HashMap<(u64, u64), u64>,
    used: Vec<(u64, u64)>,
    serial: u64,
}

impl Streams {
    pub(super) fn new(saved: &[Saved]) -> Self {
        let mut streams = Self::default();
        for saved in saved {
            streams.by_origin.insert((saved.id.inode, saved.resets), saved.stream);
            streams.used.push((saved.serial, saved.stream));
            streams.serial = streams.serial.max(saved.serial);
        }
        streams
    }

    /// The number of a file that is read from now on; the sink is told. `serial` is that of a file that was
    /// saved: it stays older than those after it, however often it is gone back to.
    pub(super) fn enter(
        &mut self,
        FileId { device, inode, born }: FileId,
        resets: u64,
        serial: Option<u64>,
        sink: &mut Sink,
    ) -> u64 {
        let known = self.by_origin.get(&(inode, resets)).copied();
        let stream = known.unwrap_or_else(|| self.free_number());
        let serial = serial.unwrap_or(self.serial + 1);
        self.serial = self.serial.max(serial);
        self.by_origin.retain(|_, number| *number != stream);
        self.by_origin.insert((inode, resets), stream);
        self.used.retain(|(_, number)| *number != stream);
        self.used.push((serial, stream));
        let mut context =
            json!({"device": device, "inode": inode, "resets": resets, "serial": serial});
        if let Some(born) = born {
            context["born"] = born.into();
        }
        sink.describe(stream, context);
        stream
    }

    /// A new one, or in the end that of the file that was left first.
    fn free_number(&self) -> u64 {
        if self.used.len() >= STREAMS_MAX {
            let oldest = self.used.iter().min().map(|(_, number)| *number);
            return oldest.unwrap_or_default();
        }
        self.used.iter().map(|(_, number)| number + 1).max().unwrap_or(1)
    }

    /// Whether something of a file with this number was read.
    pub(super) fn knows(&self, inode: u64) -> bool {
        self.by_origin.keys().any(|(known, _)| *known == inode)
    }

    /// The stream and offset that a file name stands for.
    pub(super) fn locate(&self, name: &str) -> Option<(u64, u64)> {
        let (origin, offset) = read_name(name)?;
        let Origin::File { inode, resets } = origin else { return None };
        let stream = self.by_origin.get(&(inode, resets))?;
        Some((*stream, offset))
    }
}
