//! The TOML configuration: `[mount]`, `[limits]` with the tables below it, and `[tap.NAME]`.
//!
//! The document is walked as a tree of spanned values and not deserialised into structs: so every
//! complaint has its line, words and names are checked where they stand, and `[mount]` keeps the
//! order of the file. A further kind of table is one more arm in [`Reader::document`].

use std::ops::Range;
use std::path::Path;

use ::toml::Spanned;
use ::toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::error::Fault;
use super::limits::{Limits, slot};
use super::names::{Kind, Names};
use super::options::{MountOptions, is_flag, opposite};
use super::taps::TapTable;
use super::values::parse_size;
use crate::model::quota::Quota;

/// A key where it stands.
type Key<'t> = Spanned<DeString<'t>>;

/// A value where it stands.
type Value<'t> = Spanned<DeValue<'t>>;

/// What a file says beside its limits.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Document {
    /// The words of `[mount]` in the order of the file, value empty for flags; each has been applied
    /// once.
    pub(super) mount: Vec<(String, String)>,
    /// The tables of `[tap]` in the order of the file.
    pub(super) taps: Vec<TapTable>,
}

/// Reads the text of the configuration file `file`; its limits are added to `limits`.
///
/// # Errors
///
/// The first breach of TOML's syntax (keys and tables that stand twice are one), else the first
/// unknown table or key, unknown user or group, or bad value.
pub(super) fn read(text: &str, file: &Path, limits: &mut Limits<'_>) -> Result<Document, Fault> {
    let (found, scratch) = (Document::default(), MountOptions::default());
    let mut reader = Reader { text, file, found, scratch };
    let document = DeTable::parse(text).map_err(|error| reader.syntax_fault(&error))?;
    reader.document(document.get_ref(), limits)?;
    Ok(reader.found)
}

/// What is known while the document is walked.
struct Reader<'f> {
    text: &'f str,
    file: &'f Path,
    found: Document,
    /// Takes every word of `[mount]`, to see whether it is good.
    scratch: MountOptions,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>, limits: &mut Limits<'_>) -> Result<(), Fault> {
        for (key, value) in in_order(document) {
            match key.get_ref().as_ref() {
                "mount" => self.mount(self.table("mount", key, value)?)?,
                "limits" => self.limits(self.table("limits", key, value)?, limits)?,
                "tap" => self.taps(self.table("tap", key, value)?, limits.names())?,
                _ => return Err(self.unknown("", key, value)),
            }
        }
        Ok(())
    }

    fn mount(&mut self, table: &DeTable<'_>) -> Result<(), Fault> {
        for (key, value) in in_order(table) {
            let word = word(key.get_ref(), value.get_ref());
            let Some((name, text)) = word.map_err(|reason| self.fault(key.span(), reason))? else {
                continue;
            };
            let applied = self.scratch.set(&name, (!text.is_empty()).then_some(&text));
            applied.map_err(|error| self.fault(key.span(), error.to_string()))?;
            self.found.mount.push((name, text));
        }
        Ok(())
    }

    fn limits(&self, table: &DeTable<'_>, limits: &mut Limits<'_>) -> Result<(), Fault> {
        for (key, value) in in_order(table) {
            match Kind::from_word(key.get_ref()) {
                Some(kind) => self.entries(kind, key, value, limits)?,
                None => self.limit("limits.", &mut limits.default, key, value)?,
            }
        }
        Ok(())
    }

    /// `[tap]`: one table a tap.
    fn taps(&mut self, table: &DeTable<'_>, names: &dyn Names) -> Result<(), Fault> {
        for (key, value) in in_order(table) {
            let name = key.get_ref();
            let path = format!("tap.{name}");
            let table = self.table(&path, key, value)?;
            let mut tap = TapTable::new(name, self.line(key.span()))
                .map_err(|reason| self.fault(key.span(), reason))?;
            for (key, value) in in_order(table) {
                let line = self.line(key.span());
                tap.set(names, key.get_ref(), value.get_ref(), line)
                    .map_err(|reason| self.fault(key.span(), reason))?;
            }
            if tap.queues.is_empty() {
                return Err(self.fault(key.span(), format!("'{path}' needs a 'queue'")));
            }
            self.found.taps.push(tap);
        }
        Ok(())
    }

    /// `limits.user` or `limits.group`: one table a name.
    fn entries(
        &self,
        kind: Kind,
        key: &Key<'_>,
        value: &Value<'_>,
        limits: &mut Limits<'_>,
    ) -> Result<(), Fault> {
        let path = format!("limits.{kind}");
        for (key, value) in in_order(self.table(&path, key, value)?) {
            let name = key.get_ref();
            let table = self.table(&format!("{path}.{name}"), key, value)?;
            let quota = limits
                .entry(kind, name, self.file, self.line(key.span()))
                .map_err(|reason| self.fault(key.span(), reason))?;
            for (key, value) in in_order(table) {
                self.limit(&format!("{path}.{name}."), quota, key, value)?;
            }
        }
        Ok(())
    }

    /// One limit; `path` names the table for complaints.
    fn limit(
        &self,
        path: &str,
        quota: &mut Quota,
        key: &Key<'_>,
        value: &Value<'_>,
    ) -> Result<(), Fault> {
        let name = key.get_ref().as_ref();
        let slot = slot(quota, name).ok_or_else(|| self.unknown(path, key, value))?;
        let number = match value.get_ref() {
            DeValue::Integer(integer) => whole(integer),
            DeValue::String(text) if name == "max_bytes" => parse_size(text),
            other => Err(format!("a number is needed, not {}", described(other))),
        };
        let bad = |why| format!("bad number {} for '{name}': {why}", self.quoted(value.span()));
        *slot = Some(number.map_err(|why| self.fault(value.span(), bad(why)))?);
        Ok(())
    }

    fn table<'v, 't>(
        &self,
        path: &str,
        key: &Key<'_>,
        value: &'v Value<'t>,
    ) -> Result<&'v DeTable<'t>, Fault> {
        value.get_ref().as_table().ok_or_else(|| {
            let found = described(value.get_ref());
            self.fault(key.span(), format!("'{path}' must be a table, not {found}"))
        })
    }

    fn unknown(&self, path: &str, key: &Key<'_>, value: &Value<'_>) -> Fault {
        let what = if is_section(value.get_ref()) { "section" } else { "key" };
        self.fault(key.span(), format!("unknown {what} '{path}{}'", key.get_ref()))
    }

    /// The library's own message may have several lines and quotes the text; here is only what is
    /// wrong.
    fn syntax_fault(&self, error: &::toml::de::Error) -> Fault {
        let words: Vec<&str> = error.message().split_whitespace().collect();
        self.fault(error.span().unwrap_or(0..0), format!("not TOML: {}", words.join(" ")))
    }

    fn fault(&self, span: Range<usize>, reason: impl Into<String>) -> Fault {
        Fault::new(self.line(span), reason)
    }

    /// The line on which `span` begins, from 1.
    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The text of `span` in quotes, cut where it becomes long.
    fn quoted(&self, span: Range<usize>) -> String {
        const LONGEST: usize = 40;
        let text = self.text.get(span).unwrap_or_default().trim_matches(['"', '\'']);
        match text.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("'{}...'", &text[..at]),
            None => format!("'{text}'"),
        }
    }
}

/// The entries of `table` in the order of the file; the library sorts them by name.
fn in_order<'v, 't>(table: &'v DeTable<'t>) -> Vec<(&'v Key<'t>, &'v Value<'t>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The mount word, and its value as text, that `name = value` means; `None` if it means nothing.
///
/// `name = false` for a flag is the opposite word where there is one, and else the default.
fn word(name: &str, value: &DeValue<'_>) -> Result<Option<(String, String)>, String> {
    let text = match value {
        DeValue::Boolean(false) if is_flag(name) => {
            return Ok(opposite(name).map(|other| (other.to_owned(), String::new())));
        }
        DeValue::Boolean(_) => String::new(),
        _ if is_flag(name) => {
            return Err(format!("option '{name}' must be true or false, not {}", described(value)));
        }
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(integer) => integer_text(name, integer),
        DeValue::Float(float) => float.as_str().to_owned(),
        other => return Err(format!("option '{name}' cannot be {}", described(other))),
    };
    Ok(Some((name.to_owned(), text)))
}

/// A number as the option's own parser wants it.
///
/// `root_mode` is octal there, so `755` and `0o755` both are what they look like, and a number in
/// another base is brought to octal.
fn integer_text(name: &str, integer: &DeInteger<'_>) -> String {
    match whole(integer) {
        Ok(number) if name == "root_mode" && integer.radix() != 10 => format!("{number:o}"),
        Ok(number) => number.to_string(),
        // The option's parser says what is wrong with it.
        Err(_) => integer.to_string(),
    }
}

fn whole(integer: &DeInteger<'_>) -> Result<u64, String> {
    let why = if integer.as_str().starts_with('-') { "negative" } else { "too large" };
    u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| why.to_owned())
}

/// Whether `value` came from a `[table]` or `[[table]]` (or looks like it) rather than from
/// `key = value`.
fn is_section(value: &DeValue<'_>) -> bool {
    let value = match value.as_array().and_then(|array| array.first()) {
        Some(first) => first.get_ref(),
        None => value,
    };
    value.is_table()
}

/// The type of `value` with its article.
fn described(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {name}")
}

#[cfg(test)]
mod tests {
    use super::super::names::Fixed;
    use super::*;
    use crate::model::quota::Quotas;

    fn quotas_of(text: &str) -> Quotas {
        let mut limits = Limits::new(&Fixed);
        assert_eq!(read(text, Path::new("f"), &mut limits), Ok(Document::default()), "{text}");
        limits.finish()
    }

    /// `lines` below `[mount]` must give these words.
    fn check_mount(lines: &str, expected: &[(&str, &str)]) {
        let text = format!("[mount]\n{lines}");
        let words = read(&text, Path::new("f"), &mut Limits::new(&Fixed)).unwrap().mount;
        let words: Vec<_> = words.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(words, expected, "{text}");
    }

    fn check_bad(text: &str, line: usize, reason: &str) {
        let fault = read(text, Path::new("f"), &mut Limits::new(&Fixed)).unwrap_err();
        assert_eq!((fault.line, fault.reason.as_str()), (line, reason), "{text}");
    }

    #[test]
    fn taps_become_arguments() {
        let text = "[tap.meta]\nsource = 'beegfs'\nqueue = ['q', '/x/q2']\nuser = 'ann'\ngroup = 50\n\
                    socket = '/run/s'\nbatch = 100\nskip-secondary = true\nxattrs = false\n\
                    filter = ['beegfs.*', 'x.y']\nroute = 'a.*=r'\nsocket-mode = 0o660\n[tap.gluster]\nqueue='g'";
        let taps = read(text, Path::new("f"), &mut Limits::new(&Fixed)).unwrap().taps;
        let place = |queue: &str| match queue.starts_with('/') {
            true => queue.to_owned(),
            false => format!("/mnt/{queue}"),
        };
        let expected = "tap beegfs --name=meta --sticky --queue=/mnt/q --queue=/x/q2 \
                        --socket=/run/s --batch=100 --skip-secondary --filter=beegfs.* \
                        --filter=x.y --route=a.*=/mnt/r --socket-mode=0660";
        assert_eq!(taps[0].arguments(place).join(" "), expected);
        assert_eq!((taps[0].user, taps[0].group), (Some(1000), Some(50)));
        assert_eq!((taps[0].line_of("batch"), taps[0].line_of("none")), (7, 1));
        assert_eq!(
            taps[1].arguments(place).join(" "),
            "tap gluster --name=gluster --sticky --queue=/mnt/g"
        );
    }

    #[test]
    fn taps_that_cannot_be() {
        check_bad("[tap.x]\nbatch = 1", 1, "'tap.x' needs a 'queue'");
        check_bad(
            "[tap.'a b']\nqueue='q'",
            1,
            "tap name 'a b': letters, digits, '-' and '_' are needed",
        );
        check_bad("[tap.x]\nqueue='q'\nuser='nobody?'", 3, "unknown user 'nobody?'");
        check_bad(
            "[tap.x]\nqueue='q'\nsticky=false",
            3,
            "the queues of the daemon's taps are sticky",
        );
        check_bad("[tap.x]\nqueue='q'\nname='y'", 3, "the table's name is the tap's name");
        check_bad("[tap.x]\nqueue='q'\nfilter={a=1}", 3, "'filter' cannot be of type table");
        check_bad("tap = 1", 1, "'tap' must be a table, not an integer");
    }

    #[test]
    fn mount_keeps_the_order_of_the_file() {
        let expected = [("size", "10%"), ("ro", ""), ("nr_events", "1000"), ("grace", "0.5")];
        check_mount("size='10%'\nro=true\nnr_events = 1_000\ngrace=0.5\n", &expected);
        check_mount("rw=true\nro=true", &[("rw", ""), ("ro", "")]);
        check_mount(
            "x-a='b,c'\nuser='ann'\nx-z=true",
            &[("x-a", "b,c"), ("user", "ann"), ("x-z", "")],
        );
        check_mount("", &[]);
    }

    #[test]
    fn false_is_the_opposite_word_or_nothing() {
        check_mount("exec = false\nro = false", &[("noexec", ""), ("rw", "")]);
        check_mount("allow_other = false\ndev = false", &[]);
    }

    #[test]
    fn modes_are_octal_however_written() {
        for mode in ["'0750'", "750", "0o750", "0x1e8"] {
            let lines = format!("root_mode = {mode}");
            let text = format!("[mount]\n{lines}");
            let words = read(&text, Path::new("f"), &mut Limits::new(&Fixed)).unwrap().mount;
            let mut options = MountOptions::default();
            options.set(&words[0].0, Some(&words[0].1)).unwrap();
            assert_eq!(options.root_mode, 0o750, "{mode}");
        }
        check_mount("uid = 0x10", &[("uid", "16")]);
    }

    #[test]
    fn refuses_bad_mount_words() {
        check_bad("[mount]\nro=true\nfoo = 1", 3, "unknown mount option 'foo'");
        check_bad("[mount]\nfoo = true", 2, "unknown mount option 'foo'");
        check_bad("[mount]\nfoo = false", 2, "unknown mount option 'foo'");
        check_bad("mount.\"size=1k\" = true", 1, "unknown mount option 'size=1k'");
        check_bad("[mount]\nsize = true", 2, "option 'size' needs a value");
        check_bad("[mount]\nsize = ''", 2, "option 'size' needs a value");
        check_bad("[mount]\nro = 1", 2, "option 'ro' must be true or false, not an integer");
        check_bad("[mount]\nro = ''", 2, "option 'ro' must be true or false, not a string");
        check_bad("[mount]\n\nsize = [1]", 3, "option 'size' cannot be an array");
        check_bad("[mount.size]\n", 1, "option 'size' cannot be a table");
        let size = "bad value '0' for option 'size': 0 would leave room for nothing";
        check_bad("[mount]\nsize = 0", 2, size);
        let count = "bad value '-1' for option 'nr_events': not a whole number from 0 up";
        check_bad("[mount]\nnr_events = -1", 2, count);
        let count = "bad value '1.5' for option 'nr_events': not a whole number from 0 up";
        check_bad("[mount]\nnr_events = 1.5", 2, count);
        let count = "bad value '18446744073709551616' for option 'nr_events': too large";
        check_bad("[mount]\nnr_events = 18446744073709551616", 2, count);
    }

    #[test]
    fn reads_limits() {
        let quotas = quotas_of(
            "[limits.user.ann]\nmax_dirs = 5\n[limits.user.77]\nmax_bytes = '10m'\n\
             [limits]\nmax_files = 1_000\nmax_bytes = 18446744073709551615\n\
             [limits.group.staff]\nmax_files_per_dir = 0\n",
        );
        let default =
            Quota { max_files: Some(1000), max_bytes: Some(u64::MAX), ..Quota::default() };
        assert_eq!(quotas.default, default);
        assert_eq!(quotas.users.len(), 2);
        assert_eq!(quotas.users[&1000], Quota { max_dirs: Some(5), ..default });
        assert_eq!(quotas.users[&77], Quota { max_bytes: Some(10 << 20), ..default });
        assert_eq!(quotas.groups[&50], Quota { max_files_per_dir: Some(0), ..default });
        assert_eq!(quotas.groups.len(), 1);
    }

    #[test]
    fn limits_may_be_written_in_every_form_of_a_table() {
        for text in
            ["limits = { user = { ann = { max_dirs = 1 } } }", "limits.user.ann.max_dirs = 1"]
        {
            assert_eq!(quotas_of(text).users[&1000].max_dirs, Some(1), "{text}");
        }
        assert_eq!(quotas_of(""), Quotas::default());
        assert_eq!(quotas_of("[limits]\n[limits.user]\n[mount]\n"), Quotas::default());
        assert_eq!(quotas_of("[limits.user.ann]\n").users[&1000], Quota::default());
    }

    #[test]
    fn refuses_unknown_tables_and_keys() {
        check_bad("[mount]\n\n[tip.one]\nsource='beegfs'\n", 3, "unknown section 'tip'");
        check_bad("\n[[x]]\n", 2, "unknown section 'x'");
        check_bad("size = 5\n[mount]\n", 1, "unknown key 'size'");
        check_bad("[limits]\nmax = 5\n", 2, "unknown key 'limits.max'");
        check_bad("[limits.users.ann]\n", 1, "unknown section 'limits.users'");
        let key = "unknown key 'limits.user.ann.max_dir'";
        check_bad("[limits.user.ann]\nmax_dirs=1\nmax_dir=1\n", 3, key);
        check_bad("limits = 5", 1, "'limits' must be a table, not an integer");
        check_bad("[[mount]]\nro=true", 1, "'mount' must be a table, not an array");
        check_bad("[limits]\nuser = 'ann'", 2, "'limits.user' must be a table, not a string");
        check_bad("[limits.user]\nann = 5", 2, "'limits.user.ann' must be a table, not an integer");
    }

    #[test]
    fn refuses_bad_limits() {
        let need = "a number is needed, not";
        for (value, shown, why) in [
            ("-1", "-1", "negative".to_owned()),
            ("18446744073709551616", "18446744073709551616", "too large".to_owned()),
            ("1.0", "1.0", format!("{need} a float")),
            ("'1'", "1", format!("{need} a string")),
            ("true", "true", format!("{need} a boolean")),
            ("[\n1]", "[\n1]", format!("{need} an array")),
        ] {
            let reason = format!("bad number '{shown}' for 'max_dirs': {why}");
            check_bad(&format!("[limits]\n# two\nmax_dirs = {value}\n"), 3, &reason);
        }
        let size = "not a number of bytes with an optional k, m, g or t";
        let reason = format!("bad number '10 m' for 'max_bytes': {size}");
        check_bad("[limits.user.5]\nmax_bytes='10 m'", 2, &reason);
        let long = "9".repeat(50);
        let reason = format!("bad number '{}...' for 'max_files': too large", &long[..40]);
        check_bad(&format!("[limits]\nmax_files={long}"), 2, &reason);
    }

    #[test]
    fn refuses_unknown_and_repeated_names() {
        check_bad("\n[limits.user.eve]\n", 2, "unknown user 'eve'");
        check_bad("[limits.user.ann]\n[limits.group.ann]\n", 2, "unknown group 'ann'");
        let twice = "user '1000' (1000) has limits already, at f:1";
        check_bad("[limits.user.ann]\n[limits.user.1000]\n", 2, twice);
    }

    #[test]
    fn refuses_bad_syntax_on_one_line() {
        check_bad("[limits]\nmax_dirs=1\nmax_dirs=2\n", 3, "not TOML: duplicate key");
        check_bad("[limits]\n\n[limits]\n", 3, "not TOML: duplicate key");
        for (text, line) in [("[mount\n", 1), ("\nro\n", 2), ("\n\na = 01\n", 3), ("a = 'x", 1)] {
            let fault = read(text, Path::new("f"), &mut Limits::new(&Fixed)).unwrap_err();
            assert_eq!(fault.line, line, "{text}: {}", fault.reason);
            assert!(fault.reason.starts_with("not TOML: "), "{}", fault.reason);
            assert!(!fault.reason.contains('\n'), "{}", fault.reason);
        }
    }
}
