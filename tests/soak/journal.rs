//! What a process writes down as it goes: a line before each step and one after it. A line is one
//! write(2), so SIGKILL cuts none, and what was written stays.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::ledger::Id;

/// What a line says of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Word {
    /// Begins to publish or to take it.
    Try,
    /// Has published or taken it.
    Done,
    /// It came to nothing: refused, or somebody else was faster.
    Not,
    /// There is nothing in it.
    Empty,
}

pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        File::options().append(true).create(true).open(path).map(Self)
    }

    pub(crate) fn say(&mut self, word: Word, id: Id) -> io::Result<()> {
        let letter = match word {
            Word::Try => 'T',
            Word::Done => 'D',
            Word::Not => 'N',
            Word::Empty => 'Z',
        };
        self.0.write_all(format!("{letter} {id}\n").as_bytes())
    }

    /// Something that must not happen.
    pub(crate) fn complain(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(format!("E {}\n", text.replace('\n', " ")).as_bytes())
    }
}

/// What is in the journal of a process that has ended.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) tried: Vec<Id>,
    pub(crate) done: Vec<Id>,
    pub(crate) empty: Vec<Id>,
    /// The last try, if nothing is said of how it went.
    pub(crate) open: Option<Id>,
    pub(crate) complaints: Vec<String>,
}

impl Page {
    /// Reads a journal; one that was never begun is empty.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut page = Self::default();
        for line in text.lines() {
            page.take(line);
        }
        page
    }

    fn take(&mut self, line: &str) {
        let (letter, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (letter, Id::parse(rest)) {
            ("T", Some(id)) => {
                self.tried.push(id);
                self.open = Some(id);
            }
            ("D", Some(id)) => {
                self.done.push(id);
                self.open = None;
            }
            ("Z", Some(id)) => self.empty.push(id),
            ("N", Some(_)) => self.open = None,
            ("E", _) => self.complaints.push(rest.to_owned()),
            _ => self.complaints.push(format!("journal: {line}")),
        }
    }
}
