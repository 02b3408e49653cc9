//! What the whole soak did, in one line, and what it found.

use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lives: u32,
    pub(crate) daemons_killed: u32,
    pub(crate) rounds: u32,
    pub(crate) processes_killed: u32,
    pub(crate) published: u64,
    pub(crate) taken: u64,
    pub(crate) repeats: u64,
    pub(crate) put_back: u64,
    pub(crate) vanished: u64,
    pub(crate) owner_ends: Vec<Duration>,
    pub(crate) growth_kib: u64,
    pub(crate) tap: TapTally,
    pub(crate) findings: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct TapTally {
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) repeats: u64,
    /// Overwritten or removed at the source before they were read.
    pub(crate) overwritten: u64,
    /// Answered, and lost with a memory.
    pub(crate) forgotten: u64,
    /// Files of a feed that were rotated.
    pub(crate) rotations: u64,
    pub(crate) taps_killed: u32,
    pub(crate) daemons_killed: u32,
}

impl Tally {
    pub(crate) fn print(&self, seed: u64, time: Duration) {
        let mut ends = self.owner_ends.clone();
        ends.sort_unstable();
        let end = |part: usize| {
            let time = ends.get((ends.len() * part / 100).min(ends.len().saturating_sub(1)));
            time.copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        println!(
            "soak: seed {seed}, {:.0} s, {} lives, {} daemons and {} processes killed, {} storms \
             reckoned up: {} published, {} taken, {} dropped or expired, {} repeated by killed pops, \
             {} claims put back; owner to queue gone {:.1} ms median, {:.1} ms worst of {}; \
             the daemon grew by {} KiB at most; taps: {} sent, {} delivered, {} repeated, {} \
             overwritten, {} lost with a daemon, {} files rotated, {} taps and {} daemons killed; \
             findings: {}",
            time.as_secs_f64(),
            self.lives,
            self.daemons_killed,
            self.processes_killed,
            self.rounds,
            self.published,
            self.taken,
            self.vanished,
            self.repeats,
            self.put_back,
            end(50),
            end(100),
            ends.len(),
            self.growth_kib,
            self.tap.sent,
            self.tap.delivered,
            self.tap.repeats,
            self.tap.overwritten,
            self.tap.forgotten,
            self.tap.rotations,
            self.tap.taps_killed,
            self.tap.daemons_killed,
            self.findings.len(),
        );
    }
}
