//! Documents in the form of Hestia's own feed, since the end of 2023, and of the form between.

use super::record::{ObjectKind, ObjectRecord, Tier};
use super::scalar::{self, Tag};
use super::walk::{Fault, Node, Scalar, Walk};

/// Reads the fields of a document whose root is open.
pub(super) fn read(walk: &mut Walk<'_>, kind: ObjectKind) -> Result<ObjectRecord, Fault> {
    let mut record = ObjectRecord {
        kind,
        id: String::new(),
        time: None,
        mtime: None,
        ctime: None,
        size: None,
        user_metadata: None,
        tiers: None,
    };
    let mut has_id = false;
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        match &*key {
            "id" => {
                record.id = id(walk, node)?;
                has_id = true;
            }
            "time" => record.time = nanos(walk, node, "time")?,
            "mtime" => record.mtime = nanos(walk, node, "mtime")?,
            "ctime" => record.ctime = nanos(walk, node, "ctime")?,
            "attrs" => attrs(walk, node, &mut record)?,
            other => walk.keep(node, other)?,
        }
    }
    match (has_id, record.time) {
        (false, _) => Err("no id".to_owned()),
        // What has keys of the form between may do without.
        (true, None) if walk.unknown.is_empty() => Err("no time".to_owned()),
        (true, _) => Ok(record),
    }
}

/// Plain text; in the form between it could be base64.
fn id<'a>(walk: &mut Walk<'a>, node: Node<'a>) -> Result<String, Fault> {
    if let Node::Scalar(Scalar { tag: Tag::Binary, .. }) = &node {
        let bytes = walk.bytes(node, "id")?;
        return String::from_utf8(bytes).map_err(|_| "id: not UTF-8".to_owned());
    }
    walk.text(node, "id").map(std::borrow::Cow::into_owned)
}

/// Microseconds since 1970 become nanoseconds; what cannot be counted becomes the nearest that can.
fn nanos<'a>(walk: &mut Walk<'a>, node: Node<'a>, path: &str) -> Result<Option<i64>, Fault> {
    let Some(text) = walk.field(node, path, &Tag::Int64)? else { return Ok(None) };
    let micros = scalar::signed(&text).filter(|_| !text.is_empty());
    let micros = micros.ok_or_else(|| format!("{path}: bad number {text:?}"))?;
    Ok(Some(micros.saturating_mul(1_000)))
}

fn number<'a>(walk: &mut Walk<'a>, node: Node<'a>, path: &str) -> Result<u64, Fault> {
    let Some(text) = walk.field(node, path, &Tag::Uint64)? else { return Ok(0) };
    let number = scalar::unsigned(&text).filter(|_| !text.is_empty());
    number.ok_or_else(|| format!("{path}: bad number {text:?}"))
}

fn attrs<'a>(walk: &mut Walk<'a>, node: Node<'a>, record: &mut ObjectRecord) -> Result<(), Fault> {
    walk.fields(node, "attrs")?;
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        match &*key {
            "size" => record.size = Some(number(walk, node, "attrs.size")?),
            "user_metadata" => record.user_metadata = Some(user_metadata(walk, node)?),
            "tiers" => record.tiers = Some(tiers(walk, node)?),
            other => walk.keep(node, &format!("attrs.{other}"))?,
        }
    }
    Ok(())
}

/// Text to text. It comes out of a hash table, so a key that repeats was put there by nobody we know:
/// the last one wins.
fn user_metadata<'a>(walk: &mut Walk<'a>, node: Node<'a>) -> Result<Vec<(String, String)>, Fault> {
    let path = "attrs.user_metadata";
    walk.fields(node, path)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    while let Some(key) = walk.key()? {
        match walk.node()? {
            Node::Scalar(Scalar { text, tag: Tag::None | Tag::Str, .. }) => {
                pairs.push((key.into_owned(), text.into_owned()));
            }
            node => walk.keep(node, &format!("{path}.{key}"))?,
        }
    }
    let mut seen = std::collections::HashSet::new();
    let mut last: Vec<bool> =
        pairs.iter().rev().map(|(key, _)| seen.insert(key.as_str())).collect();
    last.reverse();
    let mut last = last.into_iter();
    pairs.retain(|_| last.next() == Some(true));
    Ok(pairs)
}

fn tiers<'a>(walk: &mut Walk<'a>, node: Node<'a>) -> Result<Vec<Tier>, Fault> {
    let path = "attrs.tiers";
    let Node::Seq = node else { return Err(format!("{path}: no sequence")) };
    let mut tiers = Vec::new();
    loop {
        match walk.node()? {
            Node::End => return Ok(tiers),
            node => tiers.push(tier(walk, node, path)?),
        }
    }
}

fn tier<'a>(walk: &mut Walk<'a>, node: Node<'a>, path: &str) -> Result<Tier, Fault> {
    walk.fields(node, path)?;
    let mut tier = Tier::default();
    let mut has_index = false;
    while let Some(key) = walk.key()? {
        let node = walk.node()?;
        match (&*key, node) {
            ("index", node) => {
                tier.index = number(walk, node, "attrs.tiers.index")?;
                has_index = true;
            }
            ("extents", Node::Seq) => tier.extents = extents(walk)?,
            ("extents", _) => return Err("attrs.tiers.extents: no sequence".to_owned()),
            (other, node) => walk.keep(node, &format!("{path}.{other}"))?,
        }
    }
    if has_index { Ok(tier) } else { Err("attrs.tiers: no index".to_owned()) }
}

fn extents(walk: &mut Walk<'_>) -> Result<Vec<(u64, u64)>, Fault> {
    let path = "attrs.tiers.extents";
    let mut extents = Vec::new();
    loop {
        match walk.node()? {
            Node::End => return Ok(extents),
            node => walk.fields(node, path)?,
        }
        let (mut offset, mut length) = (0, 0);
        while let Some(key) = walk.key()? {
            let node = walk.node()?;
            match &*key {
                "offset" => offset = number(walk, node, "attrs.tiers.extents.offset")?,
                "length" => length = number(walk, node, "attrs.tiers.extents.length")?,
                other => walk.keep(node, &format!("{path}.{other}"))?,
            }
        }
        extents.push((offset, length));
    }
}
