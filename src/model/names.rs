//! File names: kept where the entry lies, found through a table of slot numbers.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use hashbrown::HashTable;

use super::queue::Entry;
use super::slab::Slab;

/// Bytes of a name that need no allocation of their own.
const INLINE_BYTES: usize = 22;

/// Tables that the names are spread over, so that no single one grows for long under the lock.
const SHARDS: usize = 1_024;

/// A file name: any bytes but `/` and zero. Short ones lie inside the entry.
pub(crate) enum Name {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl Name {
    pub(crate) fn new(name: &[u8]) -> Self {
        if name.len() > INLINE_BYTES {
            return Self::Heap(name.into());
        }
        let mut bytes = [0; INLINE_BYTES];
        bytes[..name.len()].copy_from_slice(name);
        Self::Inline { len: name.len() as u8, bytes }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}

/// Entry slots by (queue slot, name). The names themselves stay in the entries.
pub(crate) struct NameTable {
    shards: Box<[HashTable<u32>]>,
    /// Seeded at random: a user who chooses names cannot choose collisions.
    seed: Seed,
}

/// The random seed of a table.
#[derive(Clone)]
pub(crate) struct Seed(RandomState);

impl Seed {
    fn hash(&self, queue: u32, name: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        queue.hash(&mut hasher);
        hasher.write(name);
        hasher.finish()
    }

    /// The hash of an entry that is in the table.
    pub(crate) fn of(&self, entries: &Slab<Entry>, slot: u32) -> u64 {
        entries.get(slot).map_or(0, |entry| self.hash(entry.queue, entry.name.as_bytes()))
    }
}

impl Default for NameTable {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            seed: Seed(RandomState::new()),
        }
    }
}

impl NameTable {
    pub(crate) fn hash(&self, queue: u32, name: &[u8]) -> u64 {
        self.seed.hash(queue, name)
    }

    /// What hashes, for use while the table itself is borrowed.
    pub(crate) fn seed(&self) -> Seed {
        self.seed.clone()
    }

    // The table itself uses the low bits and the top seven; the shard takes others.
    fn shard(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&u32) -> bool) -> Option<u32> {
        self.shards[Self::shard(hash)].find(hash, is_it).copied()
    }

    pub(crate) fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(&u32) -> u64) {
        self.shards[Self::shard(hash)].insert_unique(hash, slot, rehash);
    }

    /// Removes a slot; a shard that became nearly empty gives its memory back.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32, rehash: impl Fn(&u32) -> u64) {
        let shard = &mut self.shards[Self::shard(hash)];
        if let Ok(entry) = shard.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to(shard.len() * 2, rehash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_keep_their_bytes() {
        for len in 1..=255 {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 250 + 1) as u8).collect();
            assert_eq!(Name::new(&bytes).as_bytes(), bytes);
        }
        assert_eq!(size_of::<Name>(), 24);
    }
}
