//! Multipath maps and how many of their paths are gone.

use std::collections::{BTreeSet, HashMap};

use super::found::{Fields, Found, Severity, System};

/// Maps that are followed; a machine with more has other worries.
const MAPS_MAX: usize = 65_536;

/// Failed paths that are remembered, of all maps together; more count only where the event says how many are
/// left.
const PATHS_MAX: usize = 65_536;

#[derive(Debug, Default)]
struct Map {
    failed: BTreeSet<String>,
    all_down: bool,
}

/// The maps that had a path fail.
#[derive(Debug, Default)]
pub struct Maps {
    maps: HashMap<String, Map>,
    /// Failed ones in all of them.
    paths: usize,
}

impl Maps {
    /// Follows a path event; true when with it the last path of its map is gone.
    ///
    /// `paths` counts the paths of the map where the event does not say how many are left.
    pub fn follow(&mut self, found: &Found, map: &str, paths: impl FnOnce() -> usize) -> bool {
        let is_down = match found.event_type.as_str() {
            "DM_MPATH_PATH_DOWN" => true,
            "DM_MPATH_PATH_UP" => false,
            _ => return false,
        };
        if map.is_empty() || (self.maps.len() >= MAPS_MAX && !self.maps.contains_key(map)) {
            return false;
        }
        let state = self.maps.entry(map.to_owned()).or_default();
        if !is_down {
            self.paths -= usize::from(state.failed.remove(&found.device));
            state.all_down = false;
            return false;
        }
        if self.paths < PATHS_MAX {
            self.paths += usize::from(state.failed.insert(found.device.clone()));
        }
        let gone = match found.fields.text("nr_valid_paths") {
            Some(left) => left == "0",
            None => {
                let paths = paths();
                paths > 0 && state.failed.len() >= paths
            }
        };
        gone && !std::mem::replace(&mut state.all_down, gone)
    }

    /// The event for it, from the one that took the last path; the device is the map.
    pub fn all_down(path: &Found, name: &str, paths: usize) -> Found {
        let dm = path.fields.text("dm").unwrap_or_default();
        let mut fields = Fields::default();
        fields.push("map", name.as_bytes());
        fields.push("nr_paths", paths.to_string().as_bytes());
        if !dm.is_empty() {
            fields.push("dm", dm.as_bytes());
        }
        let msg =
            format!("all paths of multipath map {name} are down; the last was {}", path.device);
        Found {
            event_type: "DM_MPATH_ALL_PATHS_DOWN".into(),
            severity: Severity::Error,
            system: System::Multipath,
            subsystem: "dm-multipath".into(),
            device: dm.to_owned(),
            fields,
            msg: msg.into_bytes(),
            raw_msg: path.raw_msg.clone(),
            priority: path.priority,
            collector: path.collector,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(kind: &str, device: &str, left: Option<&str>) -> Found {
        let mut found = Found::default();
        found.event_type.push_str(kind);
        found.device.push_str(device);
        found.fields.push("dm", b"253:0");
        if let Some(left) = left {
            found.fields.push("nr_valid_paths", left.as_bytes());
        }
        found
    }

    #[test]
    fn one_event_a_transition_to_no_path() {
        let mut maps = Maps::default();
        let mut down =
            |device, left| maps.follow(&path("DM_MPATH_PATH_DOWN", device, left), "m", || 2);
        assert!(!down("8:0", None));
        assert!(!down("8:0", None), "the same path again");
        assert!(down("8:16", None));
        assert!(!down("8:16", None), "told already");
        assert!(!maps.follow(&path("DM_MPATH_PATH_UP", "8:0", Some("1")), "m", || 2));
        assert!(maps.follow(&path("DM_MPATH_PATH_DOWN", "8:0", Some("0")), "m", || 9));
        assert!(!maps.follow(&path("DM_MPATH_PATH_DOWN", "8:0", Some("0")), "", || 9));
        assert!(!maps.follow(&path("BLOCK_IO_ERROR", "8:0", Some("0")), "n", || 9));
        assert!(
            !maps.follow(&path("DM_MPATH_PATH_DOWN", "8:0", None), "n", || 0),
            "nobody knows how many"
        );
    }

    #[test]
    fn failed_paths_are_bounded() {
        let mut maps = Maps::default();
        let down = |device: usize| path("DM_MPATH_PATH_DOWN", &device.to_string(), None);
        for device in 0..PATHS_MAX + 9 {
            assert!(!maps.follow(&down(device), "m", || usize::MAX));
        }
        assert_eq!((maps.paths, maps.maps["m"].failed.len()), (PATHS_MAX, PATHS_MAX));
        maps.follow(&path("DM_MPATH_PATH_UP", "7", None), "m", || usize::MAX);
        assert_eq!(maps.paths, PATHS_MAX - 1);
        assert!(maps.follow(&path("DM_MPATH_PATH_DOWN", "x", Some("0")), "m", || usize::MAX));
    }

    #[test]
    fn the_event_names_the_map() {
        let event = Maps::all_down(&path("DM_MPATH_PATH_DOWN", "8:0", None), "mpatha", 2);
        assert_eq!((event.device.as_str(), event.severity), ("253:0", Severity::Error));
        assert_eq!(
            (event.fields.text("map"), event.fields.text("nr_paths")),
            (Some("mpatha"), Some("2"))
        );
    }
}
