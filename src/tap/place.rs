//! One place that events go to: a queue that gets the files, and further ones that get links.

use std::ops::Range;

use super::batch::{BATCH_BYTES_MAX, Batch};
use super::queue::{Queue, Refusal};
use crate::event::{Class, Position};

/// Further names tried for an event whose own is taken by another one: `~2` to this.
const SUFFIX_MAX: u32 = 100_000;

/// What became of lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) written: u64,
    pub(super) duplicate: u64,
    pub(super) notes: u64,
    /// Too large for the file system: no waiting helps.
    pub(super) too_large: u64,
    /// Position of every line that is done, in order; the last of a stream counts.
    pub(super) positions: Vec<Position>,
    /// Name of every note that is done, and the file that it is in.
    pub(super) noted: Vec<(String, String)>,
}

impl Tally {
    fn add(&mut self, batch: &Batch, lines: Range<usize>, fate: Fate, file: &str) {
        for number in lines {
            let Some(line) = batch.lines.get(number) else { return };
            if line.class == Class::Note {
                self.noted.push((batch.name(number).to_owned(), file.to_owned()));
            }
            match (line.class, fate) {
                (Class::Note, Fate::TooLarge) => {}
                (Class::Note, _) => self.notes += 1,
                (_, Fate::TooLarge) => self.too_large += 1,
                (_, Fate::Duplicate) => self.duplicate += 1,
                (_, Fate::Written) => self.written += 1,
            }
            self.positions.extend(line.position);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Written,
    Duplicate,
    TooLarge,
}

/// A file that is in the first queue and not in all the others yet.
#[derive(Debug)]
struct Linking {
    file: String,
    lines: Range<usize>,
    /// First lines that were there before.
    known: usize,
    next: usize,
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) queues: Vec<Queue>,
    pub(super) batch: Batch,
    /// Lines of the batch that are in the queues.
    done: usize,
    linking: Option<Linking>,
    /// The rest of a file of ours that was met again: what is redelivered next should be just that.
    expected: Vec<u8>,
}

/// Where a content ended up.
struct Put {
    file: String,
    /// Bytes of it that were there before.
    known: usize,
    /// Whether all of it is there; else only the lines among the known bytes are.
    whole: bool,
}

impl Place {
    pub(super) fn new(queues: Vec<Queue>) -> Self {
        Self { queues, batch: Batch::default(), done: 0, linking: None, expected: Vec::new() }
    }

    /// Records of the batch that are in no queue yet.
    pub(super) fn waiting(&self) -> u64 {
        let left = self.batch.lines.get(self.done..).unwrap_or_default();
        left.iter().filter(|line| line.class != Class::Note).count() as u64
    }

    /// Forgets the batch: it will be delivered anew.
    pub(super) fn forget(&mut self) {
        self.batch.clear();
        self.done = 0;
        self.linking = None;
        self.expected.clear();
    }

    /// A queue is to be made anew: the file that lacked links counts as written nowhere.
    pub(super) fn start_over(&mut self) {
        self.linking = None;
        self.rest();
    }

    /// Lets go of the directories.
    pub(super) fn rest(&mut self) {
        for queue in &mut self.queues {
            queue.close();
        }
    }

    /// Brings the batch into the queues: in files of up to `lines_max` lines, and of fewer where that
    /// does not fit. What is done is in `tally` also when it fails, and another call goes on there.
    pub(super) fn flush(&mut self, lines_max: usize, tally: &mut Tally) -> Result<(), Refusal> {
        let mut size = lines_max.max(1);
        loop {
            self.skip_expected(tally);
            let end = self.batch.lines.len().min(self.done.saturating_add(size));
            let lines = self.done..end;
            if lines.is_empty() {
                break;
            }
            match self.put(lines.clone(), tally) {
                Ok(()) => {}
                Err(Refusal::Full(_) | Refusal::TooLarge)
                    if lines.len() > 1 && self.linking.is_none() =>
                {
                    size = lines.len() / 2;
                }
                Err(Refusal::TooLarge) => {
                    tally.add(&self.batch, lines.clone(), Fate::TooLarge, "");
                    self.linking = None;
                    self.done = lines.end;
                }
                Err(refusal) => return Err(refusal),
            }
        }
        self.batch.clear();
        self.done = 0;
        Ok(())
    }

    /// Lines that a file of ours has already.
    fn skip_expected(&mut self, tally: &mut Tally) {
        while !self.expected.is_empty() && self.done < self.batch.lines.len() {
            let line = self.done..self.done + 1;
            let content = self.batch.content(line.clone());
            if !self.expected.starts_with(content) {
                self.expected.clear();
                return;
            }
            self.expected.drain(..content.len());
            tally.add(&self.batch, line, Fate::Duplicate, "");
            self.done += 1;
        }
    }

    /// Lines as one file, in all queues.
    fn put(&mut self, lines: Range<usize>, tally: &mut Tally) -> Result<(), Refusal> {
        let mut linking = match self.linking.take() {
            Some(linking) => linking,
            None => self.put_first(lines)?,
        };
        while linking.next < self.queues.len() {
            if let Err(refusal) = self.link(&linking) {
                self.linking = Some(linking);
                return Err(refusal);
            }
            linking.next += 1;
        }
        let Range { start, end } = linking.lines;
        let file = &linking.file;
        tally.add(&self.batch, start..start + linking.known, Fate::Duplicate, file);
        tally.add(&self.batch, start + linking.known..end, Fate::Written, file);
        self.done = end;
        Ok(())
    }

    fn put_first(&mut self, lines: Range<usize>) -> Result<Linking, Refusal> {
        let Self { queues, batch, expected, .. } = self;
        let queue = queues.first_mut().ok_or(Refusal::Gone)?;
        let put = put_file(queue, batch, lines.clone(), expected)?;
        let start = batch.start(lines.start);
        let is_known = |line: &&super::batch::Line| line.end - start <= put.known;
        let known = batch.lines.get(lines.clone()).unwrap_or_default().iter();
        let known = known.take_while(is_known).count();
        let end = if put.whole { lines.end } else { lines.start + known };
        Ok(Linking { file: put.file, lines: lines.start..end, known, next: 1 })
    }

    /// The file in one more queue: as a link, else as a copy.
    fn link(&mut self, linking: &Linking) -> Result<(), Refusal> {
        let Self { queues, batch, .. } = self;
        let Some((first, others)) = queues.split_first_mut() else { return Err(Refusal::Gone) };
        let Some(queue) = others.get_mut(linking.next - 1) else { return Err(Refusal::Gone) };
        match first.link(&linking.file, queue, &linking.file) {
            Ok(()) => Ok(()),
            Err(Refusal::Full(error)) => Err(Refusal::Full(error)),
            // Taken; or consumed from the first queue by now; or not on one file system; or the
            // event has all the links that it may have.
            Err(_) => put_file(queue, batch, linking.lines.clone(), &mut Vec::new()).map(drop),
        }
    }
}

/// Lines as one file in one queue, under the name of the first or a further one.
fn put_file(
    queue: &mut Queue,
    batch: &Batch,
    lines: Range<usize>,
    expected: &mut Vec<u8>,
) -> Result<Put, Refusal> {
    let content = batch.content(lines.clone());
    let name = batch.name(lines.start);
    let attributes: Vec<(&str, &str)> =
        batch.attributes(lines.start).iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut suffix = 1;
    while suffix < SUFFIX_MAX {
        let file = match suffix {
            1 => format!("{name}.json"),
            _ => format!("{name}~{suffix}.json"),
        };
        match queue.create(&file, content, &attributes) {
            Ok(()) => return Ok(Put { file, known: 0, whole: true }),
            Err(Refusal::Taken) => {}
            Err(refusal) => return Err(refusal),
        }
        match meet(queue, &file, content, expected)? {
            Meeting::Gone => {}
            Meeting::Other => suffix += 1,
            Meeting::Own { known, whole } => return Ok(Put { file, known, whole }),
        }
    }
    Err(Refusal::Other(std::io::Error::from_raw_os_error(libc::EEXIST)))
}

/// What is found under a name that is taken.
enum Meeting {
    /// It has just been consumed.
    Gone,
    /// Another event.
    Other,
    /// This content, or a part of it that was completed, or its first lines.
    Own { known: usize, whole: bool },
}

fn meet(
    queue: &mut Queue,
    file: &str,
    content: &[u8],
    expected: &mut Vec<u8>,
) -> Result<Meeting, Refusal> {
    let bytes_max = (content.len() + BATCH_BYTES_MAX) as u64;
    let found = match queue.read(file, bytes_max) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Meeting::Other),
        Err(Refusal::Gone) if queue.is_there() => return Ok(Meeting::Gone),
        Err(refusal) => return Err(refusal),
    };
    if let Some(rest) = found.strip_prefix(content) {
        *expected = rest.to_vec();
        return Ok(Meeting::Own { known: content.len(), whole: true });
    }
    match content.strip_prefix(&found[..]) {
        // A smaller batch; the lines that follow may have a file of their own.
        Some(_) if found.ends_with(b"\n") => Ok(Meeting::Own { known: found.len(), whole: false }),
        Some(rest) => match queue.append(file, rest) {
            Ok(()) => Ok(Meeting::Own { known: found.len(), whole: true }),
            Err(Refusal::Gone) if queue.is_there() => Ok(Meeting::Gone),
            Err(refusal) => Err(refusal),
        },
        None => Ok(Meeting::Other),
    }
}
