//! Identities of documents: where they stand, in names of files and in ids.

use std::fmt::Write;

/// What the offsets of a stream count from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// A file; `resets` is how often the feed had been replaced before.
    File {
        /// Its inode.
        inode: u64,
        /// Replacements so far.
        resets: u64,
    },
    /// A pipe, a socket, standard input: when the tap began to read it, nanoseconds since 1970.
    Stream {
        /// That time.
        start: u64,
    },
}

/// Appends `hestia-INODE[-rN]-OFFSET` or `hestia-sSTART-OFFSET`; numbers in 20 digits, so that names
/// sort as their documents stand.
pub(super) fn write_name(origin: Origin, offset: u64, out: &mut String) {
    // Writing into a text cannot fail.
    let _ = match origin {
        Origin::File { inode, resets: 0 } => write!(out, "hestia-{inode:020}-{offset:020}"),
        Origin::File { inode, resets } => {
            write!(out, "hestia-{inode:020}-r{resets}-{offset:020}")
        }
        Origin::Stream { start } => write!(out, "hestia-s{start:020}-{offset:020}"),
    };
}

/// Appends `INODE/[rN/]OFFSET` or `sSTART/OFFSET`.
pub(super) fn write_id(origin: Origin, offset: u64, out: &mut String) {
    let _ = match origin {
        Origin::File { inode, resets: 0 } => write!(out, "{inode}/{offset}"),
        Origin::File { inode, resets } => write!(out, "{inode}/r{resets}/{offset}"),
        Origin::Stream { start } => write!(out, "s{start}/{offset}"),
    };
}

/// Reads a name, with or without what is added to it: `~2` for a second event that would have it, and
/// `.json`. Nothing for names that are not of a document.
pub fn read_name(name: &str) -> Option<(Origin, u64)> {
    let name = name.strip_suffix(".json").unwrap_or(name);
    let name = name.split('~').next().unwrap_or(name);
    let mut parts = name.strip_prefix("hestia-")?.split('-');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u64>().ok() } else { None }
    };
    match (first.strip_prefix('s'), third) {
        (Some(start), None) => Some((Origin::Stream { start: number(start)? }, number(second)?)),
        (None, None) => Some((Origin::File { inode: number(first)?, resets: 0 }, number(second)?)),
        (None, Some(third)) => {
            let resets = number(second.strip_prefix('r')?)?;
            Some((Origin::File { inode: number(first)?, resets }, number(third)?))
        }
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_have_the_documented_form() {
        let text = |origin| {
            let (mut name, mut id) = (String::new(), String::new());
            write_name(origin, 410, &mut name);
            write_id(origin, 410, &mut id);
            for end in ["", ".json", "~2.json"] {
                assert_eq!(read_name(&format!("{name}{end}")), Some((origin, 410)));
            }
            (name, id)
        };
        let file = text(Origin::File { inode: 77, resets: 0 });
        assert_eq!(file.0, "hestia-00000000000000000077-00000000000000000410");
        assert_eq!(file.1, "77/410");
        let replaced = text(Origin::File { inode: 77, resets: 2 });
        assert_eq!(replaced.0, "hestia-00000000000000000077-r2-00000000000000000410");
        assert_eq!(replaced.1, "77/r2/410");
        let stream = text(Origin::Stream { start: 1_700_000_000_000_000_000 });
        assert_eq!(stream.0, "hestia-s01700000000000000000-00000000000000000410");
        assert_eq!(stream.1, "s1700000000000000000/410");
    }

    #[test]
    fn names_of_others_are_not_read() {
        for name in [
            "",
            "hestia-",
            "hestia-1",
            "hestia-gap-1-2-3",
            "hestia-a-1",
            "hestia-s1-r1-1",
            "beegfs-1-1",
        ] {
            assert_eq!(read_name(name), None, "{name}");
        }
    }
}
