//! Where an event stands, and the names that say so.

use crate::event::Digits;

/// The stream of BeeGFS 7 packets, whose numbers are ours. No pair of node and reset number gives it.
pub const V7_STREAM: u64 = u64::MAX;

/// Digits of a node number in names.
const NODE_DIGITS: usize = 10;

/// Digits of an event number in names.
const MSN_DIGITS: usize = 20;

/// What all names of ours begin with.
const PREFIX: &str = "beegfs-";

/// A stream and a number in it.
///
/// A stream is one life of one node's queue: the node's number in the low 32 bits, and in the high ones
/// how often its queue was found to be a new one. So numbers rise within a stream, also when a queue was
/// made anew and counts from 0 again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// See above, or [`V7_STREAM`].
    pub stream: u64,
    /// The event's number.
    pub msn: u64,
}

impl Place {
    /// The stream of a node whose queue was made anew so many times.
    pub fn stream(meta_id: u32, resets: u32) -> u64 {
        // The very last reset number would make a stream of `V7_STREAM`; nobody lives to see it.
        (u64::from(resets.min(u32::MAX - 1)) << 32) | u64::from(meta_id)
    }

    /// Number of the node; 0 for BeeGFS 7, which does not tell it.
    pub fn meta_id(stream: u64) -> u32 {
        if stream == V7_STREAM { 0 } else { stream as u32 }
    }

    /// How often the node's queue was made anew.
    pub fn resets(stream: u64) -> u32 {
        if stream == V7_STREAM { 0 } else { (stream >> 32) as u32 }
    }

    /// The place that a file name stands for (with or without `.json` and `~2`); nothing for names that
    /// are not an event's.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".json").unwrap_or(name);
        let name = name.split('~').next().unwrap_or(name).strip_prefix(PREFIX)?;
        let (stream, msn) = name.rsplit_once('-')?;
        Some(Self { stream: parse_stream(stream)?, msn: number(msn, MSN_DIGITS)? })
    }

    /// File name without `.json`: `beegfs-0000000012-00000000000000000002`.
    pub fn push_name(&self, out: &mut String) {
        push_name_prefix(self.stream, out);
        push_name_number(&Digits::of(self.msn), out);
    }
}

/// Everything before the number.
pub(super) fn push_name_prefix(stream: u64, out: &mut String) {
    out.push_str(PREFIX);
    if stream == V7_STREAM {
        out.push_str("v7-");
        return;
    }
    out.push_str(Digits::of(Place::meta_id(stream).into()).padded(NODE_DIGITS));
    out.push('-');
    push_reset(stream, '-', out);
}

#[inline]
pub(super) fn push_name_number(msn: &Digits, out: &mut String) {
    out.push_str(msn.padded(MSN_DIGITS));
}

/// CloudEvents id before the number: `12/`, `12/r1/`, `v7/`.
pub(super) fn push_id_prefix(stream: u64, out: &mut String) {
    if stream == V7_STREAM {
        out.push_str("v7/");
        return;
    }
    out.push_str(Digits::of(Place::meta_id(stream).into()).text());
    out.push('/');
    push_reset(stream, '/', out);
}

/// CloudEvents source.
pub(super) fn push_source(meta_id: u32, out: &mut String) {
    out.push_str("/beegfs/meta/");
    out.push_str(Digits::of(meta_id.into()).text());
}

fn push_reset(stream: u64, end: char, out: &mut String) {
    let resets = Place::resets(stream);
    if resets > 0 {
        out.push('r');
        out.push_str(Digits::of(resets.into()).text());
        out.push(end);
    }
}

fn parse_stream(text: &str) -> Option<u64> {
    if text == "v7" {
        return Some(V7_STREAM);
    }
    let (node, resets) = match text.split_once("-r") {
        None => (text, 0),
        Some((node, resets)) => (node, resets.parse().ok().filter(|&number| number > 0)?),
    };
    let meta_id = number(node, NODE_DIGITS)?.try_into().ok()?;
    Some(Place::stream(meta_id, resets))
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let places = [
            (12, 0, 2, "beegfs-0000000012-00000000000000000002"),
            (u32::MAX, 0, u64::MAX, "beegfs-4294967295-18446744073709551615"),
            (12, 3, 0, "beegfs-0000000012-r3-00000000000000000000"),
        ];
        for (meta_id, resets, msn, name) in places {
            let place = Place { stream: Place::stream(meta_id, resets), msn };
            let mut text = String::new();
            place.push_name(&mut text);
            assert_eq!(text, name);
            assert_eq!(Place::of_name(name), Some(place));
            assert_eq!(Place::of_name(&format!("{name}.json")), Some(place));
            assert_eq!(Place::of_name(&format!("{name}~2.json")), Some(place));
            assert_eq!(
                (Place::meta_id(place.stream), Place::resets(place.stream)),
                (meta_id, resets)
            );
        }
        let v7 = Place { stream: V7_STREAM, msn: 1 };
        let mut text = String::new();
        v7.push_name(&mut text);
        assert_eq!(text, "beegfs-v7-00000000000000000001");
        assert_eq!(Place::of_name(&text), Some(v7));
        assert_eq!(Place::meta_id(V7_STREAM), 0);
    }

    #[test]
    fn names_of_others_are_nobodys_place() {
        for name in [
            "",
            "beegfs-",
            "beegfs-12-2",
            "beegfs-gap-00000000000000000001-00000000000000000001",
            "beegfs-unreadable-00000000000000000001-00000000000000000001",
            "beegfs-0000000012-r0-00000000000000000001",
            "beegfs-0000000012-rx-00000000000000000001",
            "beegfs-9999999999-00000000000000000001",
            "beegfs-0000000012-99999999999999999999",
            "beegfs-000000001x-00000000000000000001",
            "gluster-0000000012-00000000000000000001",
        ] {
            assert_eq!(Place::of_name(name), None, "{name}");
        }
    }
}
