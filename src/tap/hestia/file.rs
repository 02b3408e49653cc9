//! A feed that is a growing file: it may be rotated, truncated, rewritten, replaced, or not there yet.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::Decoders;
use super::arrivals::Arrivals;
use super::between::between;
use super::reading::{PIECE_BYTES, Reading, TURN_PIECES};
use super::resume::{self, FileId, Saved, Streams};
use super::watch::Watch;
use crate::decode::hestia::{MARK_BYTES, Origin, Splitter, Stand};
use crate::event::UnixNanos;
use crate::tap::sink::Sink;
use crate::tap::source::{Failure, Flow, From, Start, Wait};

/// Bytes before the place where reading goes on that are read once more, for what the inference of
/// operations has to know.
const WARM_UP_BYTES: u64 = 16 << 20;

/// How long a file that was rotated is given to complete a document that has begun.
const LEAVE_WAIT: Duration = Duration::from_secs(1);

/// The file under way.
#[derive(Debug)]
struct Part {
    file: File,
    id: FileId,
    resets: u64,
    reading: Reading,
    /// The last bytes that were read: as long as they stand there, nobody has rewritten the file.
    tail: Vec<u8>,
}

/// The path names another file.
#[derive(Debug)]
struct Leaving {
    since: Instant,
}

/// What is to be said of a file that is gone when the next one comes.
#[derive(Clone, Debug)]
struct Lost {
    inode: u64,
    offset: u64,
    reason: &'static str,
}

/// The feed.
#[derive(Debug)]
pub(super) struct FileFeed {
    path: PathBuf,
    once: bool,
    decoders: Decoders,
    streams: Streams,
    /// Nothing while the path names no file.
    part: Option<Part>,
    /// Rotated files of which something is to be delivered again, oldest first; then `part` is the next.
    later: VecDeque<Saved>,
    lost: Option<Lost>,
    /// How often the feed was replaced.
    resets: u64,
    leaving: Option<Leaving>,
    /// What comes from now on was never delivered before.
    caught_up: bool,
    watch: Watch,
    look_at: Instant,
    piece: Vec<u8>,
}

impl FileFeed {
    /// Goes on where the sink's state says, if it is to.
    pub(super) fn open(
        path: &Path,
        once: bool,
        decoders: Decoders,
        from: From,
        sink: &mut Sink,
    ) -> Result<Self, Failure> {
        let saved = resume::saved(sink);
        let resets = saved.iter().map(|saved| saved.resets).max().unwrap_or_default();
        let mut feed = Self {
            path: path.to_owned(),
            once,
            decoders,
            streams: Streams::new(&saved),
            part: None,
            later: VecDeque::new(),
            lost: None,
            resets,
            leaving: None,
            caught_up: false,
            watch: Watch::new(),
            look_at: Instant::now(),
            piece: vec![0; PIECE_BYTES],
        };
        match from {
            From::Resume => feed.restore(saved, sink),
            From::Oldest => {}
            From::Newest => feed.skip_to_newest(sink)?,
        }
        if !once && fs::metadata(path).is_err_and(|error| is_missing(&error)) {
            log::info!("{}: is not there; it is waited for", path.display());
        }
        Ok(feed)
    }

    /// Of all files but the last only what nobody has consumed is wanted, if the queue is gone, and what
    /// was read of them when the last was begun but had not been saved as written.
    fn restore(&mut self, saved: Vec<Saved>, sink: &mut Sink) {
        let Some((last, before)) = saved.split_last() else { return };
        let path = &self.path;
        let wanted = before.iter().filter(|saved| match saved.start {
            Start::At(_) => true,
            Start::After(_) => saved.has_more(path),
        });
        self.later = wanted.cloned().chain([last.clone()]).collect();
        self.enter_later(sink);
    }

    /// The next of the files that were saved, as far as there are any.
    fn enter_later(&mut self, sink: &mut Sink) -> bool {
        while let Some(saved) = self.later.pop_front() {
            if let Some(file) = saved.find(&self.path) {
                self.continue_at(file, &saved, sink);
                return true;
            }
            if !self.later.is_empty() {
                // Before what nobody had consumed of it came again.
                self.tell_gap(saved.id.inode, saved.offset(), "the rotated feed is gone", sink);
                continue;
            }
            let reason = match File::open(&self.path) {
                Ok(file) => saved.is_in(&file).err().unwrap_or("feed replaced"),
                Err(_) => "feed replaced",
            };
            self.lost = Some(Lost { inode: saved.id.inode, offset: saved.offset(), reason });
        }
        false
    }

    fn continue_at(&mut self, file: File, saved: &Saved, sink: &mut Sink) {
        let offset = saved.offset();
        let id = file.metadata().map_or(saved.id, |metadata| FileId::of(&metadata));
        self.part_at(file, id, saved.resets, offset, Some(saved.serial), sink);
    }

    /// Begins to read a file in this place.
    fn part_at(
        &mut self,
        file: File,
        id: FileId,
        resets: u64,
        offset: u64,
        serial: Option<u64>,
        sink: &mut Sink,
    ) {
        let stream = self.streams.enter(id, resets, serial, sink);
        let stand = Stand { origin: Origin::File { inode: id.inode, resets }, stream };
        let tail = resume::before(&file, offset).unwrap_or_default();
        let limits = self.decoders.limits;
        let splitter = Splitter::resume(limits.document_bytes_max, offset, &tail);
        let decoder = match self.part.take() {
            // Objects live on when their feed is rotated.
            Some(part) => part.reading.decoder,
            None => self.decoders.make(),
        };
        let mut reading = Reading::new(splitter, decoder, stand);
        if offset > 0 {
            warm_up(&mut reading, &file, offset, limits.document_bytes_max);
        }
        self.watch.follow_name(&self.path);
        self.watch.follow_file(file.as_fd());
        self.leaving = None;
        self.resets = resets;
        if !self.caught_up {
            reading.arrivals = Arrivals::read(sink.options(), stand.origin, offset);
        }
        self.part = Some(Part { file, id, resets, reading, tail });
    }

    /// Behind the last document that is whole by now.
    fn skip_to_newest(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        let Some((file, metadata)) = self.open_path()? else { return Ok(()) };
        let bytes_max = self.decoders.limits.document_bytes_max;
        let offset = last_end(&file, metadata.len(), bytes_max);
        let resets = self.resets;
        self.part_at(file, FileId::of(&metadata), resets, offset, None, sink);
        Ok(())
    }

    /// The file under the path; nothing while there is none.
    fn open_path(&self) -> Result<Option<(File, Metadata)>, Failure> {
        let fail = |error: &io::Error| Failure::io(self.path.display(), error);
        // A pipe that has taken the name meanwhile must not block us.
        match fs::metadata(&self.path) {
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(fail(&error)),
            Ok(metadata) if !metadata.is_file() => return Ok(None),
            Ok(_) => {}
        }
        match File::open(&self.path) {
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(fail(&error)),
            Ok(file) => {
                let metadata = file.metadata().map_err(|error| fail(&error))?;
                Ok(Some((file, metadata)))
            }
        }
    }

    pub(super) fn wait(&self) -> Wait<'_> {
        let on = self.watch.fd().map(|fd| (fd, PollFlags::POLLIN)).into_iter().collect();
        let release = self.part.as_ref().and_then(|part| part.reading.release_at);
        let leave = self.leaving.as_ref().map(|leaving| leaving.since + LEAVE_WAIT);
        let times = [Some(self.look_at), release, leave];
        Wait { on, until: times.into_iter().flatten().min() }
    }

    /// Reads what is there. Nothing if the path has become something that is no file.
    pub(super) fn turn(&mut self, sink: &mut Sink) -> Result<Option<Flow>, Failure> {
        self.watch.drain();
        self.watch.follow_name(&self.path);
        self.look_at = Instant::now() + self.watch.pause();
        if self.part.is_none() && !self.enter_new(sink)? {
            return Ok(if self.is_no_file() { None } else { Some(Flow::Wait) });
        }
        self.check_part(sink)?;
        for _ in 0..TURN_PIECES {
            if !sink.ready() {
                return Ok(Some(Flow::More));
            }
            if self.read_piece(sink)? == 0 {
                return self.at_end(sink);
            }
        }
        Ok(Some(Flow::More))
    }

    fn read_piece(&mut self, sink: &mut Sink) -> Result<usize, Failure> {
        let Some(part) = &mut self.part else { return Ok(0) };
        let offset = part.reading.splitter.end();
        let count = match part.file.read_at(&mut self.piece, offset) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(1),
            // A file system of the network may come back.
            Err(error) => {
                log::warn!("{}: {}", self.path.display(), crate::sys::plain(&error));
                return Ok(0);
            }
        };
        let bytes = self.piece.get(..count).unwrap_or_default();
        part.reading.push(bytes, sink);
        part.tail.extend_from_slice(bytes);
        part.tail.drain(..part.tail.len().saturating_sub(MARK_BYTES));
        Ok(count)
    }

    /// Whether the file still is what was read; else it is read from its start.
    fn check_part(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        let Some(part) = &self.part else { return Ok(()) };
        let end = part.reading.splitter.end();
        let metadata = part.file.metadata();
        let metadata = metadata.map_err(|error| Failure::io(self.path.display(), &error))?;
        let reason = if metadata.len() < end {
            "feed truncated"
        } else if resume::before(&part.file, end).is_some_and(|tail| tail != part.tail) {
            "feed rewritten"
        } else {
            return Ok(());
        };
        let Some(mut part) = self.part.take() else { return Ok(()) };
        part.reading.abandon(sink);
        let lost = Lost { inode: part.id.inode, offset: part.reading.settled, reason };
        let (resets, id) = (part.resets + 1, part.id);
        let file = part.file.try_clone();
        let file = file.map_err(|error| Failure::io(self.path.display(), &error))?;
        self.part = Some(part);
        self.tell_reset(&lost, id.inode, sink);
        self.part_at(file, id, resets, 0, None, sink);
        Ok(())
    }

    /// The file under the path, from its start; false while there is none.
    fn enter_new(&mut self, sink: &mut Sink) -> Result<bool, Failure> {
        let Some((file, metadata)) = self.open_path()? else { return Ok(false) };
        self.enter(file, &metadata, sink);
        Ok(true)
    }

    /// Begins with a file that was never read.
    fn enter(&mut self, file: File, metadata: &Metadata, sink: &mut Sink) {
        let id = FileId::of(metadata);
        let mut resets = self.resets;
        if let Some(lost) = self.lost.take() {
            resets += 1;
            self.tell_reset(&lost, id.inode, sink);
        }
        self.part_at(file, id, resets, 0, None, sink);
    }

    /// The first of the files that were the feed after the one that is left and before the present one.
    /// Of those that cannot be read any more a gap is told.
    fn rotated_since(&self, sink: &mut Sink) -> Option<(File, Metadata)> {
        let (present, _) = self.open_path().ok().flatten()?;
        let left = &self.part.as_ref()?.file;
        for missed in between(&self.path, left, &present, |inode| self.streams.knows(inode)) {
            if !missed.packed {
                return Some((missed.file, missed.metadata));
            }
            self.tell_gap(missed.metadata.ino(), 0, "a rotated feed is compressed", sink);
        }
        None
    }

    /// What stands from `first` on in a rotated file cannot be read.
    fn tell_gap(&self, inode: u64, first: u64, reason: &str, sink: &mut Sink) {
        let source = format!("/hestia/{}", self.decoders.name);
        sink.note("gap", &source, |fields| {
            fields.text("feed", &self.decoders.name);
            fields.number("inode", inode);
            fields.number("first", first);
            fields.null("last");
            fields.null("count");
            fields.raw_text("reason", reason);
        });
    }

    fn tell_reset(&self, lost: &Lost, inode: u64, sink: &mut Sink) {
        log::warn!("{}: {}", self.path.display(), lost.reason);
        let source = format!("/hestia/{}", self.decoders.name);
        sink.note("reset", &source, |fields| {
            fields.text("feed", &self.decoders.name);
            let mut old = fields.object("old");
            old.number("inode", lost.inode);
            old.number("offset", lost.offset);
            old.end();
            let mut new = fields.object("new");
            new.number("inode", inode);
            new.number("offset", 0);
            new.end();
            fields.raw_text("reason", lost.reason);
        });
    }

    /// Everything was read: is there another file, or is this the end?
    fn at_end(&mut self, sink: &mut Sink) -> Result<Option<Flow>, Failure> {
        let Some(part) = &mut self.part else { return Ok(Some(Flow::Wait)) };
        part.reading.release_late(sink);
        if !self.later.is_empty() {
            part.reading.abandon(sink);
            if !self.enter_later(sink) {
                self.part = None;
            }
            return Ok(Some(Flow::More));
        }
        let named = fs::metadata(&self.path);
        let is_ours = |metadata: &Metadata| FileId::of(metadata).is(part.id);
        match named {
            Ok(metadata) if !is_ours(&metadata) => return Ok(Some(self.leave(sink))),
            _ if self.once => {}
            _ => {
                self.leaving = None;
                self.caught_up = true;
                return Ok(Some(Flow::Wait));
            }
        }
        part.reading.release(sink);
        if part.reading.splitter.is_holding() {
            let offset = part.reading.settled;
            log::warn!("{}: the document behind {offset} has no end yet", self.path.display());
        }
        Ok(Some(Flow::Ended))
    }

    /// The path names another file. This one may still get the end of a document.
    fn leave(&mut self, sink: &mut Sink) -> Flow {
        let Some(part) = &mut self.part else { return Flow::More };
        let Some(leaving) = &self.leaving else {
            // Between our look at its end and that at the name it may have grown.
            self.leaving = Some(Leaving { since: Instant::now() });
            return Flow::More;
        };
        let late = leaving.since.elapsed() >= LEAVE_WAIT;
        if part.reading.splitter.is_holding() && !late && !self.once {
            return Flow::Wait;
        }
        part.reading.abandon(sink);
        // Rotated away it still has a name; else it was replaced.
        let replaced = part.file.metadata().map_or(true, |metadata| metadata.nlink() == 0);
        let (inode, offset) = (part.id.inode, part.reading.settled);
        self.lost = replaced.then_some(Lost { inode, offset, reason: "feed replaced" });
        if !replaced && let Some((file, metadata)) = self.rotated_since(sink) {
            self.enter(file, &metadata, sink);
            return Flow::More;
        }
        match self.enter_new(sink) {
            Ok(true) => Flow::More,
            Ok(false) => {
                self.part = None;
                Flow::More
            }
            Err(failure) => {
                log::warn!("{failure}");
                // The old one is done with; the next look tries again.
                self.leaving = None;
                Flow::Wait
            }
        }
    }

    fn is_no_file(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file())
    }

    pub(super) fn locate(&self, name: &str) -> Option<(u64, u64)> {
        self.streams.locate(name)
    }

    pub(super) fn goodbye(&mut self, sink: &mut Sink) {
        if let Some(part) = &mut self.part {
            part.reading.release(sink);
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Goes over the documents before an offset without delivering them.
fn warm_up(reading: &mut Reading, file: &File, offset: u64, bytes_max: usize) {
    let from = offset.saturating_sub(WARM_UP_BYTES);
    let (decoder, stand) = (&mut reading.decoder, reading.stand);
    for_each_document(file, from, offset, bytes_max, |document| {
        decoder.take(document, stand, UnixNanos(0), &mut |event| event.clear());
    });
    decoder.release(&mut |event| event.clear());
}

/// Where the last whole document before `length` ends; `length` where none is in sight.
fn last_end(file: &File, length: u64, bytes_max: usize) -> u64 {
    let from = length.saturating_sub(WARM_UP_BYTES);
    let mut end = if from == 0 { 0 } else { length };
    for_each_document(file, from, length, bytes_max, |document| end = document.end);
    end
}

fn for_each_document(
    file: &File,
    from: u64,
    to: u64,
    bytes_max: usize,
    mut each: impl FnMut(&crate::decode::hestia::Document<'_>),
) {
    let mut splitter = Splitter::resume(bytes_max, from, &[]);
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = from;
    while at < to {
        let want = usize::try_from(to - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let Some(room) = piece.get_mut(..want) else { return };
        let Ok(count @ 1..) = file.read_at(room, at) else { return };
        at += count as u64;
        splitter.push(room.get(..count).unwrap_or_default());
        while let Some(document) = splitter.next() {
            each(&document);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::hestia::Limits;
    use crate::tap::Options;

    const STATE_EVERY: Duration = Duration::from_secs(1);

    fn document(id: &str) -> String {
        format!("--- !remove\nid: {id}\ntime: 1\n...\n")
    }

    fn append(path: &Path, text: &str) {
        let file = File::options().append(true).create(true).open(path);
        io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
    }

    fn feed(path: &Path, sink: &mut Sink) -> FileFeed {
        let decoders = Decoders { name: "feed".into(), limits: Limits::default(), raw: false };
        FileFeed::open(path, false, decoders, From::Resume, sink).unwrap()
    }

    #[test]
    fn what_is_written_between_the_last_read_and_the_rotation_is_read() {
        let dir = tempfile::TempDir::new().unwrap();
        let (path, old) = (dir.path().join("feed"), dir.path().join("feed.1"));
        let mut sink = Sink::open(Options::new("hestia", vec![dir.path().join("q")])).unwrap();
        append(&path, &document("a"));
        let mut feed = feed(&path, &mut sink);
        feed.turn(&mut sink).unwrap();
        assert_eq!(feed.read_piece(&mut sink).unwrap(), 0);
        append(&path, &document("b"));
        fs::rename(&path, &old).unwrap();
        append(&path, &document("c"));
        // This is what follows the read above.
        feed.at_end(&mut sink).unwrap();
        while feed.turn(&mut sink).unwrap() == Some(Flow::More) {}
        sink.flush();
        assert_eq!(sink.counters().written, 3);
    }

    #[test]
    fn a_file_that_is_gone_back_to_stays_older_than_the_next() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("feed");
        let queue = dir.path().join("q");
        let state = Some(dir.path().join("state"));
        let options = Options { state, ..Options::new("hestia", vec![queue.clone()]) };
        let serials = |sink: &Sink| {
            let saved = resume::saved(sink);
            saved.iter().map(|saved| saved.serial).collect::<Vec<_>>()
        };
        let mut sink = Sink::open(options.clone()).unwrap();
        append(&path, &document("a"));
        let mut first = feed(&path, &mut sink);
        first.turn(&mut sink).unwrap();
        fs::rename(&path, dir.path().join("feed.1")).unwrap();
        append(&path, &document("b"));
        while first.turn(&mut sink).unwrap() == Some(Flow::More) {}
        sink.flush();
        sink.tick(Instant::now() + STATE_EVERY, &|name| first.locate(name));
        // The queue goes with both; the next tap is killed when it has gone back to the older one.
        fs::remove_dir_all(&queue).unwrap();
        let mut sink = Sink::open(options.clone()).unwrap();
        assert_eq!(serials(&sink), [1, 2]);
        let again = feed(&path, &mut sink);
        sink.tick(Instant::now() + STATE_EVERY, &|name| again.locate(name));
        let sink = Sink::open(options).unwrap();
        assert_eq!(serials(&sink), [1, 2]);
    }
}
