//! The thread that gives freed memory back to the system: work of many milliseconds after a large
//! drain, during which nobody must wait for the end of an owner.

use std::io;
use std::time::Duration;

use super::sync::{Receiver, SyncSender, sync_channel, thread};
use crate::sys::memory;

/// Pause before each return: more is freed meanwhile, and a steady flow costs little.
const PAUSE: Duration = Duration::from_millis(400);

/// Asks for the return of memory.
pub(super) struct Trimmer(SyncSender<()>);

impl Trimmer {
    /// Starts the thread. It runs until the process ends.
    pub(super) fn start() -> io::Result<Self> {
        let (asks, asked) = sync_channel(1);
        thread::Builder::new().name("trimmer".into()).spawn(move || run(&asked))?;
        Ok(Self(asks))
    }

    /// Asks. One request that waits already is enough.
    pub(super) fn ask(&self) {
        let _ = self.0.try_send(());
    }
}

fn run(asked: &Receiver<()>) {
    for () in asked {
        thread::sleep(PAUSE);
        memory::trim();
    }
}
