//! Seeing every event of some queues as it is published, without removing any.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::inotify::{AddWatchFlags, InotifyEvent, WatchDescriptor};

use super::place::{From, Place, concerns_files, is_staged, now_ns};
use super::wait::{Arrivals, IDLE_PAUSE, SECOND_LOOKS, Woken};
use crate::wire::Event;

/// Things told of one queue at once, roughly; more are told by the next call.
const SEEN_MAX: usize = 1_024;

/// Answers of inotify heard between two looks: more than its queue holds as a rule.
const HEARD_MAX: usize = 1_024;

/// Moves of which the second half has not been told.
const MOVES_MAX: usize = 1_024;

/// Something seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// A published event with its content, unless that may not be read. On a directory that is no
    /// queue the number is 0.
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
    /// First halves of moves: the cookie, where from, the old name.
    moves: HashMap<u32, (usize, Vec<u8>)>,
}

impl Watch {
    /// Begins: what is published from now on will be seen.
    ///
    /// # Errors
    /// The path that cannot be watched and why.
    pub fn new(queues: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let arrivals = Arrivals::new().map_err(|error| (PathBuf::from("inotify"), error))?;
        let (by_watch, moves) = (HashMap::new(), HashMap::new());
        let mut watch = Self { arrivals, places: Vec::new(), by_watch, moves };
        for queue in queues {
            watch.add(queue).map_err(|error| (queue.clone(), error))?;
        }
        Ok(watch)
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let number = self.arrivals.add(path)?;
        let place = Place::new(path)?;
        // One that is named twice is told once.
        if !self.places.iter().any(|other| other.is_same(&place)) {
            self.by_watch.insert(number, self.places.len());
            self.places.push(place);
        }
        Ok(())
    }

    /// Waits for the next things seen, each with the path of its queue. `None` when every queue has
    /// ended, or nobody reads `output` any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&mut self, output: BorrowedFd<'_>) -> io::Result<Option<Vec<(PathBuf, Seen)>>> {
        loop {
            if self.places.iter().all(|place| place.ended) {
                return Ok(None);
            }
            let next_look = self.places.iter().filter_map(|place| place.due).min();
            let idle_look = Instant::now() + IDLE_PAUSE;
            let until = next_look.map_or(idle_look, |next_look| next_look.min(idle_look));
            match self.arrivals.wait_while_read(Some(until), output)? {
                Some(Woken::Events(events)) => self.hear(&events),
                Some(Woken::TimedOut) if next_look.is_none() => {
                    self.places.iter_mut().filter(|place| place.is_gone()).for_each(Place::wake);
                }
                Some(Woken::TimedOut) => {}
                None => return Ok(None),
            }
            let mut seen = Vec::new();
            let now = Instant::now();
            for index in 0..self.places.len() {
                if self.places[index].due.is_some_and(|due| due <= now) {
                    self.look(index, &mut seen)?;
                }
            }
            if !seen.is_empty() {
                return Ok(Some(seen));
            }
        }
    }

    fn look(&mut self, index: usize, seen: &mut Vec<(PathBuf, Seen)>) -> io::Result<()> {
        let place = &mut self.places[index];
        place.due = SECOND_LOOKS.get(place.looks).map(|pause| Instant::now() + *pause);
        place.looks += 1;
        match self.look_inside(index, seen) {
            Err(error) if is_end(&error) => {
                let place = &mut self.places[index];
                (place.ended, place.due) = (true, None);
                seen.push((place.path.clone(), Seen::Ended));
                Ok(())
            }
            other => other,
        }
    }

    fn look_inside(&mut self, index: usize, seen: &mut Vec<(PathBuf, Seen)>) -> io::Result<()> {
        let mut scanner = self.places[index].open()?;
        let enough = seen.len() + SEEN_MAX;
        while let Some(since) = self.places[index].since {
            if seen.len() >= enough {
                self.places[index].wake();
                return Ok(());
            }
            let (newest, events) = scanner.scan(since)?;
            // Everything that this scan knows of was announced by inotify before.
            let _ = self.hear_all()?;
            let done = events.is_empty();
            self.places[index].digest(&scanner, newest, events, seen)?;
            if done {
                return Ok(());
            }
        }
        let now_ns = now_ns();
        let heard_all = self.hear_all()?;
        let heard_ns = heard_all.then_some(now_ns);
        self.places[index].look_at_directory(&scanner, heard_ns, seen)
    }

    /// Hears what inotify has to tell; whether that was all.
    fn hear_all(&mut self) -> io::Result<bool> {
        for _ in 0..HEARD_MAX {
            match self.arrivals.wait(Some(Instant::now()))? {
                Woken::Events(events) => self.hear(&events),
                Woken::TimedOut => return Ok(true),
            }
        }
        Ok(false)
    }

    fn hear(&mut self, events: &[InotifyEvent]) {
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                self.moves.clear();
                for place in &mut self.places {
                    place.overflowed = true;
                    place.wake();
                }
            } else if let Some(index) = self.by_watch.get(&event.wd) {
                self.hear_one(*index, event);
            }
        }
    }

    fn hear_one(&mut self, index: usize, event: &InotifyEvent) {
        let place = &mut self.places[index];
        let Some(name) = &event.name else {
            // About the directory itself.
            return place.wake();
        };
        let (name, mask) = (name.as_bytes(), event.mask);
        if mask.contains(AddWatchFlags::IN_ISDIR) || !concerns_files(mask) {
            return;
        }
        if mask.contains(AddWatchFlags::IN_MOVED_FROM) {
            if self.moves.len() >= MOVES_MAX {
                self.moves.clear();
            }
            self.moves.insert(event.cookie, (index, name.to_vec()));
            return;
        }
        if mask.contains(AddWatchFlags::IN_MOVED_TO) {
            match self.moves.remove(&event.cookie) {
                Some((from, old)) if from == index => place.hear_move(name, From::Here(&old)),
                _ => place.hear_move(name, From::Elsewhere),
            }
        } else if is_staged(name) {
            return;
        } else if mask.contains(AddWatchFlags::IN_CREATE) {
            place.hear_create(name);
        } else {
            place.hear_close(name);
        }
        place.wake();
    }
}

/// Whether an error means that the directory is not there any more.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENOTCONN)
    )
}
