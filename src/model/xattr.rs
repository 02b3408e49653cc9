//! Extended attributes that eventfs gives a meaning: names and values.

use super::error::{Outcome, Reason};
use super::limits::CONTROL_PREFIX;
use super::queue::Overflow;

/// A control attribute of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// `sticky`: the queue has no owner; any value.
    Sticky,
    /// `owner`: the process that the queue lives with.
    Owner,
    /// `max_events`.
    MaxEvents,
    /// `max_bytes`.
    MaxBytes,
    /// `overflow`.
    Overflow,
    /// `ttl`, seconds.
    Ttl,
    /// One of the read-only counters.
    Counter(Counter),
    /// `oldest`: the first names in the order of the queue, those in consumers' hands among them; read
    /// only, and not listed, since it is long.
    Oldest,
}

/// A read-only counter of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counter {
    /// Events now.
    Depth,
    /// Bytes now, staged files included.
    Bytes,
    /// Events ever.
    Published,
    /// Events unlinked, moved away or withdrawn.
    Removed,
    /// Events pushed out by newer ones.
    Dropped,
    /// Events that outlived `ttl`.
    Expired,
}

/// The control attributes that are listed, in the order in which they are listed.
pub const CONTROLS: [(&[u8], Control); 12] = [
    (b"user.eventfs_sticky", Control::Sticky),
    (b"user.eventfs_owner", Control::Owner),
    (b"user.eventfs_max_events", Control::MaxEvents),
    (b"user.eventfs_max_bytes", Control::MaxBytes),
    (b"user.eventfs_overflow", Control::Overflow),
    (b"user.eventfs_ttl", Control::Ttl),
    (b"user.eventfs_depth", Control::Counter(Counter::Depth)),
    (b"user.eventfs_bytes", Control::Counter(Counter::Bytes)),
    (b"user.eventfs_published", Control::Counter(Counter::Published)),
    (b"user.eventfs_removed", Control::Counter(Counter::Removed)),
    (b"user.eventfs_dropped", Control::Counter(Counter::Dropped)),
    (b"user.eventfs_expired", Control::Counter(Counter::Expired)),
];

/// Names of the oldest events, whether a consumer has them in hand or not: what a listing cannot show.
/// Each is followed by `/`; two in a row say that there are more.
pub const OLDEST: &[u8] = b"user.eventfs_oldest";

/// Place number of an event at its last publication.
pub const SEQ: &[u8] = b"user.eventfs_seq";

/// What an attribute name means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// A control attribute of a queue.
    Control(Control),
    /// The place number of an event.
    Seq,
    /// A `user.eventfs_*` name that means nothing.
    Unknown,
    /// Any other `user.*` name: kept for the user.
    User,
    /// Another namespace.
    Foreign,
}

/// Finds out what a name means.
pub fn meaning(name: &[u8]) -> Meaning {
    if name == SEQ {
        return Meaning::Seq;
    }
    if name == OLDEST {
        return Meaning::Control(Control::Oldest);
    }
    if let Some((_, control)) = CONTROLS.iter().find(|(known, _)| *known == name) {
        return Meaning::Control(*control);
    }
    if name.starts_with(CONTROL_PREFIX) {
        Meaning::Unknown
    } else if name.starts_with(b"user.") {
        Meaning::User
    } else {
        Meaning::Foreign
    }
}

/// Reads a decimal number without sign or blanks.
///
/// # Errors
/// [`Reason::Invalid`] for anything else and for more than 64 bits.
pub fn number(value: &[u8]) -> Outcome<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Invalid);
    }
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(Reason::Invalid)
}

/// Reads `reject` or `drop-oldest`.
///
/// # Errors
/// [`Reason::Invalid`] for anything else.
pub fn overflow(value: &[u8]) -> Outcome<Overflow> {
    match value {
        b"reject" => Ok(Overflow::Reject),
        b"drop-oldest" => Ok(Overflow::DropOldest),
        _ => Err(Reason::Invalid),
    }
}

/// Whom `user.eventfs_owner` names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnerWord {
    /// The caller's parent.
    Parent,
    /// The leader of the caller's session.
    Session,
    /// A process, as the caller numbers it.
    Pid(u32),
}

/// Reads `parent`, `session` or a positive process number.
///
/// # Errors
/// [`Reason::Invalid`] for anything else.
pub fn owner_word(value: &[u8]) -> Outcome<OwnerWord> {
    match value {
        b"parent" => Ok(OwnerWord::Parent),
        b"session" => Ok(OwnerWord::Session),
        digits => match number(digits)? {
            0 => Err(Reason::Invalid),
            pid => u32::try_from(pid)
                .ok()
                .filter(|pid| i32::try_from(*pid).is_ok())
                .map(OwnerWord::Pid)
                .ok_or(Reason::Invalid),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_the_manual_says() {
        assert_eq!(meaning(b"user.eventfs_ttl"), Meaning::Control(Control::Ttl));
        assert_eq!(meaning(b"user.eventfs_seq"), Meaning::Seq);
        assert_eq!(meaning(b"user.eventfs_"), Meaning::Unknown);
        assert_eq!(meaning(b"user.mine"), Meaning::User);
        assert_eq!(meaning(b"trusted.mine"), Meaning::Foreign);
    }

    #[test]
    fn values_are_read_strictly() {
        assert_eq!(number(b"18446744073709551615"), Ok(u64::MAX));
        for bad in ["", " 1", "+1", "-1", "1k", "1.5", "18446744073709551616"] {
            assert_eq!(number(bad.as_bytes()), Err(Reason::Invalid), "{bad:?}");
        }
        assert_eq!(owner_word(b"parent"), Ok(OwnerWord::Parent));
        assert_eq!(owner_word(b"17"), Ok(OwnerWord::Pid(17)));
        for bad in ["0", "-3", "me", "4294967296", "2147483648"] {
            assert_eq!(owner_word(bad.as_bytes()), Err(Reason::Invalid), "{bad:?}");
        }
    }
}
