//! Seeing every event of some queues as it is published, without removing any.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::inotify::{AddWatchFlags, InotifyEvent, WatchDescriptor};
use nix::sys::stat::{Mode, fstatat};

use super::consumer::Scanner;
use super::wait::{Arrivals, Woken};
use crate::wire::Event;

/// How long a name that inotify told may wait for its publication, and how often is looked.
const PATIENCE: Duration = Duration::from_millis(500);
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// Names remembered of events that may turn out to be gone; beyond, they are told by count.
const NAMES_MAX: usize = 1 << 17;

/// Something seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// A published event with its content.
    Event(Event),
    /// An event that was gone before it could be read.
    Gone {
        /// Its name.
        name: Vec<u8>,
    },
    /// More events that were gone.
    More {
        /// How many.
        count: u64,
    },
    /// The queue has ended, or the directory was removed. Nothing follows.
    Ended,
}

/// A watch on some directories.
pub struct Watch {
    arrivals: Arrivals,
    places: Vec<Place>,
    by_watch: HashMap<WatchDescriptor, usize>,
}

struct Place {
    path: PathBuf,
    /// Device and inode: another directory under the same name is a stranger.
    identity: (u64, u64),
    /// The last place number seen; `None` on a directory that is no queue.
    since: Option<u64>,
    /// Names that inotify told and that were not seen yet, oldest first.
    told: VecDeque<(Vec<u8>, Instant)>,
    overflowed: bool,
    ended: bool,
    /// Of a plain directory: time of the last look, for finding what an overflow hid.
    looked_ns: i128,
}

impl Watch {
    /// Begins: what is published from now on will be seen.
    ///
    /// # Errors
    /// The path that cannot be watched and why.
    pub fn new(queues: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let nowhere = |error| (PathBuf::from("inotify"), error);
        let arrivals = Arrivals::new().map_err(nowhere)?;
        let mut watch = Self { arrivals, places: Vec::new(), by_watch: HashMap::new() };
        for queue in queues {
            watch.add(queue).map_err(|error| (queue.clone(), error))?;
        }
        Ok(watch)
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let number = self.arrivals.add(path)?;
        let mut scanner = Scanner::open(path)?;
        let identity = scanner.identity()?;
        let since = match scanner.scan(u64::MAX) {
            Ok((newest, _)) => Some(newest),
            // Not an eventfs: then inotify's names are all there is.
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => None,
            Err(error) => return Err(error),
        };
        self.by_watch.insert(number, self.places.len());
        self.places.push(Place {
            path: path.to_owned(),
            identity,
            since,
            told: VecDeque::new(),
            overflowed: false,
            ended: false,
            looked_ns: now_ns(),
        });
        Ok(())
    }

    /// Waits for the next things seen, each with the path of its queue. `None` when every queue has
    /// ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn next(&mut self) -> io::Result<Option<Vec<(PathBuf, Seen)>>> {
        loop {
            if self.places.iter().all(|place| place.ended) {
                return Ok(None);
            }
            let pending = self.places.iter().any(|place| !place.ended && !place.told.is_empty());
            let deadline = pending.then(|| Instant::now() + SECOND_LOOK);
            if let Woken::Events(events) = self.arrivals.wait(deadline)? {
                self.hear(&events);
            }
            let mut seen = Vec::new();
            for index in 0..self.places.len() {
                self.look(index, &mut seen)?;
            }
            if !seen.is_empty() {
                return Ok(Some(seen));
            }
        }
    }

    /// Looks at one place. It is not kept open meanwhile: an open directory would hide its removal
    /// from inotify.
    fn look(&mut self, index: usize, seen: &mut Vec<(PathBuf, Seen)>) -> io::Result<()> {
        if self.places[index].ended {
            return Ok(());
        }
        match self.look_inside(index, seen) {
            Err(error) if is_end(&error) => {
                self.places[index].ended = true;
                seen.push((self.places[index].path.clone(), Seen::Ended));
                Ok(())
            }
            other => other,
        }
    }

    fn look_inside(&mut self, index: usize, seen: &mut Vec<(PathBuf, Seen)>) -> io::Result<()> {
        let mut scanner = Scanner::open(&self.places[index].path)?;
        if scanner.identity()? != self.places[index].identity || scanner.has_ended()? {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let Some(mut since) = self.places[index].since else {
            return self.places[index].look_at_directory(&scanner, seen);
        };
        loop {
            let (newest, events) = scanner.scan(since)?;
            // Everything that this scan knows of was announced by inotify before.
            if let Woken::Events(heard) = self.arrivals.wait(Some(Instant::now()))? {
                self.hear(&heard);
            }
            let place = &mut self.places[index];
            let done = events.is_empty();
            since = place.digest(&scanner, since, newest, events, seen)?;
            place.since = Some(since);
            if done {
                place.told.retain(|(_, at)| at.elapsed() < PATIENCE);
                place.overflowed = false;
                return Ok(());
            }
        }
    }

    fn hear(&mut self, events: &[InotifyEvent]) {
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                for place in &mut self.places {
                    place.overflowed = true;
                }
            }
            let place = self.by_watch.get(&event.wd).map(|index| &mut self.places[*index]);
            if let (Some(place), Some(name)) = (place, &event.name) {
                place.hear(event.mask, name);
            }
        }
    }
}

impl Place {
    /// Notes a name that may be an event soon.
    fn hear(&mut self, mask: AddWatchFlags, name: &OsStr) {
        let name = name.as_bytes();
        if name.starts_with(b".") || mask.contains(AddWatchFlags::IN_ISDIR) {
            return;
        }
        let arrives = if self.since.is_some() {
            // A file that is closed again later was created before: the first word is enough.
            AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO
        } else {
            AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO
        };
        let refreshes = mask.contains(AddWatchFlags::IN_CLOSE_WRITE) && self.since.is_some();
        if refreshes && let Some(told) = self.told.iter_mut().find(|(told, _)| told == name) {
            told.1 = Instant::now();
        } else if mask.intersects(arrives) && self.told.len() < NAMES_MAX {
            self.told.push_back((name.to_vec(), Instant::now()));
        }
    }

    /// Tells what a scan has found; returns the number up to which everything is told.
    fn digest(
        &mut self,
        scanner: &Scanner,
        mut since: u64,
        newest: u64,
        events: Vec<Event>,
        seen: &mut Vec<(PathBuf, Seen)>,
    ) -> io::Result<u64> {
        if events.is_empty() {
            // Nothing above `since` is left, so what was published since then is gone.
            self.tell_gone(scanner, newest.saturating_sub(since), seen);
            return Ok(since.max(newest));
        }
        for mut event in events {
            self.tell_gone(scanner, event.seq - since - 1, seen);
            since = event.seq;
            if let Some(index) = self.told.iter().position(|(name, _)| *name == event.name) {
                self.told.remove(index);
            }
            let known = event.data.is_some() || read_into(scanner, &mut event)?;
            let name = event.name.clone();
            let what = if known { Seen::Event(event) } else { Seen::Gone { name } };
            seen.push((self.path.clone(), what));
        }
        Ok(since)
    }

    /// Tells events that were gone: by name as far as inotify told names that were not seen.
    fn tell_gone(&mut self, scanner: &Scanner, count: u64, seen: &mut Vec<(PathBuf, Seen)>) {
        let mut left = count;
        while left > 0
            && !self.overflowed
            && let Some(name) = self.first_told_that_is_gone(scanner)
        {
            seen.push((self.path.clone(), Seen::Gone { name }));
            left -= 1;
        }
        if left > 0 {
            seen.push((self.path.clone(), Seen::More { count: left }));
        }
    }

    /// A name that still exists belongs to a file that is being written.
    fn first_told_that_is_gone(&mut self, scanner: &Scanner) -> Option<Vec<u8>> {
        let directory = scanner.directory();
        let is_gone = |name: &[u8]| {
            let name = OsStr::from_bytes(name);
            fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_err()
        };
        let index = self.told.iter().position(|(name, _)| is_gone(name))?;
        self.told.remove(index).map(|(name, _)| name)
    }

    /// A plain directory: the names that inotify told, or after an overflow whatever is new.
    fn look_at_directory(&mut self, scanner: &Scanner, seen: &mut Vec<(PathBuf, Seen)>) -> io::Result<()> {
        let start_ns = now_ns();
        if std::mem::take(&mut self.overflowed) {
            self.told.clear();
            for name in self.newer_than(self.looked_ns)? {
                self.tell_file(scanner, name, seen)?;
            }
        }
        while let Some((name, _)) = self.told.pop_front() {
            self.tell_file(scanner, name, seen)?;
        }
        self.looked_ns = start_ns;
        Ok(())
    }

    fn tell_file(&self, scanner: &Scanner, name: Vec<u8>, seen: &mut Vec<(PathBuf, Seen)>) -> io::Result<()> {
        let read = open(scanner, &name).and_then(|mut file| {
            let metadata = file.metadata()?;
            let mut data = Vec::new();
            file.read_to_end(&mut data)?;
            Ok((metadata, data))
        });
        let what = match read {
            Ok((metadata, data)) => Seen::Event(Event {
                name,
                seq: 0,
                time_ns: metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec(),
                size: data.len() as u64,
                data: Some(data),
            }),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Seen::Gone { name },
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
                Seen::Event(Event { name, seq: 0, time_ns: 0, size: 0, data: None })
            }
            // A link, a directory, a fifo: no event.
            Err(_) => return Ok(()),
        };
        seen.push((self.path.clone(), what));
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
            let hidden = entry.file_name().as_bytes().starts_with(b".");
            if metadata.is_file() && !hidden && changed >= since_ns {
                found.push((changed, entry.file_name()));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, name)| name.into_vec()).collect())
    }
}

fn now_ns() -> i128 {
    i128::from(crate::sys::clock::wall_ns())
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

/// Whether an error means that the directory is not there any more.
fn is_end(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENOTCONN))
}
