//! The original's quota files: one user or group each, section `eventfs-quota`.

use std::path::Path;

use super::error::{ConfigError, Fault};
use super::ini::{Key, Section, number, scan};
use super::limits::{Limits, slot};
use super::names::Kind;

/// The only section of a quota file.
const SECTION: &str = "eventfs-quota";

/// Reads the text of the quota file `file` into `limits`.
///
/// # Errors
///
/// The first thing that is wrong with it; a file without the section is wrong as a whole.
pub(super) fn read(text: &str, file: &Path, limits: &mut Limits<'_>) -> Result<(), ConfigError> {
    let sections = scan(text).map_err(|fault| ConfigError::at(file, fault))?;
    if let Some(section) = sections.iter().find(|section| section.name != SECTION) {
        let reason = format!("unknown section '{}', expected '{SECTION}'", section.name);
        return Err(ConfigError::at(file, Fault::new(section.line, reason)));
    }
    let section = sections
        .first()
        .ok_or_else(|| ConfigError::in_file(file, format!("no section '{SECTION}'")))?;
    read_section(section, file, limits).map_err(|fault| ConfigError::at(file, fault))
}

fn read_section(section: &Section<'_>, file: &Path, limits: &mut Limits<'_>) -> Result<(), Fault> {
    let (first, rest) = section
        .keys
        .split_first()
        .ok_or_else(|| Fault::new(section.line, "no key 'user' or 'group'"))?;
    let kind = Kind::from_word(first.name).ok_or_else(|| {
        let reason = format!("the first key must be 'user' or 'group', not '{}'", first.name);
        Fault::new(first.line, reason)
    })?;
    let quota = limits
        .entry(kind, first.value, file, first.line)
        .map_err(|reason| Fault::new(first.line, reason))?;
    for key in rest {
        let slot = slot(quota, key.name).ok_or_else(|| Fault::new(key.line, unknown(key)))?;
        *slot = Some(number(key)?);
    }
    Ok(())
}

fn unknown(key: &Key<'_>) -> String {
    match Kind::from_word(key.name) {
        Some(kind) => format!("'{kind}' beside another user or group; each has its own file"),
        None => format!("unknown key '{}'", key.name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Fixed;
    use super::*;
    use crate::model::quota::{Quota, Quotas};

    fn quotas_of(text: &str) -> Result<Quotas, String> {
        let mut limits = Limits::new(&Fixed);
        limits.default.max_files = Some(100);
        read(text, Path::new("q"), &mut limits).map_err(|error| error.to_string())?;
        Ok(limits.finish())
    }

    fn check_bad(text: &str, expected: &str) {
        assert_eq!(quotas_of(text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn reads_a_user_and_a_group() {
        let quotas =
            quotas_of("# ann\n[eventfs-quota]\nuser = ann\nmax_dirs=1\nmax_bytes=2\n").unwrap();
        let (dirs, files, bytes) = (Some(1), Some(100), Some(2));
        let ann =
            Quota { max_dirs: dirs, max_files: files, max_files_per_dir: None, max_bytes: bytes };
        assert_eq!(quotas.users[&1000], ann);
        assert!(quotas.groups.is_empty());

        let quotas = quotas_of("[eventfs-quota]\ngroup=77\nmax_files_per_dir=0\n").unwrap();
        assert_eq!(quotas.groups[&77].max_files_per_dir, Some(0));
        assert_eq!(quotas.groups[&77].max_files, Some(100));
        assert!(quotas.users.is_empty());
    }

    #[test]
    fn refuses_a_missing_or_late_user() {
        check_bad("", "q: no section 'eventfs-quota'");
        check_bad("\n[eventfs-quota]\n", "q:2: no key 'user' or 'group'");
        let late = "q:2: the first key must be 'user' or 'group', not 'max_dirs'";
        check_bad("[eventfs-quota]\nmax_dirs=1\nuser=ann\n", late);
        let both = "q:3: 'group' beside another user or group; each has its own file";
        check_bad("[eventfs-quota]\nuser=ann\ngroup=staff\n", both);
        let twice = "q:3: key 'user' stands twice, first at line 2";
        check_bad("[eventfs-quota]\nuser=ann\nuser=ben\n", twice);
    }

    #[test]
    fn refuses_unknown_names_and_bad_numbers() {
        check_bad("[eventfs-quota]\nuser=eve\n", "q:2: unknown user 'eve'");
        check_bad("[eventfs-quota]\ngroup=eve\n", "q:2: unknown group 'eve'");
        check_bad("[eventfs-quota]\nuser=\n", "q:2: 'user' needs a name or a number");
        check_bad("[eventfs-quota]\nuser=ann\nmax=1\n", "q:3: unknown key 'max'");
        let section = "q:1: unknown section 'eventfs-config', expected 'eventfs-quota'";
        check_bad("[eventfs-config]\n", section);
        let number = "q:3: bad number 'x' for 'max_dirs': not a whole number from 0 up";
        check_bad("[eventfs-quota]\nuser=ann\nmax_dirs=x\n", number);
        check_bad("user=ann\n", "q:1: key 'user' stands before any section");
    }
}
