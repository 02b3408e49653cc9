//! A table that remembers what was used lately and forgets the rest.

use std::collections::HashMap;
use std::hash::Hash;

/// Longest key that is remembered, bytes: robinhood's ids end there, those of today's systems have some tens.
const KEY_BYTES_MAX: usize = 1_024;

/// Two generations: what is used moves to the young one; when that is full, the old one is dropped.
/// Holds at most `capacity` entries, and never fewer than the half of it that was used last. A key longer than
/// 1 KiB is not remembered: whoever chooses the keys does not choose the memory.
#[derive(Debug)]
pub struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: AsRef<[u8]> + Eq + Hash, V> Recent<K, V> {
    /// An empty table.
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    /// Remembers a value, and returns the one that it replaces.
    pub fn put(&mut self, key: K, value: V) -> Option<V> {
        if key.as_ref().len() > KEY_BYTES_MAX {
            return None;
        }
        let before = self.old.remove(&key);
        if self.young.len() >= (self.capacity / 2).max(1) && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value).or(before)
    }

    /// Looks a value up; that is no use of it.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Forgets a value and returns it.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let old = self.old.remove(key);
        self.young.remove(key).or(old)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(100);
        for number in 0..10_000 {
            recent.put("often".to_owned(), number);
            recent.put(format!("once-{number}"), number);
            assert!(recent.len() <= 100, "{number}");
        }
        assert_eq!(recent.get("often"), Some(&9_999));
        assert_eq!(recent.get("once-9990"), Some(&9_990));
        assert_eq!(recent.get("once-0"), None);
        assert_eq!(recent.put("often".to_owned(), 7), Some(9_999));
        assert_eq!(recent.remove("often"), Some(7));
        assert_eq!(recent.get("often"), None);
        assert!(!recent.is_empty());
    }

    #[test]
    fn a_key_that_is_too_long_is_not_remembered() {
        let mut recent = Recent::new(100);
        let key = |length| "k".repeat(length);
        assert_eq!(recent.put(key(KEY_BYTES_MAX), 1), None);
        assert_eq!(recent.put(key(KEY_BYTES_MAX + 1), 2), None);
        assert_eq!((recent.get(&key(KEY_BYTES_MAX)), recent.len()), (Some(&1), 1));
        assert_eq!(recent.get(&key(KEY_BYTES_MAX + 1)), None);
    }
}
