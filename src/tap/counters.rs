//! What a tap has done, counted: nothing disappears without one of these moving.

use serde::Serialize;

/// `received` = `written` + `duplicate` + `filtered` + `ignored` + `lost` + `backlog`, at any time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Records of the source.
    pub received: u64,
    /// Events in the queue.
    pub written: u64,
    /// Redelivered, and found in the queue as they are.
    pub duplicate: u64,
    /// Not wanted, by `--filter` and `--exclude`.
    pub filtered: u64,
    /// Records that are no events.
    pub ignored: u64,
    /// Records that could not be read; they are delivered, and counted above too.
    pub unreadable: u64,
    /// Gone without a trace but this number and a gap event.
    pub lost: u64,
    /// Gap and reset events in the queue.
    pub notes: u64,
    /// In memory, not in the queue yet.
    pub backlog: u64,
}

impl Counters {
    /// One JSON object.
    pub fn to_json(&self) -> String {
        // A struct of numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether every record is accounted for.
    pub fn balance(&self) -> bool {
        let parts = [self.written, self.duplicate, self.filtered, self.ignored, self.lost];
        self.received == parts.iter().sum::<u64>() + self.backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_and_the_names_are_the_contracts() {
        let mut counters =
            Counters { received: 6, written: 2, duplicate: 1, ..Counters::default() };
        assert!(!counters.balance());
        (counters.filtered, counters.ignored, counters.lost) = (1, 1, 1);
        assert!(counters.balance());
        (counters.received, counters.backlog) = (9, 3);
        assert!(counters.balance());
        assert_eq!(
            counters.to_json(),
            r#"{"received":9,"written":2,"duplicate":1,"filtered":1,"ignored":1,"unreadable":0,"lost":1,"notes":0,"backlog":3}"#
        );
    }
}
