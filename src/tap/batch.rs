//! Events on their way into one file.

use crate::event::{Class, Position};

/// Most bytes of a file with several events: far below the largest event that a mount takes by default,
/// and small enough for a reader to take in one go.
pub(super) const BATCH_BYTES_MAX: usize = 4 << 20;

/// What one line of a batch stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Where it ends in the bytes.
    pub(super) end: usize,
    pub(super) class: Class,
    pub(super) position: Option<Position>,
}

/// Lines, and what the file of them is called.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<Line>,
    /// File name of every line, one after the other, and where each ends.
    names: String,
    name_ends: Vec<usize>,
    /// `user.ce.*` of every line; empty unless asked for.
    attributes: Vec<Vec<(&'static str, String)>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Ends the line whose bytes were appended.
    pub(super) fn end_line(&mut self, name: &str, class: Class, position: Option<Position>) {
        self.names.push_str(name);
        self.name_ends.push(self.names.len());
        self.lines.push(Line { end: self.bytes.len(), class, position });
    }

    /// Attributes of the line that was ended last.
    pub(super) fn describe(&mut self, attributes: Vec<(&'static str, String)>) {
        self.attributes.resize_with(self.lines.len().saturating_sub(1), Vec::new);
        self.attributes.push(attributes);
    }

    /// Name of a line's file, without `.json`.
    pub(super) fn name(&self, line: usize) -> &str {
        let end_of = |line: usize| self.name_ends.get(line).copied().unwrap_or(0);
        let start = line.checked_sub(1).map_or(0, end_of);
        self.names.get(start..end_of(line)).unwrap_or_default()
    }

    /// Attributes of a line.
    pub(super) fn attributes(&self, line: usize) -> &[(&'static str, String)] {
        self.attributes.get(line).map_or(&[], Vec::as_slice)
    }

    /// Where a line begins.
    pub(super) fn start(&self, line: usize) -> usize {
        let before = line.checked_sub(1).and_then(|before| self.lines.get(before));
        before.map_or(0, |line| line.end)
    }

    /// The bytes of some lines.
    pub(super) fn content(&self, lines: std::ops::Range<usize>) -> &[u8] {
        let bytes = self.start(lines.start)..self.start(lines.end);
        self.bytes.get(bytes).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
        self.names.clear();
        self.name_ends.clear();
        self.attributes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_bytes_names_and_attributes() {
        let mut batch = Batch::default();
        for (name, line) in [("a-1", "one\n"), ("a-2", "two!\n"), ("a-3", "3\n")] {
            batch.bytes.extend_from_slice(line.as_bytes());
            batch.end_line(name, Class::Record, None);
        }
        batch.describe(vec![("user.ce.id", "3".to_owned())]);
        assert_eq!(batch.name(1), "a-2");
        assert_eq!(batch.content(0..3), b"one\ntwo!\n3\n");
        assert_eq!(batch.content(1..2), b"two!\n");
        assert_eq!(batch.attributes(0), []);
        assert_eq!(batch.attributes(2)[0].1, "3");
        assert_eq!(batch.name(9), "");
        batch.clear();
        assert!(batch.is_empty() && batch.bytes.is_empty());
    }
}
