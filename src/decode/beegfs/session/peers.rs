//! Patience with those who connect: who does wrong is answered later and later.

use std::collections::HashMap;
use std::time::Duration;

/// First wait; doubles with each further failure.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// So many connections in a row may end early without a wait: a stream that crashes is asked for at the
/// next number, and at the one behind it.
const FREE_FAILURES: u32 = 3;

/// Peers that are remembered; beyond, those whose wait is over are forgotten.
const PEERS_MAX: usize = 1024;

/// How bad the end of a connection was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Weight {
    /// All was well.
    None,
    /// It can happen, a few times in a row.
    Soft,
    /// It must not happen.
    Hard,
}

/// Failures in a row of each peer.
#[derive(Debug, Default)]
pub(super) struct Peers {
    failures: HashMap<u64, Failures>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    until: Duration,
}

impl Peers {
    /// Until when a new connection of this peer is to wait.
    pub(super) fn waits_until(&self, peer: u64, now: Duration) -> Option<Duration> {
        self.failures.get(&peer).map(|failures| failures.until).filter(|&until| until > now)
    }

    /// Everything that was wrong is forgiven.
    pub(super) fn forgive(&mut self, peer: u64) {
        self.failures.remove(&peer);
    }

    /// A connection has ended; returns how long the next one waits.
    pub(super) fn ended(&mut self, peer: u64, weight: Weight, now: Duration) -> Duration {
        if weight == Weight::None {
            return Duration::ZERO;
        }
        if self.failures.len() >= PEERS_MAX {
            self.failures.retain(|_, failures| failures.until > now);
        }
        let failures = self.failures.entry(peer).or_default();
        let free = if weight == Weight::Soft { FREE_FAILURES } else { 0 };
        failures.count = failures.count.saturating_add(1);
        let wait = match failures.count.checked_sub(free + 1) {
            None => Duration::ZERO,
            Some(doublings) => WAIT_MIN.saturating_mul(1 << doublings.min(5)).min(WAIT_MAX),
        };
        failures.until = now + wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_limit_and_are_forgiven() {
        let mut peers = Peers::default();
        let now = Duration::from_secs(100);
        let waits: Vec<u64> = (0..8).map(|_| peers.ended(7, Weight::Hard, now).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(peers.waits_until(7, now), Some(Duration::from_secs(130)));
        assert_eq!(peers.waits_until(7, Duration::from_secs(130)), None);
        assert_eq!(peers.waits_until(8, now), None);
        peers.forgive(7);
        assert_eq!(peers.waits_until(7, now), None);
        let waits: Vec<u64> = (0..6).map(|_| peers.ended(7, Weight::Soft, now).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 4]);
        assert_eq!(peers.ended(7, Weight::None, now), Duration::ZERO);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut peers = Peers::default();
        for peer in 0..5 * PEERS_MAX as u64 {
            peers.ended(peer, Weight::Soft, Duration::from_secs(peer));
        }
        assert!(peers.failures.len() <= PEERS_MAX);
    }
}
