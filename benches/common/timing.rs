//! Times on a machine that others use too: many short rounds, of which the quiet ones count.

use std::time::{Duration, Instant};

use super::row::Unit;

/// Times of one operation in several rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    each: Vec<Duration>,
}

impl Rounds {
    /// Runs `work` so many times and keeps the time of each.
    pub(crate) fn of<E>(rounds: u32, mut work: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        let mut all = Self::default();
        for _ in 0..rounds {
            all.run(0..1, |_| work())?;
        }
        Ok(all)
    }

    /// Runs `operation` for every number of a range and keeps the time of one.
    pub(crate) fn run<E>(
        &mut self,
        numbers: std::ops::Range<u32>,
        mut operation: impl FnMut(u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = numbers.len().max(1) as u32;
        let start = Instant::now();
        for number in numbers {
            operation(number)?;
        }
        self.each.push(start.elapsed() / count);
        Ok(())
    }

    /// The time that one round in twenty does not exceed: nearly the best, but not by luck.
    pub(crate) fn quiet(&self) -> Duration {
        self.rank(20)
    }

    pub(crate) fn median(&self) -> Duration {
        self.rank(2)
    }

    /// The time that one round in `part` does not exceed.
    fn rank(&self, part: usize) -> Duration {
        let mut sorted = self.each.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / part).copied().unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.each.len()
    }
}

/// How many times `a` is `b`.
pub(crate) fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-12)
}

/// As many units as fit.
pub(crate) fn seconds(time: Duration) -> String {
    Unit::Seconds.show(time.as_secs_f64())
}

/// The middle one and the largest of some values; zeros if there are none.
pub(crate) fn median_and_best(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    (at(values.len() / 2), at(values.len().saturating_sub(1)))
}
