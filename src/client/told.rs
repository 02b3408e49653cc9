//! Names that inotify told of one directory and that were not seen as events yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Names remembered; what is beyond is told by count.
const NAMES_MAX: usize = 1 << 17;

/// Names among which one is sought, and names looked after at once: bounds the work of a look.
const SEARCH_MAX: usize = 256;
const PRUNE_MAX: usize = 8;

/// Age from which a name without a file is forgotten.
const PATIENCE: Duration = Duration::from_millis(500);

/// A name that may become an event or was one.
pub(super) struct Name {
    pub(super) name: Vec<u8>,
    at: Instant,
    /// Its file was closed or moved in: it is published, or was.
    pub(super) closed: bool,
}

/// Oldest first.
#[derive(Default)]
pub(super) struct Told(VecDeque<Name>);

impl Told {
    pub(super) fn add(&mut self, name: &[u8], closed: bool) {
        if self.0.len() < NAMES_MAX {
            self.0.push_back(Name { name: name.to_vec(), at: Instant::now(), closed });
        }
    }

    /// Notes that a file was closed. `false` if it was not told as new.
    pub(super) fn close(&mut self, name: &[u8]) -> bool {
        // It is likely to be among the last.
        let told = self.0.iter_mut().rev().find(|told| told.name == name);
        told.map(|told| told.closed = true).is_some()
    }

    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) {
        if let Some(told) = self.0.iter_mut().rev().find(|told| told.name == from) {
            told.name = to.to_vec();
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        if let Some(index) = self.0.iter().position(|told| told.name == name) {
            self.0.remove(index);
        }
    }

    /// Takes the oldest name whose file is gone, of closed files first.
    pub(super) fn take_gone(&mut self, is_gone: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let names = || self.0.iter().take(SEARCH_MAX).enumerate();
        let closed = names().find(|(_, told)| told.closed && is_gone(&told.name));
        let index = closed.or_else(|| names().find(|(_, told)| is_gone(&told.name)))?.0;
        self.0.remove(index).map(|told| told.name)
    }

    /// Takes every name that a closer look picks.
    pub(super) fn take_if(&mut self, mut picks: impl FnMut(&mut Name) -> bool) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        self.0.retain_mut(|told| {
            let picked = picks(told);
            if picked {
                taken.push(std::mem::take(&mut told.name));
            }
            !picked
        });
        taken
    }

    /// Forgets old names without a file: they were renamed, or removed before they were events.
    pub(super) fn prune(&mut self, is_gone: impl Fn(&[u8]) -> bool) {
        for _ in 0..PRUNE_MAX {
            if self.0.front().is_none_or(|told| told.at.elapsed() < PATIENCE) {
                return;
            }
            if let Some(mut told) = self.0.pop_front()
                && !is_gone(&told.name)
            {
                told.at = Instant::now();
                self.0.push_back(told);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_files_are_the_first_to_be_missed() {
        let mut told = Told::default();
        for name in [b"a", b"b", b"c"] {
            told.add(name, false);
        }
        assert!(told.close(b"b") && !told.close(b"x"));
        assert_eq!(told.take_gone(|name| name != b"a"), Some(b"b".to_vec()));
        assert_eq!(told.take_gone(|name| name != b"a"), Some(b"c".to_vec()));
        assert_eq!(told.take_gone(|name| name != b"a"), None);
    }

    #[test]
    fn names_follow_their_files() {
        let mut told = Told::default();
        told.add(b"a", true);
        told.rename(b"a", b"b");
        told.remove(b"a");
        assert_eq!(told.take_if(|told| told.closed), [b"b".to_vec()]);
        assert!(told.take_if(|_| true).is_empty());
    }
}
