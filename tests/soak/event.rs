//! The events of the soak: what they are called and what is in them.

use crate::ledger::Id;

/// How the name of a staged file begins.
pub(crate) const STAGED: &str = ".s-";

/// How the name of a claimed event begins; the process and the event's name follow.
pub(crate) const CLAIMED: &str = ".c-";

/// One event in so many is larger than what `eventfs pop` gets in one piece.
const LARGE_EVERY: u32 = 97;
const LARGE_BYTES: usize = 40_000;

pub(crate) fn name(id: Id) -> String {
    format!("e-{id}")
}

pub(crate) fn id_of(name: &str) -> Option<Id> {
    Id::parse(name.strip_prefix("e-")?)
}

/// One line that only this event has.
pub(crate) fn content(id: Id) -> Vec<u8> {
    let padding = match id.number % LARGE_EVERY {
        0 => LARGE_BYTES,
        rest => rest as usize * 3,
    };
    format!("{id} {}\n", "x".repeat(padding)).into_bytes()
}

/// The event whose whole content this is.
pub(crate) fn read(content: &[u8]) -> Option<Id> {
    let first = content.split(|byte| *byte == b' ').next()?;
    let id = Id::parse(std::str::from_utf8(first).ok()?)?;
    (self::content(id) == content).then_some(id)
}
