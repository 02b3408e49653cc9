//! The original's configuration format, INI: a scanner, and the section `eventfs-config`.
//!
//! The scanner is our own because every complaint needs its line: `rust-ini` gives lines for
//! syntax errors only, not for keys and values, and does not tell where a key or section that
//! stands twice stood first. What is accepted is what the original's parser (inih) accepts and
//! means: `key=value` or `key: value`, lines that start with `#` or `;` are comments, and so is
//! the rest of a line behind a blank and `;`. Blanks around names and values do not count. Left
//! out are its continuation lines, which no key of ours can use.

use super::error::Fault;
use super::limits::{Limits, slot};

/// The section of the main file.
const SECTION: &str = "eventfs-config";

/// Before the keys of [`slot`]; the main file sets defaults only.
const DEFAULT_PREFIX: &str = "default_";

/// A section as it was written.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Section<'t> {
    /// Between the brackets.
    pub(super) name: &'t str,
    /// The line of its head, from 1.
    pub(super) line: usize,
    /// In the order of the file; no name comes twice.
    pub(super) keys: Vec<Key<'t>>,
}

/// A key and its value.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Key<'t> {
    /// Left of the `=`.
    pub(super) name: &'t str,
    /// Right of it; may be empty.
    pub(super) value: &'t str,
    /// From 1.
    pub(super) line: usize,
}

/// The sections of `text`, none of them twice.
///
/// # Errors
///
/// The first line that is neither comment, section nor key, stands before any section, or repeats
/// a section or key.
pub(super) fn scan(text: &str) -> Result<Vec<Section<'_>>, Fault> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let content = without_comment(raw);
        if content.is_empty() {
            continue;
        }
        let added = if content.starts_with('[') {
            add_section(&mut sections, content, line)
        } else {
            add_key(sections.last_mut(), content, line)
        };
        added.map_err(|reason| Fault::new(line, reason))?;
    }
    Ok(sections)
}

/// `raw` without comment and surrounding blanks.
fn without_comment(raw: &str) -> &str {
    let raw = raw.trim();
    if raw.starts_with(['#', ';']) {
        return "";
    }
    let inline = raw.match_indices(';').find(|&(at, _)| raw[..at].ends_with(char::is_whitespace));
    inline.map_or(raw, |(at, _)| raw[..at].trim_end())
}

fn add_section<'t>(
    sections: &mut Vec<Section<'t>>,
    content: &'t str,
    line: usize,
) -> Result<(), String> {
    let name = content
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| format!("a section is '[NAME]', not '{content}'"))?
        .trim();
    if let Some(first) = sections.iter().find(|section| section.name == name) {
        return Err(format!("section '{name}' stands twice, first at line {}", first.line));
    }
    sections.push(Section { name, line, keys: Vec::new() });
    Ok(())
}

fn add_key<'t>(
    section: Option<&mut Section<'t>>,
    content: &'t str,
    line: usize,
) -> Result<(), String> {
    let (name, value) = content
        .split_once(['=', ':'])
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("'{content}' is neither 'KEY=VALUE' nor '[SECTION]'"))?;
    let section = section.ok_or_else(|| format!("key '{name}' stands before any section"))?;
    if let Some(first) = section.keys.iter().find(|key| key.name == name) {
        return Err(format!("key '{name}' stands twice, first at line {}", first.line));
    }
    section.keys.push(Key { name, value, line });
    Ok(())
}

/// The number that the value of `key` is.
///
/// # Errors
///
/// It is no decimal number from 0 to 2⁶⁴-1.
pub(super) fn number(key: &Key<'_>) -> Result<u64, Fault> {
    let bad = |why: &str| {
        Fault::new(key.line, format!("bad number '{}' for '{}': {why}", key.value, key.name))
    };
    if key.value.is_empty() || !key.value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("not a whole number from 0 up"));
    }
    key.value.parse().map_err(|_| bad("too large"))
}

/// Reads the text of a main configuration file: sets the defaults of `limits` and returns the key
/// `quotas`, if there is one.
///
/// A file without any section is good; it says nothing, as if absent.
///
/// # Errors
///
/// The first line that is not as [`scan`] wants it, then the first unknown section or key or bad
/// value.
pub(super) fn read<'t>(text: &'t str, limits: &mut Limits<'_>) -> Result<Option<Key<'t>>, Fault> {
    let mut quotas = None;
    for section in scan(text)? {
        if section.name != SECTION {
            let reason = format!("unknown section '{}', expected '{SECTION}'", section.name);
            return Err(Fault::new(section.line, reason));
        }
        for key in section.keys {
            match key.name {
                "quotas" if key.value.is_empty() => {
                    return Err(Fault::new(key.line, "'quotas' needs a directory"));
                }
                "quotas" => quotas = Some(key),
                _ => set_default(&key, limits)?,
            }
        }
    }
    Ok(quotas)
}

fn set_default(key: &Key<'_>, limits: &mut Limits<'_>) -> Result<(), Fault> {
    let slot = key
        .name
        .strip_prefix(DEFAULT_PREFIX)
        .and_then(|name| slot(&mut limits.default, name))
        .ok_or_else(|| Fault::new(key.line, format!("unknown key '{}'", key.name)))?;
    *slot = Some(number(key)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::names::Fixed;
    use super::*;
    use crate::model::quota::Quota;

    fn check_bad(text: &str, line: usize, reason: &str) {
        let found = read(text, &mut Limits::new(&Fixed)).unwrap_err();
        assert_eq!((found.line, found.reason.as_str()), (line, reason), "{text}");
    }

    #[test]
    fn reads_defaults_and_quotas() {
        let text = "\u{feff}# a comment\r\n\r\n ; another\n[eventfs-config]\ndefault_max_dirs = 5\n\
            \tdefault_max_files: 18446744073709551615\r\ndefault_max_files_per_dir=0 ; none\n\
            default_max_bytes=7\nquotas= my=quotas;d \n";
        let mut limits = Limits::new(&Fixed);
        let quotas = read(text, &mut limits).unwrap();
        assert_eq!(quotas, Some(Key { name: "quotas", value: "my=quotas;d", line: 9 }));
        let (dirs, files, per_dir, bytes) = (Some(5), Some(u64::MAX), Some(0), Some(7));
        let expected = Quota {
            max_dirs: dirs,
            max_files: files,
            max_files_per_dir: per_dir,
            max_bytes: bytes,
        };
        assert_eq!(limits.default, expected);
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "# nothing\n", "[ eventfs-config ]"] {
            let mut limits = Limits::new(&Fixed);
            assert_eq!(read(text, &mut limits), Ok(None));
            assert_eq!(limits.default, Quota::default());
        }
    }

    #[test]
    fn refuses_bad_syntax() {
        check_bad("\nquotas=x\n", 2, "key 'quotas' stands before any section");
        check_bad("[eventfs-config\n", 1, "a section is '[NAME]', not '[eventfs-config'");
        check_bad("[a] b\n", 1, "a section is '[NAME]', not '[a] b'");
        check_bad("[a]\n\nword\n", 3, "'word' is neither 'KEY=VALUE' nor '[SECTION]'");
        check_bad("[a]\n = 5\n", 2, "'= 5' is neither 'KEY=VALUE' nor '[SECTION]'");
    }

    #[test]
    fn refuses_what_stands_twice() {
        let twice = "section 'eventfs-config' stands twice, first at line 1";
        check_bad("[eventfs-config]\n#\n[eventfs-config]\n", 3, twice);
        let twice = "key 'quotas' stands twice, first at line 2";
        check_bad("[eventfs-config]\nquotas=a\nquotas=b\n", 3, twice);
    }

    #[test]
    fn refuses_unknown_names() {
        let unknown = "unknown section 'eventfs-quota', expected 'eventfs-config'";
        check_bad("[eventfs-config]\n[eventfs-quota]\n", 2, unknown);
        check_bad("[eventfs-config]\n\nmax_dirs=5\n", 3, "unknown key 'max_dirs'");
        check_bad("[eventfs-config]\ndefault_x=5\n", 2, "unknown key 'default_x'");
        check_bad("[eventfs-config]\nquotas=\n", 2, "'quotas' needs a directory");
    }

    #[test]
    fn refuses_bad_numbers() {
        for value in ["", "-1", "+1", "1.5", "0x10", "10m", "many", "1 000", "5;x"] {
            let text = format!("[eventfs-config]\ndefault_max_dirs={value}\n");
            let why = "not a whole number from 0 up";
            check_bad(&text, 2, &format!("bad number '{value}' for 'default_max_dirs': {why}"));
        }
        let text = "[eventfs-config]\ndefault_max_bytes=18446744073709551616";
        let reason = "bad number '18446744073709551616' for 'default_max_bytes': too large";
        check_bad(text, 2, reason);
    }
}
