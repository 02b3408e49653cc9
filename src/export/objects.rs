//! Hestia's objects as inodes, as robinhood itself once made them of the same feed.

use super::wrap;
use crate::decode::hestia::{
    Kind, ObjectKind, ObjectRecord, Pairs, Recent, Record, Statx, Time, Value,
};

/// Objects whose times and size are remembered.
const OBJECTS_MAX: usize = 100_000;

/// What `statx` says of an object; every upsert says all of it.
#[derive(Clone, Copy, Debug)]
struct Facts {
    atime: i64,
    mtime: i64,
    ctime: i64,
    size: u64,
}

/// Turns objects into records.
#[derive(Debug)]
pub(super) struct Objects {
    known: Recent<String, Facts>,
}

impl Default for Objects {
    fn default() -> Self {
        Self { known: Recent::new(OBJECTS_MAX) }
    }
}

impl Objects {
    /// The documents of one event, and how many facts could not be told.
    pub(super) fn compose(&mut self, object: ObjectRecord, plain: bool) -> (Vec<Record>, u64) {
        let id = object.id.clone().into_bytes();
        match object.kind {
            ObjectKind::Remove => {
                self.known.remove(object.id.as_str());
                (vec![Record::new(Kind::Delete, id)], 0)
            }
            ObjectKind::Create => {
                let upsert = self.upsert(&object);
                let xattrs = xattrs(&object, plain);
                let unsaid = u64::from(upsert.statx.is_none());
                (vec![link(&object), xattrs, upsert], unsaid)
            }
            ObjectKind::Update => {
                let upsert = self.upsert(&object);
                let unsaid = u64::from(upsert.statx.is_none());
                (vec![upsert, xattrs(&object, plain)], unsaid)
            }
            ObjectKind::Read => {
                let upsert = self.upsert(&object);
                // The time of the access alone would make the real reader repeat the rest of another.
                if upsert.statx.is_some() { (vec![upsert], 0) } else { (Vec::new(), 1) }
            }
        }
    }

    fn upsert(&mut self, object: &ObjectRecord) -> Record {
        let mut record = Record::new(Kind::Upsert, object.id.clone().into_bytes());
        let before = self.known.get(object.id.as_str()).copied();
        let facts = facts(object, before);
        if let Some(facts) = facts {
            self.known.put(object.id.clone(), facts);
            record.statx = Some(Statx {
                atime: Some(time(facts.atime)),
                mtime: Some(time(facts.mtime)),
                ctime: Some(time(facts.ctime)),
                size: Some(facts.size),
                ..Statx::default()
            });
        }
        record
    }
}

/// Nothing if a part of them is not known.
fn facts(object: &ObjectRecord, before: Option<Facts>) -> Option<Facts> {
    let now = object.time?;
    let size = object.size.or(before.map(|before| before.size))?;
    Some(match object.kind {
        ObjectKind::Read => Facts { atime: now, ..before? },
        // Before 01/2024 an update had one time only.
        ObjectKind::Update => Facts {
            atime: before.map_or(now, |before| before.atime),
            mtime: object.mtime.unwrap_or(now),
            ctime: object.ctime.unwrap_or(now),
            size,
        },
        ObjectKind::Create | ObjectKind::Remove => {
            Facts { atime: now, mtime: now, ctime: now, size }
        }
    })
}

fn time(nanos: i64) -> Time {
    let nsec = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok();
    Time { sec: Some(nanos.div_euclid(1_000_000_000)), nsec }
}

/// Objects have no directories: a name below nothing.
fn link(object: &ObjectRecord) -> Record {
    let mut record = Record::new(Kind::Link, object.id.clone().into_bytes());
    record.parent = Some(Vec::new());
    record.name = Some(object.id.clone());
    record.xattrs = vec![("path".to_owned(), Value::Text(object.id.clone()))];
    record
}

fn xattrs(object: &ObjectRecord, plain: bool) -> Record {
    let mut record = Record::new(Kind::InodeXattr, object.id.clone().into_bytes());
    let text = |(key, value): &(String, String)| (key.clone(), Value::Text(value.clone()));
    if let Some(pairs) = &object.user_metadata {
        let pairs: Pairs = pairs.iter().map(text).collect();
        record.xattrs.push(("user_metadata".to_owned(), Value::Map(pairs)));
    }
    if let Some(tiers) = &object.tiers {
        let extent = |(offset, length): &(u64, u64)| {
            Value::Map(vec![
                ("length".to_owned(), Value::Uint64(*length)),
                ("offset".to_owned(), Value::Uint64(*offset)),
            ])
        };
        let tier = |tier: &crate::decode::hestia::Tier| {
            let extents = tier.extents.iter().map(extent).collect();
            Value::Map(vec![
                ("extents".to_owned(), Value::Seq(extents)),
                ("index".to_owned(), Value::Uint64(tier.index)),
            ])
        };
        record.xattrs.push(("tiers".to_owned(), Value::Seq(tiers.iter().map(tier).collect())));
    }
    wrap(&mut record.xattrs, plain);
    record
}
