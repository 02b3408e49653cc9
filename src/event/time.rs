//! Time in events: nanoseconds since the epoch, written as RFC 3339 with nine digits and `Z`.

use super::Digits;

/// Nanoseconds since 1970-01-01T00:00:00Z; reaches from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// From whole seconds; what cannot be counted becomes the nearest that can.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }
}

/// Writes times; remembers the second it wrote last, since neighbours share it.
#[derive(Clone, Debug)]
pub struct TimeText {
    second: Option<i64>,
    text: String,
}

/// Digits up to the second: `2025-11-01T12:00:00`.
const SECOND_DIGITS: usize = 19;

impl Default for TimeText {
    fn default() -> Self {
        Self { second: None, text: String::with_capacity(32) }
    }
}

impl TimeText {
    /// `2025-11-01T12:00:00.123456789Z`.
    pub fn text(&mut self, time: UnixNanos) -> &str {
        let second = time.0.div_euclid(1_000_000_000);
        if self.second != Some(second) {
            self.begin(second);
        }
        self.text.truncate(SECOND_DIGITS + 1);
        let nanos = time.0.rem_euclid(1_000_000_000).unsigned_abs();
        self.text.push_str(Digits::of(nanos).padded(9));
        self.text.push('Z');
        &self.text
    }

    fn begin(&mut self, second: i64) {
        // An i64 of nanoseconds is far inside of what jiff can say.
        let time = jiff::Timestamp::from_second(second).unwrap_or_default();
        self.text.clear();
        self.text.push_str(&time.strftime("%Y-%m-%dT%H:%M:%S").to_string());
        self.text.push('.');
        self.second = Some(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_digits_and_z_for_every_time() {
        let mut times = TimeText::default();
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_761_998_400_000_000_007, "2025-11-01T12:00:00.000000007Z"),
            (1_761_998_400_999_999_999, "2025-11-01T12:00:00.999999999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ];
        for (nanos, text) in cases {
            assert_eq!(times.text(UnixNanos(nanos)), text);
            assert_eq!(text.len(), SECOND_DIGITS + 11);
        }
    }

    #[test]
    fn seconds_saturate() {
        assert_eq!(UnixNanos::from_seconds(i64::MAX).0, i64::MAX);
        assert_eq!(UnixNanos::from_seconds(2).0, 2_000_000_000);
    }
}
