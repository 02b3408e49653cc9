//! A life with Hestia: a feed that grows, document by document and sometimes in two pieces, and is rotated.
//! Afterwards each document was delivered; what was removed unread is told.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemon::wait_for;
use crate::rng::Rng;
use crate::scene::{Plan, Scene, TICK, Victim};
use crate::seen::{REPEAT_BOUND, Said};
use crate::slot::Places;
use crate::tally::Tally;

/// Most documents in a tick.
const BURST_MAX: u64 = 15;

/// One document in so many is written in two pieces, with a tick between them.
const PIECES_EVERY: u64 = 40;

/// One tick in so many rotates the feed.
const ROTATE_EVERY: u64 = 30;

/// A rotated file is removed when all of it was seen so long ago: by then the tap has seen that too, and
/// wants nothing of it again.
const REMOVE_AFTER: Duration = REPEAT_BOUND;

/// Documents in a file that is removed unread, and in the one after it.
const HOLE: u64 = 30;
const KEPT: u64 = 20;

/// A document about the object of this number. Some have no time of their own, and a deletion waits a
/// moment for the other half of a move.
fn document(number: u64) -> String {
    use base64::Engine as _;
    let object = format!("00000000-0000-4000-8000-{number:012}");
    let id = base64::engine::general_purpose::STANDARD.encode(&object);
    match number % 4 {
        0 => format!("---\n!remove\nid: \"{object}\"\ntime: {}\n...\n", number + 1),
        1 => format!("---\n!delete\nid: !!binary {id}\n...\n"),
        2 => {
            let filler = "x".repeat((number % 500) as usize);
            format!("---\n!inode_xattr\nid: !!binary {id}\nxattrs:\n  filler: \"{filler}\"\n...\n")
        }
        _ => format!("--- !read\nid: {object}\ntime: {}\n...\n", number + 1),
    }
}

fn read(event: &Value) -> Said {
    match event["type"].as_str() {
        Some("hestia.gap" | "hestia.reset") => Said::Note,
        Some("hestia.remove" | "hestia.delete" | "hestia.inode_xattr" | "hestia.read") => {
            let object = event["data"]["id_text"].as_str().unwrap_or_default();
            let number = object.rsplit('-').next().and_then(|number| number.parse().ok());
            number.map_or(Said::Stranger, Said::Number)
        }
        _ => Said::Stranger,
    }
}

/// A file that was the feed.
struct Rotated {
    path: PathBuf,
    /// Behind the number of its last document.
    end: u64,
    /// When all of it had been seen.
    done: Option<Instant>,
}

/// The writer of the feed.
struct Feed {
    path: PathBuf,
    /// Nothing between a rotation and the next document.
    file: Option<File>,
    /// The rest of a document.
    rest: String,
    /// Of the next document.
    next: u64,
    rotated: Vec<Rotated>,
    rotations: u64,
}

impl Feed {
    fn new(path: PathBuf) -> Self {
        let (file, rest, rotated) = (None, String::new(), Vec::new());
        Self { path, file, rest, next: 0, rotated, rotations: 0 }
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        let open = || File::options().append(true).create(true).open(&self.path);
        let file = self.file.take().map_or_else(open, Ok);
        let mut file = file.map_err(|error| error.to_string())?;
        file.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        self.file = Some(file);
        Ok(())
    }

    /// Whole documents in one write.
    fn write(&mut self, count: u64) -> Result<(), String> {
        let rest = std::mem::take(&mut self.rest);
        self.next += u64::from(!rest.is_empty());
        let text: String = (self.next..self.next + count).map(document).collect();
        self.append(&(rest + &text))?;
        self.next += count;
        Ok(())
    }

    /// The first piece of a document.
    fn begin(&mut self, rng: &mut Rng) -> Result<(), String> {
        let whole = document(self.next);
        let (piece, rest) = whole.split_at(1 + rng.below(whole.len() as u64 - 1) as usize);
        self.append(piece)?;
        self.rest = rest.to_owned();
        Ok(())
    }

    /// Gives the file another name; who has it open may go on writing.
    fn rename(&mut self) -> Result<PathBuf, String> {
        self.rotations += 1;
        let path = self.path.with_extension(format!("yaml.{}", self.rotations));
        fs::rename(&self.path, &path).map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// The next document begins a new file.
    fn leave(&mut self, path: PathBuf) {
        self.file = None;
        self.rotated.push(Rotated { path, end: self.next, done: None });
    }

    /// Inode and length of the present file.
    fn stand(&self) -> Result<(u64, u64), String> {
        let metadata = fs::metadata(&self.path).map_err(|error| error.to_string())?;
        Ok((metadata.ino(), metadata.len()))
    }
}

struct Life<'a> {
    scene: Scene<'a>,
    feed: Feed,
}

/// Runs a life.
pub(crate) fn run(
    places: &Places,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
) -> Result<(), String> {
    let feed = Feed::new(places.work.join("feed.yaml"));
    let words = vec!["--feed".into(), feed.path.clone().into()];
    let scene = Scene::new(places, Rng::new(seed), Plan { source: "hestia", words, read }, tally);
    let mut life = Life { scene, feed };
    life.storm(length)?;
    life.feed.write(1)?;
    life.settle("after the storm")?;
    let notes = std::mem::take(&mut life.scene.seen.notes);
    if !notes.is_empty() {
        life.scene.seen.find(format!("nobody caused {notes:?}"));
    }
    life.removed_unread()?;
    life.removed_unconsumed()?;
    let Life { scene, feed } = life;
    scene.tally.tap.rotations += feed.rotations;
    scene.tally.tap.overwritten += 2 * HOLE;
    scene.end(feed.next);
    Ok(())
}

impl Life<'_> {
    fn storm(&mut self, length: Duration) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.grow()?;
            self.rotate()?;
            self.remove_done();
            self.scene.keep_up()?;
            for victim in self.scene.victims() {
                self.scene.kill(victim);
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), String> {
        let Self { scene, feed } = self;
        // Some time after a rotation there is no feed.
        if feed.file.is_none() && !scene.rng.once_in(4) {
            return Ok(());
        }
        let count = scene.rng.below(BURST_MAX);
        feed.write(count)?;
        if scene.rng.once_in(PIECES_EVERY) {
            feed.begin(&mut scene.rng)?;
        }
        Ok(())
    }

    /// Also when no tap has looked at the present file; only of the very first one a tap has to know.
    fn rotate(&mut self) -> Result<(), String> {
        let Self { scene, feed } = self;
        if !scene.rng.once_in(ROTATE_EVERY) || !feed.rest.is_empty() || !scene.seen.has(0) {
            return Ok(());
        }
        if feed.file.is_none() {
            // Nothing has the name.
            return Ok(());
        }
        let path = feed.rename()?;
        if scene.rng.once_in(2) {
            let count = scene.rng.below(BURST_MAX);
            feed.write(count)?;
        }
        feed.leave(path);
        Ok(())
    }

    /// The next file may get the inode of one that is removed.
    fn remove_done(&mut self) {
        let seen = &self.scene.seen;
        let mut from = 0;
        self.feed.rotated.retain_mut(|file| {
            let is_done = file.done.is_some() || (from..file.end).all(|number| seen.has(number));
            from = file.end;
            if is_done && file.done.get_or_insert_with(Instant::now).elapsed() > REMOVE_AFTER {
                return fs::remove_file(&file.path).is_err();
            }
            true
        });
    }

    fn settle(&mut self, when: &str) -> Result<(), String> {
        let next = self.feed.next;
        self.scene.settle(when, |seen| seen.missing(next))
    }

    /// The numbers from here on are missing because the checker made it so.
    fn expect_missing(&mut self, first: u64) {
        self.scene.seen.gaps.push((first, first + HOLE - 1));
    }

    /// Checks the one note that must have come.
    fn expect_note(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        let notes = std::mem::take(&mut self.scene.seen.notes);
        if notes.len() != 1 || !is_it(&notes[0]) {
            self.scene.seen.find(format!("{what} is told as {notes:?}"));
        }
    }

    /// A file is rotated and removed while no tap runs: what was written last is told by a reset.
    fn removed_unread(&mut self) -> Result<(), String> {
        self.scene.rest();
        self.scene.stop_tap("before the reset");
        let (inode, offset) = self.feed.stand()?;
        let first = self.feed.next;
        self.feed.write(HOLE)?;
        let path = self.feed.rename()?;
        fs::remove_file(path).map_err(|error| error.to_string())?;
        self.feed.file = None;
        self.expect_missing(first);
        self.feed.write(KEPT)?;
        let new = self.feed.stand()?.0;
        self.settle("after the reset")?;
        self.scene.rest();
        // The new file may have got the inode of the old one; the time of its birth tells them apart.
        let is_known =
            fs::metadata(&self.feed.path).is_ok_and(|metadata| metadata.created().is_ok());
        let reasons: &[&str] = if new == inode && !is_known {
            &["feed truncated", "feed rewritten"]
        } else {
            &["feed replaced"]
        };
        self.expect_note("a feed that was removed unread", |note| {
            let data = &note["data"];
            note["type"] == "hestia.reset"
                && data["old"] == json!({"inode": inode, "offset": offset})
                && data["new"] == json!({"inode": new, "offset": 0})
                && data["reason"].as_str().is_some_and(|reason| reasons.contains(&reason))
        });
        let counters = self.scene.stop_tap("after the reset");
        if counters["notes"] != 1 || counters["written"] != KEPT || counters["lost"] != 0 {
            self.scene.seen.find(format!("a reset and {KEPT} documents are counted {counters}"));
        }
        Ok(())
    }

    /// The queue dies with documents of a rotated file that nobody consumed, and the file is gone: what
    /// cannot come again is told by a gap.
    fn removed_unconsumed(&mut self) -> Result<(), String> {
        let (inode, offset) = self.feed.stand()?;
        let first = self.feed.next;
        self.feed.write(HOLE)?;
        self.read_without_consumer(HOLE)?;
        let path = self.feed.rename()?;
        self.feed.leave(path.clone());
        self.expect_missing(first);
        self.feed.write(KEPT)?;
        self.read_without_consumer(HOLE + KEPT)?;
        self.scene.stop_tap("before the gap");
        self.scene.kill(Victim::Daemon);
        fs::remove_file(path).map_err(|error| error.to_string())?;
        self.settle("after the gap")?;
        self.scene.rest();
        self.expect_note("a rotated feed that was removed unconsumed", |note| {
            let data = &note["data"];
            note["type"] == "hestia.gap"
                && (&data["inode"], &data["first"]) == (&json!(inode), &json!(offset))
                && data["reason"] == "the rotated feed is gone"
        });
        let counters = self.scene.stop_tap("after the gap");
        if counters["notes"] != 1 || counters["written"] != KEPT {
            self.scene.seen.find(format!("a gap and {KEPT} documents are counted {counters}"));
        }
        Ok(())
    }

    fn read_without_consumer(&mut self, count: u64) -> Result<(), String> {
        self.scene.keep_up_tap()?;
        if !wait_for(|| self.scene.counters()["written"] == count) {
            let counters = self.scene.counters();
            self.scene.seen.find(format!("{count} documents are counted {counters}"));
        }
        Ok(())
    }
}
