//! The tables: which kernel texts are which events.
//!
//! A [`Group`] has a head, which all its messages begin with, and [`Row`]s for what follows. To add a
//! message, add a row to the group of its head; the language is that of [`super::template`]. The first
//! row that matches wins, so specific rows stand before general ones, and one record makes at most one
//! event. The value `dev` is the device, `subsystem` replaces the group's, all others are the keys of
//! `extension`.

pub(super) mod block;
pub(super) mod dm;
pub(super) mod fs;
pub(super) mod md;
pub(super) mod nvme;
pub(super) mod scsi;

use super::found::{Severity, System};

/// Messages with the same head.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) system: System,
    pub(super) subsystem: &'static str,
    pub(super) head: &'static str,
    pub(super) rows: &'static [Row],
}

/// One message.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) event_type: &'static str,
    pub(super) severity: Severity,
    pub(super) text: &'static str,
    /// Only if the first of these values is the smaller number.
    pub(super) less: Option<(&'static str, &'static str)>,
}

const fn info(event_type: &'static str, text: &'static str) -> Row {
    Row { event_type, severity: Severity::Info, text, less: None }
}

const fn warn(event_type: &'static str, text: &'static str) -> Row {
    Row { event_type, severity: Severity::Warn, text, less: None }
}

const fn error(event_type: &'static str, text: &'static str) -> Row {
    Row { event_type, severity: Severity::Error, text, less: None }
}

/// All groups, those that are looked at first before others.
pub(super) fn groups() -> impl Iterator<Item = &'static Group> {
    [scsi::GROUPS, dm::GROUPS, md::GROUPS, fs::GROUPS, nvme::GROUPS, block::GROUPS]
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::storage::template::Template;

    #[test]
    fn every_type_is_in_the_manual_page_with_its_severity() {
        let page = include_str!("../../../../man/eventfs-tap-storage.8");
        for group in groups() {
            for row in group.rows {
                let start = format!(".It Li {} Ta ", row.event_type);
                let line = page.lines().find_map(|line| line.strip_prefix(start.as_str()));
                let mut cells = line.unwrap_or_else(|| panic!("{}", row.event_type)).split(" Ta ");
                let severities = cells.next().unwrap_or_default();
                let is_told = severities.split(", ").any(|name| name == row.severity.as_str());
                assert!(is_told, "{}: {severities}", row.event_type);
                assert_eq!(cells.next(), Some(group.system.as_str()), "{}", row.event_type);
            }
        }
    }

    #[test]
    fn every_row_is_well_formed() {
        let mut rows = 0;
        for group in groups() {
            for row in group.rows {
                rows += 1;
                let name = row.event_type;
                assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
                for text in [group.head, row.text] {
                    let single = text.replace("\\{", "").replace("\\}", "");
                    assert_eq!(single.matches('{').count(), single.matches('}').count(), "{text}");
                    assert_eq!(text.matches('<').count(), text.matches('>').count(), "{text}");
                    assert!(!text.trim_end_matches('…').contains('…'), "{text}: … inside");
                }
                let mut first = [false; 256];
                assert!(
                    Template::whole(row.text).first_bytes(&mut first),
                    "{} may be empty",
                    row.text
                );
            }
        }
        assert!(rows > 150, "{rows} rows");
    }
}
