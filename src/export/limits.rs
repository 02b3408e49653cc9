//! What the real reader would die of is taken out, and counted.

use crate::decode::hestia::{Kind, Pairs, Record, Value};

/// Bytes of a text: value, key, name, symbolic link, regular expression.
pub(super) const TEXT_BYTES_MAX: usize = 1_023;
/// Bytes of a binary value or an id.
const BINARY_BYTES_MAX: usize = 1_024;
/// Attributes of a document, and entries of a mapping.
const ENTRIES_MAX: usize = 64;
/// Items of a sequence.
const ITEMS_MAX: usize = 42;

/// Makes a record fit for the real reader; false if nothing is left to be said. `left_out` counts values.
pub(super) fn fit(record: &mut Record, left_out: &mut u64) -> bool {
    let id_fits = |id: &[u8]| id.len() <= BINARY_BYTES_MAX;
    let fits = id_fits(&record.id)
        && record.parent.as_deref().is_none_or(id_fits)
        && record.name.as_deref().is_none_or(text_fits);
    if !fits {
        *left_out += 1;
        return false;
    }
    if record.symlink.as_deref().is_some_and(|text| !text_fits(text)) {
        record.symlink = None;
        *left_out += 1;
    }
    if let Some(statx) = &mut record.statx {
        // Bits of the type would be put together with `type`.
        statx.mode = statx.mode.map(|mode| mode & 0o7777);
    }
    let before = record.xattrs.len();
    record.xattrs.retain(|(key, value)| text_fits(key) && value_fits(value, Within::Map));
    record.xattrs.truncate(ENTRIES_MAX);
    let gone = before - record.xattrs.len();
    *left_out += gone as u64;
    // Of a document that is about attributes alone nothing is left.
    let only_xattrs = matches!(record.kind, Kind::InodeXattr | Kind::NsXattr);
    !(only_xattrs && gone > 0 && record.xattrs.is_empty())
}

/// A zero byte would end it.
pub(super) fn text_fits(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.contains('\0')
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Within {
    Map,
    Seq,
}

fn value_fits(value: &Value, within: Within) -> bool {
    match value {
        // In a sequence it would come back as a text.
        Value::Null => within == Within::Map,
        Value::Bool(_)
        | Value::Uint32(_)
        | Value::Uint64(_)
        | Value::Int32(_)
        | Value::Int64(_) => true,
        Value::Double(_) => false,
        Value::Binary(bytes) => bytes.len() <= BINARY_BYTES_MAX,
        Value::Text(text) | Value::Regex(text, _) => text_fits(text),
        Value::Seq(items) => {
            items.len() <= ITEMS_MAX && items.iter().all(|item| value_fits(item, Within::Seq))
        }
        Value::Map(pairs) => pairs_fit(pairs),
    }
}

fn pairs_fit(pairs: &Pairs) -> bool {
    pairs.len() <= ENTRIES_MAX
        && pairs.iter().all(|(key, value)| text_fits(key) && value_fits(value, Within::Map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_to_the_byte() {
        let fits = |value: Value| value_fits(&value, Within::Map);
        assert!(fits(Value::Text("x".repeat(1_023))) && !fits(Value::Text("x".repeat(1_024))));
        assert!(fits(Value::Binary(vec![0; 1_024])) && !fits(Value::Binary(vec![0; 1_025])));
        let items = |count| Value::Seq(vec![Value::Bool(true); count]);
        assert!(fits(items(42)) && !fits(items(43)));
        let entries = |count| Value::Map(vec![(String::new(), Value::Null); count]);
        assert!(fits(entries(64)) && !fits(entries(65)));
        assert!(!fits(Value::Seq(vec![Value::Null])) && !fits(Value::Double(1.0)));
        assert!(!fits(Value::Text("a\0".to_owned())));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_rest_is_said() {
        let mut left_out = 0;
        let mut record = Record::new(Kind::InodeXattr, "x");
        record.xattrs = vec![("a".to_owned(), Value::Double(1.0)), ("b".to_owned(), Value::Null)];
        assert!(fit(&mut record, &mut left_out));
        assert_eq!((record.xattrs.len(), left_out), (1, 1));
        record.xattrs = vec![("a".to_owned(), Value::Double(1.0))];
        assert!(!fit(&mut record, &mut left_out));
        let mut record = Record::new(Kind::Delete, vec![0; 1_025]);
        assert!(!fit(&mut record, &mut left_out));
        let mut record = Record::new(Kind::Upsert, "x");
        record.symlink = Some("x".repeat(4_095));
        assert!(fit(&mut record, &mut left_out) && record.symlink.is_none());
        assert_eq!(left_out, 4);
    }
}
