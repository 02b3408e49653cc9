//! One fact told by both collectors is one event.

use std::collections::VecDeque;

use super::found::{Collector, Found};
use crate::event::UnixNanos;

/// How far apart the two may be.
const PAIR_NS: i64 = 2_000_000_000;

/// How many may wait for their other half.
const WAITING_MAX: usize = 1024;

/// What the kernel both logs and announces.
const PAIRED: [&str; 10] = [
    "DM_MPATH_PATH_DOWN",
    "DM_MPATH_PATH_UP",
    "BLOCK_CAPACITY_CHANGED",
    "SCSI_INQUIRY_CHANGED",
    "SCSI_CAPACITY_CHANGED",
    "SCSI_THIN_SOFT_THRESHOLD",
    "SCSI_MODE_PARAMETERS_CHANGED",
    "SCSI_LUN_MAP_CHANGED",
    "SCSI_ALUA_STATE_CHANGED",
    "SCSI_DEVICE_RESET",
];

#[derive(Debug)]
struct Half {
    event_type: String,
    device: String,
    /// The map of a multipath event, where it is told.
    map: Option<String>,
    collector: Collector,
    at: UnixNanos,
}

/// Events that may come a second time.
#[derive(Debug, Default)]
pub struct Pairs {
    waiting: VecDeque<Half>,
}

impl Pairs {
    /// Whether the other collector told this within the last two seconds; each half has one other.
    pub fn is_second(&mut self, found: &Found, now: UnixNanos) -> bool {
        if !PAIRED.contains(&found.event_type.as_str()) {
            return false;
        }
        while self.waiting.front().is_some_and(|half| now.0.saturating_sub(half.at.0) > PAIR_NS) {
            self.waiting.pop_front();
        }
        let map = found.fields.text("dm").map(str::to_owned);
        let other = self.waiting.iter().position(|half| {
            half.collector != found.collector
                && half.event_type == found.event_type
                && half.device == found.device
                && (half.map.is_none() || map.is_none() || half.map == map)
        });
        if let Some(place) = other {
            self.waiting.remove(place);
            return true;
        }
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Half {
            event_type: found.event_type.clone(),
            device: found.device.clone(),
            map,
            collector: found.collector,
            at: now,
        });
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(event_type: &str, device: &str, map: Option<&str>, collector: Collector) -> Found {
        let mut found = Found { collector, ..Found::default() };
        found.event_type.push_str(event_type);
        found.device.push_str(device);
        if let Some(map) = map {
            found.fields.push("dm", map.as_bytes());
        }
        found
    }

    #[test]
    fn the_second_of_a_pair_is_known_once() {
        let mut pairs = Pairs::default();
        let log = found("DM_MPATH_PATH_DOWN", "8:0", Some("253:0"), Collector::Kmsg);
        let uevent = found("DM_MPATH_PATH_DOWN", "8:0", Some("253:0"), Collector::Uevent);
        assert!(!pairs.is_second(&log, UnixNanos(0)));
        assert!(!pairs.is_second(&log, UnixNanos(1)), "twice in the log is twice");
        assert!(pairs.is_second(&uevent, UnixNanos(2)));
        assert!(pairs.is_second(&uevent, UnixNanos(3)));
        assert!(!pairs.is_second(&uevent, UnixNanos(4)));
        assert!(pairs.is_second(&log, UnixNanos(PAIR_NS)));
    }

    #[test]
    fn other_maps_devices_types_and_times_are_others() {
        let down = |device, map| found("DM_MPATH_PATH_DOWN", device, map, Collector::Kmsg);
        let uevent = found("DM_MPATH_PATH_DOWN", "8:0", Some("253:0"), Collector::Uevent);
        for (log, at, second) in [
            (down("8:0", Some("253:1")), 0, false),
            (down("8:16", Some("253:0")), 0, false),
            (found("DM_MPATH_PATH_UP", "8:0", Some("253:0"), Collector::Kmsg), 0, false),
            (down("8:0", Some("253:0")), -PAIR_NS - 1, false),
            (down("8:0", None), 0, true),
        ] {
            let mut pairs = Pairs::default();
            assert!(!pairs.is_second(&log, UnixNanos(at)));
            assert_eq!(pairs.is_second(&uevent, UnixNanos(0)), second, "{log:?}");
        }
    }

    #[test]
    fn what_only_one_collector_tells_is_not_remembered() {
        let mut pairs = Pairs::default();
        pairs.is_second(&found("BLOCK_IO_ERROR", "sda", None, Collector::Kmsg), UnixNanos(0));
        assert!(pairs.waiting.is_empty());
        for _ in 0..2 * WAITING_MAX {
            pairs.is_second(
                &found("SCSI_DEVICE_RESET", "0:0:0:0", None, Collector::Kmsg),
                UnixNanos(0),
            );
        }
        assert_eq!(pairs.waiting.len(), WAITING_MAX);
    }
}
