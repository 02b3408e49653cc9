//! What is wrong with a configuration file, and where, on one line.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration or quota file that is refused.
///
/// `Display` is exactly one line: `FILE:LINE: reason`, or `FILE: reason` where no line is to blame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The file as it was named or found.
    pub file: PathBuf,
    /// The line, from 1; `None` where no line is known (the file cannot be read).
    pub line: Option<usize>,
    /// What is wrong, without file and line.
    pub reason: String,
}

impl ConfigError {
    /// An error of a whole file.
    pub(super) fn in_file(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, reason: reason.into() }
    }

    /// Adds the file to what a parser of text found.
    pub(super) fn at(file: &Path, fault: Fault) -> Self {
        Self { file: file.to_owned(), line: Some(fault.line), reason: fault.reason }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", one_line(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(out, "{line}:")?;
        }
        write!(out, " {}", one_line(&self.reason))
    }
}

impl Error for ConfigError {}

/// What a parser found wrong in a text whose file it does not know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// `text` with control characters escaped.
///
/// Reasons quote foreign text, and a TOML string or an argument may hold line ends and terminal
/// sequences; they must neither break the one line nor reach a terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_with_and_without_a_line_number() {
        let file = Path::new("/etc/x.conf");
        let error = ConfigError::at(file, Fault::new(7, "bad 'a\nb\u{1b}'"));
        assert_eq!(error.to_string(), "/etc/x.conf:7: bad 'a\\nb\\u{1b}'");
        let error = ConfigError::in_file(Path::new("a\nb"), "cannot be read");
        assert_eq!(error.to_string(), "a\\nb: cannot be read");
    }
}
