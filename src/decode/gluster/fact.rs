//! The same fact told by several nodes: same event, same message, within some seconds.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::pattern::category_of;
use super::types::Category;
use crate::event::{Class, Event};

/// Most facts remembered at once; a flood of different ones forgets the oldest, and then merges less.
const FACTS_MAX: usize = 100_000;

/// Most nodes remembered of one fact; what more of them tell is merged too.
const NODES_MAX: usize = 256;

/// Knows what was told within the window.
#[derive(Debug)]
pub struct Merger {
    window_ns: u64,
    told: HashMap<Digest, Told>,
    keys: [RandomState; 2],
    /// Facts told since the last sweep; sweeping costs the size of the table.
    since_sweep: usize,
}

/// A fact that was let through.
#[derive(Debug)]
struct Told {
    first_ns: u64,
    nodes: Vec<u64>,
}

/// What is remembered of a text that anybody may have written, of any length. Two keyed hashes, so that
/// nobody can make two texts the same.
type Digest = [u64; 2];

impl Merger {
    /// With a window of this many nanoseconds, counted from the first telling.
    pub fn new(window_ns: u64) -> Self {
        Self {
            window_ns,
            told: HashMap::new(),
            keys: [(); 2].map(|()| RandomState::new()),
            since_sweep: 0,
        }
    }

    /// Whether the fact was told before, by somebody else. A command or a local event that the *same* node
    /// tells again has happened again; one of the cluster comes from every process of a node.
    pub fn repeats(&mut self, event: &Event, now_ns: u64) -> bool {
        if event.class != Class::Record {
            return false;
        }
        let Some((fact, node)) = fact(event) else { return false };
        let fact: Digest = self.keys.each_ref().map(|key| key.hash_one(&fact));
        let node = self.keys[0].hash_one(&node);
        let by_processes = category_of(&event.kind).is_none_or(|c| c == Category::Cluster);
        if let Some(told) = self.told.get_mut(&fact)
            && now_ns.saturating_sub(told.first_ns) < self.window_ns
        {
            let known = told.nodes.contains(&node);
            if by_processes || !known {
                if !known && told.nodes.len() < NODES_MAX {
                    told.nodes.push(node);
                }
                return true;
            }
        }
        self.sweep(now_ns);
        self.told.insert(fact, Told { first_ns: now_ns, nodes: vec![node] });
        false
    }

    /// Forgets what is out of the window, once in as many facts as are remembered.
    fn sweep(&mut self, now_ns: u64) {
        self.since_sweep += 1;
        if self.since_sweep <= self.told.len().max(64) && self.told.len() < FACTS_MAX {
            return;
        }
        self.since_sweep = 0;
        self.told.retain(|_, told| now_ns.saturating_sub(told.first_ns) < self.window_ns);
        if self.told.len() >= FACTS_MAX {
            self.told.clear();
        }
    }
}

/// What makes two events the same fact, and who told it.
fn fact(event: &Event) -> Option<(String, String)> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&event.data) else { return None };
    let mut message = object.remove("message")?;
    if let Value::Object(attributes) = &mut message {
        // The process that noticed, not what it noticed.
        attributes.remove("client-pid");
    }
    message.sort_all_objects();
    let node = object.remove("nodeid").map(|node| node.to_string()).unwrap_or_default();
    Some((format!("{} {message}", event.kind), node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::gluster::{Arrival, Decoder};

    const SECOND: u64 = 1_000_000_000;

    fn told(text: &str, node: &str) -> Event {
        let mut event = Event::default();
        let arrival = Arrival { nanos: 1, count: 1, nodeid: Some(node) };
        Decoder::default().message(text.as_bytes(), &arrival, &mut event);
        event
    }

    #[test]
    fn one_fact_from_many_nodes_is_told_once() {
        let mut merger = Merger::new(5 * SECOND);
        let lost = |ts: u64, node| told(&format!("{ts} 80 volume=v"), node);
        assert!(!merger.repeats(&lost(1, "a"), 0));
        assert!(merger.repeats(&lost(2, "b"), SECOND));
        assert!(merger.repeats(&lost(2, "a"), 2 * SECOND));
        assert!(!merger.repeats(&told("1 80 volume=w", "b"), SECOND));
        assert!(!merger.repeats(&lost(9, "b"), 5 * SECOND));
    }

    #[test]
    fn processes_of_a_node_tell_one_fact() {
        let mut merger = Merger::new(SECOND);
        assert!(!merger.repeats(&told("1 109 client-pid=0; subvol=s", "a"), 0));
        assert!(merger.repeats(&told("1 109 client-pid=-6; subvol=s", "a"), 1));
    }

    #[test]
    fn a_command_given_twice_on_a_node_was_given_twice() {
        let mut merger = Merger::new(5 * SECOND);
        assert!(!merger.repeats(&told("1 3 name=v;force=0", "a"), 0));
        assert!(!merger.repeats(&told("2 3 name=v;force=0", "a"), SECOND));
        assert!(merger.repeats(&told("2 3 name=v;force=0", "b"), SECOND));
    }

    #[test]
    fn nodes_of_a_fact_are_bounded_and_all_are_merged() {
        let mut merger = Merger::new(SECOND);
        assert!(!merger.repeats(&told("1 80 volume=v", "first"), 0));
        for node in 0..2 * NODES_MAX {
            assert!(merger.repeats(&told("1 80 volume=v", &node.to_string()), 0));
        }
        assert!(merger.told.values().all(|told| told.nodes.len() == NODES_MAX));
    }

    #[test]
    fn what_cannot_be_read_is_never_folded_and_memory_is_bounded() {
        let mut merger = Merger::new(SECOND);
        assert!(!merger.repeats(&told("x", "a"), 0));
        assert!(!merger.repeats(&told("x", "b"), 0));
        for at in 0..2 * FACTS_MAX as u64 {
            let event = Event {
                kind: "gluster.x".into(),
                data: format!(r#"{{"message":{at}}}"#).into_bytes(),
                ..Event::default()
            };
            assert!(!merger.repeats(&event, 0));
        }
        assert!(merger.told.len() <= FACTS_MAX);
    }
}
