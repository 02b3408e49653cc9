//! One directory that is watched: a queue, which tells what was published since, or any other, of
//! which inotify's names are all there is.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::inotify::AddWatchFlags;
use nix::sys::stat::{Mode, fstatat};

use super::scanner::Scanner;
use super::told::Told;
use super::watch::Seen;
use crate::wire::Event;

/// How far the times of files lag behind the clock, at most.
const CLOCK_LAG_NS: i128 = 50_000_000;

/// Where a name that moved here came from.
pub(super) enum From<'a> {
    /// This directory, under another name.
    Here(&'a [u8]),
    /// Somewhere else.
    Elsewhere,
}

pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Device and inode: another directory under the same name is a stranger.
    identity: (u64, u64),
    /// The last place number seen; `None` on a directory that is no queue.
    pub(super) since: Option<u64>,
    told: Told,
    /// Names of some events may have been lost.
    pub(super) overflowed: bool,
    pub(super) ended: bool,
    /// When to look again; `None`: when inotify has told something.
    pub(super) due: Option<Instant>,
    /// Looks since the last word of inotify.
    pub(super) looks: usize,
    /// Of a plain directory: until when everything was heard, and the names told since shortly
    /// before.
    heard_ns: i128,
    lately: VecDeque<(i128, Vec<u8>)>,
}

impl Place {
    /// What is there now was there before.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let mut scanner = Scanner::open(path)?;
        let identity = scanner.identity()?;
        let since = match scanner.scan(u64::MAX) {
            Ok((newest, _)) => Some(newest),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.to_owned(),
            identity,
            since,
            told: Told::default(),
            overflowed: false,
            ended: false,
            due: Some(Instant::now()),
            looks: 0,
            heard_ns: now_ns(),
            lately: VecDeque::new(),
        })
    }

    pub(super) fn is_same(&self, other: &Place) -> bool {
        self.identity == other.identity
    }

    /// Opens the directory for one look. It is not kept open meanwhile: that would hide its removal
    /// from inotify.
    pub(super) fn open(&self) -> io::Result<Scanner> {
        let scanner = Scanner::open(&self.path)?;
        if scanner.identity()? != self.identity || scanner.has_ended()? {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        Ok(scanner)
    }

    /// Whether there is reason to believe that the directory was removed.
    pub(super) fn is_gone(&self) -> bool {
        !std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.nlink() > 0)
    }

    /// Inotify has told something: a look is worth while.
    pub(super) fn wake(&mut self) {
        if !self.ended {
            self.due = Some(Instant::now());
            self.looks = 0;
        }
    }

    /// A file was made.
    pub(super) fn hear_create(&mut self, name: &[u8]) {
        self.told.add(name, false);
    }

    /// A file was closed that had been open for writing. On a directory that is no queue this makes
    /// an event of a new file, and nothing of an old one.
    pub(super) fn hear_close(&mut self, name: &[u8]) {
        self.told.close(name);
    }

    /// A name moved here. A new name of a file that was here already is no new event.
    pub(super) fn hear_move(&mut self, name: &[u8], from: From<'_>) {
        match from {
            From::Here(old) if !is_staged(old) => self.told.rename(old, name),
            _ if is_staged(name) => {}
            _ => self.told.add(name, true),
        }
    }

    /// Tells what a scan of a queue has found.
    pub(super) fn digest(
        &mut self,
        scanner: &Scanner,
        newest: u64,
        events: Vec<Event>,
        seen: &mut Vec<(PathBuf, Seen)>,
    ) -> io::Result<()> {
        let mut since = self.since.unwrap_or(newest);
        if events.is_empty() {
            // Nothing above `since` is left, so what was published since then is gone.
            self.tell_gone(scanner, newest.saturating_sub(since), seen);
            self.since = Some(since.max(newest));
            self.told.prune(|name| is_gone(scanner.directory(), name));
            self.overflowed = false;
            return Ok(());
        }
        for mut event in events {
            self.tell_gone(scanner, event.seq - since - 1, seen);
            since = event.seq;
            self.told.remove(&event.name);
            let known = event.data.is_some() || read_into(scanner, &mut event)?;
            let name = event.name.clone();
            let what = if known { Seen::Event(event) } else { Seen::Gone { name } };
            seen.push((self.path.clone(), what));
        }
        self.since = Some(since);
        Ok(())
    }

    /// Tells events that were gone: by name as far as inotify told names that were not seen.
    fn tell_gone(&mut self, scanner: &Scanner, count: u64, seen: &mut Vec<(PathBuf, Seen)>) {
        let mut left = count;
        while left > 0
            && !self.overflowed
            && let Some(name) = self.told.take_gone(|name| is_gone(scanner.directory(), name))
        {
            seen.push((self.path.clone(), Seen::Gone { name }));
            left -= 1;
        }
        if left > 0 {
            seen.push((self.path.clone(), Seen::More { count: left }));
        }
    }

    /// A plain directory: the names that inotify told, or after an overflow whatever is new.
    /// `heard_ns`: everything that inotify had to tell until this time was heard.
    pub(super) fn look_at_directory(
        &mut self,
        scanner: &Scanner,
        heard_ns: Option<i128>,
        seen: &mut Vec<(PathBuf, Seen)>,
    ) -> io::Result<()> {
        let mut names = self.told.take_if(|told| told.closed || is_link(scanner, &told.name));
        if std::mem::take(&mut self.overflowed) {
            let known = names.iter().chain(self.lately.iter().map(|(_, name)| name));
            let known: HashSet<Vec<u8>> = known.cloned().collect();
            let new: HashSet<Vec<u8>> = self.told.take_if(|_| true).into_iter().collect();
            for name in self.newer_than(self.heard_ns - CLOCK_LAG_NS)? {
                if new.contains(&name) || !known.contains(&name) {
                    names.push(name);
                }
            }
        }
        let forgotten_ns = self.heard_ns - 2 * CLOCK_LAG_NS;
        while self.lately.front().is_some_and(|(at, _)| *at < forgotten_ns) {
            self.lately.pop_front();
        }
        for name in names {
            self.lately.push_back((now_ns(), name.clone()));
            if let Some(what) = tell_file(scanner, name) {
                seen.push((self.path.clone(), what));
            }
        }
        self.told.prune(|name| is_gone(scanner.directory(), name));
        self.heard_ns = heard_ns.unwrap_or(self.heard_ns);
        Ok(())
    }

    /// Files changed since a time, oldest change first.
    fn newer_than(&self, since_ns: i128) -> io::Result<Vec<Vec<u8>>> {
        let mut found: Vec<(i128, OsString)> = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            let changed =
                i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
            let staged = is_staged(entry.file_name().as_bytes());
            if metadata.is_file() && !staged && changed >= since_ns {
                found.push((changed, entry.file_name()));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, name)| name.into_vec()).collect())
    }
}

pub(super) fn is_staged(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

fn is_gone(directory: BorrowedFd<'_>, name: &[u8]) -> bool {
    fstatat(directory, OsStr::from_bytes(name), AtFlags::AT_SYMLINK_NOFOLLOW).is_err()
}

/// Whether a new name is one of several of its file: that is complete, and nobody will close it.
fn is_link(scanner: &Scanner, name: &[u8]) -> bool {
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
    fstatat(scanner.directory(), OsStr::from_bytes(name), flags).is_ok_and(|stat| stat.st_nlink > 1)
}

/// The event that a file of a plain directory is; nothing for a link, a directory, a fifo.
fn tell_file(scanner: &Scanner, name: Vec<u8>) -> Option<Seen> {
    let read = open(scanner, &name).and_then(|mut file| {
        let metadata = file.metadata()?;
        let mut data = Vec::new();
        if metadata.is_file() {
            file.read_to_end(&mut data)?;
        }
        Ok((metadata, data))
    });
    let event = match read {
        Ok((metadata, data)) if metadata.is_file() => Event {
            name,
            seq: 0,
            time_ns: metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec(),
            size: data.len() as u64,
            data: Some(data),
        },
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            return Some(Seen::Gone { name });
        }
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            Event { name, seq: 0, time_ns: 0, size: 0, data: None }
        }
        Ok(_) | Err(_) => return None,
    };
    Some(Seen::Event(event))
}

/// Reads a content that did not fit; `false` if it is gone.
fn read_into(scanner: &Scanner, event: &mut Event) -> io::Result<bool> {
    let mut data = Vec::new();
    let read = open(scanner, &event.name).and_then(|mut file| file.read_to_end(&mut data));
    match read {
        Ok(_) => {
            event.data = Some(data);
            Ok(true)
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        // Seen by name, but not ours to read.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(true),
        Err(error) => Err(error),
    }
}

fn open(scanner: &Scanner, name: &[u8]) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = openat(scanner.directory(), OsStr::from_bytes(name), flags, Mode::empty())?;
    Ok(File::from(file))
}

pub(super) fn now_ns() -> i128 {
    i128::from(crate::sys::clock::wall_ns())
}

/// For the watcher: whether a mask tells of a file that was made, closed or moved.
pub(super) fn concerns_files(mask: AddWatchFlags) -> bool {
    mask.intersects(
        AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO,
    )
}
