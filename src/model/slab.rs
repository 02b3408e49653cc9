//! Storage by slot number: chunks that come and go, so that memory returns after a drain.

/// Slots in one chunk: some 16 KiB for the entries of a queue.
const CHUNK_SLOTS: u32 = 256;

/// Times that one slot may be used; then it is retired, so that a [`Key`] is never reused.
/// 2^29 fits the inode number layout of [`super::inode::Ino`].
const TURNS_MAX: u32 = (1 << 29) - 1;

/// "No slot" in links between slots.
pub(crate) const NIL: u32 = u32::MAX;

enum Slot<T> {
    Used(T),
    Free(u32),
}

struct Chunk<T> {
    slots: Box<[Slot<T>]>,
    free: u32,
    used: u32,
}

impl<T> Chunk<T> {
    fn new() -> Self {
        let slots = (0..CHUNK_SLOTS)
            .map(|i| Slot::Free(if i + 1 == CHUNK_SLOTS { NIL } else { i + 1 }))
            .collect();
        Self { slots, free: 0, used: 0 }
    }
}

/// Values in numbered slots. Numbers are reused; [`Keyed`] adds keys that are not.
pub(crate) struct Slab<T> {
    chunks: Vec<Option<Chunk<T>>>,
    /// Chunks that may have room; entries can be out of date and are checked when taken.
    roomy: Vec<u32>,
    listed: Vec<bool>,
    vacant: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            roomy: Vec::new(),
            listed: Vec::new(),
            vacant: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        match self
            .chunks
            .get((slot / CHUNK_SLOTS) as usize)?
            .as_ref()?
            .slots
            .get((slot % CHUNK_SLOTS) as usize)?
        {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut((slot / CHUNK_SLOTS) as usize)?.as_mut()?;
        match chunk.slots.get_mut((slot % CHUNK_SLOTS) as usize)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = self.roomy_chunk();
        let chunk =
            self.chunks[number as usize].as_mut().expect("roomy_chunk returns a live chunk");
        let slot = chunk.free;
        let Slot::Free(next) =
            std::mem::replace(&mut chunk.slots[slot as usize], Slot::Used(value))
        else {
            unreachable!("the free list of a chunk holds free slots only")
        };
        chunk.free = next;
        chunk.used += 1;
        self.len += 1;
        number * CHUNK_SLOTS + slot
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let number = slot / CHUNK_SLOTS;
        let chunk = self.chunks.get_mut(number as usize)?.as_mut()?;
        let place = chunk.slots.get_mut((slot % CHUNK_SLOTS) as usize)?;
        if matches!(place, Slot::Free(_)) {
            return None;
        }
        let Slot::Used(value) = std::mem::replace(place, Slot::Free(chunk.free)) else {
            return None;
        };
        chunk.free = slot % CHUNK_SLOTS;
        chunk.used -= 1;
        self.len -= 1;
        if chunk.used == 0 && number > 0 {
            self.chunks[number as usize] = None;
            self.vacant.push(number);
        } else {
            self.list(number);
        }
        Some(value)
    }

    /// Takes a used slot out of circulation together with its value.
    fn retire(&mut self, slot: u32) -> Option<T> {
        let number = slot / CHUNK_SLOTS;
        let chunk = self.chunks.get_mut(number as usize)?.as_mut()?;
        let place = chunk.slots.get_mut((slot % CHUNK_SLOTS) as usize)?;
        if matches!(place, Slot::Free(_)) {
            return None;
        }
        self.len -= 1;
        match std::mem::replace(place, Slot::Free(NIL)) {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    fn list(&mut self, number: u32) {
        if !std::mem::replace(&mut self.listed[number as usize], true) {
            self.roomy.push(number);
        }
    }

    fn roomy_chunk(&mut self) -> u32 {
        while let Some(&number) = self.roomy.last() {
            if self.chunks[number as usize].as_ref().is_some_and(|c| c.free != NIL) {
                return number;
            }
            self.roomy.pop();
            self.listed[number as usize] = false;
        }
        let number = match self.vacant.pop() {
            Some(number) => number,
            None => {
                self.chunks.push(None);
                self.listed.push(false);
                u32::try_from(self.chunks.len() - 1).expect("fewer than 2^24 chunks")
            }
        };
        self.chunks[number as usize] = Some(Chunk::new());
        self.list(number);
        number
    }
}

/// The name of a value in a [`Keyed`] slab, never given twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    pub(crate) slot: u32,
    pub(crate) turn: u32,
}

/// Values under keys that are never reused.
pub(crate) struct Keyed<T> {
    slab: Slab<T>,
    turns: Vec<u32>,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self { slab: Slab::default(), turns: Vec::new() }
    }
}

impl<T> Keyed<T> {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        let slot = self.slab.insert(value);
        if self.turns.len() <= slot as usize {
            self.turns.resize(slot as usize + 1, 1);
        }
        Key { slot, turn: self.turns[slot as usize] }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        if *self.turns.get(key.slot as usize)? == key.turn { self.slab.get(key.slot) } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        if *self.turns.get(key.slot as usize)? == key.turn {
            self.slab.get_mut(key.slot)
        } else {
            None
        }
    }

    /// The key under which a slot is in use now.
    pub(crate) fn key_of(&self, slot: u32) -> Option<Key> {
        self.slab.get(slot)?;
        Some(Key { slot, turn: *self.turns.get(slot as usize)? })
    }

    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.slab.get(slot)
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slab.get_mut(slot)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let turn = self.turns.get_mut(key.slot as usize)?;
        if *turn != key.turn {
            return None;
        }
        *turn += 1;
        if *turn >= TURNS_MAX { self.slab.retire(key.slot) } else { self.slab.remove(key.slot) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_keys_are_never_reused() {
        let mut slab = Keyed::default();
        let mut seen = std::collections::HashSet::new();
        let mut live = Vec::new();
        for round in 0..10_000_u64 {
            let key = slab.insert(round);
            assert!(seen.insert(key), "key given twice");
            live.push((key, round));
            if round % 3 != 0 {
                let (old, value) = live.swap_remove((round % live.len() as u64) as usize);
                assert_eq!(slab.remove(old), Some(value));
                assert_eq!(slab.get(old), None);
            }
        }
        assert_eq!(slab.len(), live.len());
        for (key, value) in live {
            assert_eq!(slab.get(key), Some(&value));
            assert_eq!(slab.key_of(key.slot), Some(key));
        }
    }

    #[test]
    fn empty_chunks_are_given_back_and_room_is_found_again() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (0..2_000).map(|i| slab.insert(i)).collect();
        for slot in &slots {
            slab.remove(*slot);
        }
        assert_eq!(slab.len(), 0);
        assert_eq!(slab.chunks.iter().filter(|c| c.is_some()).count(), 1, "one chunk stays");
        let again: Vec<u32> = (0..2_000).map(|i| slab.insert(i)).collect();
        assert_eq!(again.len(), slots.len());
        assert_eq!(slab.chunks.len(), 8, "old chunk numbers are used first");
        assert_eq!(slab.remove(77_777), None);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let mut slab = Keyed::default();
        let key = slab.insert(1);
        slab.turns[key.slot as usize] = TURNS_MAX - 1;
        let last = Key { slot: key.slot, turn: TURNS_MAX - 1 };
        assert_eq!(slab.remove(last), Some(1));
        let next = slab.insert(2);
        assert_ne!(next.slot, key.slot);
    }
}
