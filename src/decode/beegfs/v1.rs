//! The events of BeeGFS 7 (event format 1.0): no handshake, no numbers, no queue behind them.

use super::payload::{push_string, string};
use super::{Fault, Form};
use crate::decode::Reader;

/// Everything before the first string, bytes.
pub const V1_HEADER_BYTES: usize = 28;

/// How version 1.0 begins: major 1, minor 0.
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// Numbers that version 1 assigns, 0 `FLUSH` to 12 `READ`: each is version 2's less one.
const NUMBERS: u32 = 13;

/// One packet, which is one event.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct V1Packet<'a> {
    /// Events that the server could not deliver since it started.
    pub dropped: u64,
    /// Events that it could not tell properly since it started.
    pub missed: u64,
    /// Type in version 1's own numbers, see [`V1Packet::event`].
    pub number: u32,
    /// The entry.
    pub entry_id: &'a [u8],
    /// The directory that it is in.
    pub parent_entry_id: &'a [u8],
    /// Path below the root of the filesystem.
    pub path: &'a [u8],
    /// As in version 2.
    pub target_path: &'a [u8],
    /// As in version 2.
    pub target_parent_id: &'a [u8],
}

impl<'a> V1Packet<'a> {
    /// Whether a packet can only be one of version 1: those of version 2 have their magic where this has
    /// its version.
    pub fn matches(bytes: &[u8]) -> bool {
        bytes.starts_with(&VERSION)
    }

    /// Reads a packet. Bytes behind the size that it names are padding.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        if reader.array("version")? != VERSION {
            return Err(Fault::Magic);
        }
        let told = usize::try_from(reader.u32("packet size")?).unwrap_or(usize::MAX);
        let whole = bytes.get(..told).ok_or(Fault::Size { told, came: bytes.len() })?;
        let mut reader = Reader::new(whole);
        reader.take(8, "version and size")?;
        let packet = Self {
            dropped: reader.u64("count of dropped")?,
            missed: reader.u64("count of missed")?,
            number: reader.u32("event type")?,
            entry_id: string(&mut reader, "entry id")?,
            parent_entry_id: string(&mut reader, "parent entry id")?,
            path: string(&mut reader, "path")?,
            target_path: string(&mut reader, "target path")?,
            target_parent_id: string(&mut reader, "target parent id")?,
        };
        Form::Strict.end(&reader, "event")?;
        Ok(packet)
    }

    /// Appends the packet's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&VERSION);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.dropped.to_le_bytes());
        out.extend_from_slice(&self.missed.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        for text in self.strings() {
            push_string(text, out);
        }
        let size = (out.len() - begin) as u32;
        if let Some(field) = out.get_mut(begin + 4..begin + 8) {
            field.copy_from_slice(&size.to_le_bytes());
        }
    }

    /// The type in version 2's numbers; `READ` is `open_read`. Numbers that version 1 does not assign
    /// have no counterpart and nothing is returned for them.
    pub fn event(&self) -> Option<u32> {
        if self.number < NUMBERS { Some(self.number + 1) } else { None }
    }

    /// The strings in the order in which they are sent.
    pub fn strings(&self) -> [&'a [u8]; 5] {
        [self.entry_id, self.parent_entry_id, self.path, self.target_path, self.target_parent_id]
    }
}
