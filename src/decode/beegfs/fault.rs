//! What is wrong with a packet.

use std::fmt;

use crate::decode::Short;

/// Why a packet cannot be read. After any of these the stream is not to be trusted: close it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// No bytes, which on this kind of socket is the end of the stream.
    Empty,
    /// An event payload of this version; 2 is what we know.
    Format(u16),
    /// Shorter than a header.
    Header,
    /// The seven bytes behind the type are not the protocol's.
    Magic,
    /// A good packet at a moment when it must not come.
    OutOfOrder(&'static str),
    /// Ends inside this field.
    Short(&'static str),
    /// The size field says one thing, the packet another. Bytes.
    Size {
        /// What the field says.
        told: usize,
        /// What came.
        came: usize,
    },
    /// This has bytes behind its last field.
    Trailing(&'static str),
    /// Longer than what was received of it.
    Truncated,
    /// No zero byte behind this string.
    Unterminated(&'static str),
}

impl From<Short> for Fault {
    fn from(short: Short) -> Self {
        Self::Short(short.0)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no bytes"),
            Self::Format(version) => write!(f, "unknown event format {version}"),
            Self::Header => f.write_str("shorter than the header of 8 bytes"),
            Self::Magic => f.write_str("wrong magic"),
            Self::OutOfOrder(name) => write!(f, "{name} out of order"),
            Self::Short(field) => write!(f, "ends inside {field}"),
            Self::Size { told, came } => {
                write!(f, "the size field says {told} bytes, {came} came")
            }
            Self::Trailing(what) => write!(f, "bytes behind the end of {what}"),
            Self::Truncated => f.write_str("longer than any packet of the protocol"),
            Self::Unterminated(field) => write!(f, "no zero byte behind {field}"),
        }
    }
}

impl std::error::Error for Fault {}
