//! Where a device is mounted.

use std::fs;

/// A line of mountinfo, as far as it is of use.
#[derive(Debug, Eq, PartialEq)]
struct Mount {
    /// `8:1`.
    number: String,
    /// Where.
    point: String,
    /// `/dev/sda1`; the only way to know a btrfs, whose number is nobody's.
    source: String,
}

/// What is mounted at the moment.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    mounts: Vec<Mount>,
}

impl Mounts {
    /// Of this process's namespace.
    pub(super) fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        Self { mounts: text.lines().filter_map(parse_line).collect() }
    }

    /// Where a device is mounted, by its number or its name; the first place if there are several.
    pub(super) fn point(&self, number: Option<&str>, name: &str) -> Option<&str> {
        let is = |mount: &&Mount| {
            Some(mount.number.as_str()) == number
                || mount.source.strip_prefix("/dev/") == Some(name)
        };
        self.mounts.iter().find(is).map(|mount| mount.point.as_str())
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ');
    let number = front.nth(2)?.to_owned();
    let point = unescaped(front.nth(1)?);
    let source = unescaped(back.split(' ').nth(1)?);
    Some(Mount { number, point, source })
}

/// Blanks, tabs, line breaks and backslashes are three octal digits there.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_by_number_and_by_source() {
        let mounts = Mounts::parse(
            "36 35 8:1 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/sda1 rw\n\
             37 35 0:44 / /mnt/btrfs rw - btrfs /dev/loop1 rw\n\
             38 35 8:1 / /again rw - ext4 /dev/sda1 rw\n\
             broken line\n",
        );
        assert_eq!(mounts.point(Some("8:1"), "x"), Some("/mnt/a b"));
        assert_eq!(mounts.point(Some("7:1"), "loop1"), Some("/mnt/btrfs"));
        assert_eq!(mounts.point(None, "sdb"), None);
        assert!(Mounts::read().point(None, "none").is_none());
    }
}
