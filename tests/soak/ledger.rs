//! What producers and consumers of one queue said, and what must hold of it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most events that `eventfs pop` holds unconfirmed (`BATCH_EVENTS_MAX` in src/fuse/consume.rs).
const BATCH_EVENTS_MAX: usize = 1_024;

/// An event: who made it, and which one of that producer it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Id {
    pub(crate) producer: u32,
    pub(crate) number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "p{}-{}", self.producer, self.number)
    }
}

impl Id {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (producer, number) = text.strip_prefix('p')?.split_once('-')?;
        Some(Self { producer: producer.parse().ok()?, number: number.parse().ok()? })
    }
}

/// What one producer process did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// It began to publish these.
    pub(crate) tried: Vec<Id>,
    /// It was told that these are published.
    pub(crate) done: Vec<Id>,
}

/// What one consumer process did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) process: u32,
    /// It was killed, and holds back its last batch: `eventfs pop`.
    pub(crate) may_repeat: bool,
    /// In its order.
    pub(crate) ids: Vec<Id>,
    /// Of these it found the name and no content: their producer was killed in mid-write.
    pub(crate) empty: Vec<Id>,
    /// Its end came between the try and the word that it had succeeded.
    pub(crate) open: Option<Id>,
}

/// What is promised about order in a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// One consumer at a time: their outputs one after the other are in order.
    Chain,
    /// Each consumer sees each producer's events in order.
    Each,
    /// What a killed one of several consumers held comes back behind what the others have.
    Free,
}

/// All that happened to one queue.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) queue: String,
    pub(crate) order: Order,
    pub(crate) made: Vec<Made>,
    /// In the order in which they ended.
    pub(crate) taken: Vec<Taken>,
    /// Claimed by a process that died, and published again.
    pub(crate) put_back: BTreeSet<Id>,
    /// What the queue says it dropped or let expire.
    pub(crate) vanished: u64,
    /// The daemon was killed: what was not taken by then is gone.
    pub(crate) cut_short: bool,
}

impl Story {
    pub(crate) fn new(queue: &str, order: Order) -> Self {
        Self {
            queue: queue.to_owned(),
            order,
            made: Vec::new(),
            taken: Vec::new(),
            put_back: BTreeSet::new(),
            vanished: 0,
            cut_short: false,
        }
    }

    /// Everything that is wrong, one line each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let takers = self.takers();
        self.invented(&mut found);
        self.emptied(&mut found);
        self.lost(&takers, &mut found);
        self.doubled(&takers, &mut found);
        self.held_back(&takers, &mut found);
        self.disordered(&mut found);
        found.into_iter().map(|line| format!("{}: {line}", self.queue)).collect()
    }

    /// Events that came out a second time.
    pub(crate) fn repeats(&self) -> usize {
        self.takers().values().map(|takers| takers.len() - 1).sum()
    }

    /// For each event: which of `taken`, and where in it.
    fn takers(&self) -> BTreeMap<Id, Vec<(usize, usize)>> {
        let mut takers: BTreeMap<Id, Vec<(usize, usize)>> = BTreeMap::new();
        for (index, taken) in self.taken.iter().enumerate() {
            for (place, id) in taken.ids.iter().enumerate() {
                takers.entry(*id).or_default().push((index, place));
            }
        }
        takers
    }

    fn invented(&self, found: &mut Vec<String>) {
        let tried: BTreeSet<Id> = self.made.iter().flat_map(|made| made.tried.clone()).collect();
        for taken in &self.taken {
            for id in taken.ids.iter().filter(|id| !tried.contains(id)) {
                found.push(format!("{id} was taken by {}, and made by nobody", taken.process));
            }
        }
    }

    fn emptied(&self, found: &mut Vec<String>) {
        let done: BTreeSet<Id> = self.made.iter().flat_map(|made| made.done.clone()).collect();
        for taken in &self.taken {
            for id in taken.empty.iter().filter(|id| done.contains(id)) {
                found.push(format!("{id} was empty when {} took it", taken.process));
            }
        }
    }

    fn lost(&self, takers: &BTreeMap<Id, Vec<(usize, usize)>>, found: &mut Vec<String>) {
        if self.cut_short {
            return;
        }
        let open: BTreeSet<Id> = self.taken.iter().filter_map(|taken| taken.open).collect();
        let missing = |ids: Vec<Id>| -> BTreeSet<Id> {
            ids.into_iter().filter(|id| !takers.contains_key(id)).collect()
        };
        let mut done = missing(self.made.iter().flat_map(|made| made.done.clone()).collect());
        done.retain(|id| !open.contains(id));
        let tried = missing(self.made.iter().flat_map(|made| made.tried.clone()).collect());
        let (least, most) = (done.len() as u64, tried.len() as u64);
        if self.vanished < least {
            let some: Vec<String> = done.iter().take(10).map(Id::to_string).collect();
            let vanished = self.vanished;
            found.push(format!(
                "{least} lost, {vanished} of them accounted for: {}",
                some.join(" ")
            ));
        } else if self.vanished > most {
            found
                .push(format!("{} dropped or expired, but only {most} are missing", self.vanished));
        }
    }

    /// Only what a killed `pop` had not confirmed may come again.
    fn doubled(&self, takers: &BTreeMap<Id, Vec<(usize, usize)>>, found: &mut Vec<String>) {
        for (id, takers) in takers.iter().filter(|(_, takers)| takers.len() > 1) {
            let may = |(index, place): &&(usize, usize)| {
                let taken = &self.taken[*index];
                taken.may_repeat && place + BATCH_EVENTS_MAX >= taken.ids.len()
            };
            if takers.iter().filter(may).count() + 1 < takers.len() {
                let who: Vec<u32> = takers.iter().map(|(i, _)| self.taken[*i].process).collect();
                found.push(format!("{id} was taken more than once: by {who:?}"));
            }
        }
    }

    /// What a killed `pop` printed comes again whole from some event on: the batch is one step.
    fn held_back(&self, takers: &BTreeMap<Id, Vec<(usize, usize)>>, found: &mut Vec<String>) {
        if self.cut_short || self.vanished > 0 {
            return;
        }
        let killed = self.taken.iter().enumerate().filter(|(_, taken)| taken.may_repeat);
        for (index, taken) in killed {
            let later = |takers: &Vec<(usize, usize)>| takers.iter().any(|(by, _)| *by > index);
            let again = |id: &Id| takers.get(id).is_some_and(later);
            let first = taken.ids.iter().position(again).unwrap_or(taken.ids.len());
            if let Some(id) = taken.ids[first..].iter().find(|id| !again(id)) {
                found.push(format!("{id} was confirmed by {} alone in its batch", taken.process));
            }
        }
    }

    fn disordered(&self, found: &mut Vec<String>) {
        let chains: Vec<Vec<Id>> = match self.order {
            Order::Free => return,
            Order::Each => self.taken.iter().map(|taken| taken.ids.clone()).collect(),
            Order::Chain => {
                let mut seen = BTreeSet::new();
                let all = self.taken.iter().flat_map(|taken| taken.ids.clone());
                vec![all.filter(|id| seen.insert(*id)).collect()]
            }
        };
        for chain in chains {
            let mut last: BTreeMap<u32, u32> = BTreeMap::new();
            for id in chain.iter().filter(|id| !self.put_back.contains(id)) {
                let before = last.insert(id.producer, id.number);
                if let Some(before) = before.filter(|before| *before >= id.number) {
                    found.push(format!("{id} came after number {before} of its producer"));
                }
            }
        }
    }
}
