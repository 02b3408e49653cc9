//! When documents arrived that are delivered again.
//!
//! Hestia's first feed and robinhood have no times, so the tap stamps them. After a crash the documents of
//! the last second come again; with the stamp of the first time they are known as what they are.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::decode::hestia::{Origin, read_name};
use crate::event::UnixNanos;
use crate::tap::options::Options;

/// Documents that are looked up at most.
const FILES_MAX: usize = 100_000;

/// Offsets of documents and when they arrived.
#[derive(Debug, Default)]
pub(super) struct Arrivals(HashMap<u64, UnixNanos>);

impl Arrivals {
    /// Reads the files of documents at or behind `offset` in all queues of the tap.
    pub(super) fn read(options: &Options, origin: Origin, offset: u64) -> Self {
        let mut arrivals = HashMap::new();
        for directory in options.places.iter().filter_map(|place| place.first()) {
            let later = |name: &OsStr| {
                let (of, at) = read_name(name.to_str()?)?;
                (of == origin && at >= offset).then_some(at)
            };
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if arrivals.len() < FILES_MAX
                    && let Some(at) = later(&entry.file_name())
                {
                    read_file(&entry.path(), at, &mut arrivals);
                }
            }
        }
        Self(arrivals)
    }

    pub(super) fn take(&mut self, offset: u64) -> Option<UnixNanos> {
        if self.0.is_empty() { None } else { self.0.remove(&offset) }
    }
}

/// Every line of a file; `at` is the offset of the first document.
fn read_file(path: &Path, at: u64, arrivals: &mut HashMap<u64, UnixNanos>) {
    // Consumed meanwhile: then nothing meets it.
    let Ok(content) = fs::read(path) else { return };
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            // What a killed tap left behind has its time in front.
            if number == 0
                && let Some(time) = time_in_front(line)
            {
                arrivals.insert(at, time);
            }
            continue;
        };
        let data = event.get("data").unwrap_or(&event);
        let time = match event.get("time") {
            Some(Value::String(text)) => parse(text),
            _ => data.get("time").and_then(Value::as_i64).map(UnixNanos),
        };
        if let (Some(offset), Some(time)) = (data.get("offset").and_then(Value::as_u64), time) {
            arrivals.insert(offset, time);
        }
    }
}

fn time_in_front(line: &[u8]) -> Option<UnixNanos> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once("\"time\":\"")?;
    parse(rest.split_once('"')?.0)
}

fn parse(text: &str) -> Option<UnixNanos> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(UnixNanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_whole_and_broken_files() {
        let dir = tempfile::TempDir::new().unwrap();
        let origin = Origin::File { inode: 7, resets: 0 };
        let file = |at: u64, text: &str| {
            fs::write(dir.path().join(format!("hestia-{:020}-{at:020}.json", 7)), text).unwrap();
        };
        let event = |at: u64| {
            format!(
                "{{\"time\":\"1970-01-01T00:00:01.00000000{}Z\",\"data\":{{\"offset\":{at}}}}}\n",
                at % 10
            )
        };
        file(1, &event(1));
        file(11, &format!("{}{}", event(11), event(12)));
        file(13, &event(13)[..45]);
        file(14, "{\"kind\":\"delete\",\"time\":9,\"offset\":14}\n");
        file(15, "");
        fs::write(dir.path().join("other"), "x").unwrap();
        let options = Options::new("hestia", vec![dir.path().to_owned()]);
        let mut arrivals = Arrivals::read(&options, origin, 11);
        assert_eq!(arrivals.take(1), None);
        for (at, nanos) in [(11, 1_000_000_001), (12, 1_000_000_002), (13, 1_000_000_003), (14, 9)]
        {
            assert_eq!(arrivals.take(at), Some(UnixNanos(nanos)), "{at}");
        }
        assert_eq!(arrivals.take(15), None);
    }
}
