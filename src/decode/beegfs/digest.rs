//! A digest by which an event is known again after a restart.

/// Odd constants of xxHash64 (its first two primes): good mixers, nothing up a sleeve.
const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// A 64-bit digest, never 0, that is saved and so must stay the same from release to release.
///
/// Eight little-endian bytes a step, two steps under way at once: rotate, multiply, as xxHash64 does for
/// its tail. Not for secrets: it tells a re-created queue from the one that we know, nothing more.
pub fn digest(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<16>();
    let mut lanes = [PRIME_1 ^ bytes.len() as u64, PRIME_2];
    for pair in pairs {
        let (words, _) = pair.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let mut tail = [0; 16];
    for (to, from) in tail.iter_mut().zip(rest) {
        *to = *from;
    }
    let (words, _) = tail.as_chunks::<8>();
    for (lane, word) in lanes.iter_mut().zip(words) {
        *lane = step(*lane, u64::from_le_bytes(*word));
    }
    finish(lanes[0] ^ lanes[1].rotate_left(32)).max(1)
}

fn step(lane: u64, word: u64) -> u64 {
    (lane ^ word.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

/// The avalanche of xxHash64, with its third prime.
fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(0x1656_67b1_9e37_79f9);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_values_stay_as_they_are() {
        // Saved in state files: a change of these numbers reports every queue as re-created.
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(digest(b""), DIGEST_OF_NOTHING);
        assert_eq!(digest(b"create"), DIGEST_OF_CREATE);
        assert_eq!(digest(&all), DIGEST_OF_ALL);
    }

    const DIGEST_OF_NOTHING: u64 = 0xf45b_49b6_baca_0cbd;
    const DIGEST_OF_CREATE: u64 = 0xbce4_a88e_f3a4_594c;
    const DIGEST_OF_ALL: u64 = 0x1073_f071_66b7_9c13;

    #[test]
    fn each_bit_each_length_and_the_order_matter() {
        let mut seen = HashSet::new();
        let base = [0x5a_u8; 150];
        assert!(seen.insert(digest(&base)));
        for bit in 0..base.len() * 8 {
            let mut other = base;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(digest(&other)), "bit {bit}");
        }
        for length in 0..base.len() {
            assert!(seen.insert(digest(&base[..length])), "length {length}");
        }
        assert_ne!(digest(b"aaaaaaaabbbbbbbb"), digest(b"bbbbbbbbaaaaaaaa"));
        assert_ne!(digest(b"a"), digest(b"a\0"));
    }
}
