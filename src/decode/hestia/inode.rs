//! Documents in the form of librobinhood: six root tags.

use super::record::{Device, FILE_TYPES, FLAGS, Flags, Kind, Record, Statx, Time};
use super::scalar::{self, Tag};
use super::walk::{Fault, Node, Walk, uint32};

/// Reads the fields of a document whose root is open.
pub(super) fn read(walk: &mut Walk<'_>, kind: Kind) -> Result<Record, Fault> {
    let mut record = Record::new(kind, Vec::new());
    let mut has_id = false;
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        match &*key {
            "id" => {
                record.id = walk.bytes(node, "id")?;
                has_id = true;
            }
            "parent" if kind.has_place() => record.parent = Some(walk.bytes(node, "parent")?),
            "name" if kind.has_place() => {
                record.name = Some(walk.text(node, "name")?.into_owned());
            }
            "xattrs" if kind.has_xattrs() => record.xattrs = walk.pairs(node, "xattrs")?,
            // The real reader does not look at them either.
            "xattrs" if kind == Kind::Unlink => walk.skip(&node)?,
            "symlink" if kind == Kind::Upsert => {
                record.symlink = Some(walk.text(node, "symlink")?.into_owned());
            }
            "statx" if kind == Kind::Upsert => {
                statx(walk, node, record.statx.get_or_insert_default())?;
            }
            other => walk.keep(node, other)?,
        }
    }
    let place = !kind.has_place() || (record.parent.is_some() && record.name.is_some());
    match (has_id, place) {
        (false, _) => Err("no id".to_owned()),
        (true, false) if record.parent.is_none() => Err("no parent".to_owned()),
        (true, false) => Err("no name".to_owned()),
        (true, true) => Ok(record),
    }
}

/// Only what is there is set; where `statx` stands twice the fields are put together.
fn statx<'a>(walk: &mut Walk<'a>, node: Node<'a>, into: &mut Statx) -> Result<(), Fault> {
    walk.fields(node, "statx")?;
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        match &*key {
            "type" => into.file_type = Some(file_type(&walk.text(node, "statx.type")?)?),
            "mode" => set(&mut into.mode, mode(walk, node)?),
            "nlink" => set(&mut into.nlink, small(walk, node, "statx.nlink")?),
            "uid" => set(&mut into.uid, small(walk, node, "statx.uid")?),
            "gid" => set(&mut into.gid, small(walk, node, "statx.gid")?),
            "blksize" => set(&mut into.blksize, small(walk, node, "statx.blksize")?),
            "ino" => set(&mut into.ino, large(walk, node, "statx.ino")?),
            "size" => set(&mut into.size, large(walk, node, "statx.size")?),
            "blocks" => set(&mut into.blocks, large(walk, node, "statx.blocks")?),
            "atime" => time(walk, node, "statx.atime", &mut into.atime)?,
            "mtime" => time(walk, node, "statx.mtime", &mut into.mtime)?,
            "ctime" => time(walk, node, "statx.ctime", &mut into.ctime)?,
            "btime" => time(walk, node, "statx.btime", &mut into.btime)?,
            "rdev" => device(walk, node, "statx.rdev", &mut into.rdev)?,
            "dev" => device(walk, node, "statx.dev", &mut into.dev)?,
            "attributes" => flags(walk, node, into.attributes.get_or_insert_default())?,
            other => walk.keep(node, &format!("statx.{other}"))?,
        }
    }
    Ok(())
}

fn set<T>(field: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *field = value;
    }
}

fn file_type(text: &str) -> Result<&'static str, Fault> {
    let known = FILE_TYPES.iter().find(|name| **name == text);
    known.copied().ok_or_else(|| format!("statx.type: unknown type {text:?}"))
}

/// Octal by its leading zero, as in C; up to 16 bits. The empty text is nothing here.
fn mode<'a>(walk: &mut Walk<'a>, node: Node<'a>) -> Result<Option<u16>, Fault> {
    let Some(text) = walk.field(node, "statx.mode", &Tag::Int)? else { return Ok(None) };
    let bits = scalar::unsigned(&text).filter(|_| !text.is_empty());
    let bits = bits.and_then(|bits| u16::try_from(bits).ok());
    bits.map(Some).ok_or_else(|| format!("statx.mode: bad number {text:?}"))
}

fn small<'a>(walk: &mut Walk<'a>, node: Node<'a>, path: &str) -> Result<Option<u32>, Fault> {
    let Some(text) = walk.field(node, path, &Tag::Uint32)? else { return Ok(None) };
    uint32(&text).map(Some).ok_or_else(|| format!("{path}: bad number {text:?}"))
}

fn large<'a>(walk: &mut Walk<'a>, node: Node<'a>, path: &str) -> Result<Option<u64>, Fault> {
    let Some(text) = walk.field(node, path, &Tag::Uint64)? else { return Ok(None) };
    scalar::unsigned(&text).map(Some).ok_or_else(|| format!("{path}: bad number {text:?}"))
}

fn time<'a>(
    walk: &mut Walk<'a>,
    node: Node<'a>,
    path: &str,
    into: &mut Option<Time>,
) -> Result<(), Fault> {
    walk.fields(node, path)?;
    let into = into.get_or_insert_default();
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        let inner = format!("{path}.{key}");
        match &*key {
            "sec" => {
                if let Some(text) = walk.field(node, &inner, &Tag::Int64)? {
                    let sec = scalar::signed(&text);
                    into.sec = Some(sec.ok_or_else(|| format!("{inner}: bad number {text:?}"))?);
                }
            }
            "nsec" => set(&mut into.nsec, small(walk, node, &inner)?),
            _ => walk.keep(node, &inner)?,
        }
    }
    Ok(())
}

fn device<'a>(
    walk: &mut Walk<'a>,
    node: Node<'a>,
    path: &str,
    into: &mut Option<Device>,
) -> Result<(), Fault> {
    walk.fields(node, path)?;
    let into = into.get_or_insert_default();
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        let inner = format!("{path}.{key}");
        match &*key {
            "major" => set(&mut into.major, small(walk, node, &inner)?),
            "minor" => set(&mut into.minor, small(walk, node, &inner)?),
            _ => walk.keep(node, &inner)?,
        }
    }
    Ok(())
}

/// A flag that is not listed is not known, which is not the same as not set.
fn flags<'a>(walk: &mut Walk<'a>, node: Node<'a>, into: &mut Flags) -> Result<(), Fault> {
    walk.fields(node, "statx.attributes")?;
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        let path = "statx.attributes";
        let Some((_, bit)) = FLAGS.iter().find(|(name, _)| *name == key) else {
            walk.keep(node, &format!("{path}.{key}"))?;
            continue;
        };
        let Some(text) = walk.field(node, path, &Tag::Bool)? else { continue };
        let value = scalar::boolean(&text).ok_or_else(|| format!("{path}.{key}: no boolean"))?;
        into.known |= bit;
        into.set = if value { into.set | bit } else { into.set & !bit };
    }
    Ok(())
}
