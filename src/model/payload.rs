//! The bytes of an event: one small piece, or blocks with holes between.

use std::collections::BTreeMap;

/// Events up to this many bytes lie in one piece.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Bytes in a block of a larger event. A hole needs no block.
const BLOCK_BYTES: usize = 16 << 10;

/// The bytes of one event.
pub enum Payload {
    /// One piece.
    Small(Box<[u8]>),
    /// Blocks.
    Large(Box<Large>),
}

/// Blocks with holes between.
pub struct Large {
    len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Payload {
    pub(crate) fn empty() -> Self {
        Self::Small(Box::default())
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Small(bytes) => bytes.len() as u64,
            Self::Large(large) => large.len,
        }
    }

    /// Whether dropping it is work that does not belong under a lock.
    pub(crate) fn is_large(&self) -> bool {
        matches!(self, Self::Large(_))
    }

    /// Up to `count` bytes from `offset`; fewer at the end.
    pub(crate) fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        match self {
            Self::Small(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(count).min(bytes.len());
                bytes[start..end].to_vec()
            }
            Self::Large(large) => large.read(offset, count),
        }
    }

    /// Writes `data` at `offset`; what lies between the old end and `offset` reads as zeros.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        match self {
            Self::Small(bytes)
                if bytes.is_empty() && offset == 0 && data.len() <= SMALL_BYTES_MAX =>
            {
                *bytes = data.into();
            }
            Self::Small(_) => {
                if end > self.len() {
                    self.grow(end);
                }
                match self {
                    Self::Small(bytes) => {
                        let start = offset as usize;
                        bytes[start..start + data.len()].copy_from_slice(data);
                    }
                    Self::Large(large) => large.write(offset, data),
                }
            }
            Self::Large(large) => large.write(offset, data),
        }
    }

    /// Sets the length. Returns what was cut off, to be dropped where no lock is held.
    pub(crate) fn resize(&mut self, len: u64) -> Option<Payload> {
        if len >= self.len() {
            self.grow(len);
            return None;
        }
        match self {
            Self::Small(bytes) => {
                let mut all = std::mem::take(bytes).into_vec();
                all.truncate(len as usize);
                *bytes = all.into_boxed_slice();
                None
            }
            Self::Large(large) => {
                if len <= SMALL_BYTES_MAX as u64 {
                    let kept = Self::Small(large.read(0, len as usize).into_boxed_slice());
                    return Some(std::mem::replace(self, kept));
                }
                Some(Self::Large(Box::new(large.cut(len))))
            }
        }
    }

    fn grow(&mut self, len: u64) {
        match self {
            Self::Large(large) => large.len = large.len.max(len),
            Self::Small(bytes) if len <= SMALL_BYTES_MAX as u64 => {
                let mut all = std::mem::take(bytes).into_vec();
                all.reserve_exact(len as usize - all.len());
                all.resize(len as usize, 0);
                *bytes = all.into_boxed_slice();
            }
            Self::Small(bytes) => {
                let mut large = Large { len: 0, blocks: BTreeMap::new() };
                large.write(0, bytes);
                large.len = len;
                *self = Self::Large(Box::new(large));
            }
        }
    }
}

impl Large {
    fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let end = offset.saturating_add(count as u64).min(self.len);
        if offset >= end {
            return Vec::new();
        }
        let mut out = vec![0; (end - offset) as usize];
        let first = offset / BLOCK_BYTES as u64;
        let last = (end - 1) / BLOCK_BYTES as u64;
        for (number, block) in self.blocks.range(first..=last) {
            let block_start = number * BLOCK_BYTES as u64;
            let from = offset.max(block_start);
            let to = end.min(block_start + BLOCK_BYTES as u64);
            let source = &block[(from - block_start) as usize..(to - block_start) as usize];
            out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
        }
        out
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let within = (at % BLOCK_BYTES as u64) as usize;
            let count = (BLOCK_BYTES - within).min(data.len() - done);
            let block = self
                .blocks
                .entry(at / BLOCK_BYTES as u64)
                .or_insert_with(|| vec![0; BLOCK_BYTES].into_boxed_slice());
            block[within..within + count].copy_from_slice(&data[done..done + count]);
            done += count;
        }
        self.len = self.len.max(offset + data.len() as u64);
    }

    fn cut(&mut self, len: u64) -> Large {
        let edge = len.div_ceil(BLOCK_BYTES as u64);
        let blocks = self.blocks.split_off(&edge);
        let within = (len % BLOCK_BYTES as u64) as usize;
        if within > 0
            && let Some(block) = self.blocks.get_mut(&(len / BLOCK_BYTES as u64))
        {
            block[within..].fill(0);
        }
        self.len = len;
        Large { len: 0, blocks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Write(u64, Vec<u8>),
        Resize(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0_u64..200_000, proptest::collection::vec(any::<u8>(), 0..40_000))
                .prop_map(|(offset, data)| Op::Write(offset, data)),
            (0_u64..250_000).prop_map(Op::Resize),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn payload_reads_like_a_plain_vector(ops in proptest::collection::vec(op(), 1..12)) {
            let mut payload = Payload::empty();
            let mut plain: Vec<u8> = Vec::new();
            for op in ops {
                match op {
                    Op::Write(offset, data) => {
                        let end = offset as usize + data.len();
                        if plain.len() < end && !data.is_empty() { plain.resize(end, 0); }
                        if !data.is_empty() {
                            plain[offset as usize..end].copy_from_slice(&data);
                            payload.write(offset, &data);
                        }
                    }
                    Op::Resize(len) => {
                        plain.resize(len as usize, 0);
                        drop(payload.resize(len));
                    }
                }
                prop_assert_eq!(payload.len(), plain.len() as u64);
                prop_assert_eq!(payload.read(0, plain.len() + 10), plain.clone());
                let middle = plain.len() / 3;
                let count = plain.len() / 2;
                prop_assert_eq!(payload.read(middle as u64, count), plain[middle..(middle + count).min(plain.len())].to_vec());
            }
        }
    }

    #[test]
    fn a_hole_takes_no_memory() {
        let mut payload = Payload::empty();
        payload.write(60 << 20, b"x");
        let Payload::Large(large) = &payload else { panic!("not large") };
        assert_eq!(large.blocks.len(), 1);
        assert_eq!(payload.len(), (60 << 20) + 1);
    }
}
