//! Exit statuses, and the one line that says why.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::sys::plain;

/// How a command ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Done.
    Done,
    /// Failed; one line on standard error says why.
    Failure,
    /// Wrong usage.
    Usage,
    /// Nothing there, or timed out.
    Nothing,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(match status {
            Status::Done => 0,
            Status::Failure => 1,
            Status::Usage => 2,
            Status::Nothing => 3,
        })
    }
}

/// `what: why`, with the status to end with.
#[derive(Debug)]
pub struct Failed {
    status: Status,
    line: String,
}

impl Failed {
    /// A failure with its line.
    pub fn new(line: impl Into<String>) -> Self {
        Self { status: Status::Failure, line: line.into() }
    }

    /// Wrong usage.
    pub fn usage(line: impl Into<String>) -> Self {
        Self { status: Status::Usage, line: line.into() }
    }

    /// Nothing there.
    pub fn nothing(line: impl Into<String>) -> Self {
        Self { status: Status::Nothing, line: line.into() }
    }

    /// A system error about something.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(format!("{what}: {}", plain(error)))
    }

    /// The status to end with.
    pub fn status(&self) -> Status {
        self.status
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever a path contains.
        let line = self.line.replace('\n', "\\n");
        f.write_str(&line)
    }
}
