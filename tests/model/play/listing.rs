//! Reading directories in small pieces while they change.

use std::collections::{HashMap, HashSet};

use eventfs::model::{HandleId, Ino, Kind, Now, Tree};

use super::reference::{Id, Reference, State};

/// What must not change for an entry to be listed exactly once: link, name, published or not.
type Stayer = (Id, Vec<u8>, bool);

/// One line of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) ino: Ino,
    pub(crate) kind: Kind,
    pub(crate) offset: u64,
    pub(crate) name: Vec<u8>,
}

/// An open directory and what a reader got from it so far.
pub(crate) struct Reading {
    pub(crate) id: HandleId,
    pub(crate) queue: Option<Id>,
    offset: u64,
    /// Entries that were there all the time.
    stayed: HashSet<Stayer>,
    /// How often each entry was listed.
    seen: HashMap<Id, u32>,
    /// Where reading was before, and what had been seen there.
    past: Vec<(u64, HashMap<Id, u32>)>,
}

/// The lines behind an offset, at most `max`.
pub(crate) fn lines(tree: &mut Tree, id: HandleId, offset: u64, max: usize) -> Vec<Line> {
    let mut out = Vec::new();
    let listed = tree.readdir(id, offset, &mut |line| {
        if out.len() == max {
            return true;
        }
        let (ino, kind, offset) = (line.ino, line.kind, line.offset);
        out.push(Line { ino, kind, offset, name: line.name.to_vec() });
        false
    });
    listed.expect("the directory is open");
    out
}

/// Everything in a directory.
pub(crate) fn all(tree: &mut Tree, ino: Ino) -> Vec<Line> {
    let id = tree.opendir(ino).expect("it can be opened");
    let out = lines(tree, id, 0, usize::MAX);
    tree.releasedir(id, Now::default());
    out
}

fn stayers(reference: &Reference, queue: Option<Id>) -> HashSet<Stayer> {
    match queue {
        Some(queue) => reference.queues[queue]
            .links()
            .map(|link| (link.id, link.name.clone(), link.state.is_queued()))
            .collect(),
        None => {
            let queues = reference.queues.iter().enumerate().filter(|(_, queue)| queue.alive);
            queues.map(|(id, queue)| (id, queue.name.clone(), false)).collect()
        }
    }
}

impl Reading {
    pub(crate) fn new(id: HandleId, queue: Option<Id>, reference: &Reference) -> Self {
        let stayed = stayers(reference, queue);
        Self { id, queue, offset: 0, stayed, seen: HashMap::new(), past: Vec::new() }
    }

    /// Starts anew.
    pub(crate) fn rewind(&mut self, reference: &Reference) {
        *self = Self::new(self.id, self.queue, reference);
    }

    /// Goes back to where reading was once, as `seekdir` does.
    pub(crate) fn seek(&mut self, to: u8) {
        if !self.past.is_empty() {
            self.past.truncate(usize::from(to) % self.past.len() + 1);
            (self.offset, self.seen) = self.past.pop().expect("one was kept");
        }
    }

    /// After an operation: what is no longer as it was need not be listed.
    pub(crate) fn note_changes(&mut self, reference: &Reference) {
        let there = stayers(reference, self.queue);
        self.stayed.retain(|stayer| there.contains(stayer));
    }

    /// Asks for `want` lines and takes `eaten` of them, as the kernel does when the buffer of the
    /// reader is smaller than its own.
    pub(crate) fn read(&mut self, tree: &mut Tree, reference: &Reference, want: u8, eaten: u8) {
        let got = lines(tree, self.id, self.offset, want.into());
        self.check_lines(reference, &got);
        self.past.push((self.offset, self.seen.clone()));
        let eaten = usize::from(eaten).min(got.len());
        for line in &got[..eaten] {
            assert!(line.offset > self.offset, "offsets rise: {line:?}");
            self.offset = line.offset;
            if let Some(link) = self.identify(reference, line) {
                *self.seen.entry(link).or_insert(0) += 1;
            }
        }
        let at_end = got.len() < usize::from(want) && eaten == got.len();
        if let Some(last) = got[..eaten].last() {
            self.check_nothing_skipped(reference, last);
        }
        for (link, name, _) in &self.stayed {
            let times = self.seen.get(link).copied().unwrap_or(0);
            let name = String::from_utf8_lossy(name);
            assert!(times <= 1, "{name} stayed and was listed {times} times");
            assert!(!at_end || times == 1, "{name} stayed and was not listed");
        }
    }

    /// What stayed and stands before a line that was listed was listed too.
    fn check_nothing_skipped(&self, reference: &Reference, last: &Line) {
        let whole = expected(reference, self.queue);
        for (_, name, _) in whole.iter().take_while(|line| line.1 != last.name) {
            let stayed = self.stayed.iter().find(|stayer| stayer.1 == *name);
            let skipped = stayed.is_some_and(|(link, ..)| !self.seen.contains_key(link));
            assert!(!skipped, "{} stayed and was skipped", String::from_utf8_lossy(name));
        }
    }

    /// The link or queue that a line stands for.
    fn identify(&self, reference: &Reference, line: &Line) -> Option<Id> {
        if line.name.starts_with(b".") && line.kind == Kind::Directory {
            return None;
        }
        match self.queue {
            None => reference.queue_of_name(&line.name),
            Some(queue) => reference.queues[queue].find(&line.name).map(|link| link.id),
        }
    }

    /// Every line is true now, and the order is that of the whole listing.
    fn check_lines(&self, reference: &Reference, got: &[Line]) {
        let whole = expected(reference, self.queue);
        let mut rest = whole.iter();
        for line in got {
            let same = |known: &&Expected| known.1 == line.name && known.2 == line.kind;
            let found = rest.find(same);
            let found = found.unwrap_or_else(|| panic!("{line:?} is not in its place {whole:?}"));
            assert!(found.0.is_none_or(|ino| ino == line.ino), "{line:?} has a wrong number");
        }
    }
}

/// Number where the reference knows it, name and kind.
pub(crate) type Expected = (Option<Ino>, Vec<u8>, Kind);

/// What a whole listing should be.
pub(crate) fn expected(reference: &Reference, queue: Option<Id>) -> Vec<Expected> {
    let own = queue.map_or(Ino::ROOT, |queue| reference.queues[queue].ino);
    let mut out = vec![
        (Some(own), b".".to_vec(), Kind::Directory),
        (Some(Ino::ROOT), b"..".to_vec(), Kind::Directory),
    ];
    let Some(queue) = queue else {
        let queues = reference.live_queues();
        out.extend(queues.map(|queue| (Some(queue.ino), queue.name.clone(), Kind::Directory)));
        return out;
    };
    let queue = &reference.queues[queue];
    if !queue.events.is_empty() {
        out.push((None, b"head".to_vec(), Kind::Link));
        out.push((None, b"tail".to_vec(), Kind::Link));
    }
    for link in queue.links() {
        assert_eq!(link.state.is_queued(), queue.events.iter().any(|event| event.id == link.id));
        assert!(!link.name.starts_with(b".") || link.state == State::Staged);
        out.push((Some(reference.files[&link.file].ino), link.name.clone(), Kind::File));
    }
    out
}
