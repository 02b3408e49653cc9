//! Where a tap stands in its source, kept over its own end and that of its queue.
//!
//! Two positions a stream: the last event written, and the oldest that nobody has consumed. The first
//! counts while the queue lives, the second where it is gone with what was in it. A queue is known again
//! by a token in one of its extended attributes: inode numbers are used again by the next mount.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::notes::{Note, Notes};
use super::queue::Queue;
use super::source::{Failure, Resume, Start};
use crate::event::{Class, Event, Position, UnixNanos};

/// Version of the saved form.
const VERSION: u32 = 1;

/// Largest state that is read: a thousand streams need a tenth of it.
const STATE_BYTES_MAX: u64 = 16 << 20;

/// Room that a state in an attribute takes at once, so that it seldom grows.
const ATTRIBUTE_ROOM: usize = 1_024;

/// One stream as it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) context: Value,
    pub(super) written: Option<Position>,
    /// Nothing when everything that was written has been consumed.
    pub(super) unconsumed: Option<u64>,
}

/// All streams, by number.
pub(super) type Streams = BTreeMap<u64, Stream>;

#[derive(Debug, Deserialize, Serialize)]
struct Saved {
    version: u32,
    source: String,
    /// Token of every directory, by path.
    queues: BTreeMap<String, String>,
    streams: Vec<SavedStream>,
    /// Told and not consumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<SavedNote>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SavedNote {
    name: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time_ns: i64,
    data: String,
    file: Option<String>,
    stream: Option<u64>,
    at: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SavedStream {
    stream: u64,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    context: Value,
    written: Option<SavedPosition>,
    unconsumed: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SavedPosition {
    at: u64,
    next: u64,
    #[serde(default)]
    mark: u64,
}

/// Where the state is kept.
#[derive(Debug)]
pub(super) struct Keeper {
    file: Option<PathBuf>,
    source: &'static str,
    name: String,
}

impl Keeper {
    pub(super) fn new(source: &'static str, name: &str, file: Option<PathBuf>) -> Self {
        Self { file, source, name: name.to_owned() }
    }

    fn attribute(&self) -> String {
        format!("user.tap_state.{}", self.name)
    }

    /// The streams and notes as they were saved, and whether all the queues are those that they were saved
    /// with.
    ///
    /// # Errors
    /// A state file that is there and cannot be read, or is none of this source.
    pub(super) fn load(&self, queues: &[&Queue]) -> Result<(Streams, Vec<Note>, bool), Failure> {
        let saved = match &self.file {
            Some(path) => read_file(path)?,
            // An attribute that is no state is a stranger's.
            None => queues
                .first()
                .and_then(|queue| queue.attribute(&self.attribute()))
                .and_then(|text| serde_json::from_slice::<Saved>(&text).ok()),
        };
        let Some(saved) = saved else { return Ok((Streams::new(), Vec::new(), true)) };
        if let Some(path) = &self.file {
            self.check(&saved, path)?;
        }
        let token = |queue: &&Queue| saved.queues.get(&key(queue)) == Some(&self.token(queue));
        let alive = queues.iter().all(token);
        let notes = saved.notes.into_iter().map(note).collect();
        Ok((saved.streams.into_iter().map(stream).collect(), notes, alive))
    }

    fn check(&self, saved: &Saved, path: &Path) -> Result<(), Failure> {
        let what = path.display();
        if saved.version != VERSION {
            return Err(Failure(format!("{what}: state of version {}", saved.version)));
        }
        if saved.source != self.source {
            return Err(Failure(format!("{what}: state of a {} tap", saved.source)));
        }
        Ok(())
    }

    /// Saves the streams and the notes.
    ///
    /// # Errors
    /// One line about the file or the queue; what was saved before is still there.
    pub(super) fn save(
        &self,
        queues: &[&Queue],
        streams: &Streams,
        notes: &Notes,
    ) -> Result<(), Failure> {
        let saved = Saved {
            version: VERSION,
            source: self.source.to_owned(),
            queues: queues.iter().map(|queue| (key(queue), self.token(queue))).collect(),
            streams: streams.iter().map(|(number, stream)| saved_stream(*number, stream)).collect(),
            notes: notes.iter().map(saved_note).collect(),
        };
        let text = serde_json::to_string(&saved).unwrap_or_default();
        match (&self.file, queues.first()) {
            (Some(path), _) => {
                replace(path, text.as_bytes()).map_err(|error| Failure::io(path.display(), &error))
            }
            (None, Some(queue)) => queue
                .set_attribute(&self.attribute(), &text, ATTRIBUTE_ROOM)
                .map_err(|error| Failure::io(queue.path.display(), &error)),
            (None, None) => Ok(()),
        }
    }

    /// What a directory is known by just now; nothing is made.
    pub(super) fn present_token(&self, queue: &Queue) -> String {
        match queue.attribute(&format!("user.tap_token.{}", self.name)) {
            Some(token) => String::from_utf8_lossy(&token).trim_end().to_owned(),
            None => by_number(queue),
        }
    }

    /// What a directory is known by; made when it has none.
    pub(super) fn token(&self, queue: &Queue) -> String {
        let name = format!("user.tap_token.{}", self.name);
        if let Some(token) = queue.attribute(&name) {
            return String::from_utf8_lossy(&token).trim_end().to_owned();
        }
        let token = format!("{:x}-{:x}", crate::sys::clock::wall_ns(), std::process::id());
        match queue.set_attribute(&name, &token, 1) {
            Ok(()) => token,
            // A file system without attributes.
            Err(_) => by_number(queue),
        }
    }
}

/// A directory without a token.
fn by_number(queue: &Queue) -> String {
    let (device, inode) = queue.identity();
    format!("{device:x}:{inode:x}")
}

/// What a source is told of the streams.
pub(super) fn starts(streams: &Streams, queues_live: bool) -> Vec<Resume> {
    let resume = |(number, stream): (&u64, &Stream)| {
        let start = match (stream.unconsumed, stream.written) {
            (Some(at), _) if !queues_live => Start::At(at),
            (_, Some(written)) => Start::After(written),
            (Some(at), None) => Start::At(at),
            (None, None) => return None,
        };
        let context = stream.context.clone();
        Some(Resume { stream: *number, context, start, written: stream.written })
    };
    streams.iter().filter_map(resume).collect()
}

fn key(queue: &Queue) -> String {
    queue.path.to_string_lossy().into_owned()
}

fn stream(saved: SavedStream) -> (u64, Stream) {
    let number = saved.stream;
    let position = |saved: SavedPosition| Position {
        stream: number,
        at: saved.at,
        next: saved.next,
        mark: saved.mark,
    };
    let written = saved.written.map(position);
    (number, Stream { context: saved.context, written, unconsumed: saved.unconsumed })
}

fn saved_stream(number: u64, stream: &Stream) -> SavedStream {
    let position = |p: Position| SavedPosition { at: p.at, next: p.next, mark: p.mark };
    SavedStream {
        stream: number,
        context: stream.context.clone(),
        written: stream.written.map(position),
        unconsumed: stream.unconsumed,
    }
}

fn note(saved: SavedNote) -> Note {
    let position = saved.stream.zip(saved.at);
    let position = position.map(|(stream, at)| Position { stream, at, next: at, mark: 0 });
    let event = Event {
        class: Class::Note,
        name: saved.name,
        id: saved.id,
        source: saved.source,
        kind: saved.kind,
        time: UnixNanos(saved.time_ns),
        data: saved.data.into_bytes(),
        ..Event::default()
    };
    Note { event, position, file: saved.file }
}

fn saved_note(note: &Note) -> SavedNote {
    let event = &note.event;
    SavedNote {
        name: event.name.clone(),
        id: event.id.clone(),
        source: event.source.clone(),
        kind: event.kind.clone(),
        time_ns: event.time.0,
        data: String::from_utf8_lossy(&event.data).into_owned(),
        file: note.file.clone(),
        stream: note.position.map(|position| position.stream),
        at: note.position.map(|position| position.at),
    }
}

/// Reads a state file; nothing if there is none. Never through a link.
fn read_file(path: &Path) -> Result<Option<Saved>, Failure> {
    let opened = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    let mut text = Vec::new();
    let read = opened.and_then(|file| file.take(STATE_BYTES_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(Failure(format!("{}: is a symbolic link", path.display())));
        }
        Err(error) => return Err(Failure::io(path.display(), &error)),
    }
    let parsed = serde_json::from_slice(&text);
    parsed.map(Some).map_err(|error| Failure(format!("{}: no state: {error}", path.display())))
}

/// New file, fsync, rename.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    let name = path.file_name().ok_or_else(|| io::Error::from_raw_os_error(libc::EISDIR))?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut fresh = std::ffi::OsString::from(".");
    fresh.push(name);
    fresh.push(format!(".{}", std::process::id()));
    let fresh = directory.join(fresh);
    let written = write_new(&fresh, content).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // It may not even have been made.
        let _ = fs::remove_file(&fresh);
        return written;
    }
    File::open(directory)?.sync_all()
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let make = || File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match make() {
        // Of a killed process with our number.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            make()?
        }
        other => other?,
    };
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::queue::Making;
    use super::*;

    fn queue(path: &Path) -> Queue {
        Queue::prepare(path, Making { sticky: false, shared: false }).unwrap()
    }

    fn streams() -> Streams {
        let written = Some(Position { stream: 7, at: 26, next: 27, mark: u64::MAX });
        let context = serde_json::json!({"resets": 1});
        Streams::from([(7, Stream { context, written, unconsumed: Some(5) })])
    }

    #[test]
    fn what_is_saved_is_loaded_and_a_new_queue_is_told_from_the_old() {
        let dir = tempfile::TempDir::new().unwrap();
        for file in [Some(dir.path().join("state")), None] {
            let path = dir.path().join("q");
            let _ = fs::remove_dir_all(&path);
            let keeper = Keeper::new("beegfs", "name", file.clone());
            let first = queue(&path);
            assert!(keeper.load(&[&first]).unwrap().0.is_empty());
            let mut notes = Notes::default();
            let told = Event { class: Class::Note, name: "n".into(), ..Event::default() };
            let position = Position { stream: 7, at: 3, next: 3, mark: 0 };
            notes.add(&told, Some(position));
            notes.written("n", "n.json");
            keeper.save(&[&first], &streams(), &notes).unwrap();
            let (loaded, told_then, alive) = keeper.load(&[&first]).unwrap();
            assert!(alive);
            assert_eq!(told_then, notes.pick(true, false));
            let last = Position { stream: 7, at: 26, next: 27, mark: u64::MAX };
            let (start, written) = (Start::After(last), Some(last));
            let context = serde_json::json!({"resets": 1});
            assert_eq!(starts(&loaded, true), [Resume { stream: 7, context, start, written }]);
            let again = &starts(&loaded, false)[0];
            assert_eq!((&again.start, again.written), (&Start::At(5), Some(last)));
            fs::remove_dir(&path).unwrap();
            let second = queue(&path);
            let (loaded, _, alive) = keeper.load(&[&second]).unwrap();
            match file {
                Some(_) => assert!(!alive && loaded.len() == 1),
                None => assert!(loaded.is_empty()),
            }
        }
    }

    #[test]
    fn a_state_that_cannot_be_read_is_an_error_with_its_name() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("state");
        let keeper = Keeper::new("beegfs", "name", Some(path.clone()));
        let other = Keeper::new("gluster", "name", Some(path.clone()));
        let says = |keeper: &Keeper, what: &str| {
            let line = keeper.load(&[]).unwrap_err().to_string();
            assert!(line.contains(path.to_str().unwrap()) && line.contains(what), "{line}");
        };
        fs::write(&path, "{").unwrap();
        says(&keeper, "no state");
        let none = Notes::default();
        keeper.save(&[], &streams(), &none).unwrap();
        assert!(keeper.load(&[]).is_ok());
        says(&other, "state of a beegfs tap");
        let target = dir.path().join("target");
        fs::rename(&path, &target).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        says(&keeper, "symbolic link");
        assert!(keeper.save(&[], &streams(), &none).is_err());
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 2, "nothing is left behind");
    }
}
