//! What is still to be posted: a directory with one event a file, beside the queue.
//!
//! A queue of its own, because consumers empty the other one. It is made sticky, so that what is to be
//! posted outlives a crash of the tap, and is removed at the end if there is nothing left in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tap::Failure;
use crate::tap::queue::{Making, Queue, Refusal};

/// Attribute of the directory that says which URL has got how much.
const POSITIONS: &str = "user.tap.publish";

/// Room that it takes at once, bytes.
const POSITIONS_ROOM: usize = 256;

/// Last number that each URL has got.
pub(super) type Positions = BTreeMap<String, u64>;

/// The side that writes; for the tap's thread.
#[derive(Debug)]
pub(super) struct Spool {
    queue: Queue,
    making: Making,
    /// Did not fit yet, oldest first.
    waiting: VecDeque<(u64, Vec<u8>)>,
    waiting_bytes: usize,
    events_max: usize,
    bytes_max: usize,
    /// Did not fit into memory either, since it was told last.
    lost: u64,
}

impl Spool {
    /// Finds or makes the directory.
    ///
    /// # Errors
    /// One line about it.
    pub(super) fn open(
        path: &Path,
        shared: bool,
        (events_max, bytes_max): (usize, usize),
    ) -> Result<Self, Failure> {
        let making = Making { sticky: true, shared };
        let queue = Queue::prepare(path, making)?;
        let waiting = VecDeque::new();
        Ok(Self { queue, making, waiting, waiting_bytes: 0, events_max, bytes_max, lost: 0 })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.queue.path
    }

    /// Numbers of what is in it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn pending(&self) -> Result<BTreeSet<u64>, Failure> {
        let mut found = BTreeSet::new();
        let see = |name: &str| {
            found.extend(name.strip_suffix(".json").and_then(|digits| digits.parse::<u64>().ok()));
            true
        };
        let listed = self.queue.names(see);
        listed.map_err(|error| Failure::io(self.path().display(), &error))?;
        Ok(found)
    }

    /// Who has got how much; nothing where nobody has said so.
    pub(super) fn positions(&self) -> Option<Positions> {
        let text = self.queue.attribute(POSITIONS)?;
        serde_json::from_slice(text.trim_ascii()).ok()
    }

    /// Puts an event in, behind those that wait; says which numbers are in files now.
    pub(super) fn put(&mut self, number: u64, line: Vec<u8>) -> Vec<u64> {
        if self.waiting.len() >= self.events_max || self.waiting_bytes + line.len() > self.bytes_max
        {
            self.lost += 1;
        } else {
            self.waiting_bytes += line.len();
            self.waiting.push_back((number, line));
        }
        self.write()
    }

    /// Writes what waits; says which numbers are in files now.
    pub(super) fn write(&mut self) -> Vec<u64> {
        let mut written = Vec::new();
        while let Some((number, line)) = self.waiting.front() {
            match self.queue.create(&name(*number), line, &[]) {
                Ok(()) | Err(Refusal::Taken) => {}
                Err(Refusal::TooLarge) => self.lost += 1,
                Err(Refusal::Gone) => {
                    if self.queue.prepare_again(self.making).is_err() {
                        break;
                    }
                    continue;
                }
                Err(_) => break,
            }
            written.push(*number);
            self.waiting_bytes -= line.len();
            self.waiting.pop_front();
        }
        written
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What was lost since this was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Lets go of the directory.
    pub(super) fn rest(&mut self) {
        self.queue.close();
    }

    /// Removes it if nothing is in it.
    pub(super) fn remove_if_empty(&mut self) {
        self.rest();
        // Not empty, or not ours to remove: it stays.
        let _ = fs::remove_dir(self.path());
    }
}

/// File of a number.
fn name(number: u64) -> String {
    format!("{number:020}.json")
}

/// The side that reads, for the threads that post.
#[derive(Clone, Debug)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// An event; nothing when somebody has removed it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.directory.join(name(number))) {
            Ok(line) => Ok(Some(line)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes events that everybody has got.
    pub(super) fn remove(&self, numbers: &BTreeSet<u64>) {
        for number in numbers {
            // Already gone is as good.
            let _ = fs::remove_file(self.directory.join(name(*number)));
        }
    }

    /// Saves who has got how much.
    pub(super) fn save(&self, positions: &Positions) {
        let text = serde_json::to_string(positions).unwrap_or_default();
        let length = text.len().next_multiple_of(POSITIONS_ROOM);
        let saved = xattr::set(&self.directory, POSITIONS, format!("{text:length$}").as_bytes());
        if let Err(error) = saved {
            log::debug!("{}: {error}: positions are not saved", self.directory.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_pending_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.publish");
        let mut spool = Spool::open(&path, false, (10, 1_000)).unwrap();
        assert_eq!(spool.put(7, b"seven".to_vec()), [7]);
        assert_eq!(spool.put(9, b"nine".to_vec()), [9]);
        let files = Files::new(path.clone());
        assert_eq!(files.read(7).unwrap().as_deref(), Some(&b"seven"[..]));
        assert_eq!(spool.pending().unwrap(), BTreeSet::from([7, 9]));
        assert!(spool.positions().is_none());
        files.save(&Positions::from([("http://a/".into(), 7)]));
        assert_eq!(spool.positions().unwrap()["http://a/"], 7);
        files.remove(&BTreeSet::from([7]));
        assert_eq!(files.read(7).unwrap(), None);
        spool.remove_if_empty();
        assert!(path.exists());
        files.remove(&BTreeSet::from([9]));
        spool.remove_if_empty();
        assert!(!path.exists());
    }

    #[test]
    fn what_finds_no_room_waits_in_memory_and_then_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("q.publish");
        let mut spool = Spool::open(&path, false, (2, 1_000)).unwrap();
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "in the way").unwrap();
        for number in 0..5 {
            assert!(spool.put(number, vec![0]).is_empty());
        }
        assert!(spool.is_waiting());
        assert_eq!((spool.take_lost(), spool.take_lost()), (3, 0));
        fs::remove_file(&path).unwrap();
        assert_eq!(spool.write(), [0, 1]);
        assert!(!spool.is_waiting());
    }
}
