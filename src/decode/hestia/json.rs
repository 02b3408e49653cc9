//! Events as JSON: the `data` of what the tap delivers, field by field in a fixed order.

use super::meaning::{Meaning, is_text};
use super::record::{
    Content, Device, FLAGS, Flags, ObjectRecord, Pairs, Record, Statx, Tier, Time, Value,
};
use super::walk::Unknown;
use crate::event::json::{Object, write_number, write_text};

/// Where a document stands, as its event tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Where {
    /// Of the feed's file; a pipe or a socket has none.
    pub inode: Option<u64>,
    /// Offset of the first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Appends the fields of [`Where`].
pub(super) fn write_where(object: &mut Object<'_>, place: Where) {
    match place.inode {
        Some(inode) => object.number("inode", inode),
        None => object.null("inode"),
    }
    object.number("offset", place.offset);
    object.number("length", place.length);
}

/// Appends one event. `arrived` is its time where the document has none, nanoseconds since 1970.
pub(super) fn write(
    content: &Content,
    unknown: &[Unknown],
    meaning: &Meaning,
    arrived: i64,
    place: Where,
    out: &mut Vec<u8>,
) {
    let mut object = Object::begin(out);
    object.raw_text("source", if meaning.hestia { "hestia" } else { "robinhood" });
    let mut scratch = Vec::new();
    match content {
        Content::Inode(record) => {
            write_record(&mut object, record, &mut scratch);
            write_meaning(&mut object, meaning);
            write_time(&mut object, arrived, "arrival");
            let size = record.statx.and_then(|statx| statx.size).filter(|_| meaning.hestia);
            if let Some(size) = size {
                object.number("size", size);
            }
        }
        Content::Object(record) => {
            write_id(&mut object, record);
            write_meaning(&mut object, meaning);
            write_object(&mut object, record, arrived, &mut scratch);
        }
    }
    write_where(&mut object, place);
    if !unknown.is_empty() {
        scratch.clear();
        write_list(unknown, &mut scratch, write_unknown);
        object.json("unknown", &scratch);
    }
    object.end();
}

/// Appends the fields that a record itself has.
pub fn write_record(object: &mut Object<'_>, record: &Record, scratch: &mut Vec<u8>) {
    object.raw_text("kind", record.kind.name());
    object.base64("id", &record.id);
    if is_text(&record.id) {
        object.bytes("id_text", &record.id);
    }
    if let Some(parent) = &record.parent {
        object.base64("parent", parent);
    }
    if let Some(name) = &record.name {
        object.text("name", name);
    }
    if let Some(symlink) = &record.symlink {
        object.text("symlink", symlink);
    }
    if let Some(statx) = &record.statx {
        write_statx(object.object("statx"), statx);
    }
    if record.kind.has_xattrs() {
        scratch.clear();
        write_pairs(&record.xattrs, scratch);
        object.json("xattrs", scratch);
    }
}

fn write_id(object: &mut Object<'_>, record: &ObjectRecord) {
    object.raw_text("kind", record.kind.name());
    object.text("id", &record.id);
    if is_text(record.id.as_bytes()) {
        object.text("id_text", &record.id);
    }
}

fn write_meaning(object: &mut Object<'_>, meaning: &Meaning) {
    if !meaning.hestia {
        return;
    }
    object.bytes("object", &meaning.object);
    match meaning.tier {
        Some(tier) => object.number("tier", tier),
        None => object.null("tier"),
    }
    if let Some(op) = meaning.op {
        object.raw_text("op", op.name());
    }
    if let Some(tier) = meaning.source_tier {
        object.number("source_tier", tier);
    }
    if meaning.ambiguous {
        object.flag("ambiguous", true);
    }
    if meaning.placeholder {
        object.flag("placeholder", true);
    }
}

fn write_time(object: &mut Object<'_>, time: i64, source: &str) {
    object.signed("time", time);
    object.raw_text("time_source", source);
}

fn write_object(
    object: &mut Object<'_>,
    record: &ObjectRecord,
    arrived: i64,
    scratch: &mut Vec<u8>,
) {
    match record.time {
        Some(time) => write_time(object, time, "feed"),
        None => write_time(object, arrived, "arrival"),
    }
    for (name, time) in [("mtime", record.mtime), ("ctime", record.ctime)] {
        if let Some(time) = time {
            object.signed(name, time);
        }
    }
    if let Some(size) = record.size {
        object.number("size", size);
    }
    if let Some(pairs) = &record.user_metadata {
        let mut inner = object.object("user_metadata");
        for (key, value) in pairs {
            inner.foreign(key, value);
        }
        inner.end();
    }
    if let Some(tiers) = &record.tiers {
        scratch.clear();
        write_list(tiers, scratch, write_tier);
        object.json("tiers", scratch);
    }
}

fn write_tier(tier: &Tier, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"index\":");
    write_number(tier.index, out);
    out.extend_from_slice(b",\"extents\":");
    write_list(&tier.extents, out, |(offset, length), out| {
        let mut object = Object::begin(out);
        object.number("offset", *offset);
        object.number("length", *length);
        object.end();
    });
    out.push(b'}');
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// `[key, {type: value}]` in a list.
pub(super) fn write_pairs(pairs: &Pairs, out: &mut Vec<u8>) {
    write_list(pairs, out, |(key, value), out| {
        out.push(b'[');
        write_text(key, out);
        out.push(b',');
        write_value(value, out);
        out.push(b']');
    });
}

/// `[path, {"tag": tag, type: value}]`.
fn write_unknown(unknown: &Unknown, out: &mut Vec<u8>) {
    out.push(b'[');
    write_text(&unknown.path, out);
    out.push(b',');
    let mut object = Object::begin(out);
    if let Some(tag) = &unknown.tag {
        object.text("tag", tag);
    }
    if let Some(value) = &unknown.value {
        write_typed(&mut object, value);
    }
    object.end();
    out.push(b']');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    write_typed(&mut object, value);
    object.end();
}

/// The value under the name of its type.
fn write_typed(object: &mut Object<'_>, value: &Value) {
    match value {
        Value::Null => object.flag("null", true),
        Value::Bool(value) => object.flag("bool", *value),
        Value::Binary(bytes) => object.base64("binary", bytes),
        Value::Uint32(number) => object.number("uint32", u64::from(*number)),
        Value::Uint64(number) => object.number("uint64", *number),
        Value::Int32(number) => object.signed("int32", i64::from(*number)),
        Value::Int64(number) => object.signed("int64", *number),
        Value::Double(number) if number.is_finite() => {
            object.value("double", &serde_json::Value::from(*number));
        }
        // JSON has no number for these.
        Value::Double(number) => object.text("double", &number.to_string()),
        Value::Text(text) => object.text("string", text),
        Value::Regex(pattern, options) => {
            object.text("regex", pattern);
            object.number("options", u64::from(*options));
        }
        Value::Seq(items) => {
            let mut inner = Vec::new();
            write_list(items, &mut inner, write_value);
            object.json("seq", &inner);
        }
        Value::Map(pairs) => {
            let mut inner = Vec::new();
            write_pairs(pairs, &mut inner);
            object.json("map", &inner);
        }
    }
}

fn write_statx(mut object: Object<'_>, statx: &Statx) {
    if let Some(file_type) = statx.file_type {
        object.raw_text("type", file_type);
    }
    write_some(&mut object, "mode", statx.mode.map(u64::from));
    write_some(&mut object, "nlink", statx.nlink.map(u64::from));
    write_some(&mut object, "uid", statx.uid.map(u64::from));
    write_some(&mut object, "gid", statx.gid.map(u64::from));
    write_stamp(&mut object, "atime", statx.atime);
    write_stamp(&mut object, "mtime", statx.mtime);
    write_stamp(&mut object, "ctime", statx.ctime);
    write_some(&mut object, "ino", statx.ino);
    write_some(&mut object, "size", statx.size);
    write_some(&mut object, "blocks", statx.blocks);
    write_stamp(&mut object, "btime", statx.btime);
    write_some(&mut object, "blksize", statx.blksize.map(u64::from));
    if let Some(flags) = statx.attributes {
        write_flags(object.object("attributes"), flags);
    }
    write_device(&mut object, "rdev", statx.rdev);
    write_device(&mut object, "dev", statx.dev);
    object.end();
}

fn write_some(object: &mut Object<'_>, name: &str, number: Option<u64>) {
    if let Some(number) = number {
        object.number(name, number);
    }
}

fn write_stamp(object: &mut Object<'_>, name: &str, time: Option<Time>) {
    let Some(time) = time else { return };
    let mut inner = object.object(name);
    if let Some(sec) = time.sec {
        inner.signed("sec", sec);
    }
    write_some(&mut inner, "nsec", time.nsec.map(u64::from));
    inner.end();
}

fn write_device(object: &mut Object<'_>, name: &str, device: Option<Device>) {
    let Some(device) = device else { return };
    let mut inner = object.object(name);
    write_some(&mut inner, "major", device.major.map(u64::from));
    write_some(&mut inner, "minor", device.minor.map(u64::from));
    inner.end();
}

fn write_flags(mut object: Object<'_>, flags: Flags) {
    for (name, bit) in FLAGS {
        if flags.known & bit != 0 {
            object.flag(name, flags.set & bit != 0);
        }
    }
    object.end();
}
