//! What the posting threads and the tap's thread know together: what is pending, who has got how much.

use std::collections::{BTreeMap, BTreeSet};

use super::spool::Positions;
use crate::tap::gluster::store::{Credentials, Webhooks};

/// One URL.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) credentials: Credentials,
    /// The last number that it has got.
    pub(super) position: u64,
    /// Rises with every change that is worth another try at once.
    pub(super) generation: u64,
    /// Whose it is: a URL that was removed and came back has a new thread.
    pub(super) worker: u64,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) hooks: BTreeMap<String, Hook>,
    pending: BTreeSet<u64>,
    /// The largest number that was ever pending.
    newest: u64,
    pub(super) cloudevents: bool,
    pub(super) stopped: bool,
    workers: u64,
    /// Positions have moved since they were saved.
    pub(super) unsaved: bool,
}

impl Board {
    /// With what was left from before.
    pub(super) fn new(pending: BTreeSet<u64>, floor: u64) -> Self {
        let newest = pending.last().copied().unwrap_or(0).max(floor);
        Self { pending, newest, ..Self::default() }
    }

    /// From now on these URLs, and no others. One that is new gets what comes from now on, unless `known`
    /// says how much it has got; where nobody has said anything, it gets all that is left. Says whose
    /// threads are to be started.
    pub(super) fn set_hooks(
        &mut self,
        wanted: &Webhooks,
        known: Option<&Positions>,
        is_start: bool,
    ) -> Vec<(String, u64)> {
        let mut started = Vec::new();
        self.hooks.retain(|url, _| wanted.contains_key(url));
        for (url, credentials) in wanted {
            if let Some(hook) = self.hooks.get_mut(url) {
                if hook.credentials != *credentials {
                    hook.credentials = credentials.clone();
                    hook.generation += 1;
                }
                continue;
            }
            let position = match known {
                Some(known) => known.get(url).copied().unwrap_or(self.newest),
                None if is_start => 0,
                None => self.newest,
            };
            self.workers += 1;
            let worker = self.workers;
            let credentials = credentials.clone();
            let hook = Hook { credentials, position, generation: 0, worker };
            self.hooks.insert(url.clone(), hook);
            started.push((url.clone(), worker));
        }
        self.unsaved = true;
        started
    }

    /// A number has a file now.
    pub(super) fn add(&mut self, number: u64) {
        self.newest = self.newest.max(number);
        self.pending.insert(number);
    }

    /// The URL as its thread is to see it; nothing when it is no longer that thread's.
    pub(super) fn hook(&self, url: &str, worker: u64) -> Option<&Hook> {
        self.hooks.get(url).filter(|hook| hook.worker == worker && !self.stopped)
    }

    /// What a URL is to get next.
    pub(super) fn next(&self, url: &str) -> Option<u64> {
        let after = self.hooks.get(url)?.position + 1;
        self.pending.range(after..).next().copied()
    }

    /// The largest number that was given.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// A URL has got a number from its thread.
    pub(super) fn got(&mut self, url: &str, worker: u64, number: u64) {
        if let Some(hook) = self.hooks.get_mut(url).filter(|hook| hook.worker == worker) {
            hook.position = hook.position.max(number);
            self.unsaved = true;
        }
    }

    /// Takes off what everybody has got; its files are to be removed.
    pub(super) fn take_done(&mut self) -> BTreeSet<u64> {
        let least = self.hooks.values().map(|hook| hook.position).min().unwrap_or(self.newest);
        let left = self.pending.split_off(&least.saturating_add(1));
        std::mem::replace(&mut self.pending, left)
    }

    /// Who has got how much.
    pub(super) fn positions(&self) -> Positions {
        self.hooks.iter().map(|(url, hook)| (url.clone(), hook.position)).collect()
    }

    /// Whether everybody has got everything.
    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(urls: &[&str]) -> Webhooks {
        urls.iter().map(|&url| (url.to_owned(), Credentials::default())).collect()
    }

    #[test]
    fn everybody_goes_on_at_his_own_place() {
        let mut board = Board::new(BTreeSet::from([3, 5, 8]), 0);
        let known = Positions::from([("a".to_owned(), 3), ("gone".to_owned(), 0)]);
        assert_eq!(
            board.set_hooks(&hooks(&["a", "b"]), Some(&known), true),
            [("a".to_owned(), 1), ("b".to_owned(), 2)]
        );
        assert_eq!((board.next("a"), board.next("b")), (Some(5), None));
        board.add(9);
        assert_eq!(board.next("b"), Some(9));
        board.got("b", 2, 9);
        assert_eq!(board.take_done(), BTreeSet::from([3]));
        board.got("a", 1, 8);
        assert_eq!(board.take_done(), BTreeSet::from([5, 8]));
        assert!(!board.is_done());
        board.got("a", 1, 9);
        assert_eq!(board.take_done(), BTreeSet::from([9]));
        assert!(board.is_done());
    }

    #[test]
    fn where_nothing_was_said_all_that_is_left_is_posted() {
        let mut board = Board::new(BTreeSet::from([3, 5]), 0);
        board.set_hooks(&hooks(&["a"]), None, true);
        assert_eq!(board.next("a"), Some(3));
        let started = board.set_hooks(&hooks(&["a", "late"]), None, false);
        assert_eq!(started, [("late".to_owned(), 2)]);
        assert_eq!(board.next("late"), None, "only what comes from now on");
    }

    #[test]
    fn a_dead_url_that_is_removed_holds_nothing_back() {
        let mut board = Board::new(BTreeSet::new(), 0);
        board.set_hooks(&hooks(&["dead", "good"]), None, true);
        (1..4).for_each(|number| board.add(number));
        board.got("good", 2, 3);
        assert!(board.take_done().is_empty());
        board.set_hooks(&hooks(&["good"]), None, false);
        assert_eq!(board.take_done().len(), 3);
        assert_eq!(board.next("dead"), None);
        // Back again, it has another thread; the old one is not heard any more.
        board.set_hooks(&hooks(&["dead", "good"]), None, false);
        assert!(board.hook("dead", 1).is_none() && board.hook("dead", 3).is_some());
        board.add(4);
        board.got("dead", 1, 4);
        assert_eq!(board.next("dead"), Some(4));
    }

    #[test]
    fn other_credentials_are_worth_a_try_at_once() {
        let mut board = Board::new(BTreeSet::new(), 0);
        let mut wanted = hooks(&["a"]);
        board.set_hooks(&wanted, None, true);
        board.set_hooks(&wanted, None, false);
        assert_eq!(board.hooks["a"].generation, 0);
        wanted.get_mut("a").unwrap().token = "t".into();
        board.set_hooks(&wanted, None, false);
        assert_eq!(board.hooks["a"].generation, 1);
    }
}
