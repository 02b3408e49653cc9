//! A flood from one device is told in numbers.

use std::collections::HashMap;

use super::found::{Fields, Found, Severity};
use crate::event::UnixNanos;

/// How long a window lasts.
const WINDOW_NS: i64 = 1_000_000_000;

/// Devices that are watched at once; of more than that nothing is held back.
const DEVICES_MAX: usize = 4096;

#[derive(Debug)]
struct Window {
    begin: UnixNanos,
    passed: u32,
    held: Option<Held>,
}

/// Events of one device that were held back.
#[derive(Debug)]
pub struct Held {
    /// How many.
    pub count: u64,
    /// The number of the first record among them.
    pub first: u64,
    /// And of the last.
    pub last: u64,
    /// When the last one was.
    pub time: UnixNanos,
    /// The worst one, the first of them if there were several.
    worst: Found,
    types: Vec<(String, u64)>,
}

/// Lets so many events a second of each device through.
#[derive(Debug)]
pub struct Flood {
    /// Events a second; 0 lets all through.
    limit: u32,
    windows: HashMap<String, Window>,
}

impl Flood {
    /// With this many events a second from one device, or all of them with 0.
    pub fn new(limit: u32) -> Self {
        Self { limit, windows: HashMap::new() }
    }

    /// Whether an event goes through; `number` is its record's. What was held back in an earlier window
    /// comes out with the first event of a later one.
    pub fn admit(&mut self, found: &Found, number: u64, time: UnixNanos) -> (bool, Option<Held>) {
        if self.limit == 0 {
            return (true, None);
        }
        if self.windows.len() >= DEVICES_MAX && !self.windows.contains_key(&found.device) {
            self.windows.retain(|_, window| window.held.is_some() || !window.is_over(time));
            if self.windows.len() >= DEVICES_MAX {
                return (true, None);
            }
        }
        let new = || Window { begin: time, passed: 0, held: None };
        let window = self.windows.entry(found.device.clone()).or_insert_with(new);
        let mut held = None;
        if window.is_over(time) {
            held = std::mem::replace(window, new()).held;
        }
        if window.passed < self.limit {
            window.passed += 1;
            return (true, held);
        }
        match &mut window.held {
            Some(held) => held.add(found, number, time),
            None => window.held = Some(Held::new(found, number, time)),
        }
        (false, held)
    }

    /// What was held back in windows that are over at this time; with `None`, in all.
    pub fn over(&mut self, time: Option<UnixNanos>) -> Vec<Held> {
        let mut all = Vec::new();
        self.windows.retain(|_, window| {
            let over = time.is_none_or(|time| window.is_over(time));
            if over {
                all.extend(window.held.take());
            }
            !over
        });
        all.sort_by_key(|held| held.last);
        all
    }

    /// Whether something is held back.
    pub fn is_holding(&self) -> bool {
        self.windows.values().any(|window| window.held.is_some())
    }
}

impl Window {
    fn is_over(&self, time: UnixNanos) -> bool {
        // A clock that was set back ends a window too.
        !(0..WINDOW_NS).contains(&time.0.saturating_sub(self.begin.0))
    }
}

impl Held {
    fn new(found: &Found, number: u64, time: UnixNanos) -> Self {
        let types = vec![(found.event_type.clone(), 1)];
        Self { count: 1, first: number, last: number, time, worst: found.clone(), types }
    }

    fn add(&mut self, found: &Found, number: u64, time: UnixNanos) {
        self.count += 1;
        (self.last, self.time) = (number, time);
        if found.severity > self.worst.severity {
            self.worst = found.clone();
        }
        match self.types.iter_mut().find(|(known, _)| *known == found.event_type) {
            Some((_, count)) => *count += 1,
            None => self.types.push((found.event_type.clone(), 1)),
        }
    }

    /// The event that stands for them.
    pub fn summary(&self) -> Found {
        let each = self.types.iter().map(|(name, count)| format!("{name}: {count}"));
        let each = each.collect::<Vec<_>>().join(", ");
        let mut fields = Fields::default();
        for (key, value) in [
            ("count", self.count.to_string()),
            ("first", self.first.to_string()),
            ("last", self.last.to_string()),
            ("event_types", each.clone()),
        ] {
            fields.push(key, value.as_bytes());
        }
        let device = if self.worst.device.is_empty() { "no device" } else { &self.worst.device };
        Found {
            event_type: "EVENTS_SUPPRESSED".into(),
            severity: self.worst.severity.max(Severity::Warn),
            fields,
            msg: format!("{} more events of {device} within a second ({each})", self.count)
                .into_bytes(),
            ..self.worst.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(event_type: &str, device: &str, severity: Severity) -> Found {
        let mut found = Found { severity, ..Found::default() };
        found.event_type.push_str(event_type);
        found.device.push_str(device);
        found
    }

    #[test]
    fn what_is_over_the_rate_comes_as_a_number() {
        let mut flood = Flood::new(2);
        let (a, b) = (found("A", "sda", Severity::Info), found("B", "sda", Severity::Error));
        let mut admit = |found: &Found, number, ms: i64| {
            let (passed, held) = flood.admit(found, number, UnixNanos(ms * 1_000_000));
            (passed, held.map(|held| held.count))
        };
        assert_eq!(admit(&a, 1, 0), (true, None));
        assert_eq!(admit(&b, 2, 1), (true, None));
        assert_eq!(admit(&a, 3, 2), (false, None));
        assert_eq!(admit(&b, 4, 3), (false, None));
        assert_eq!(admit(&a, 5, 999), (false, None));
        assert_eq!(admit(&found("A", "sdb", Severity::Info), 6, 999), (true, None));
        assert_eq!(admit(&a, 7, 1000), (true, Some(3)));
        assert_eq!(admit(&a, 8, 1001), (true, None));
    }

    #[test]
    fn the_summary_names_types_numbers_and_the_worst() {
        let mut flood = Flood::new(1);
        for (number, name) in ["A", "A", "B", "A"].into_iter().enumerate() {
            let severity = if name == "B" { Severity::Error } else { Severity::Info };
            flood.admit(&found(name, "sda", severity), number as u64, UnixNanos(5));
        }
        assert!(flood.is_holding());
        assert!(flood.over(Some(UnixNanos(6))).is_empty());
        let held = flood.over(Some(UnixNanos(WINDOW_NS + 5)));
        assert!(!flood.is_holding());
        let summary = held[0].summary();
        assert_eq!(
            (summary.event_type.as_str(), summary.severity),
            ("EVENTS_SUPPRESSED", Severity::Error)
        );
        let text = |key| summary.fields.text(key);
        assert_eq!((text("count"), text("first"), text("last")), (Some("3"), Some("1"), Some("3")));
        assert_eq!(text("event_types"), Some("A: 2, B: 1"));
        assert_eq!(summary.msg, b"3 more events of sda within a second (A: 2, B: 1)");
    }

    #[test]
    fn without_a_limit_all_passes_and_devices_are_bounded() {
        let mut all = Flood::new(0);
        assert!(
            (0..5000).all(|n| all.admit(&found("A", "sda", Severity::Info), n, UnixNanos(0)).0)
        );
        let mut flood = Flood::new(1);
        for number in 0..2 * DEVICES_MAX as u64 {
            let device = format!("dm-{number}");
            assert!(flood.admit(&found("A", &device, Severity::Info), number, UnixNanos(0)).0);
        }
        assert_eq!(flood.windows.len(), DEVICES_MAX);
        assert!(flood.admit(&found("A", "new", Severity::Info), 1, UnixNanos(WINDOW_NS)).0);
        assert_eq!(flood.windows.len(), 1, "windows that are over make room");
    }
}
