//! BeeGFS's file events as documents: the composition that robinhood's own Lustre source makes.

use super::fields::{ATIME, BLOCKS, CTIME, EVERYTHING, MTIME, SIZE, TYPE};
use super::{Counts, Handles, Miss, Settings};
use crate::decode::hestia::{Kind, Record, Value};

/// What a directory's entry coming or going changes in it.
const PARENT: u32 = TYPE | ATIME | MTIME | CTIME;

/// What writing changes.
const WRITTEN: u32 = TYPE | SIZE | BLOCKS | ATIME | MTIME | CTIME;

/// Attribute that has the bytes of a name that is not UTF-8.
const TRUE_NAME: &str = "eventfs.name";

/// A file event, as far as it matters here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FileEvent {
    /// Name of the type in lower case.
    pub(super) event: String,
    pub(super) entry: Vec<u8>,
    pub(super) parent: Vec<u8>,
    pub(super) path: Vec<u8>,
    pub(super) target_path: Vec<u8>,
    pub(super) target_parent: Vec<u8>,
    /// Links that are left.
    pub(super) links: u64,
}

/// Makes the documents of one event.
pub(super) struct Compose<'a> {
    pub(super) settings: Settings,
    pub(super) handles: Option<&'a mut (dyn Handles + 'static)>,
    pub(super) counts: &'a mut Counts,
}

impl Compose<'_> {
    pub(super) fn event(&mut self, event: &FileEvent) -> Result<Vec<Record>, Miss> {
        match event.event.as_str() {
            "create" | "mkdir" | "mknod" | "hardlink" => self.appear(event, None),
            "symlink" => self.appear(event, Some(&event.target_path)),
            "unlink" if event.links > 0 => self.unlink(event),
            "unlink" | "rmdir" => self.disappear(event),
            "rename" => self.rename(event),
            "setattr" => self.change(event, EVERYTHING),
            "truncate" | "close_write" | "last_writer_closed" | "flush" => {
                self.change(event, WRITTEN)
            }
            _ => Err(Miss::Nothing),
        }
    }

    /// An entry's id; `path` is where it can be looked at.
    fn id(&mut self, entry: &[u8], path: Option<&[u8]>) -> Result<Vec<u8>, Miss> {
        match &mut self.handles {
            Some(handles) => handles.id(entry, path).ok_or(Miss::NoId),
            None => Ok(entry.to_vec()),
        }
    }

    fn parent_id(&mut self, entry: &[u8], path: &[u8]) -> Result<Vec<u8>, Miss> {
        self.id(entry, parent_of(path))
    }

    fn appear(&mut self, event: &FileEvent, text: Option<&[u8]>) -> Result<Vec<Record>, Miss> {
        let id = self.id(&event.entry, known(&event.path))?;
        let parent = self.parent_id(&event.parent, &event.path)?;
        let mut records = Vec::new();
        records.extend(self.link(&id, &parent, &event.path));
        let mut upsert = self.upsert(&id, EVERYTHING);
        if let Some(text) = text {
            let text = std::str::from_utf8(text).ok();
            self.counts.left_out += u64::from(text.is_none());
            upsert.symlink = text.map(str::to_owned);
        }
        records.push(upsert);
        records.extend(self.directory(&parent, 1));
        Ok(records)
    }

    fn unlink(&mut self, event: &FileEvent) -> Result<Vec<Record>, Miss> {
        let id = self.id(&event.entry, None)?;
        let parent = self.parent_id(&event.parent, &event.path)?;
        let mut records = Vec::new();
        records.extend(self.unlinked(&id, &parent, &event.path));
        records.extend(self.directory(&parent, -1));
        Ok(records)
    }

    fn disappear(&mut self, event: &FileEvent) -> Result<Vec<Record>, Miss> {
        let id = self.id(&event.entry, None)?;
        if let Some(handles) = &mut self.handles {
            handles.forget(&event.entry);
        }
        let mut records = vec![Record::new(Kind::Delete, id)];
        // The directory may be gone by now as well; that is told by an event of its own.
        if let Ok(parent) = self.parent_id(&event.parent, &event.path) {
            records.extend(self.directory(&parent, -1));
        }
        Ok(records)
    }

    /// Link before unlink, so that the entry never has no name at all.
    fn rename(&mut self, event: &FileEvent) -> Result<Vec<Record>, Miss> {
        let id = self.id(&event.entry, known(&event.target_path))?;
        let to = self.parent_id(&event.target_parent, &event.target_path)?;
        let from = self.parent_id(&event.parent, &event.path)?;
        self.counts.renames += 1;
        let mut records = Vec::new();
        records.extend(self.link(&id, &to, &event.target_path));
        if self.settings.enrich {
            records.push(self.upsert(&id, EVERYTHING));
        }
        records.extend(self.directory(&to, 1));
        records.extend(self.unlinked(&id, &from, &event.path));
        records.extend(self.directory(&from, -1));
        Ok(records)
    }

    /// Only robinhood itself can tell what changed.
    fn change(&mut self, event: &FileEvent, mask: u32) -> Result<Vec<Record>, Miss> {
        if !self.settings.enrich {
            return Err(Miss::Nothing);
        }
        let id = self.id(&event.entry, known(&event.path))?;
        Ok(vec![self.upsert(&id, mask)])
    }

    /// An upsert that asks for these fields, if anybody is to be asked.
    fn upsert(&self, id: &[u8], mask: u32) -> Record {
        let mut record = Record::new(Kind::Upsert, id);
        if self.settings.enrich {
            let statx = ("statx".to_owned(), Value::Uint32(mask));
            record.xattrs = vec![("rbh-fsevents".to_owned(), Value::Map(vec![statx]))];
        }
        record
    }

    /// A directory that has `change` entries more.
    fn directory(&mut self, id: &[u8], change: i64) -> Vec<Record> {
        let mut records = Vec::new();
        if self.settings.enrich {
            records.push(self.upsert(id, PARENT));
        }
        if self.settings.nb_children && self.settings.plain {
            // Before 1.5.0 nothing could be added to a number.
            self.counts.left_out += 1;
        } else if self.settings.nb_children {
            let mut record = Record::new(Kind::InodeXattr, id);
            let add = Value::Map(vec![("inc".to_owned(), Value::Int64(change))]);
            record.xattrs = vec![("nb_children.value".to_owned(), add)];
            records.push(record);
        }
        records
    }

    /// A place in a directory; nothing where the client could not tell the path.
    fn place(&mut self, kind: Kind, id: &[u8], parent: &[u8], path: &[u8]) -> Option<Record> {
        let Some(name) = name_of(path) else {
            self.counts.left_out += 1;
            return None;
        };
        let mut record = Record::new(kind, id);
        record.parent = Some(parent.to_vec());
        record.name = Some(readable(name));
        Some(record)
    }

    fn link(&mut self, id: &[u8], parent: &[u8], path: &[u8]) -> Option<Record> {
        let mut record = self.place(Kind::Link, id, parent, path)?;
        record.xattrs.push(("path".to_owned(), Value::Text(readable(path))));
        let name = name_of(path).unwrap_or_default();
        if std::str::from_utf8(name).is_err() {
            record.xattrs.push((TRUE_NAME.to_owned(), Value::Binary(name.to_vec())));
        }
        Some(record)
    }

    fn unlinked(&mut self, id: &[u8], parent: &[u8], path: &[u8]) -> Option<Record> {
        self.place(Kind::Unlink, id, parent, path)
    }
}

/// A path that can be looked at: a bare name and an empty path cannot.
fn known(path: &[u8]) -> Option<&[u8]> {
    path.starts_with(b"/").then_some(path)
}

fn parent_of(path: &[u8]) -> Option<&[u8]> {
    let at = known(path)?.iter().rposition(|byte| *byte == b'/')?;
    Some(if at == 0 { b"/" } else { path.get(..at)? })
}

fn name_of(path: &[u8]) -> Option<&[u8]> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    (!name.is_empty()).then_some(name)
}

/// Text with every byte that is no UTF-8 written out as `\xHH`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
