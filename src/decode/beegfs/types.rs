//! The types of events: numbers of the protocol, names of ours.

/// CloudEvents types; the number of the protocol is the index. 0 is not assigned.
///
/// 1 to 15 exist since BeeGFS 8.0, 16 and 17 since 8.1, 18 and 19 since 8.2.
const KINDS: [&str; TYPE_COUNT + 1] = [
    "",
    "beegfs.flush",
    "beegfs.truncate",
    "beegfs.setattr",
    "beegfs.close_write",
    "beegfs.create",
    "beegfs.mkdir",
    "beegfs.mknod",
    "beegfs.symlink",
    "beegfs.rmdir",
    "beegfs.unlink",
    "beegfs.hardlink",
    "beegfs.rename",
    "beegfs.open_read",
    "beegfs.open_write",
    "beegfs.open_read_write",
    "beegfs.last_writer_closed",
    "beegfs.open_blocked",
    "beegfs.stripe_pattern_changed",
    "beegfs.inode_locked",
];

/// How many types have names: 1 to this.
pub const TYPE_COUNT: usize = 19;

/// What every type of ours begins with.
const PREFIX: &str = "beegfs.";

/// `create` for 5; nothing for a number without a name.
pub fn event_name(number: u32) -> Option<&'static str> {
    kind(number)?.strip_prefix(PREFIX)
}

/// Appends `beegfs.create`, or `beegfs.unknown_23`.
pub fn push_kind(number: u32, out: &mut String) {
    match kind(number) {
        Some(kind) => out.push_str(kind),
        None => {
            out.push_str("beegfs.unknown_");
            out.push_str(&number.to_string());
        }
    }
}

fn kind(number: u32) -> Option<&'static str> {
    let kind = KINDS.get(usize::try_from(number).ok()?)?;
    (!kind.is_empty()).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_have_names_and_all_others_numbers() {
        assert_eq!(event_name(5), Some("create"));
        assert_eq!(event_name(16), Some("last_writer_closed"));
        assert_eq!(event_name(19), Some("inode_locked"));
        assert_eq!((1..=19).filter_map(event_name).count(), TYPE_COUNT);
        for number in [0, 20, 23, u32::MAX] {
            assert_eq!(event_name(number), None);
            let mut kind = String::new();
            push_kind(number, &mut kind);
            assert_eq!(kind, format!("beegfs.unknown_{number}"));
        }
    }
}
