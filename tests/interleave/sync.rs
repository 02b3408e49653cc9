//! `src/janitor/sync.rs` for the checker: the same names, every use of which is a step.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use shuttle::sync::atomic::{AtomicU32, Ordering};
pub(super) use shuttle::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::rules;
use crate::world::{Sleeper, Woken, World};

/// Threads that run until the process ends: a schedule does not wait for them.
pub(super) mod thread {
    pub use shuttle::thread::sleep;

    pub struct Builder;

    impl Builder {
        pub fn new() -> Self {
            Self
        }

        pub fn name(self, _name: String) -> Self {
            self
        }

        pub fn spawn(self, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
            crate::world::spawn_daemon(run);
            Ok(())
        }
    }
}

#[derive(Default)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

/// Empty only while its thread waits on a [`Condvar`].
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = MutexGuard { mutex: self, held: self.take() };
        if MutexGuard::<T>::COUNTS {
            rules::locked();
        }
        guard
    }

    fn take(&self) -> Option<shuttle::sync::MutexGuard<'_, T>> {
        if MutexGuard::<T>::COUNTS {
            rules::holds_none("takes a second lock");
        }
        Some(self.0.lock().expect("nobody panicked with it"))
    }

    /// A holder that never lets go is a deadlock for the checker, not a matter of time.
    pub(super) fn try_lock_for(&self, _bound: Duration) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }
}

impl<T> MutexGuard<'_, T> {
    /// The herald's `acting`, which guards nothing, is the one lock with which others are taken.
    const COUNTS: bool = size_of::<T>() > 0;
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if Self::COUNTS {
            rules::unlocked();
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("not waiting")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("not waiting")
    }
}

/// Like the real one it keeps no notification for later, and time passes as [`World`] has it.
pub(super) struct Condvar(std::sync::Mutex<VecDeque<Arc<Sleeper>>>);

impl Condvar {
    pub(super) fn new() -> Self {
        Self(std::sync::Mutex::default())
    }

    pub(super) fn notify_one(&self) {
        crate::world::step();
        let sleeper = self.0.lock().expect("one thread runs").pop_front();
        if let Some(sleeper) = sleeper {
            sleeper.wake(Woken::Called);
        }
    }

    pub(super) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.sleep(guard, None);
    }

    pub(super) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, at: Instant) -> Woken {
        self.sleep(guard, Some(World::of_instant(at)))
    }

    fn sleep<T>(&self, guard: &mut MutexGuard<'_, T>, at: Option<i64>) -> Woken {
        let sleeper = Sleeper::new();
        self.0.lock().expect("one thread runs").push_back(Arc::clone(&sleeper));
        drop(guard.held.take());
        rules::unlocked();
        let woken = sleeper.sleep(at);
        self.0.lock().expect("one thread runs").retain(|other| !Arc::ptr_eq(other, &sleeper));
        guard.held = guard.mutex.take();
        rules::locked();
        woken
    }
}

pub(super) fn now() -> Instant {
    World::current().instant()
}
