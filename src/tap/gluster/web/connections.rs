//! How many connections there are at once, and which has to go when one more comes.
//!
//! A client that sends nothing, or a byte a minute, holds a connection. When all are taken, the oldest one
//! that is waiting for its client gives way: whoever wants to be served has only to send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// Connections at once, where the process may have as many descriptors.
const CONNECTIONS_MAX: usize = 1_000;

/// Whether the server works for a connection just now, and not the connection's client.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// Says so.
    pub(super) fn set(&self, busy: bool) {
        self.0.store(busy, Ordering::Relaxed);
    }

    fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Open {
    abort: AbortHandle,
    busy: Busy,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Open>,
    next: u64,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    table: Mutex<Table>,
    max: usize,
}

impl Connections {
    /// As many as the limit of descriptors allows, with half of them left for everything else.
    pub(super) fn new() -> Self {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let mut max = CONNECTIONS_MAX;
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let wanted = (2 * CONNECTIONS_MAX as u64).min(hard).max(soft);
            let limit = match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
                Ok(()) => wanted,
                Err(_) => soft,
            };
            max = max.min(usize::try_from(limit / 2).unwrap_or(max)).max(1);
        }
        Self { table: Mutex::default(), max }
    }

    /// Enters a connection that `start` begins with its number; false when there is no room, which is so
    /// only when the server works for all others.
    pub(super) fn admit(&self, busy: Busy, start: impl FnOnce(u64) -> AbortHandle) -> bool {
        let mut table = self.table.lock();
        if table.open.len() >= self.max {
            let waiting = table.open.iter().find(|(_, open)| !open.busy.is());
            let Some(oldest) = waiting.map(|(number, _)| *number) else { return false };
            if let Some(open) = table.open.remove(&oldest) {
                open.abort.abort();
            }
        }
        let number = table.next;
        table.next += 1;
        let abort = start(number);
        table.open.insert(number, Open { abort, busy });
        true
    }

    /// A connection has ended.
    pub(super) fn leave(&self, number: u64) {
        self.table.lock().open.remove(&number);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.table.lock().open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_waits_gives_way() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let connections = Connections { table: Mutex::default(), max: 3 };
            let admit = |busy: bool| {
                let flag = Busy::default();
                flag.set(busy);
                let task = |_| tokio::spawn(std::future::pending::<()>()).abort_handle();
                connections.admit(flag, task)
            };
            assert!(admit(true) && admit(false) && admit(false));
            assert!(admit(true));
            let numbers: Vec<u64> = connections.table.lock().open.keys().copied().collect();
            assert_eq!(numbers, [0, 2, 3]);
            assert!(admit(true));
            assert!(!admit(true), "all are being worked for");
            connections.leave(3);
            assert!(admit(false));
            assert_eq!(connections.count(), 3);
        });
    }
}
