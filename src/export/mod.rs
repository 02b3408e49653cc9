//! Queued events as librobinhood YAML: what the real `rbh-fsevents` takes from standard input.
//!
//! ```text
//! line of a queue file ─► input ─► what it is ─► beegfs, objects: documents ─► limits, fields ─► yaml
//! ```
//!
//! Pure. Ids that come from a mounted file system are looked up through [`Handles`].

mod beegfs;
mod fields;
mod input;
mod limits;
mod objects;
pub mod property;
pub mod yaml;

use serde::Serialize;

use crate::decode::hestia::{Kind, Pairs, Record, Value};
use fields::Fields;
use input::Input;
use objects::Objects;

pub use input::read_record;

/// How events become documents.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Plain values among attributes, for robinhood before 1.5.0, and not `set`, `unset` and `inc`.
    pub plain: bool,
    /// Ask robinhood to look at the file system (`--enrich`); needs ids that are handles.
    pub enrich: bool,
    /// Keep the number of children of directories.
    pub nb_children: bool,
}

/// Ids of BeeGFS entries in the form that robinhood makes of file handles.
pub trait Handles {
    /// The id of an entry: from memory, else of what lies at this path now, if one is given. Remembers it.
    fn id(&mut self, entry: &[u8], path: Option<&[u8]>) -> Option<Vec<u8>>;

    /// The entry is gone.
    fn forget(&mut self, entry: &[u8]);
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Events read.
    pub events: u64,
    /// Documents written.
    pub documents: u64,
    /// Events that say nothing about an inode, or nothing that robinhood could use.
    pub skipped: u64,
    /// Lines that are no events.
    pub unreadable: u64,
    /// Events whose inode has no id: it was gone before it was looked at.
    pub without_id: u64,
    /// Values that the real reader would die of, or that have no form there.
    pub left_out: u64,
    /// Renames: of what they replaced nothing is known, it stays until the next scan.
    pub renames: u64,
}

/// Longest line that is read, bytes: several times what a tap makes of its longest input. Longer ones are
/// counted as unreadable.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Turns events, line by line, into documents.
pub struct Exporter {
    settings: Settings,
    handles: Option<Box<dyn Handles>>,
    objects: Objects,
    /// The fields of the first `statx` written: every later one has the same.
    fields: Option<Fields>,
    counts: Counts,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Why an event gave no documents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Miss {
    /// It has nothing that robinhood could use.
    Nothing,
    /// Its inode's id is not known.
    NoId,
}

impl Exporter {
    /// `handles`: where ids come from (`--ids handle`); without, they are the entries' own names.
    pub fn new(settings: Settings, handles: Option<Box<dyn Handles>>) -> Self {
        let enrich = settings.enrich && handles.is_some();
        Self {
            settings: Settings { enrich, ..settings },
            handles,
            objects: Objects::default(),
            fields: None,
            counts: Counts::default(),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Appends the documents of one line of a queue file.
    pub fn line(&mut self, line: &[u8], out: &mut String) {
        if line.trim_ascii().is_empty() {
            return;
        }
        self.counts.events += 1;
        let read = if line.len() > LINE_BYTES_MAX { Err(()) } else { input::read(line) };
        let Ok((input, left_out)) = read else {
            self.counts.unreadable += 1;
            return;
        };
        self.counts.left_out += left_out;
        match self.compose(input) {
            Ok(records) => self.write_all(records, out),
            Err(Miss::Nothing) => self.counts.skipped += 1,
            Err(Miss::NoId) => self.counts.without_id += 1,
        }
    }

    fn compose(&mut self, input: Input) -> Result<Vec<(Record, bool)>, Miss> {
        let plain = |records: Vec<Record>| records.into_iter().map(|record| (record, false));
        match input {
            Input::Other => Err(Miss::Nothing),
            Input::Record(record) => {
                let record = if self.settings.plain { self.unwrap(record) } else { record };
                Ok(vec![(record, false)])
            }
            Input::Tiered(mut record) => {
                wrap(&mut record.xattrs, self.settings.plain);
                Ok(vec![(record, true)])
            }
            Input::Object(object) => {
                let records = self.objects.compose(object, self.settings.plain);
                self.counts.left_out += records.1;
                Ok(records.0.into_iter().map(|record| (record, true)).collect())
            }
            Input::Beegfs(event) => {
                let mut compose = beegfs::Compose {
                    settings: self.settings,
                    handles: self.handles.as_deref_mut(),
                    counts: &mut self.counts,
                };
                compose.event(&event).map(|records| plain(records).collect())
            }
        }
    }

    /// Operations of today's robinhood as the plain values of before: what adds to a number has none.
    fn unwrap(&mut self, mut record: Record) -> Record {
        if record.kind == Kind::Link {
            return record;
        }
        let mut left_out = 0;
        record.xattrs.retain_mut(|(_, value)| {
            let Value::Map(pairs) = value else { return true };
            let [(op, inner)] = pairs.as_mut_slice() else { return true };
            match op.as_str() {
                "set" => *value = std::mem::replace(inner, Value::Null),
                "unset" => *value = Value::Null,
                "inc" => {
                    left_out += 1;
                    return false;
                }
                _ => {}
            }
            true
        });
        self.counts.left_out += left_out;
        record
    }

    /// `own`: the fields of `statx` are the same in all documents of this kind of source, though not
    /// complete.
    fn write_all(&mut self, records: Vec<(Record, bool)>, out: &mut String) {
        let before = self.counts.documents;
        for (mut record, own) in records {
            self.settle_fields(&mut record, own);
            if limits::fit(&mut record, &mut self.counts.left_out) {
                yaml::write(&record, out);
                self.counts.documents += 1;
            }
        }
        if self.counts.documents == before {
            self.counts.skipped += 1;
        }
    }

    /// The same fields in every document, or none.
    fn settle_fields(&mut self, record: &mut Record, own: bool) {
        let Some(statx) = &mut record.statx else { return };
        let fields = Fields::of(statx);
        if fields.is_empty() {
            record.statx = None;
            return;
        }
        let fits = match self.fields {
            Some(known) => known.reduce(statx),
            None => own || fields.is_complete(),
        };
        if fits {
            self.fields.get_or_insert(fields);
        } else {
            record.statx = None;
            self.counts.left_out += 1;
        }
    }
}

/// Values as operations, unless robinhood is of before 1.5.0.
fn wrap(xattrs: &mut Pairs, plain: bool) {
    if plain {
        return;
    }
    for (_, value) in xattrs {
        let inner = std::mem::replace(value, Value::Null);
        let op = if inner == Value::Null { "unset" } else { "set" };
        *value = Value::Map(vec![(op.to_owned(), inner)]);
    }
}
