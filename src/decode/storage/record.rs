//! One record of the kernel log: as `/dev/kmsg` gives it, or as `dmesg` prints it.

/// Bytes of a text that are looked at; the kernel's own limit is 1024, or 2048 with a caller's help.
const TEXT_MAX: usize = 8192;

/// How a record is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `6,420,17727751,-;text`, then lines ` KEY=value`.
    Kmsg,
    /// `[ 12.345678] text`, perhaps with `<6>` before and the caller behind the time.
    Dmesg,
}

/// A record of the kernel log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    /// How it was written.
    pub form: Form,
    /// Facility times 8 plus level; `dmesg` does not always say.
    pub priority: Option<u32>,
    /// Its number; 0 in dmesg's form.
    pub sequence: u64,
    /// Microseconds since boot, without time spent suspended.
    pub micros: Option<u64>,
    /// The message without escapes; lines inside are parted by line breaks.
    pub text: &'a [u8],
    /// Of the line ` SUBSYSTEM=`.
    pub subsystem: &'a [u8],
    /// Of the line ` DEVICE=`, such as `+scsi:0:0:0:0` or `b8:16`.
    pub device: &'a [u8],
}

impl Record<'_> {
    /// Who wrote it: 0 is the kernel.
    pub fn facility(&self) -> u32 {
        self.priority.unwrap_or(0) >> 3
    }

    /// The kernel's own urgency, 0 to 7.
    pub fn level(&self) -> Option<u8> {
        self.priority.map(|priority| (priority & 7) as u8)
    }
}

/// Why a record could not be read.
pub type Reason = &'static str;

/// Reads a record; `scratch` gets the text where that has escapes.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_record<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Record<'a>, Reason> {
    match raw.first() {
        Some(b'0'..=b'9') => read_kmsg(raw, scratch),
        Some(b'[' | b'<') => read_dmesg(raw, scratch),
        _ => Err("neither a kmsg record nor a line of dmesg"),
    }
}

fn read_kmsg<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Record<'a>, Reason> {
    let (priority, rest) = number(raw, b",").ok_or("no priority")?;
    let (sequence, rest) = number(rest, b",").ok_or("no sequence number")?;
    let (micros, rest) = number(rest, b",;").ok_or("no time")?;
    // Behind the time stand flags and whatever else may come; a record without them is as good.
    let body = match raw.len().checked_sub(rest.len() + 1).and_then(|at| raw.get(at)) {
        Some(b';') => rest,
        _ => split(rest, b';').ok_or("no message")?.1,
    };
    let (message, keys) = split(body, b'\n').unwrap_or((body, &[]));
    let mut record = Record {
        form: Form::Kmsg,
        priority: Some(u32::try_from(priority).map_err(|_| "no priority")?),
        sequence,
        micros: Some(micros),
        text: unescaped(clip(message), scratch),
        subsystem: &[],
        device: &[],
    };
    for line in keys.split(|&byte| byte == b'\n') {
        if let Some(value) = line.strip_prefix(b" SUBSYSTEM=") {
            record.subsystem = value;
        } else if let Some(value) = line.strip_prefix(b" DEVICE=") {
            record.device = value;
        }
    }
    Ok(record)
}

fn read_dmesg<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Record<'a>, Reason> {
    let (priority, rest) = match raw.strip_prefix(b"<") {
        Some(rest) => number(rest, b">").map(|(n, rest)| (Some(n), rest)).ok_or("no priority")?,
        None => (None, raw),
    };
    let inside = rest.strip_prefix(b"[").ok_or("no time")?;
    let (time, rest) = split(inside, b']').ok_or("no time")?;
    let micros = seconds(time.trim_ascii());
    if micros.is_none() && !is_date(time) {
        return Err("no time");
    }
    Ok(Record {
        form: Form::Dmesg,
        priority: priority.and_then(|priority| u32::try_from(priority).ok()),
        sequence: 0,
        micros,
        text: joined(clip(without_caller(rest)), scratch),
        subsystem: &[],
        device: &[],
    })
}

fn clip(text: &[u8]) -> &[u8] {
    text.get(..TEXT_MAX).unwrap_or(text)
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, bytes)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

/// A decimal number that ends with one of `ends`, and what follows.
fn number<'a>(bytes: &'a [u8], ends: &[u8]) -> Option<(u64, &'a [u8])> {
    let mut value = 0u64;
    for (place, &byte) in bytes.iter().enumerate() {
        if byte.is_ascii_digit() {
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        } else {
            return (place > 0 && ends.contains(&byte)).then_some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

/// `12.345678` as microseconds.
fn seconds(time: &[u8]) -> Option<u64> {
    let (whole, fraction) = split(time, b'.')?;
    if fraction.len() != 6 {
        return None;
    }
    let digits = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
    digits(whole)?.checked_mul(1_000_000)?.checked_add(digits(fraction)?)
}

/// `Fri Nov 21 03:14:00 2025`, as `dmesg -T` says it.
fn is_date(time: &[u8]) -> bool {
    let days: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
    days.iter().any(|day| time.starts_with(day))
}

/// Without the `[  T123]` of CONFIG_PRINTK_CALLER and the blank behind the brackets.
fn without_caller(rest: &[u8]) -> &[u8] {
    let text = match rest.strip_prefix(b"[").and_then(|inside| split(inside, b']')) {
        Some((caller, text)) if matches!(caller.trim_ascii(), [b'T' | b'C', b'0'..=b'9', ..]) => {
            text
        }
        _ => rest,
    };
    text.strip_prefix(b" ").unwrap_or(text)
}

/// `\x0a` and its like as the bytes that they stand for.
fn unescaped<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr(b'\\', text).is_none() {
        return text;
    }
    scratch.clear();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escape = match after {
            [b'x', high, low, behind @ ..] if byte == b'\\' => {
                nibble(*high).zip(nibble(*low)).map(|(high, low)| (high << 4 | low, behind))
            }
            _ => None,
        };
        let (byte, behind) = escape.unwrap_or((byte, after));
        scratch.push(byte);
        rest = behind;
    }
    scratch
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The lines of a message that `dmesg` indented, without the indentation.
fn joined<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let text = text.trim_ascii_end();
    if !text.contains(&b'\n') {
        return text;
    }
    scratch.clear();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if number > 0 {
            scratch.push(b'\n');
        }
        scratch.extend_from_slice(if number > 0 { line.trim_ascii_start() } else { line });
    }
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &[u8]) -> Result<Vec<u8>, Reason> {
        read_record(raw, &mut Vec::new()).map(|record| record.text.to_vec())
    }

    #[test]
    fn a_kmsg_record_has_numbers_text_and_keys() {
        let raw = b"6,420,17727751,-,caller=T123;sd 0:0:0:0: a;b\n SUBSYSTEM=scsi\n DEVICE=+scsi:0:0:0:0\n";
        let mut scratch = Vec::new();
        let record = read_record(raw, &mut scratch).unwrap();
        assert_eq!(record.form, Form::Kmsg);
        assert_eq!((record.facility(), record.level()), (0, Some(6)));
        assert_eq!((record.sequence, record.micros), (420, Some(17_727_751)));
        assert_eq!(record.text, b"sd 0:0:0:0: a;b");
        assert_eq!((record.subsystem, record.device), (&b"scsi"[..], &b"+scsi:0:0:0:0"[..]));
        let user = read_record(b"11,1,2,-;x", &mut scratch).unwrap();
        assert_eq!((user.facility(), user.level()), (1, Some(3)));
    }

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        assert_eq!(text(br"4,1,2,-;a\x0ab\x5c\xc3\xa9").unwrap(), b"a\nb\\\xc3\xa9");
        assert_eq!(text(br"4,1,2,-;\x0 \xg0 \ \q \x").unwrap(), br"\x0 \xg0 \ \q \x");
        assert_eq!(text(b"4,1,2;no flags").unwrap(), b"no flags");
    }

    #[test]
    fn lines_of_dmesg() {
        let mut scratch = Vec::new();
        let record = read_record(b"[   12.345678] text here\n", &mut scratch).unwrap();
        assert_eq!((record.form, record.micros), (Form::Dmesg, Some(12_345_678)));
        assert_eq!((record.text, record.priority), (&b"text here"[..], None));
        let record = read_record(b"<30>[    1.000002][  T77] text", &mut scratch).unwrap();
        assert_eq!((record.facility(), record.level(), record.text), (3, Some(6), &b"text"[..]));
        assert_eq!(text(b"[Fri Nov 21 03:14:00 2025] text").unwrap(), b"text");
        assert_eq!(text(b"[    1.000000] [sda] x").unwrap(), b"[sda] x");
        assert_eq!(text(b"[    1.000000] a\n               b\n").unwrap(), b"a\nb");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let cases: [(&[u8], Reason); 9] = [
            (b"", "neither a kmsg record nor a line of dmesg"),
            (b"hello", "neither a kmsg record nor a line of dmesg"),
            (b"6", "no priority"),
            (b"6,x", "no sequence number"),
            (b"6,7,8", "no time"),
            (b"6,7,8,-", "no message"),
            (b"99999999999,7,8,-;x", "no priority"),
            (b"<6x", "no priority"),
            (b"[12.3] x", "no time"),
        ];
        for (raw, reason) in cases {
            assert_eq!(text(raw), Err(reason), "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let raw = [b"6,1,2,-;".to_vec(), vec![b'x'; 2 * TEXT_MAX]].concat();
        assert_eq!(text(&raw).unwrap().len(), TEXT_MAX);
    }
}
