//! Waiting until a look into a queue is worth while.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::exit::Failed;
use crate::client::{Arrivals, IDLE_PAUSE, SECOND_LOOKS, Woken};

/// Pause between looks where inotify is not to be had.
const POLL_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Waiting<'a> {
    queue: &'a Path,
    /// Device and inode: another queue under the same name is a stranger.
    identity: (u64, u64),
    /// `None`: the caller may not list the queue, or has too many watches. Then we look again and
    /// again.
    arrivals: Option<Arrivals>,
    /// Looks since the last wake-up.
    looks: usize,
}

impl<'a> Waiting<'a> {
    /// Begins to listen.
    pub(super) fn on(queue: &'a Path) -> Result<Self, Failed> {
        let arrivals = listen(queue).map_err(|error| Failed::io(queue.display(), &error))?;
        let identity = identity(queue).map_err(|error| Failed::io(queue.display(), &error))?;
        Ok(Self { queue, identity, arrivals, looks: SECOND_LOOKS.len() })
    }

    /// Waits until a look is worth while; `false` when the deadline has passed.
    ///
    /// # Errors
    /// When the queue is gone, even if another one has its name.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Failed> {
        loop {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(false);
            }
            let look = self.sleep(now, deadline)?;
            match identity(self.queue) {
                Ok(identity) if identity == self.identity && look => return Ok(true),
                Ok(identity) if identity == self.identity => {}
                Ok(_) => {
                    let line = format!("{}: the queue has ended", self.queue.display());
                    return Err(Failed::new(line));
                }
                Err(error) => return Err(Failed::io(self.queue.display(), &error)),
            }
        }
    }

    /// Sleeps until something happens or ought to be looked at; whether the events ought to.
    fn sleep(&mut self, now: Instant, deadline: Option<Instant>) -> Result<bool, Failed> {
        let Some(arrivals) = &self.arrivals else {
            let left = deadline.map_or(POLL_PAUSE, |deadline| deadline - now);
            std::thread::sleep(left.min(POLL_PAUSE));
            return Ok(true);
        };
        let pause = SECOND_LOOKS.get(self.looks).copied();
        let next_look = now + pause.unwrap_or(IDLE_PAUSE);
        let until = deadline.map_or(next_look, |deadline| deadline.min(next_look));
        match arrivals.wait(Some(until)) {
            Ok(Woken::Events(_)) => self.looks = 0,
            Ok(Woken::TimedOut) => self.looks = self.looks.saturating_add(1),
            Err(error) => return Err(Failed::io("inotify", &error)),
        }
        Ok(self.looks == 0 || pause.is_some())
    }
}

fn listen(queue: &Path) -> io::Result<Option<Arrivals>> {
    let listening = Arrivals::new().and_then(|arrivals| arrivals.add(queue).map(|_| arrivals));
    match listening {
        Ok(arrivals) => Ok(Some(arrivals)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES | libc::EMFILE | libc::ENOSPC) => Ok(None),
            _ => Err(error),
        },
    }
}

fn identity(queue: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(queue)?;
    if metadata.nlink() == 0 {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    Ok((metadata.dev(), metadata.ino()))
}
