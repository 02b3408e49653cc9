//! Feeds of Hestia and event streams of robinhood: YAML documents, one an event.
//!
//! ```text
//! bytes ─► Splitter ─► Document ─► read ─► Parsed ─► Decoder ─► Event
//!          (markers)              (parser,           (what the operation
//!                                  scalar rules)      was, a move's two halves)
//! ```
//!
//! Three forms come mixed, even in one file, and are told apart by the root tag of each document: the
//! complete YAML of librobinhood, Hestia's first feed, which is a part of it, and Hestia's feed today.
//! No state of one document leaks into the next but what [`Decoder`] says it remembers.

mod decoder;
mod inode;
pub mod json;
mod meaning;
mod names;
mod object;
pub mod property;
mod recent;
mod record;
mod scalar;
mod split;
mod walk;

pub use decoder::{Decoder, Stand};
pub use meaning::{Meaning, Op};
pub use names::{Origin, read_name};
pub use recent::Recent;
pub use record::{
    Content, Device, FILE_TYPES, FLAGS, Flags, Kind, ObjectKind, ObjectRecord, Pairs, Parsed,
    Record, Statx, Tier, Time, Value,
};
pub use split::{Document, MARK_BYTES, RAW_BYTES_MAX, Splitter, State, mark_of};
pub use walk::{Limits, Unknown};

use scalar::Tag;
use walk::Walk;

/// Reads one document.
///
/// # Errors
/// Why it is no event, in a few words.
pub fn read(document: &[u8], limits: Limits) -> Result<Parsed, String> {
    let mut walk = Walk::new(document, limits)?;
    let name = match walk.root()? {
        Tag::Local(name) => name,
        Tag::None => return Err("the root has no tag".to_owned()),
        tag => return Err(format!("unknown root tag {}", tag.name())),
    };
    let kind = name.strip_prefix('!').unwrap_or_default();
    let inode = Kind::ALL.iter().find(|(_, known)| *known == kind);
    let object = ObjectKind::ALL.iter().find(|(_, known)| *known == kind);
    let content = match (inode, object) {
        (Some((kind, _)), _) => Content::Inode(inode::read(&mut walk, *kind)?),
        (None, Some((kind, _))) => Content::Object(object::read(&mut walk, *kind)?),
        (None, None) => return Err(format!("unknown root tag {name}")),
    };
    Ok(Parsed { content, unknown: walk.finish()? })
}
