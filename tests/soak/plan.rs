//! Which queues a storm has, and who works on them.

use crate::ledger::Order;

/// User `nobody`, who has a quota.
pub(crate) const NOBODY: u32 = 65_534;

/// Files that `nobody` may have.
pub(crate) const QUOTA_FILES: u32 = 30;

/// The configuration of the daemon.
pub(crate) const CONFIG: &str = "[limits.user.nobody]\nmax_files = 30\nmax_dirs = 1\n";

/// A queue of the storm.
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    pub(crate) order: Order,
    /// Extended attributes beside the sticky mark, without `user.eventfs_`.
    pub(crate) attributes: &'static [(&'static str, &'static str)],
}

const fn queue(name: &'static str, order: Order) -> Queue {
    Queue { name, order, attributes: &[] }
}

/// All queues. What the names say about consumers, [`CREW`] has.
pub(crate) const QUEUES: [Queue; 11] = [
    queue("removed", Order::Chain),
    queue("claimed", Order::Each),
    queue("moved", Order::Each),
    queue("popped", Order::Each),
    queue("killed", Order::Free),
    queue("chained", Order::Chain),
    queue("cast", Order::Each),
    queue(USERS, Order::Chain),
    Queue { name: "full", order: Order::Each, attributes: &[("max_events", "20")] },
    Queue {
        name: "dropping",
        order: Order::Each,
        attributes: &[("max_events", "50"), ("overflow", "drop-oldest")],
    },
    Queue { name: "expiring", order: Order::Each, attributes: &[("ttl", "1")] },
];

/// The queue of `nobody`.
pub(crate) const USERS: &str = "users";

/// What a process does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    Produce,
    /// Where refusals are to be expected.
    ProduceLimited,
    /// Links from its queue into [`Crew::other`].
    Link,
    /// Owns a queue, and links from it into its queue.
    Own,
    Remove,
    Claim,
    /// Has a queue into which it moves.
    Move,
    /// `eventfs pop`, of which only the content is seen.
    Pop,
    /// `eventfs pop --json`, one event a call.
    PopOne,
    /// `eventfs pop --all --json`.
    PopAll,
}

/// Some processes with the same work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crew {
    pub(crate) work: Work,
    pub(crate) queue: &'static str,
    pub(crate) other: &'static str,
    pub(crate) count: u32,
    /// May be killed.
    pub(crate) mortal: bool,
    /// Longest pause between two steps, microseconds.
    pub(crate) pause_us: u64,
}

const fn crew(work: Work, queue: &'static str, count: u32, mortal: bool, pause_us: u64) -> Crew {
    Crew { work, queue, other: "", count, mortal, pause_us }
}

/// Everybody.
pub(crate) const CREW: [Crew; 23] = [
    crew(Work::Produce, "removed", 2, true, 4_000),
    crew(Work::Remove, "removed", 1, true, 1_000),
    crew(Work::Produce, "claimed", 2, true, 4_000),
    crew(Work::Claim, "claimed", 3, true, 2_000),
    crew(Work::Produce, "moved", 1, true, 2_000),
    crew(Work::Move, "moved", 2, true, 2_000),
    crew(Work::Produce, "popped", 2, true, 2_000),
    crew(Work::Pop, "popped", 1, false, 30_000),
    crew(Work::PopAll, "popped", 1, false, 30_000),
    crew(Work::Produce, "killed", 2, true, 1_000),
    crew(Work::PopAll, "killed", 2, true, 100_000),
    crew(Work::Produce, "chained", 2, true, 1_000),
    crew(Work::Pop, "chained", 1, true, 60_000),
    Crew { other: "cast", ..crew(Work::Link, "removed", 1, true, 5_000) },
    crew(Work::Own, "cast", 2, true, 5_000),
    crew(Work::PopAll, "cast", 2, false, 40_000),
    crew(Work::ProduceLimited, USERS, 2, true, 2_000),
    crew(Work::Remove, USERS, 1, true, 6_000),
    crew(Work::ProduceLimited, "full", 2, true, 2_000),
    crew(Work::PopOne, "full", 1, false, 30_000),
    crew(Work::ProduceLimited, "dropping", 2, true, 2_000),
    crew(Work::PopOne, "dropping", 1, false, 50_000),
    crew(Work::Produce, "expiring", 1, true, 5_000),
];
