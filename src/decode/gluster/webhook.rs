//! The object that `glustereventsd` posts: `{"event", "message", "nodeid", "ts"}`.
//!
//! It was read by the shipped daemon's rules before it was sent, and is read by ours again: an attribute
//! named ` subvol` becomes `subvol`, and the options of VOLUME_SET that were cut at commas are put together.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::members::{Members, converted, is_plain, is_subject};
use super::notes::Notes;
use super::{Arrival, options};

/// Reads a body.
///
/// # Errors
/// Why it is no event.
pub(super) fn read<'a>(body: &[u8], arrival: &Arrival<'a>) -> Result<Members<'a>, &'static str> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "not JSON")?;
    let Value::Object(object) = value else { return Err("not an object") };
    members(unwrapped(object), arrival)
}

/// The name of the event in a body, as a signed token's `sub` has to repeat it.
pub fn event_name(body: &[u8]) -> Option<String> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return None };
    Some(unwrapped(object).get("event")?.as_str()?.to_owned())
}

/// The webhook object itself, where another tap has posted it inside of a CloudEvents envelope.
fn unwrapped(mut object: Map<String, Value>) -> Map<String, Value> {
    if object.contains_key("specversion")
        && !object.contains_key("event")
        && let Some(Value::Object(data)) = object.remove("data")
    {
        return data;
    }
    object
}

fn members<'a>(
    mut object: Map<String, Value>,
    arrival: &Arrival<'a>,
) -> Result<Members<'a>, &'static str> {
    let Some(Value::String(event)) = object.remove("event") else {
        return Err("no event name");
    };
    if event.is_empty() {
        return Err("no event name");
    }
    let mut notes = Notes::default();
    if !event.chars().all(is_plain) {
        notes.add(Notes::ODD_NAME);
    }
    let ts = object.remove("ts").as_ref().and_then(seconds);
    if ts.is_none() {
        notes.add(Notes::NO_TIME);
    }
    let nodeid = match object.remove("nodeid") {
        Some(Value::String(nodeid)) if !nodeid.is_empty() => Some(Cow::Owned(nodeid)),
        _ => None,
    };
    let message = message(object.remove("message"), &event, &mut notes);
    // `seq` is what our own WebSocket adds.
    if object.keys().any(|key| key != "seq") {
        notes.add(Notes::MORE_MEMBERS);
    }
    Ok(Members {
        nodeid,
        ts,
        arrival_nanos: arrival.nanos,
        subject: subject(&message),
        message: message.to_string().into_bytes(),
        event: event.into(),
        notes,
    })
}

/// Seconds, as a number or as its digits.
fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn message(value: Option<Value>, event: &str, notes: &mut Notes) -> Value {
    match value {
        Some(Value::Object(attributes)) => {
            if attributes.is_empty() {
                notes.add(Notes::NO_ATTRIBUTES);
            }
            Value::Object(trimmed(attributes, event == "VOLUME_SET", notes))
        }
        None | Some(Value::Null) => {
            notes.add(Notes::NO_ATTRIBUTES);
            Value::Object(Map::new())
        }
        Some(other) => {
            notes.add(Notes::ODD_MESSAGE);
            other
        }
    }
}

fn trimmed(attributes: Map<String, Value>, is_set: bool, notes: &mut Notes) -> Map<String, Value> {
    let mut out = Map::new();
    // Names that need no trimming first: they win over others that would become the same.
    let (plain, blank): (Vec<_>, Vec<_>) =
        attributes.into_iter().partition(|(name, _)| name.trim_ascii() == name);
    for (name, value) in plain.into_iter().chain(blank) {
        let short = name.trim_ascii().to_owned();
        let taken = out.contains_key(&short);
        if short != name {
            notes.add(Notes::BLANK_BEFORE);
        }
        let value = attribute(&short, value, is_set, notes);
        out.insert(if taken { name } else { short }, value);
    }
    out
}

fn attribute(name: &str, value: Value, is_set: bool, notes: &mut Notes) -> Value {
    if is_set && name == "options" {
        return match serde_json::from_value::<Vec<Vec<String>>>(value.clone()) {
            Ok(groups) => options::regroup(&groups, notes).into(),
            Err(_) => value,
        };
    }
    let text = value.as_str();
    let better = text.and_then(|text| converted(name, text, notes));
    better.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or(value)
}

fn subject(message: &Value) -> String {
    let Value::Object(attributes) = message else { return String::new() };
    let named = attributes.iter().filter(|(name, _)| is_subject(name));
    named.filter_map(|(_, value)| value.as_str()).next().unwrap_or_default().to_owned()
}
