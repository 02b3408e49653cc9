//! What is known of one metadata server, and where to begin the next stream from it.

use super::super::Place;
use super::outlet::Note;

/// So many connections in a row have to end without a word, at the same number, before it is given up: a
/// server that is restarted ends so too, and it must not cost an event.
const SILENT_ENDS_MAX: u32 = 3;

const OVERWRITTEN: &str = "the server's ring does not have them any more";
const NOT_READABLE: &str = "the server cannot read it from its queue";
const LEFT_OUT: &str = "the server left them out";

const COUNTS_ANEW: &str = "the server's queue counts from the beginning again";
const ANOTHER_EVENT: &str = "the server's queue has another event under the last number";

/// Where to begin when a server is seen for the first time in this run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum From {
    /// At the saved position, else at the oldest.
    #[default]
    Resume,
    /// At the oldest that the server still has, whatever was saved.
    Oldest,
    /// At what comes from now on, whatever was saved.
    Newest,
}

/// Which number the next stream begins with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Attempt {
    /// With the last one that we have, to see whether the queue is still the same.
    #[default]
    Overlap,
    /// With the first that we do not have.
    Direct,
    /// With the one behind it, or the oldest that there is.
    Beyond,
}

/// One metadata server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) meta_id: u32,
    /// How often its queue was found to be a new one.
    pub(super) resets: u32,
    /// The first number that was not accepted yet; nothing before the first stream.
    expected: Option<u64>,
    /// Digest of the event before that one, where we had it.
    mark: Option<u64>,
    attempt: Attempt,
    /// Ends without a word since the last accepted event, at this attempt.
    silent_ends: u32,
    /// Whether `--from` was obeyed.
    is_begun: bool,
    /// Digest of the last broken packet that could not be placed. When the same comes again it is passed
    /// over: else a stream would never get beyond it.
    pub(super) broken: Option<u64>,
    /// The last event that we have came as a packet that cannot be read.
    pub(super) is_doubtful: bool,
}

/// How a stream begins.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Begin {
    pub(super) start: u64,
    /// The first event is to be the last one that we have.
    pub(super) is_overlap: bool,
    pub(super) reset: Option<Note>,
    pub(super) gap: Option<Note>,
}

/// What the number of an event says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Weighed {
    /// The one that we wait for.
    New,
    /// As `New`; these before it are missing.
    Hole(Note),
    /// We have it.
    Duplicate,
}

impl Node {
    pub(super) fn new(meta_id: u32) -> Self {
        Self {
            meta_id,
            resets: 0,
            expected: None,
            mark: None,
            attempt: Attempt::default(),
            silent_ends: 0,
            is_begun: false,
            broken: None,
            is_doubtful: false,
        }
    }

    /// As it was saved: goes on at `expected`; `mark` is the digest of the event before it.
    pub(super) fn resume(&mut self, resets: u32, expected: u64, mark: Option<u64>) {
        self.resets = resets;
        self.go_on_at(expected, mark);
    }

    /// The stream of its events.
    pub(super) fn stream(&self) -> u64 {
        Place::stream(self.meta_id, self.resets)
    }

    /// Number and digest of the last event that we have, if it is the one to overlap with.
    pub(super) fn last(&self) -> Option<(u64, u64)> {
        Some((self.expected?.checked_sub(1)?, self.mark?))
    }

    /// The number that is waited for.
    pub(super) fn expected(&self) -> u64 {
        self.expected.unwrap_or(0)
    }

    /// Chooses where to begin, in a server whose queue has `oldest` (for certain) to `next`, not included.
    ///
    /// `oldest` errs to the safe side: the server does not count what may vanish at any moment. So a
    /// number below it is asked for once, and `oldest` only when that fails.
    pub(super) fn begin(&mut self, next: u64, oldest: u64, from: From) -> Begin {
        let oldest = oldest.min(next);
        let is_anew = self.expected.is_some_and(|expected| expected > next);
        let reset = is_anew.then(|| self.reset(oldest, COUNTS_ANEW));
        if !std::mem::replace(&mut self.is_begun, true) {
            match from {
                From::Resume => {}
                From::Oldest => self.go_on_at(oldest, None),
                From::Newest => self.go_on_at(next, None),
            }
        }
        let expected = *self.expected.get_or_insert(oldest);
        let is_overlap = self.attempt == Attempt::Overlap && self.last().is_some();
        let (start, reason) = match self.attempt {
            _ if is_overlap => (expected - 1, ""),
            Attempt::Overlap | Attempt::Direct => (expected, ""),
            Attempt::Beyond if expected >= oldest => (expected.saturating_add(1), NOT_READABLE),
            Attempt::Beyond => (oldest, OVERWRITTEN),
        };
        let start = start.min(next);
        let mut gap = None;
        if start > expected {
            gap = Some(Note::gap((self.meta_id, self.resets), expected, start - 1, reason));
            self.go_on_at(start, None);
        }
        Begin { start, is_overlap, reset, gap }
    }

    /// What to do with event `msn`.
    #[inline]
    pub(super) fn weigh(&self, msn: u64) -> Weighed {
        let expected = self.expected();
        if msn == expected {
            return Weighed::New;
        }
        if msn < expected {
            return Weighed::Duplicate;
        }
        Weighed::Hole(Note::gap((self.meta_id, self.resets), expected, msn - 1, LEFT_OUT))
    }

    /// Event `msn` was accepted.
    #[inline]
    pub(super) fn accept(&mut self, msn: u64, mark: u64) {
        self.go_on_at(msn.saturating_add(1), Some(mark));
    }

    /// What came in the place of event `msn` cannot be read. It is asked for once more: if it comes whole
    /// then, it is delivered too.
    pub(super) fn accept_unreadable(&mut self, msn: u64, mark: u64) {
        self.accept(msn, mark);
        self.is_doubtful = true;
    }

    /// Event `msn` is passed over, and not looked at again.
    pub(super) fn pass(&mut self, msn: u64) {
        self.go_on_at(msn.saturating_add(1), None);
    }

    /// Event `msn`, the last one accepted, is waited for again.
    pub(super) fn take_back(&mut self, msn: u64) {
        self.go_on_at(msn, None);
    }

    /// The first event of an overlapping stream is not the one that we have.
    pub(super) fn is_another_queue(&mut self, oldest: u64) -> Note {
        self.reset(oldest, ANOTHER_EVENT)
    }

    /// A stream ended before anything new came from it, though the server had events up to `next`, not
    /// included. `is_told`: the server said that its stream crashed.
    pub(super) fn ended_early(&mut self, next: u64, is_told: bool) {
        if self.expected() >= next {
            return;
        }
        if !is_told {
            self.silent_ends += 1;
            if self.silent_ends < SILENT_ENDS_MAX {
                return;
            }
        }
        self.silent_ends = 0;
        self.attempt = match self.attempt {
            Attempt::Overlap if self.last().is_some() => Attempt::Direct,
            _ => Attempt::Beyond,
        };
    }

    fn reset(&mut self, new: u64, reason: &'static str) -> Note {
        let old = self.expected.and_then(|expected| expected.checked_sub(1));
        self.resets = self.resets.saturating_add(1);
        self.go_on_at(0, None);
        Note::Reset { meta_id: self.meta_id, old, new, resets: self.resets, reason }
    }

    #[inline]
    fn go_on_at(&mut self, expected: u64, mark: Option<u64>) {
        self.expected = Some(expected);
        self.mark = mark;
        self.is_doubtful = false;
        self.attempt = Attempt::Overlap;
        self.silent_ends = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(node: &mut Node, next: u64, oldest: u64) -> (u64, bool) {
        let begin = node.begin(next, oldest, From::Resume);
        assert_eq!((begin.reset, begin.gap), (None, None));
        (begin.start, begin.is_overlap)
    }

    fn at(expected: u64) -> Node {
        let mut node = Node::new(12);
        node.resume(0, expected, Some(99));
        node
    }

    #[test]
    fn first_sight() {
        assert_eq!(begin(&mut Node::new(12), 0, 0), (0, false));
        assert_eq!(begin(&mut Node::new(12), 50, 20), (20, false));
        assert_eq!(Node::new(12).begin(50, 20, From::Oldest).start, 20);
        let mut newest = Node::new(12);
        assert_eq!(newest.begin(50, 20, From::Newest).start, 50);
        // On the next connection it goes on, though it never got an event.
        assert_eq!(newest.begin(60, 20, From::Newest).start, 50);
    }

    #[test]
    fn oldest_and_newest_override_what_was_saved_once() {
        let mut node = at(30);
        assert_eq!(node.begin(50, 20, From::Oldest).start, 20);
        assert_eq!(node.begin(50, 25, From::Oldest).start, 20);
        let mut node = at(30);
        assert_eq!(node.begin(50, 20, From::Newest).start, 50);
        assert_eq!(node.begin(55, 20, From::Newest).start, 50);
        assert_eq!(node.resets, 0);
    }

    #[test]
    fn it_resumes_with_one_event_of_overlap() {
        assert_eq!(begin(&mut at(30), 50, 20), (29, true));
        assert_eq!(begin(&mut at(50), 50, 20), (49, true), "only new ones");
        assert_eq!(begin(&mut at(10), 50, 20), (9, true), "below the oldest, once");
        let mut without_mark = Node::new(12);
        without_mark.resume(0, 30, None);
        assert_eq!(begin(&mut without_mark, 50, 20), (30, false));
    }

    #[test]
    fn a_crash_leads_to_the_next_number_and_then_past_it() {
        let mut node = at(30);
        assert_eq!(begin(&mut node, 50, 20), (29, true));
        node.ended_early(50, true);
        assert_eq!(begin(&mut node, 50, 20), (30, false));
        node.ended_early(50, true);
        let begin = node.begin(50, 20, From::Resume);
        assert_eq!((begin.start, begin.is_overlap), (31, false));
        assert_eq!(begin.gap, Some(Note::gap((12, 0), 30, 30, NOT_READABLE)));
        // The gap is told once.
        assert_eq!(node.begin(50, 20, From::Resume).gap, None);
        assert_eq!(node.weigh(31), Weighed::New);
    }

    #[test]
    fn what_the_ring_has_overwritten_is_a_gap_up_to_the_oldest() {
        let mut node = at(10);
        for _ in 0..2 {
            begin(&mut node, 50, 20);
            node.ended_early(50, true);
        }
        let begin = node.begin(50, 20, From::Resume);
        assert_eq!((begin.start, begin.is_overlap), (20, false));
        assert_eq!(begin.gap, Some(Note::gap((12, 0), 10, 19, OVERWRITTEN)));
        // And if that has gone too meanwhile.
        node.ended_early(50, true);
        let begin = node.begin(70, 40, From::Resume);
        assert_eq!((begin.start, begin.gap), (40, Some(Note::gap((12, 0), 20, 39, OVERWRITTEN))));
    }

    #[test]
    fn restarts_of_a_server_cost_no_event() {
        let mut node = at(30);
        for _ in 0..20 {
            assert_eq!(begin(&mut node, 30, 20), (29, true));
            node.ended_early(30, false);
        }
        assert_eq!(begin(&mut node, 31, 20), (29, true));
        for attempt in [(29, true), (29, true), (30, false), (30, false), (30, false)] {
            node.ended_early(31, false);
            assert_eq!(begin(&mut node, 31, 20), attempt);
        }
        node.accept(30, 7);
        assert_eq!(begin(&mut node, 31, 20), (30, true));
    }

    #[test]
    fn a_queue_that_counts_anew_is_a_reset() {
        let mut node = at(30);
        let begin = node.begin(5, 2, From::Resume);
        let reason = COUNTS_ANEW;
        assert_eq!(begin.start, 0);
        assert_eq!(
            begin.reset,
            Some(Note::Reset { meta_id: 12, old: Some(29), new: 2, resets: 1, reason })
        );
        assert_eq!(node.stream(), Place::stream(12, 1));
        assert_eq!(node.begin(5, 2, From::Resume).reset, None);
    }

    #[test]
    fn holes_and_duplicates() {
        let node = at(30);
        assert_eq!(node.weigh(29), Weighed::Duplicate);
        assert_eq!(node.weigh(33), Weighed::Hole(Note::gap((12, 0), 30, 32, LEFT_OUT)));
        assert_eq!(
            at(0).weigh(u64::MAX),
            Weighed::Hole(Note::gap((12, 0), 0, u64::MAX - 1, LEFT_OUT))
        );
    }
}
