//! The same calls on a short and on a long queue, round by round.

use std::collections::HashSet;

use crate::common::Broken;
use crate::common::calls::{Dir, name};
use crate::common::row::{Row, Unit};
use crate::common::timing::{Rounds, ratio, seconds};

/// How much longer a call on the long queue may take.
const RATIO_MAX: f64 = 1.25;

/// Calls of each kind in a round.
const CALLS: u32 = 100;

/// A queue of some depth, and which events it holds.
pub(crate) struct Queue {
    dir: Dir,
    /// Numbers from the oldest event's on, without these.
    unlinked: HashSet<u32>,
    oldest: u32,
    next: u32,
    put: Rounds,
    pop: Rounds,
    readlink: Rounds,
    unlink: Rounds,
}

impl Queue {
    /// Takes an empty queue and fills it.
    pub(crate) fn filled(dir: Dir, depth: u32) -> nix::Result<Self> {
        let queue = Self {
            dir,
            unlinked: HashSet::new(),
            oldest: 0,
            next: depth,
            put: Rounds::default(),
            pop: Rounds::default(),
            readlink: Rounds::default(),
            unlink: Rounds::default(),
        };
        for number in 0..depth {
            queue.dir.put(number)?;
        }
        Ok(queue)
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn depth(&self) -> usize {
        (self.next - self.oldest) as usize - self.unlinked.len()
    }

    /// One round; the depth is the same afterwards.
    fn round(&mut self, random: &mut u64) -> nix::Result<()> {
        let first = self.next;
        self.put.run(first..first + 2 * CALLS, |number| self.dir.put(number))?;
        self.next += 2 * CALLS;
        self.pop.run(0..CALLS, |_| self.dir.take(b"head"))?;
        for _ in 0..CALLS {
            self.note_pop();
        }
        self.readlink.run(0..CALLS, |_| self.dir.readlink(b"head"))?;
        let picked: Vec<u32> = (0..CALLS).map(|_| self.pick(random)).collect();
        self.unlink.run(0..CALLS, |at| self.dir.unlink(&name(picked[at as usize])))
    }

    fn note_pop(&mut self) {
        while self.unlinked.remove(&self.oldest) {
            self.oldest += 1;
        }
        self.oldest += 1;
    }

    /// Any event, which then counts as unlinked.
    fn pick(&mut self, random: &mut u64) -> u32 {
        loop {
            // xorshift: any sequence does that is the same in every run.
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            let number = self.oldest + (*random % u64::from(self.next - self.oldest)) as u32;
            if self.unlinked.insert(number) {
                return number;
            }
        }
    }
}

/// Compares a short queue with a long one.
pub(crate) fn compare(
    short: &mut Queue,
    long: &mut Queue,
    rounds: u32,
) -> Result<Vec<Row>, Broken> {
    let depths = format!("at {} and {}", long.depth(), short.depth());
    let mut random = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..rounds {
        short.round(&mut random)?;
        long.round(&mut random)?;
    }
    let row = |what: &str, of: fn(&Queue) -> &Rounds| {
        let (few, many) = (of(short), of(long));
        let measured = ratio(many.quiet(), few.quiet());
        let name = format!("{what} at a depth of 1 000 000, beside 1 000");
        Row::at_most(&name, Unit::Times, RATIO_MAX, measured).under(format!(
            "{} and {} {depths}; best twentieth of {rounds} rounds of {CALLS}, medians {:.2} x",
            seconds(many.quiet()),
            seconds(few.quiet()),
            ratio(many.median(), few.median()),
        ))
    };
    Ok(vec![
        row("put", |queue| &queue.put),
        row("pop through head", |queue| &queue.pop),
        row("readlink head", |queue| &queue.readlink),
        row("unlink by name", |queue| &queue.unlink),
    ])
}
