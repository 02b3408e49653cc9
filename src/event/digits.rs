//! Numbers in decimal digits, on the stack.

/// Two digits for each number below 100.
const PAIRS: [[u8; 2]; 100] = pairs();

/// Most digits that a `u64` has.
const DIGITS_MAX: usize = 20;

const fn pairs() -> [[u8; 2]; 100] {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    table
}

/// The digits of one number.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    /// Zeros in front.
    text: [u8; DIGITS_MAX],
    begin: usize,
}

impl Digits {
    /// Of this number.
    #[inline]
    pub fn of(mut value: u64) -> Self {
        let mut text = [b'0'; DIGITS_MAX];
        let mut begin = DIGITS_MAX;
        while value >= 10 {
            begin -= 2;
            let pair = PAIRS[(value % 100) as usize];
            text[begin] = pair[0];
            text[begin + 1] = pair[1];
            value /= 100;
        }
        if value > 0 || begin == DIGITS_MAX {
            begin -= 1;
            text[begin] = b'0' + value as u8;
        }
        Self { text, begin }
    }

    /// As bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.text[self.begin..]
    }

    /// As text.
    #[inline]
    pub fn text(&self) -> &str {
        self.padded(1)
    }

    /// At least so many (at most 20), with zeros in front.
    #[inline]
    pub fn padded(&self, digits: usize) -> &str {
        let begin = self.begin.min(DIGITS_MAX - digits.min(DIGITS_MAX));
        // Digits are ASCII.
        std::str::from_utf8(&self.text[begin..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standard_library_writes_them() {
        let mut value = 1_u64;
        for _ in 0..64 {
            for near in [value - 1, value, value + 1] {
                assert_eq!(Digits::of(near).text(), near.to_string());
                assert_eq!(Digits::of(near).bytes(), near.to_string().as_bytes());
                assert_eq!(Digits::of(near).padded(10), format!("{near:010}"));
                assert_eq!(Digits::of(near).padded(20), format!("{near:020}"));
            }
            value = value.wrapping_mul(2).max(2);
        }
        for near in [0, 9, 10, 99, 100, 101, u64::MAX] {
            assert_eq!(Digits::of(near).text(), near.to_string());
        }
        assert_eq!(Digits::of(0).padded(0), "0");
        assert_eq!(Digits::of(7).padded(99).len(), 20);
    }
}
