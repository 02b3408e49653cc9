//! The attributes of a message: `name=value;name=value`, with nothing escaped.
//!
//! A piece between semicolons begins an attribute only if its name is one that the type is known to have;
//! otherwise it belongs to the value before it. File names are chosen by ordinary users, and may hold
//! `;` and `=`.

use std::collections::HashSet;

use super::notes::Notes;
use super::types::EventType;

/// One attribute; the value is as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field<'a> {
    /// Trimmed.
    pub(super) name: &'a str,
    /// With every piece that belongs to it.
    pub(super) value: &'a [u8],
}

/// Where a piece that may begin an attribute stands in the body.
#[derive(Clone, Copy)]
struct Start<'a> {
    name: &'a str,
    /// Of the piece.
    at: usize,
    /// Behind its `=`.
    value_at: usize,
}

/// The attributes of a body in the order of the wire, each name once.
pub(super) fn split<'a>(
    body: &'a [u8],
    event_type: Option<&EventType>,
    notes: &mut Notes,
) -> Vec<Field<'a>> {
    if body.is_empty() || body.trim_ascii() == b"(null)" {
        notes.add(Notes::NO_ATTRIBUTES);
        return Vec::new();
    }
    let found = starts(body, event_type, notes);
    let kept = last_of_each(&found, notes);
    if kept.first().is_none_or(|first| first.at > 0) {
        notes.add(Notes::UNREAD);
    }
    let ends = kept.iter().skip(1).map(|next| next.at - 1).chain([body.len()]);
    let fields = kept.iter().zip(ends);
    fields
        .map(|(start, end)| Field {
            name: start.name,
            value: body.get(start.value_at..end).unwrap_or_default(),
        })
        .collect()
}

/// Every piece that may begin an attribute.
fn starts<'a>(body: &'a [u8], event_type: Option<&EventType>, notes: &mut Notes) -> Vec<Start<'a>> {
    let mut found: Vec<Start<'a>> = Vec::new();
    let mut at = 0;
    for piece in body.split(|&byte| byte == b';') {
        match name_of(piece) {
            Some((name, length)) if begins(name, event_type, found.is_empty(), notes) => {
                if piece.first().is_some_and(u8::is_ascii_whitespace) {
                    notes.add(Notes::BLANK_BEFORE);
                }
                found.push(Start { name, at, value_at: at + length });
            }
            _ if !found.is_empty() => notes.add(Notes::GLUED),
            _ => {}
        }
        at += piece.len() + 1;
    }
    found
}

/// A piece's trimmed name, and how many bytes stand before its value.
fn name_of(piece: &[u8]) -> Option<(&str, usize)> {
    let equals = piece.iter().position(|&byte| byte == b'=')?;
    let name = piece.get(..equals)?.trim_ascii();
    Some((std::str::from_utf8(name).ok()?, equals + 1))
}

fn begins(name: &str, event_type: Option<&EventType>, first: bool, notes: &mut Notes) -> bool {
    match event_type {
        Some(event_type) if event_type.has(name) => true,
        // A newer sender may have put a new attribute in front; there is no value to glue it to.
        Some(_) if first && is_identifier(name) => {
            notes.add(Notes::UNKNOWN_ATTRIBUTE);
            true
        }
        Some(_) => false,
        None => is_identifier(name),
    }
}

/// A letter or `_`, then letters, digits, `_` and `-`.
fn is_identifier(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Of each name the last start: an earlier one belongs to the value before it.
fn last_of_each<'a>(found: &[Start<'a>], notes: &mut Notes) -> Vec<Start<'a>> {
    // A set, not a search: a hostile message has thousands of names.
    let mut seen = HashSet::with_capacity(found.len());
    let mut kept: Vec<Start<'a>> =
        found.iter().rev().filter(|start| seen.insert(start.name)).copied().collect();
    kept.reverse();
    if kept.len() < found.len() {
        notes.add(Notes::REPEATED);
    }
    kept
}
