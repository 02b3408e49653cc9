//! What was doubtful about a message, as short words that a consumer can look for.

/// A set of doubts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Notes(u16);

macro_rules! notes {
    ($($(#[$doc:meta])* $name:ident = $bit:literal $word:literal,)*) => {
        impl Notes {
            $($(#[$doc])* pub(super) const $name: Self = Self(1 << $bit);)*

            /// Every doubt and the word for it.
            const WORDS: &[(Self, &str)] = &[$((Self::$name, $word)),*];
        }
    };
}

notes! {
    /// The body is empty or `(null)`, or the webhook object has no message.
    NO_ATTRIBUTES = 0 "no-attributes",
    /// A blank in front of an attribute's name, as in every AFR event.
    BLANK_BEFORE = 1 "blank-before-attribute",
    /// Bytes that are not UTF-8; the attribute is in base64.
    NOT_UTF8 = 2 "not-utf8",
    /// A number that no known release has assigned.
    UNKNOWN_NUMBER = 3 "unknown-number",
    /// A piece between semicolons that names no attribute was taken as part of the value before it.
    GLUED = 4 "semicolon-in-value",
    /// An attribute's name stands twice; the last one was taken.
    REPEATED = 5 "repeated-attribute",
    /// The first attribute is not one that this type is known to have.
    UNKNOWN_ATTRIBUTE = 6 "unknown-attribute",
    /// Text that belongs to no attribute; it is in the raw bytes alone.
    UNREAD = 7 "unread-text",
    /// The options of VOLUME_SET can be read in more than one way.
    OPTIONS = 8 "options-guessed",
    /// A flag that is neither a yes nor a no; read as no.
    FLAG = 9 "not-a-flag",
    /// The webhook object has no usable time; the time is that of arrival.
    NO_TIME = 10 "no-time",
    /// The webhook object has more than the four known members.
    MORE_MEMBERS = 11 "more-members",
    /// The webhook's message is no object.
    ODD_MESSAGE = 12 "odd-message",
    /// The webhook's event name is not made of letters, digits, `_`, `-` and `.`.
    ODD_NAME = 13 "odd-name",
}

impl Notes {
    /// Adds a doubt.
    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether there is any doubt.
    pub(super) fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether this doubt is among them.
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Appends them as a JSON array of words.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.push(b'[');
        let mut first = true;
        for (_, word) in Self::WORDS.iter().filter(|(note, _)| self.has(*note)) {
            if !first {
                out.push(b',');
            }
            first = false;
            out.push(b'"');
            out.extend_from_slice(word.as_bytes());
            out.push(b'"');
        }
        out.push(b']');
    }
}
