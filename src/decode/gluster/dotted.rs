//! The form of the design document: `Key[.Key]*=value[,value]*`, such as
//! `Volume.Set=gv1,changelog.changelog,on`. Nothing that was released ever wrote it; it has no time.

use std::borrow::Cow;

use super::members::{Members, write_pairs, write_texts};
use super::notes::Notes;
use super::{Arrival, options, types};
use crate::event::json::Object;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Reads a trimmed message that does not begin with a digit.
///
/// # Errors
/// Why it is not of this form.
pub(super) fn read<'a>(text: &'a [u8], arrival: &Arrival<'a>) -> Result<Members<'a>, &'static str> {
    if text.is_empty() {
        return Err("empty");
    }
    let (key, values) = split(text).ok_or("neither a time in front nor a key with a value")?;
    let name = key.replace('.', "_").to_ascii_uppercase();
    let mut notes = Notes::default();
    let (first, rest) = match values.iter().position(|&byte| byte == b',') {
        Some(comma) => (values.get(..comma).unwrap_or_default(), values.get(comma + 1..)),
        None => (values, None),
    };
    let event = types::by_name(&name).map_or(Cow::Owned(name), |known| known.name.into());
    Ok(Members {
        nodeid: arrival.nodeid.map(Cow::Borrowed),
        ts: Some(arrival.nanos / SECOND),
        arrival_nanos: arrival.nanos,
        message: write(first, rest, event == "VOLUME_SET", &mut notes),
        event,
        subject: std::str::from_utf8(first).unwrap_or_default().to_owned(),
        notes,
    })
}

/// The key and its values: an `=` before any blank, letters, digits, `_`, `-` and `.` before it.
fn split(text: &[u8]) -> Option<(&str, &[u8])> {
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let (key, values) = text.split_at_checked(equals)?;
    let key = std::str::from_utf8(key).ok()?;
    let good = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(super::members::is_plain);
    good.then_some((key, values.get(1..)?))
}

fn write(first: &[u8], rest: Option<&[u8]>, is_set: bool, notes: &mut Notes) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut message = Object::begin(&mut out);
    message.bytes("name", first);
    let name = if is_set { "options" } else { "values" };
    let texts = [first, rest.unwrap_or_default()].map(std::str::from_utf8);
    if texts.iter().any(Result::is_err) {
        notes.add(Notes::NOT_UTF8);
    }
    match (rest, texts) {
        (Some(_), [_, Ok(text)]) if is_set => {
            message.json(name, &write_pairs(&options::pairs(text, notes)));
        }
        (Some(_), [_, Ok(text)]) => {
            let texts: Vec<String> = text.split(',').map(str::to_owned).collect();
            let mut list = Vec::new();
            write_texts(&texts, &mut list);
            message.json(name, &list);
        }
        (Some(rest), _) => message.bytes(name, rest),
        (None, _) => {}
    }
    message.end();
    out
}
