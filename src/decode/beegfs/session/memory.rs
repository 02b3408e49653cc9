//! What outlives connections: nodes, peers, and the counters of BeeGFS 7 servers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Place, V1Packet, V7_STREAM};
use super::node::{From, Node};
use super::outlet::Note;
use super::peers::Peers;

const LOST_WITH_THE_QUEUE: &str =
    "they were not consumed, and the server's queue was made anew since";

const LOST_WITH_THE_EVENTS_QUEUE: &str =
    "they were not consumed when their queue went, and BeeGFS 7 keeps nothing";

/// BeeGFS 7 servers whose counters are remembered; the rest count as new.
const SEVENS_MAX: usize = 64;

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Where to begin.
    pub from: From,
    /// Whether to leave out what the secondary of a mirror pair tells.
    pub skip_secondary: bool,
}

/// Where a stream is to go on, as it was saved.
#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    /// Behind this event, which the queue (or a consumer) has.
    After {
        /// Its stream.
        stream: u64,
        /// Its number.
        msn: u64,
        /// Its digest; 0 if unknown.
        mark: u64,
    },
    /// At this event: what was written from there on is gone.
    At {
        /// Its stream.
        stream: u64,
        /// Its number.
        msn: u64,
    },
}

impl Saved {
    fn stream(&self) -> u64 {
        match *self {
            Self::After { stream, .. } | Self::At { stream, .. } => stream,
        }
    }
}

/// All that is known of the servers; shared by the sessions of one tap.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) settings: Settings,
    nodes: Vec<Node>,
    pub(super) peers: Peers,
    pub(super) sevens: Sevens,
    /// Broken packets that had no number.
    unplaced: u64,
}

impl Memory {
    /// Nothing known yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Goes on where streams were left; what was known of them is replaced. No session may be open.
    /// Returns what is lost: events of a queue that its server does not have any more.
    pub fn restore(&mut self, saved: &[Saved]) -> Vec<Note> {
        let mut saved = saved.to_vec();
        saved.sort_by_key(Saved::stream);
        let mut lost = Vec::new();
        for (at, one) in saved.iter().enumerate() {
            let (meta_id, resets) = (Place::meta_id(one.stream()), Place::resets(one.stream()));
            if one.stream() == V7_STREAM {
                lost.extend(self.sevens.resume(one));
                continue;
            }
            // Sorted by stream, but a node's lives are apart: the high bits count them.
            let is_past = saved[at..].iter().any(|other| {
                let stream = other.stream();
                stream != V7_STREAM
                    && Place::meta_id(stream) == meta_id
                    && Place::resets(stream) > resets
            });
            match *one {
                Saved::At { msn, .. } if is_past => lost.push(Note::Gap {
                    meta_id,
                    resets,
                    first: Some(msn),
                    last: None,
                    count: None,
                    reason: LOST_WITH_THE_QUEUE,
                }),
                _ if is_past => {}
                Saved::At { msn, .. } => self.node_of(meta_id).resume(resets, msn, None),
                Saved::After { msn, mark, .. } => {
                    let mark = (mark != 0).then_some(mark);
                    self.node_of(meta_id).resume(resets, msn.saturating_add(1), mark);
                }
            }
        }
        lost
    }

    /// What [`super::Outlet::describe`] was told of a stream; to be given back before [`Memory::restore`].
    pub fn restore_context(&mut self, stream: u64, context: &Value) {
        if stream == V7_STREAM {
            self.sevens.restore(context);
        }
    }

    /// The index of a node, known or new.
    pub(super) fn index_of(&mut self, meta_id: u32) -> usize {
        let known = self.nodes.iter().position(|node| node.meta_id == meta_id);
        known.unwrap_or_else(|| {
            self.nodes.push(Node::new(meta_id));
            self.nodes.len() - 1
        })
    }

    /// The node of an index that [`Memory::index_of`] gave.
    #[inline]
    pub(super) fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    fn node_of(&mut self, meta_id: u32) -> &mut Node {
        let index = self.index_of(meta_id);
        self.node(index)
    }

    /// How many broken packets had no number, this one included.
    pub(super) fn count_unplaced(&mut self) -> u64 {
        self.unplaced += 1;
        self.unplaced
    }
}

/// BeeGFS 7: numbers of ours, and what the servers say they lost.
#[derive(Debug)]
pub(super) struct Sevens {
    next: u64,
    /// By peer: events dropped and events missed since that server started.
    counters: BTreeMap<u64, (u64, u64)>,
}

impl Default for Sevens {
    fn default() -> Self {
        Self { next: 1, counters: BTreeMap::new() }
    }
}

impl Sevens {
    /// The number of the next event.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    /// What a server says it has lost since it last told.
    pub(super) fn gap(&mut self, peer: u64, packet: &V1Packet<'_>) -> Option<Note> {
        let count = self.lost(peer, packet.dropped, packet.missed);
        let reason = "the BeeGFS 7 server says that it dropped or missed them";
        (count > 0).then_some(Note::Gap {
            meta_id: 0,
            resets: 0,
            first: None,
            last: None,
            count: Some(count),
            reason,
        })
    }

    /// How many events a server has lost since it last told. Counters that fell belong to a server that
    /// was started anew.
    fn lost(&mut self, peer: u64, dropped: u64, missed: u64) -> u64 {
        let before = self.counters.get(&peer).copied();
        let (old_dropped, old_missed) =
            before.filter(|&(d, m)| d <= dropped && m <= missed).unwrap_or_default();
        if self.counters.len() >= SEVENS_MAX && before.is_none() {
            self.counters.pop_first();
        }
        self.counters.insert(peer, (dropped, missed));
        (dropped - old_dropped).saturating_add(missed - old_missed)
    }

    /// Returns what is lost: such a server keeps nothing that could be asked for again.
    fn resume(&mut self, saved: &Saved) -> Option<Note> {
        match *saved {
            Saved::After { msn, .. } => {
                self.next = msn.saturating_add(1);
                None
            }
            Saved::At { msn, .. } => {
                let given = self.next;
                self.next = msn.max(given);
                (msn < given).then(|| Note::gap((0, 0), msn, given - 1, LOST_WITH_THE_EVENTS_QUEUE))
            }
        }
    }

    /// `{"peers": {"PEER": [DROPPED, MISSED]}}`
    pub(super) fn context(&self) -> Value {
        let peers = self.counters.iter();
        let peers =
            peers.map(|(peer, (dropped, missed))| (peer.to_string(), json!([dropped, missed])));
        json!({"peers": Value::Object(peers.collect())})
    }

    fn restore(&mut self, context: &Value) {
        for (peer, counters) in context["peers"].as_object().into_iter().flatten() {
            let counters = (counters[0].as_u64(), counters[1].as_u64());
            if let (Ok(peer), (Some(dropped), Some(missed))) = (peer.parse(), counters) {
                self.counters.insert(peer, (dropped, missed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_counters_become_differences() {
        let mut sevens = Sevens::default();
        assert_eq!(sevens.lost(1, 3, 1), 4, "since it started");
        assert_eq!(sevens.lost(1, 3, 1), 0);
        assert_eq!(sevens.lost(1, 5, 2), 3);
        assert_eq!(sevens.lost(2, 0, 0), 0);
        assert_eq!(sevens.lost(1, 2, 0), 2, "started anew");
        let mut again = Sevens::default();
        again.restore(&sevens.context());
        assert_eq!(again.lost(1, 2, 0), 0);
        assert_eq!(again.lost(1, u64::MAX, u64::MAX), u64::MAX);
        for peer in 0..1000 {
            again.lost(peer, 1, 1);
        }
        assert!(again.counters.len() <= SEVENS_MAX);
        again.restore(&json!({"peers": {"x": [1, 2], "7": "y"}}));
        again.restore(&json!(null));
    }

    #[test]
    fn of_several_lives_of_a_node_the_last_counts() {
        let after = |resets, msn| Saved::After { stream: Place::stream(12, resets), msn, mark: 5 };
        let at = |resets, msn| Saved::At { stream: Place::stream(12, resets), msn };
        let mut memory = Memory::default();
        assert_eq!(memory.restore(&[after(2, 7), after(0, 90), after(1, 80)]), []);
        let node = memory.node_of(12);
        assert_eq!((node.resets, node.last()), (2, Some((7, 5))));
        let lost = memory.restore(&[at(1, 3), at(0, 90)]);
        let gap = Note::Gap {
            meta_id: 12,
            resets: 0,
            first: Some(90),
            last: None,
            count: None,
            reason: LOST_WITH_THE_QUEUE,
        };
        assert_eq!(lost, [gap]);
        let node = memory.node_of(12);
        assert_eq!((node.resets, node.expected(), node.last()), (1, 3, None));
    }

    #[test]
    fn numbers_of_beegfs_7_go_on() {
        let mut memory = Memory::default();
        assert_eq!(memory.sevens.number(), 1);
        memory.restore(&[Saved::After { stream: V7_STREAM, msn: 41, mark: 0 }]);
        assert_eq!(memory.sevens.number(), 42);
        let lost = memory.restore(&[Saved::At { stream: V7_STREAM, msn: 7 }]);
        assert_eq!(lost, [Note::gap((0, 0), 7, 42, LOST_WITH_THE_EVENTS_QUEUE)]);
        assert_eq!(memory.sevens.number(), 43);
        assert_eq!(memory.restore(&[Saved::At { stream: V7_STREAM, msn: 44 }]), []);
    }
}
