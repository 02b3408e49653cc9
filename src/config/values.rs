//! The values of options: numbers, sizes, modes and durations from text, or why they are none.

use std::time::Duration;

use super::options::Size;

/// Seconds of the longest `grace`; beyond, a deadline could not be computed on every clock.
const MAX_SECONDS: u64 = u32::MAX as u64;

/// Bytes from a decimal number with an optional suffix k, m, g or t of either case (powers of
/// 1024); 0 is a size.
///
/// # Errors
///
/// The reason: no such number, or more than 2⁶⁴-1 bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        Some((at, 't' | 'T')) => (&text[..at], 40),
        _ => (text, 0),
    };
    if !is_decimal(digits) {
        return Err("not a number of bytes with an optional k, m, g or t".to_owned());
    }
    let number = parse_decimal(digits)?;
    number.checked_mul(1 << shift).ok_or_else(too_large)
}

/// What `size=` takes: bytes or percent, not 0.
pub(super) fn parse_limit(text: &str) -> Result<Size, String> {
    match text.strip_suffix('%') {
        None => parse_size(text).and_then(at_least_one).map(Size::Bytes),
        Some(digits) => match parse_decimal(digits)? {
            percent @ 1..=100 => Ok(Size::Percent(percent as u32)),
            _ => Err("must be from 1% to 100%".to_owned()),
        },
    }
}

pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    match parse_decimal(text)? {
        0 => Err("0 would allow none; leave the option out for no limit".to_owned()),
        count => Ok(count),
    }
}

pub(super) fn at_least_one(bytes: u64) -> Result<u64, String> {
    if bytes == 0 { Err("0 would leave room for nothing".to_owned()) } else { Ok(bytes) }
}

pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    let octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = if octal { u32::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| "must be octal, 0 to 07777".to_owned())
}

pub(super) fn parse_id(text: &str) -> Result<u32, String> {
    // The highest number is what chown(2) takes for "leave it", so it is nobody's.
    let id = u32::try_from(parse_decimal(text)?).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(too_large)
}

/// Seconds with up to nine decimals, exactly (a float would round).
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_decimal(whole) || !is_decimal(fraction) {
        return Err("not a number of seconds such as 2 or 0.5".to_owned());
    }
    if fraction.len() > 9 {
        return Err("more than nine decimals".to_owned());
    }
    let nanos = format!("{fraction:0<9}").parse().map_err(|_| too_large())?;
    let seconds = parse_decimal(whole)?;
    if seconds > MAX_SECONDS {
        return Err(too_large());
    }
    Ok(Duration::new(seconds, nanos))
}

fn parse_decimal(text: &str) -> Result<u64, String> {
    if !is_decimal(text) {
        return Err("not a whole number from 0 up".to_owned());
    }
    text.parse().map_err(|_| too_large())
}

/// Digits only: `parse` would also take a leading `+`.
fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn too_large() -> String {
    "too large".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `parse` must refuse each of `texts` for the reason `why`.
    fn check_bad<T: std::fmt::Debug>(
        parse: impl Fn(&str) -> Result<T, String>,
        texts: &[&str],
        why: &str,
    ) {
        for text in texts {
            assert_eq!(parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("0t"), Ok(0));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!((parse_size("1k"), parse_size("1K")), (Ok(1 << 10), Ok(1 << 10)));
        assert_eq!((parse_size("2m"), parse_size("2M")), (Ok(2 << 20), Ok(2 << 20)));
        assert_eq!((parse_size("3g"), parse_size("3G")), (Ok(3 << 30), Ok(3 << 30)));
        assert_eq!((parse_size("4t"), parse_size("4T")), (Ok(4 << 40), Ok(4 << 40)));
        assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_size("16777215t"), Ok(((1 << 24) - 1) << 40));
    }

    #[test]
    fn bad_sizes() {
        let texts = ["", "k", "-1", "+1", "1.5g", "1kk", "0x10", "1 k", " 1", "x", "1é", "5%"];
        check_bad(parse_size, &texts, "not a number of bytes with an optional k, m, g or t");
        let texts =
            ["18446744073709551616", "16777216t", "18014398509481984K", "99999999999999999999t"];
        check_bad(parse_size, &texts, "too large");
    }

    #[test]
    fn limits() {
        assert_eq!(parse_limit("1k"), Ok(Size::Bytes(1024)));
        assert_eq!(parse_limit("1%"), Ok(Size::Percent(1)));
        assert_eq!(parse_limit("100%"), Ok(Size::Percent(100)));
        check_bad(parse_limit, &["0", "0k", "00"], "0 would leave room for nothing");
        check_bad(parse_limit, &["0%", "101%", "4294967297%"], "must be from 1% to 100%");
        check_bad(parse_limit, &["%", "-1%", "1.5%", "1k%"], "not a whole number from 0 up");
        check_bad(parse_limit, &["18446744073709551616%"], "too large");
    }

    #[test]
    fn counts_modes_and_ids() {
        assert_eq!(parse_count("18446744073709551615"), Ok(u64::MAX));
        check_bad(parse_count, &["", "1k", "-1", "+1", "1.0"], "not a whole number from 0 up");
        check_bad(parse_count, &["18446744073709551616"], "too large");

        assert_eq!((parse_mode("0"), parse_mode("007777")), (Ok(0), Ok(0o7777)));
        let texts = ["", "0o755", "+755", "888", "10000", "7777777777777"];
        check_bad(parse_mode, &texts, "must be octal, 0 to 07777");

        assert_eq!((parse_id("0"), parse_id("4294967294")), (Ok(0), Ok(u32::MAX - 1)));
        check_bad(parse_id, &["4294967295", "4294967296"], "too large");
        check_bad(parse_id, &["", "-1", "staff"], "not a whole number from 0 up");
    }

    #[test]
    fn seconds() {
        assert_eq!(parse_seconds("0"), Ok(Duration::ZERO));
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_seconds("1.050"), Ok(Duration::from_millis(1050)));
        assert_eq!(parse_seconds("10.000000001"), Ok(Duration::new(10, 1)));
        assert_eq!(parse_seconds("4294967295"), Ok(Duration::from_secs(MAX_SECONDS)));
        let texts = ["", ".", "1.", ".5", "-1", "1e3", "inf", "NaN", "1.5.0", "1s", "1.-5"];
        check_bad(parse_seconds, &texts, "not a number of seconds such as 2 or 0.5");
        check_bad(parse_seconds, &["4294967296", "99999999999999999999"], "too large");
        check_bad(parse_seconds, &["0.1234567890"], "more than nine decimals");
    }
}
