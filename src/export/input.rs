//! Lines of queue files: CloudEvents or their `data` alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::beegfs::FileEvent;
use crate::decode::hestia::{
    Device, FILE_TYPES, FLAGS, Flags, Kind, ObjectKind, ObjectRecord, Pairs, Record, Statx, Tier,
    Time, Value,
};

/// Values inside one another that are read.
const DEPTH_MAX: usize = 100;

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// A document of robinhood.
    Record(Record),
    /// A document of Hestia's first feed.
    Tiered(Record),
    /// An event of Hestia's feed today.
    Object(ObjectRecord),
    /// A file event of BeeGFS.
    Beegfs(FileEvent),
    /// An event without an inode.
    Other,
}

/// Reads a line; also how many values in it have no form. The error: it is no event.
pub(super) fn read(line: &[u8]) -> Result<(Input, u64), ()> {
    let json: Json = serde_json::from_slice(line).map_err(|_| ())?;
    let Json::Object(event) = &json else { return Err(()) };
    let data = match event.get("data") {
        Some(Json::Object(data)) if event.contains_key("specversion") => data,
        _ => event,
    };
    let mut left_out = 0;
    Ok((classify(data, &mut left_out), left_out))
}

fn classify(data: &Map<String, Json>, left_out: &mut u64) -> Input {
    let text = |name: &str| data.get(name).and_then(Json::as_str);
    if let Some(record) = read_fields(data, left_out) {
        return if text("source") == Some("hestia") {
            Input::Tiered(record)
        } else {
            Input::Record(record)
        };
    }
    if let Some(object) = object(data) {
        return Input::Object(object);
    }
    match (text("event"), bytes(data, "entry_id")) {
        (Some(event), Some(entry)) => Input::Beegfs(FileEvent {
            event: event.to_owned(),
            entry,
            parent: bytes(data, "parent_entry_id").unwrap_or_default(),
            path: bytes(data, "path").unwrap_or_default(),
            target_path: bytes(data, "target_path").unwrap_or_default(),
            target_parent: bytes(data, "target_parent_id").unwrap_or_default(),
            links: data.get("num_hardlinks").and_then(Json::as_u64).unwrap_or_default(),
        }),
        _ => Input::Other,
    }
}

/// A byte string: text, or base64 under `NAME_base64`.
fn bytes(data: &Map<String, Json>, name: &str) -> Option<Vec<u8>> {
    match data.get(name) {
        Some(Json::String(text)) => Some(text.clone().into_bytes()),
        _ => base64(data.get(&format!("{name}_base64"))?),
    }
}

fn base64(json: &Json) -> Option<Vec<u8>> {
    STANDARD.decode(json.as_str()?).ok()
}

/// Reads a record in the JSON form of the tap; also how many of its values have no form. Nothing if it is
/// no record.
pub fn read_record(json: &[u8]) -> Option<(Record, u64)> {
    let json: Json = serde_json::from_slice(json).ok()?;
    let mut left_out = 0;
    let record = read_fields(json.as_object()?, &mut left_out)?;
    Some((record, left_out))
}

fn read_fields(data: &Map<String, Json>, left_out: &mut u64) -> Option<Record> {
    let name = data.get("kind")?.as_str()?;
    let (kind, _) = Kind::ALL.iter().find(|(_, known)| *known == name)?;
    let mut record = Record::new(*kind, base64(data.get("id")?)?);
    let text = |name: &str| data.get(name).and_then(Json::as_str).map(str::to_owned);
    if kind.has_place() {
        record.parent = Some(base64(data.get("parent")?)?);
        record.name = Some(text("name")?);
    }
    if *kind == Kind::Upsert {
        record.symlink = text("symlink");
        if let Some(json) = data.get("statx") {
            record.statx = statx(json);
            *left_out += u64::from(record.statx.is_none());
        }
    }
    if kind.has_xattrs()
        && let Some(json) = data.get("xattrs")
    {
        record.xattrs = xattrs(json, left_out);
    }
    Some(record)
}

/// What can be read of a list of pairs.
fn xattrs(json: &Json, left_out: &mut u64) -> Pairs {
    let mut pairs = Vec::new();
    for item in json.as_array().into_iter().flatten() {
        match pair(item, DEPTH_MAX) {
            Some(pair) => pairs.push(pair),
            None => *left_out += 1,
        }
    }
    pairs
}

fn pair(json: &Json, depth: usize) -> Option<(String, Value)> {
    let [key, value] = json.as_array()?.as_slice() else { return None };
    Some((key.as_str()?.to_owned(), value_of(value, depth)?))
}

/// `{type: value}`.
fn value_of(json: &Json, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let object = json.as_object()?;
    let (name, json) = object.iter().find(|(name, _)| *name != "options")?;
    let value = match name.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(json.as_bool()?),
        "binary" => Value::Binary(base64(json)?),
        "uint32" => Value::Uint32(u32::try_from(json.as_u64()?).ok()?),
        "uint64" => Value::Uint64(json.as_u64()?),
        "int32" => Value::Int32(i32::try_from(json.as_i64()?).ok()?),
        "int64" => Value::Int64(json.as_i64()?),
        "double" => Value::Double(json.as_f64()?),
        "string" => Value::Text(json.as_str()?.to_owned()),
        "regex" => {
            let options = object.get("options").map_or(Some(0), Json::as_u64)?;
            Value::Regex(json.as_str()?.to_owned(), u32::try_from(options).ok()?)
        }
        "seq" => {
            let items = json.as_array()?.iter().map(|item| value_of(item, depth));
            Value::Seq(items.collect::<Option<_>>()?)
        }
        "map" => {
            let pairs = json.as_array()?.iter().map(|item| pair(item, depth));
            Value::Map(pairs.collect::<Option<_>>()?)
        }
        _ => return None,
    };
    Some(value)
}

/// Nothing if a field is out of range: half a record is worse than none.
fn statx(json: &Json) -> Option<Statx> {
    let fields = json.as_object()?;
    let mut statx = Statx::default();
    for (name, json) in fields {
        let large = || json.as_u64();
        let small = || json.as_u64().and_then(|number| u32::try_from(number).ok());
        match name.as_str() {
            "type" => {
                let word = json.as_str()?;
                statx.file_type = Some(FILE_TYPES.iter().find(|known| **known == word)?);
            }
            "mode" => statx.mode = Some(u16::try_from(json.as_u64()?).ok()?),
            "nlink" => statx.nlink = Some(small()?),
            "uid" => statx.uid = Some(small()?),
            "gid" => statx.gid = Some(small()?),
            "blksize" => statx.blksize = Some(small()?),
            "ino" => statx.ino = Some(large()?),
            "size" => statx.size = Some(large()?),
            "blocks" => statx.blocks = Some(large()?),
            "atime" => statx.atime = Some(time(json)?),
            "mtime" => statx.mtime = Some(time(json)?),
            "ctime" => statx.ctime = Some(time(json)?),
            "btime" => statx.btime = Some(time(json)?),
            "rdev" => statx.rdev = Some(device(json)?),
            "dev" => statx.dev = Some(device(json)?),
            "attributes" => statx.attributes = Some(flags(json)?),
            // A later librobinhood may know more; the reader of today does not.
            _ => {}
        }
    }
    Some(statx)
}

fn time(json: &Json) -> Option<Time> {
    let nsec = json.get("nsec").map(|nsec| nsec.as_u64().and_then(|n| u32::try_from(n).ok()));
    let sec = json.get("sec").map(Json::as_i64);
    Some(Time { sec: transpose(sec)?, nsec: transpose(nsec)? })
}

fn device(json: &Json) -> Option<Device> {
    let number = |name: &str| {
        transpose(json.get(name).map(|json| json.as_u64().and_then(|n| u32::try_from(n).ok())))
    };
    Some(Device { major: number("major")?, minor: number("minor")? })
}

/// A field that is absent is fine, one that cannot be read is not.
fn transpose<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

fn flags(json: &Json) -> Option<Flags> {
    let mut flags = Flags::default();
    for (name, json) in json.as_object()? {
        if let Some((_, bit)) = FLAGS.iter().find(|(known, _)| known == name) {
            flags.known |= bit;
            flags.set |= if json.as_bool()? { *bit } else { 0 };
        }
    }
    Some(flags)
}

fn object(data: &Map<String, Json>) -> Option<ObjectRecord> {
    let name = data.get("kind")?.as_str()?;
    let (kind, _) = ObjectKind::ALL.iter().find(|(_, known)| *known == name)?;
    let number = |name: &str| data.get(name).and_then(Json::as_i64);
    let metadata = data.get("user_metadata").and_then(Json::as_object).map(|pairs| {
        let pair = |(key, value): (&String, &Json)| Some((key.clone(), value.as_str()?.to_owned()));
        pairs.iter().filter_map(pair).collect()
    });
    let tiers = data.get("tiers").and_then(Json::as_array);
    Some(ObjectRecord {
        kind: *kind,
        id: data.get("id")?.as_str()?.to_owned(),
        time: number("time"),
        mtime: number("mtime"),
        ctime: number("ctime"),
        size: data.get("size").and_then(Json::as_u64),
        user_metadata: metadata,
        tiers: tiers.map(|tiers| tiers.iter().filter_map(tier).collect()),
    })
}

fn tier(json: &Json) -> Option<Tier> {
    let extents = json.get("extents").and_then(Json::as_array).into_iter().flatten();
    let extent = |json: &Json| Some((json.get("offset")?.as_u64()?, json.get("length")?.as_u64()?));
    Some(Tier {
        index: json.get("index")?.as_u64()?,
        extents: extents.filter_map(extent).collect(),
    })
}
