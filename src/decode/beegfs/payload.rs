//! The payload of an event, format version 2.

use super::{Fault, Form};
use crate::decode::Reader;

/// The format version that this reads.
pub const FORMAT: u16 = 2;

/// Longest payload of a real server, bytes: its packet buffer less the packet's fields.
pub const PAYLOAD_BYTES_MAX: usize = 16_366;

/// Bit of [`Payload::flags`]: the entry is mirrored.
pub const FLAG_MIRRORED: u32 = 1;

/// Bit of [`Payload::flags`]: told by the secondary of a mirror pair, whose primary tells it too.
pub const FLAG_SECONDARY: u32 = 2;

/// One event as a metadata server tells it. Strings are bytes: names may hold any but zero and slash.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Payload<'a> {
    /// [`FLAG_MIRRORED`], [`FLAG_SECONDARY`], and what may come.
    pub flags: u32,
    /// Hard links after the operation.
    pub num_hardlinks: u64,
    /// Type, see [`super::event_name`].
    pub event: u32,
    /// The entry, such as `2A-68F1C2D3-C`.
    pub entry_id: &'a [u8],
    /// The directory that it is in.
    pub parent_entry_id: &'a [u8],
    /// Path below the root of the filesystem; empty where the client could not tell it.
    pub path: &'a [u8],
    /// New path of a rename, existing path of a hard link, text of a symbolic link.
    pub target_path: &'a [u8],
    /// New directory of a rename.
    pub target_parent_id: &'a [u8],
    /// Who asked.
    pub user_id: u32,
    /// When the server noted it, nanoseconds since the epoch.
    pub timestamp_ns: i64,
}

impl<'a> Payload<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn decode(bytes: &'a [u8], form: Form) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let format = reader.u16("format version")?;
        if format != FORMAT {
            return Err(Fault::Format(format));
        }
        let payload = Self {
            flags: reader.u32("flags")?,
            num_hardlinks: reader.u64("number of links")?,
            event: reader.u32("event type")?,
            entry_id: string(&mut reader, "entry id")?,
            parent_entry_id: string(&mut reader, "parent entry id")?,
            path: string(&mut reader, "path")?,
            target_path: string(&mut reader, "target path")?,
            target_parent_id: string(&mut reader, "target parent id")?,
            user_id: reader.u32("user id")?,
            timestamp_ns: reader.i64("timestamp")?,
        };
        form.end(&reader, "event")?;
        Ok(payload)
    }

    /// Appends the payload's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.num_hardlinks.to_le_bytes());
        out.extend_from_slice(&self.event.to_le_bytes());
        for text in self.strings() {
            push_string(text, out);
        }
        out.extend_from_slice(&self.user_id.to_le_bytes());
        out.extend_from_slice(&self.timestamp_ns.to_le_bytes());
    }

    /// The strings in the order in which they are sent.
    pub fn strings(&self) -> [&'a [u8]; 5] {
        [self.entry_id, self.parent_entry_id, self.path, self.target_path, self.target_parent_id]
    }
}

/// A string: four bytes of length, that many bytes, a zero byte that does not count.
#[inline]
pub(super) fn string<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Fault> {
    let length = reader.u32(field)?;
    // A length that no address can hold is beyond the end of any packet.
    let text = reader.take(usize::try_from(length).unwrap_or(usize::MAX), field)?;
    if reader.u8(field)? != 0 {
        return Err(Fault::Unterminated(field));
    }
    Ok(text)
}

pub(super) fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
    out.push(0);
}
