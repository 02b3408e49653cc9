//! A cursor over bytes that nobody has vouched for: every step is checked, and the error names the field.

use std::fmt;

/// The bytes ended inside this field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Short(pub &'static str);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ends inside {}", self.0)
    }
}

/// Reads little-endian numbers and byte strings from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Short> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Short(field))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Short> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Short(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Short> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Short> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Short> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Short> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// Eight bytes with a sign.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, Short> {
        self.array(field).map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_checked() {
        let bytes = [1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, b'x', b'y'];
        let read = |bytes| {
            let mut reader = Reader::new(bytes);
            let numbers = (reader.u8("a")?, reader.u16("b")?, reader.u32("c")?, reader.u64("d")?);
            let text = reader.take(2, "e")?;
            assert!(reader.is_empty());
            Ok((numbers, text.to_vec()))
        };
        assert_eq!(read(&bytes), Ok(((1, 2, 3, 4), b"xy".to_vec())));
        let fields = ["a", "b", "b", "c", "c", "c", "c", "d"];
        for cut in 0..bytes.len() {
            let field = fields.get(cut).copied().unwrap_or(if cut < 15 { "d" } else { "e" });
            assert_eq!(read(&bytes[..cut]), Err(Short(field)), "{cut}");
        }
        assert_eq!(Short("a path").to_string(), "ends inside a path");
    }
}
