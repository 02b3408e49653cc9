//! `[tap.NAME]`: which taps the daemon starts, as what user, with which options.
//!
//! The keys of a table are the tap's own long options. Which of them exist, only the command line knows:
//! [`TapTable::arguments`] is what it is asked with, and the line of a key is kept for its complaint.

use toml::de::DeValue;

use super::names::{Kind, Names, resolve};

/// One table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TapTable {
    /// NAME.
    pub name: String,
    /// The line of the table, from 1.
    pub line: usize,
    /// The key `source`, NAME if absent.
    pub source: String,
    /// User that the tap runs as; the daemon's own if absent.
    pub user: Option<u32>,
    /// Group that it runs as; the user's own if absent, and without a user the daemon's.
    pub group: Option<u32>,
    /// The key `queue`, as written.
    pub queues: Vec<String>,
    /// All other keys in the order of the file.
    pub options: Vec<TapOption>,
}

/// One key of a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TapOption {
    /// The long option without its dashes.
    pub key: String,
    /// Its values; none for a flag.
    pub values: Vec<Option<String>>,
    /// The line of the key, from 1.
    pub line: usize,
}

impl TapTable {
    /// A table without keys.
    ///
    /// # Errors
    /// A name that is no word: it becomes part of an attribute's name.
    pub(super) fn new(name: &str, line: usize) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            return Err(format!("tap name '{name}': letters, digits, '-' and '_' are needed"));
        }
        Ok(Self {
            name: name.to_owned(),
            line,
            source: name.to_owned(),
            user: None,
            group: None,
            queues: Vec::new(),
            options: Vec::new(),
        })
    }

    /// Takes one key.
    ///
    /// # Errors
    /// A value that no option can have; an unknown user or group; a key that is the daemon's to set.
    pub(super) fn set(
        &mut self,
        names: &dyn Names,
        key: &str,
        value: &DeValue<'_>,
        line: usize,
    ) -> Result<(), String> {
        match key {
            "source" => self.source = one(key, value)?,
            "user" => self.user = Some(resolve(names, Kind::User, &one(key, value)?)?),
            "group" => self.group = Some(resolve(names, Kind::Group, &one(key, value)?)?),
            "queue" => {
                self.queues = values(key, value)?.into_iter().flatten().collect();
            }
            "name" => return Err("the table's name is the tap's name".to_owned()),
            "sticky" => {
                // They always are.
                if value.as_bool() != Some(true) {
                    return Err("the queues of the daemon's taps are sticky".to_owned());
                }
            }
            _ => {
                let values = values(key, value)?;
                self.options.push(TapOption { key: key.to_owned(), values, line });
            }
        }
        Ok(())
    }

    /// The arguments of `eventfs` for this tap; `place` says where a queue lies.
    pub fn arguments(&self, place: impl Fn(&str) -> String) -> Vec<String> {
        let mut arguments = vec!["tap".to_owned(), self.source.clone()];
        arguments.push(format!("--name={}", self.name));
        arguments.push("--sticky".to_owned());
        arguments.extend(self.queues.iter().map(|queue| format!("--queue={}", place(queue))));
        for option in &self.options {
            let key = &option.key;
            arguments.extend(option.values.iter().map(|value| match value {
                None => format!("--{key}"),
                Some(value) if key == "route" => format!("--{key}={}", route(value, &place)),
                Some(value) => format!("--{key}={value}"),
            }));
        }
        arguments
    }

    /// The line that an option stands on, the table's if it is none of its keys.
    pub fn line_of(&self, key: &str) -> usize {
        let option = self.options.iter().find(|option| option.key == key);
        option.map_or(self.line, |option| option.line)
    }
}

/// GLOB=DIR with DIR in its place.
fn route(value: &str, place: impl Fn(&str) -> String) -> String {
    match value.split_once('=') {
        Some((glob, dir)) if !dir.is_empty() => format!("{glob}={}", place(dir)),
        _ => value.to_owned(),
    }
}

fn one(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    match values(key, value)?.as_slice() {
        [Some(text)] => Ok(text.clone()),
        _ => Err(format!("'{key}' needs one value")),
    }
}

/// `true` is the option alone, `false` is nothing, an array is the option again and again.
fn values(key: &str, value: &DeValue<'_>) -> Result<Vec<Option<String>>, String> {
    match value {
        DeValue::Boolean(true) => Ok(vec![None]),
        DeValue::Boolean(false) => Ok(Vec::new()),
        DeValue::Array(array) => {
            let each = array.iter().map(|value| scalar(key, value.get_ref()).map(Some));
            each.collect()
        }
        other => scalar(key, other).map(|text| vec![Some(text)]),
    }
}

fn scalar(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(integer) if integer.radix() == 10 => Ok(integer.as_str().to_owned()),
        // As it was typed: 0o660 is a mode.
        DeValue::Integer(integer) if integer.radix() == 8 => Ok(format!("0{}", integer.as_str())),
        DeValue::Float(float) => Ok(float.as_str().to_owned()),
        other => Err(format!("'{key}' cannot be of type {}", other.type_str())),
    }
}
