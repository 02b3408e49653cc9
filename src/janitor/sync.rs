//! What the janitor's threads wait with. Only from here, so that `tests/interleave.rs` can compile this
//! directory with a model checker's in their place.

pub(super) use std::sync::atomic::{AtomicU32, Ordering};
pub(super) use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
pub(super) use std::thread;
use std::time::Instant;

pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};

/// The present, for [`Condvar::wait_until`].
pub(super) fn now() -> Instant {
    Instant::now()
}
