//! Gaps and resets that nobody has consumed: a queue that dies must not take them along, since most sources
//! say such a thing once.

use std::collections::{HashSet, VecDeque};

use super::source::{Resume, Start};
use crate::event::{Event, Position};

/// Kept at once. They are rare; of more, the oldest are forgotten, as they would be with the queue.
const NOTES_MAX: usize = 32;

/// One note.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Note {
    /// Without a position.
    pub(super) event: Event,
    /// Where the source says it again by itself, if it does.
    pub(super) position: Option<Position>,
    /// The file that it is in; nothing while it is on its way.
    pub(super) file: Option<String>,
}

/// What was told and not consumed, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<Note>);

impl Notes {
    pub(super) fn new(saved: Vec<Note>) -> Self {
        Self(saved.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.0.iter()
    }

    /// One more is on its way.
    pub(super) fn add(&mut self, event: &Event, position: Option<Position>) {
        // Told again, it is on its way again.
        self.0.retain(|note| note.event.name != event.name);
        if self.0.len() >= NOTES_MAX {
            self.0.pop_front();
        }
        let event = Event { position: None, ..event.clone() };
        self.0.push_back(Note { event, position, file: None });
    }

    /// It is in this file.
    pub(super) fn written(&mut self, name: &str, file: &str) {
        if let Some(note) = self.0.iter_mut().find(|note| note.event.name == name) {
            note.file = Some(file.to_owned());
        }
    }

    /// The files that have notes.
    pub(super) fn files(&self) -> HashSet<String> {
        self.0.iter().filter_map(|note| note.file.clone()).collect()
    }

    /// These files are no more. True if that concerns any.
    pub(super) fn consumed(&mut self, files: &HashSet<String>) -> bool {
        let before = self.0.len();
        self.0.retain(|note| note.file.as_ref().is_none_or(|file| !files.contains(file)));
        before != self.0.len()
    }

    /// The source goes back to `starts`: what it says again is not kept, but for what is in a queue that
    /// lives.
    pub(super) fn go_back(&mut self, starts: &[Resume], queues_live: bool) {
        let comes_again = |position: Position| {
            starts.iter().filter(|resume| resume.stream == position.stream).any(|resume| {
                let start = match resume.start {
                    Start::After(position) => position.next,
                    Start::At(at) => at,
                };
                start <= position.at
            })
        };
        self.0.retain(|note| {
            queues_live && note.file.is_some() || !note.position.is_some_and(comes_again)
        });
    }

    /// Those in files if `written`, those that were on their way if `pending`.
    pub(super) fn pick(&self, written: bool, pending: bool) -> Vec<Note> {
        let is_wanted = |note: &&Note| if note.file.is_some() { written } else { pending };
        self.0.iter().filter(is_wanted).cloned().collect()
    }
}
