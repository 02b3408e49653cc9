//! Events that are still queued, for a client that asks with `?since=`.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::Sender;

use super::{Frame, Snapshot};

/// Largest file that is read: a whole batch of the sink's.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What stands before the data in a line that an event has written.
const BEFORE_DATA: &str = "\"datacontenttype\":\"application/json\",\"data\":";

/// Sends every event behind `since` that is in a file or in memory, in order. Blocks: for a thread of its
/// own. Ends early when nobody takes the frames any more.
pub(super) fn replay(snapshot: Snapshot, since: u64, frames: &Sender<Frame>) {
    let mut sent = since;
    for (first, path) in files(&snapshot, since) {
        // Gone means consumed.
        let Some(text) = read(&path) else { continue };
        for (at, line) in text.lines().enumerate() {
            let Some(frame) = frame(line, first + at as u64) else { continue };
            if frame.seq > sent && frame.seq <= snapshot.upto {
                sent = frame.seq;
                if frames.blocking_send(frame).is_err() {
                    return;
                }
            }
        }
    }
    for frame in snapshot.unwritten {
        if frame.seq > sent && frames.blocking_send(frame).is_err() {
            return;
        }
    }
}

/// Files that may hold something behind `since`, oldest first.
fn files(snapshot: &Snapshot, since: u64) -> Vec<(u64, PathBuf)> {
    let mut found = Vec::new();
    for directory in &snapshot.directories {
        let mut here = listed(directory, snapshot.upto);
        here.sort_unstable();
        // The last one before may be a batch that reaches behind it.
        let behind = here.partition_point(|(first, _)| *first <= since);
        found.extend(here.drain(behind.saturating_sub(1)..));
    }
    found.sort_unstable();
    found
}

fn listed(directory: &Path, upto: u64) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if let Some(first) = entry.file_name().to_str().and_then(number)
            && first <= upto
        {
            found.push((first, entry.path()));
        }
    }
    found
}

/// The number in `gluster-NANOSECONDS-N.json`, also with `~2` behind it.
pub(in crate::tap::gluster) fn number(name: &str) -> Option<u64> {
    let (nanos, rest) = name.strip_prefix("gluster-")?.strip_suffix(".json")?.split_once('-')?;
    let number = rest.split_once('~').map_or(rest, |(number, _)| number);
    let digits = |text: &str| text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(nanos) && digits(number)).then(|| number.parse().ok()).flatten()
}

fn read(path: &Path) -> Option<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The frame of a line; `number` is its own where the line does not say, as with `--bare`.
fn frame(line: &str, number: u64) -> Option<Frame> {
    let Some((envelope, data)) = line.split_once(BEFORE_DATA) else {
        return Frame::new(line.as_bytes(), number);
    };
    let (_, id) = envelope.split_once("\"id\":\"")?;
    let (_, own) = id.split_once('"')?.0.split_once('-')?;
    Frame::new(data.strip_suffix('}')?.as_bytes(), own.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, TimeText};

    fn line(number: u64) -> String {
        let event = Event {
            id: format!("{:020}-{number:020}", 5),
            data: format!("{{\"n\":{number}}}").into_bytes(),
            ..Event::default()
        };
        let mut line = Vec::new();
        event.write_line(&mut TimeText::default(), &mut line);
        String::from_utf8(line).unwrap()
    }

    fn name(number: u64) -> String {
        format!("gluster-{:020}-{number:020}.json", 5)
    }

    fn replayed(dir: &Path, since: u64, upto: u64, unwritten: &[u64]) -> Vec<(u64, String)> {
        let frame = |&n: &u64| Frame::new(format!("{{\"m\":{n}}}").as_bytes(), n).unwrap();
        let snapshot = Snapshot {
            upto,
            unwritten: unwritten.iter().map(frame).collect(),
            directories: vec![dir.to_owned()],
        };
        let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
        replay(snapshot, since, &sender);
        let mut seen = Vec::new();
        while let Ok(frame) = receiver.try_recv() {
            seen.push((frame.seq, frame.text.to_string()));
        }
        seen
    }

    #[test]
    fn what_is_behind_the_number_comes_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name(9)), line(9)).unwrap();
        fs::write(dir.path().join(name(3)), [3, 4, 6].map(line).concat()).unwrap();
        fs::write(dir.path().join(name(1)), line(1)).unwrap();
        fs::write(dir.path().join("gluster-gap-1-1.json"), "{}").unwrap();
        let numbers = |since, upto, unwritten: &[u64]| -> Vec<u64> {
            replayed(dir.path(), since, upto, unwritten).into_iter().map(|(seq, _)| seq).collect()
        };
        assert_eq!(numbers(0, 9, &[]), [1, 3, 4, 6, 9]);
        assert_eq!(numbers(3, 8, &[]), [4, 6]);
        assert_eq!(numbers(6, 11, &[9, 10]), [9, 10]);
        assert_eq!(numbers(99, 99, &[]), [0; 0]);
        assert_eq!(replayed(dir.path(), 3, 4, &[]), [(4, "{\"n\":4,\"seq\":4}".to_owned())]);
    }

    #[test]
    fn bare_lines_are_numbered_from_the_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name(3)), "{\"a\":1}\n{\"a\":2}\n").unwrap();
        assert_eq!(replayed(dir.path(), 3, 9, &[]), [(4, "{\"a\":2,\"seq\":4}".to_owned())]);
    }

    #[test]
    fn only_names_of_events_have_a_number() {
        assert_eq!(number(&name(12)), Some(12));
        assert_eq!(number(&name(12).replace(".json", "~2.json")), Some(12));
        for other in ["head", "gluster-1-2.json", "gluster-gap-00000000000000000001-1.json"] {
            assert_eq!(number(other), None);
        }
    }
}
