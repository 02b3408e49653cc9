//! The shipped local message: `<seconds> <number> <name=value;name=value...>`.

use std::borrow::Cow;

use super::fields::{self, Field};
use super::members::{Members, converted, is_subject, write_pairs};
use super::notes::Notes;
use super::types::{self, EventType, Numbers};
use super::{Arrival, options};
use crate::event::json::Object;

/// Reads a trimmed message that begins with a digit.
///
/// # Errors
/// Why there is no header.
pub(super) fn read<'a>(
    text: &'a [u8],
    numbers: Numbers,
    arrival: &Arrival<'a>,
) -> Result<Members<'a>, &'static str> {
    let (ts, rest) = number(text).ok_or("the time is not a number")?;
    let rest = blank(rest).ok_or("no blank after the time")?;
    let (key, rest) = number(rest.trim_ascii_start()).ok_or("the type is not a number")?;
    let body = match rest {
        [] => rest,
        _ => blank(rest).ok_or("no blank after the type")?,
    };
    let event_type = types::by_number(key, numbers);
    let mut notes = Notes::default();
    if event_type.is_none() {
        notes.add(Notes::UNKNOWN_NUMBER);
    }
    let fields = fields::split(body, event_type, &mut notes);
    Ok(Members {
        nodeid: arrival.nodeid.map(Cow::Borrowed),
        ts: Some(ts),
        arrival_nanos: arrival.nanos,
        event: event_type.map_or_else(|| format!("UNKNOWN_{key}").into(), |t| t.name.into()),
        message: write(&fields, event_type, &mut notes),
        subject: subject(&fields),
        notes,
    })
}

/// Decimal digits at the front, and what follows them.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

fn blank(text: &[u8]) -> Option<&[u8]> {
    let (first, rest) = text.split_first()?;
    first.is_ascii_whitespace().then_some(rest)
}

fn write(fields: &[Field<'_>], event_type: Option<&EventType>, notes: &mut Notes) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut message = Object::begin(&mut out);
    let is_set = event_type.is_some_and(|event_type| event_type.name == "VOLUME_SET");
    for field in fields {
        match std::str::from_utf8(field.value) {
            Ok(text) if is_set && field.name == "options" => {
                message.json(field.name, &write_pairs(&options::pairs(text, notes)));
            }
            Ok(text) => match converted(field.name, text, notes) {
                Some(value) => message.json(field.name, &value),
                None => message.text(field.name, text),
            },
            Err(_) => {
                notes.add(Notes::NOT_UTF8);
                message.bytes(field.name, field.value);
            }
        }
    }
    message.end();
    out
}

fn subject(fields: &[Field<'_>]) -> String {
    let field = fields.iter().find(|field| is_subject(field.name));
    field.and_then(|field| std::str::from_utf8(field.value).ok()).unwrap_or_default().to_owned()
}
