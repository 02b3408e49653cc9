//! What came out of a tap's queue, held against what was put into its source.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What comes again was seen so shortly before a kill, or after it: positions are saved each second, and
/// a machine under full load may be late with that and with telling us what it saw.
pub(crate) const REPEAT_BOUND: Duration = Duration::from_secs(4);

/// Numbers above are none of ours.
const NUMBER_MAX: u64 = 1 << 28;

/// What an event says.
pub(crate) enum Said {
    /// This number was put in.
    Number(u64),
    /// These numbers are missing, both ends included.
    Gap(u64, u64),
    /// Something of the tap's own.
    Note,
    /// Nothing that was put in.
    Stranger,
}

/// What came out.
pub(crate) struct Seen {
    source: &'static str,
    read: fn(&Value) -> Said,
    /// How often each number was delivered.
    times: Vec<u32>,
    /// When each number was seen last.
    last: Vec<Option<Instant>>,
    /// When a tap or a daemon was killed.
    pub(crate) kills: Vec<Instant>,
    /// Printed by consumers that were killed: each may come again for that.
    in_hand: BTreeSet<u64>,
    /// By the last one.
    printed: BTreeSet<u64>,
    /// Spans that are told to be missing, both ends included.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Events of the tap's own.
    pub(crate) notes: Vec<Value>,
    /// Behind the newest number.
    end: u64,
    pub(crate) findings: Vec<String>,
}

impl Seen {
    pub(crate) fn new(source: &'static str, read: fn(&Value) -> Said) -> Self {
        Self {
            source,
            read,
            times: Vec::new(),
            last: Vec::new(),
            kills: Vec::new(),
            in_hand: BTreeSet::new(),
            printed: BTreeSet::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            end: 0,
            findings: Vec::new(),
        }
    }

    pub(crate) fn find(&mut self, what: impl std::fmt::Display) {
        self.findings.push(format!("{}: {what}", self.source));
    }

    /// Takes what `eventfs pop --json` printed before it was killed.
    pub(crate) fn take_of_killed(&mut self, output: &[u8]) {
        self.take(output);
        self.in_hand.append(&mut self.printed);
    }

    /// Takes what `eventfs pop --json` printed.
    pub(crate) fn take(&mut self, output: &[u8]) {
        self.printed.clear();
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            // A killed pop may leave half a line, and a killed tap half a file: it comes again whole.
            let Ok(object) = serde_json::from_slice::<Value>(line) else { continue };
            for event in object["data"].as_str().unwrap_or_default().split_inclusive('\n') {
                match serde_json::from_str::<Value>(event) {
                    Ok(event) => self.event(event),
                    Err(_) if !event.ends_with('\n') => {}
                    Err(error) => self.find(format!("{error}: {event:.80}")),
                }
            }
        }
    }

    fn event(&mut self, event: Value) {
        match (self.read)(&event) {
            Said::Number(number) => self.delivered(number),
            Said::Gap(first, last) => self.gaps.push((first, last)),
            Said::Note => self.notes.push(event),
            Said::Stranger => self.find(format!("an event of nobody: {event}")),
        }
    }

    fn delivered(&mut self, number: u64) {
        let Some(place) = usize::try_from(number).ok().filter(|_| number < NUMBER_MAX) else {
            return self.find(format!("number {number}"));
        };
        if self.times.len() <= place {
            self.times.resize(place + 1, 0);
            self.last.resize(place + 1, None);
        }
        self.printed.insert(number);
        let last = self.last[place].replace(Instant::now());
        if let Some(last) = last
            && !self.in_hand.remove(&number)
            && !self.is_near_a_kill(last)
        {
            self.find(format!("{number} came again, {:?} after it", last.elapsed()));
        }
        if self.times[place] == 0 && number < self.end {
            self.find(format!("{number} came first after {}", self.end - 1));
        }
        self.times[place] += 1;
        self.end = self.end.max(number + 1);
    }

    fn is_near_a_kill(&self, time: Instant) -> bool {
        let near = |kill: &Instant| {
            kill.saturating_duration_since(time) < REPEAT_BOUND
                && time.saturating_duration_since(*kill) < REPEAT_BOUND
        };
        self.kills.iter().rev().any(near)
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.times.get(number as usize).is_some_and(|times| *times > 0)
    }

    /// Numbers below `next` that were neither delivered nor told.
    pub(crate) fn missing(&self, next: u64) -> Vec<u64> {
        let told: BTreeSet<u64> =
            self.gaps.iter().flat_map(|(first, last)| *first..=(*last).min(NUMBER_MAX)).collect();
        (0..next).filter(|number| !self.has(*number) && !told.contains(number)).collect()
    }

    /// The same without those that a lost memory excuses. It takes the newest along: what is missing in a
    /// row must end with what was the newest then, which is told for each memory as the least and the most
    /// that it may have been.
    #[cfg(feature = "web")]
    pub(crate) fn lost(&self, next: u64, ends: &[(u64, u64)]) -> Vec<u64> {
        let missing = self.missing(next);
        let rows = missing.chunk_by(|one, other| one + 1 == *other);
        let is_excused = |row: &&[u64]| {
            let last = row.last().copied().unwrap_or_default();
            ends.iter().any(|(least, most)| (*least..=*most).contains(&last))
        };
        rows.filter(|row| !is_excused(row)).flatten().copied().collect()
    }

    /// Numbers that were delivered, and how often they came again.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let delivered = self.times.iter().filter(|times| **times > 0).count() as u64;
        let all = self.times.iter().map(|times| u64::from(*times)).sum::<u64>();
        (delivered, all - delivered)
    }
}
