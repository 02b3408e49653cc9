//! The thread that waits for the end of owners and for deadlines.

use super::shared::Shared;
use crate::model::OwnerId;
use crate::sys::clock;

/// Runs until the process ends.
pub(super) fn run(shared: &Shared) {
    loop {
        let next = shared.with(|tree, _| tree.next_deadline()).0;
        let ended = match shared.owners.poller().wait(next) {
            Ok(ended) => ended,
            Err(error) => {
                log::error!("queues will outlive their owners: epoll: {error}");
                return;
            }
        };
        for owner in ended {
            bury(shared, OwnerId(owner));
        }
        if next.is_some_and(|at| at <= clock::boot_ns()) {
            drop(shared.with(|tree, now| tree.tick(now)).1);
        }
    }
}

fn bury(shared: &Shared, owner: OwnerId) {
    shared.owners.mark_ended(owner);
    shared.owner_died(owner);
}
