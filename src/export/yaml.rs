//! Records as YAML in the one form that the real reader takes whatever they hold.
//!
//! One mistake ends that reader, so nothing here is a matter of taste: every text is quoted on one line,
//! with escapes for all that libyaml would refuse or change; every value has its tag; numbers of `statx`
//! have none; flags are `y` and `n`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::decode::hestia::{Device, FLAGS, Flags, Pairs, Record, Statx, Time, Value};

/// Bytes of an escaped key from which on it needs the explicit form: libyaml stops at 1 022 characters,
/// its ports count bytes.
const PLAIN_KEY_BYTES_MAX: usize = 1_000;

/// Appends one document.
pub fn write(record: &Record, out: &mut String) {
    out.push_str("--- !");
    out.push_str(record.kind.name());
    out.push_str("\nid: ");
    write_binary(&record.id, out);
    if record.kind.has_xattrs() {
        out.push_str("\nxattrs:");
        write_pairs(&record.xattrs, 2, out);
    }
    // A key with nothing behind it would be a null, which is refused.
    if let Some(statx) = record.statx.as_ref().filter(|statx| **statx != Statx::default()) {
        out.push_str("\nstatx:");
        write_statx(statx, out);
    }
    if let Some(symlink) = &record.symlink {
        out.push_str("\nsymlink: ");
        write_text(symlink, out);
    }
    if let Some(parent) = &record.parent {
        out.push_str("\nparent: ");
        write_binary(parent, out);
    }
    if let Some(name) = &record.name {
        out.push_str("\nname: ");
        write_text(name, out);
    }
    out.push_str("\n...\n");
}

/// Quoted even where it is empty: without quotes that would be a null.
fn write_binary(bytes: &[u8], out: &mut String) {
    out.push_str("!!binary \"");
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// A text in double quotes on one line.
pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            // What libyaml takes raw and gives back unchanged.
            ' '..='~'
            | '\u{a0}'..='\u{2027}'
            | '\u{202a}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}'
            | '\u{10000}'.. => out.push(c),
            _ => write_escape(u32::from(c), out),
        }
    }
    out.push('"');
}

fn write_escape(code: u32, out: &mut String) {
    let escape = match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    out.push_str(&escape);
}

fn write_indent(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// The entries of a mapping behind its key, each on a line of its own.
fn write_pairs(pairs: &Pairs, indent: usize, out: &mut String) {
    if pairs.is_empty() {
        out.push_str(" {}");
    }
    for (key, value) in pairs {
        write_indent(indent, out);
        let mut quoted = String::new();
        write_text(key, &mut quoted);
        if quoted.len() > PLAIN_KEY_BYTES_MAX {
            out.push_str("? ");
            out.push_str(&quoted);
            write_indent(indent, out);
        } else {
            out.push_str(&quoted);
        }
        out.push(':');
        write_value(value, indent, out);
    }
}

/// A value behind a `:` or a `-`.
fn write_value(value: &Value, indent: usize, out: &mut String) {
    let mut tagged = |tag: &str, text: String| {
        out.push_str(tag);
        out.push_str(&text);
    };
    match value {
        Value::Null => out.push_str(" ~"),
        Value::Bool(value) => out.push_str(if *value { " !!bool y" } else { " !!bool n" }),
        Value::Uint32(number) => tagged(" !uint32 ", number.to_string()),
        Value::Uint64(number) => tagged(" !uint64 ", number.to_string()),
        Value::Int32(number) => tagged(" !int32 ", number.to_string()),
        Value::Int64(number) => tagged(" !int64 ", number.to_string()),
        // Nobody reads it; it is taken out before (see `limits`).
        Value::Double(number) => tagged(" !double ", number.to_string()),
        Value::Binary(bytes) => {
            out.push(' ');
            write_binary(bytes, out);
        }
        Value::Text(text) => {
            out.push(' ');
            write_text(text, out);
        }
        Value::Regex(pattern, options) => {
            out.push_str(" !regex");
            write_indent(indent + 2, out);
            out.push_str("regex: ");
            write_text(pattern, out);
            write_indent(indent + 2, out);
            out.push_str("options: ");
            out.push_str(&options.to_string());
        }
        Value::Seq(items) => {
            if items.is_empty() {
                out.push_str(" []");
            }
            for item in items {
                write_indent(indent + 2, out);
                out.push('-');
                write_value(item, indent + 2, out);
            }
        }
        Value::Map(pairs) => write_pairs(pairs, indent + 2, out),
    }
}

fn write_statx(statx: &Statx, out: &mut String) {
    write_field("type", statx.file_type, out);
    write_field("mode", statx.mode.map(|mode| format!("0{mode:o}")), out);
    write_field("nlink", statx.nlink, out);
    write_field("uid", statx.uid, out);
    write_field("gid", statx.gid, out);
    write_time("atime", statx.atime, out);
    write_time("mtime", statx.mtime, out);
    write_time("ctime", statx.ctime, out);
    write_field("ino", statx.ino, out);
    write_field("size", statx.size, out);
    write_field("blocks", statx.blocks, out);
    write_time("btime", statx.btime, out);
    write_field("blksize", statx.blksize, out);
    if let Some(flags) = statx.attributes.filter(|flags| flags.known != 0) {
        write_flags(flags, out);
    }
    write_device("rdev", statx.rdev, out);
    write_device("dev", statx.dev, out);
}

fn write_field(name: &str, value: Option<impl std::fmt::Display>, out: &mut String) {
    if let Some(value) = value {
        out.push_str(&format!("\n  {name}: {value}"));
    }
}

fn write_inner(name: &str, fields: [(&str, Option<String>); 2], out: &mut String) {
    if fields.iter().all(|(_, value)| value.is_none()) {
        return;
    }
    out.push_str(&format!("\n  {name}:"));
    for (field, value) in fields {
        if let Some(value) = value {
            out.push_str(&format!("\n    {field}: {value}"));
        }
    }
}

fn write_time(name: &str, time: Option<Time>, out: &mut String) {
    if let Some(Time { sec, nsec }) = time {
        let text = [
            ("sec", sec.map(|number| number.to_string())),
            ("nsec", nsec.map(|number| number.to_string())),
        ];
        write_inner(name, text, out);
    }
}

fn write_device(name: &str, device: Option<Device>, out: &mut String) {
    if let Some(Device { major, minor }) = device {
        let text = [
            ("major", major.map(|number| number.to_string())),
            ("minor", minor.map(|number| number.to_string())),
        ];
        write_inner(name, text, out);
    }
}

fn write_flags(flags: Flags, out: &mut String) {
    out.push_str("\n  attributes:");
    for (name, bit) in FLAGS {
        if flags.known & bit != 0 {
            let value = if flags.set & bit != 0 { 'y' } else { 'n' };
            out.push_str(&format!("\n    {name}: {value}"));
        }
    }
}
