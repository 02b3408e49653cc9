//! What there is in a schedule beside threads: time, processes, and what the kernel was told.
//!
//! Time stands still while any thread has something to do, and then goes at once to what the next sleeper waits
//! for. So a wake-up that is lost is a deadlock, or a deadline that is missed by far.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use shuttle::thread::{self, Thread};

use crate::kernel::Kernel;
use crate::rules;

pub const SECOND: i64 = 1_000_000_000;

/// All of one schedule. What is in it is touched by one thread at a time, the one that the checker runs.
#[derive(Default)]
pub struct World {
    state: Mutex<State>,
    pub kernel: Kernel,
}

#[derive(Default)]
struct State {
    now_ns: i64,
    /// Threads that are awake, and guards. Time passes when there are none.
    busy: usize,
    timers: Vec<(i64, Arc<Sleeper>)>,
    observers: Vec<Arc<Sleeper>>,
    /// Waits until nobody has anything to do.
    quiet: Option<Arc<Sleeper>>,
    processes: BTreeMap<u32, Arc<Process>>,
}

thread_local! {
    // All threads of a schedule are on one thread of the system.
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// A point at which another thread may go on instead.
pub fn step() {
    thread::sleep(Duration::ZERO);
}

/// Starts a thread for which a schedule does not wait.
pub fn spawn_daemon(run: impl FnOnce() + Send + 'static) {
    // The checker calls a plain thread that stands still at the end a deadlock.
    drop(shuttle::future::spawn(async move { run() }));
}

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

impl World {
    /// Begins a schedule in which so many threads will sleep on [`Sleeper`]s, the caller included.
    pub fn begin(sleepers: usize) -> Arc<Self> {
        rules::begin();
        let world = Arc::new(Self::default());
        world.state().busy = sleepers;
        WORLD.set(Some(Arc::clone(&world)));
        world
    }

    pub fn current() -> Arc<Self> {
        WORLD.with_borrow(Clone::clone).expect("a schedule")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked with it")
    }

    pub fn now_ns(&self) -> i64 {
        self.state().now_ns
    }

    pub fn instant(&self) -> Instant {
        base() + Duration::from_nanos(self.now_ns().unsigned_abs())
    }

    /// The time of an [`World::instant`].
    pub fn of_instant(at: Instant) -> i64 {
        i64::try_from((at - base()).as_nanos()).expect("centuries")
    }

    /// Keeps time from passing.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.state().busy += 1;
        Busy(Arc::clone(self))
    }

    fn rest(&self) {
        let next = {
            let mut state = self.state();
            state.busy -= 1;
            if state.busy > 0 {
                return;
            }
            match state.quiet.take() {
                Some(sleeper) => Some((sleeper, Woken::Called)),
                None => state.pass_time().map(|sleeper| (sleeper, Woken::TimedOut)),
            }
        };
        if let Some((sleeper, why)) = next {
            sleeper.wake(why);
        }
    }

    /// Waits, without passing time, until nobody has anything to do.
    pub fn quiet(&self) {
        let sleeper = Sleeper::new();
        self.state().quiet = Some(Arc::clone(&sleeper));
        sleeper.sleep(None);
    }

    /// Something happened that [`World::until`] may wait for.
    pub fn changed(&self) {
        let observers = std::mem::take(&mut self.state().observers);
        observers.iter().for_each(|sleeper| sleeper.wake(Woken::Called));
    }

    /// Waits until something holds. The checker calls it a deadlock if it never does.
    pub fn until(&self, mut holds: impl FnMut() -> bool) {
        loop {
            let sleeper = Sleeper::new();
            self.state().observers.push(Arc::clone(&sleeper));
            if holds() {
                self.state().observers.retain(|other| !Arc::ptr_eq(other, &sleeper));
                return;
            }
            sleeper.sleep(None);
        }
    }

    /// Begins a process under a number that is free.
    pub fn spawn(&self, pid: u32) -> Arc<Process> {
        let process = Arc::new(Process { pid, ..Process::default() });
        let before = self.state().processes.insert(pid, Arc::clone(&process));
        assert!(before.is_none(), "process {pid} is there");
        process
    }

    pub fn process(&self, pid: u32) -> Option<Arc<Process>> {
        step();
        self.state().processes.get(&pid).map(Arc::clone)
    }

    /// SIGKILL: a process that waits for an answer of ours ends when it has it.
    pub fn kill(&self, process: &Process) {
        let _answered = process.call.lock().expect("nobody panicked with it");
        process.ended.store(true, Ordering::Relaxed);
        self.kernel.wake_pollers();
    }

    /// The parent waits for it: its number is free.
    pub fn reap(&self, process: &Process) {
        step();
        self.state().processes.remove(&process.pid);
    }
}

impl State {
    /// Goes to the moment that a sleeper waits for first.
    fn pass_time(&mut self) -> Option<Arc<Sleeper>> {
        let (at, sleeper) = self.timers.iter().min_by_key(|(at, _)| *at).cloned()?;
        self.now_ns = self.now_ns.max(at);
        Some(sleeper)
    }
}

/// See [`World::busy`].
pub struct Busy(Arc<World>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[derive(Default)]
pub struct Process {
    pub pid: u32,
    ended: AtomicBool,
    /// How many descriptors of it are open.
    holds: AtomicUsize,
    /// Held during a call.
    pub call: shuttle::sync::Mutex<()>,
}

impl Process {
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub fn holds(&self) -> usize {
        self.holds.load(Ordering::Relaxed)
    }

    pub fn hold(&self) {
        self.holds.fetch_add(1, Ordering::Relaxed);
    }

    pub fn let_go(&self) {
        self.holds.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a sleep ended.
#[derive(Debug, Eq, PartialEq)]
pub enum Woken {
    Called,
    TimedOut,
}

/// One sleep of the thread that makes it. A call that comes before it sleeps is kept.
pub struct Sleeper {
    thread: Thread,
    woken: Mutex<Option<Woken>>,
    asleep: AtomicBool,
}

impl Sleeper {
    pub fn new() -> Arc<Self> {
        let asleep = AtomicBool::new(false);
        Arc::new(Self { thread: thread::current(), woken: Mutex::default(), asleep })
    }

    pub fn sleep(self: &Arc<Self>, until: Option<i64>) -> Woken {
        let world = World::current();
        self.asleep.store(true, Ordering::Relaxed);
        if !self.is_woken() {
            if let Some(at) = until {
                world.state().timers.push((at, Arc::clone(self)));
            }
            world.rest();
            while !self.is_woken() {
                thread::park();
            }
            world.state().timers.retain(|(_, other)| !Arc::ptr_eq(other, self));
        }
        self.woken.lock().expect("one thread runs").take().expect("it was woken")
    }

    fn is_woken(&self) -> bool {
        self.woken.lock().expect("one thread runs").is_some()
    }

    pub fn wake(&self, why: Woken) {
        let mut woken = self.woken.lock().expect("one thread runs");
        if woken.is_some() {
            return;
        }
        *woken = Some(why);
        drop(woken);
        if self.asleep.load(Ordering::Relaxed) {
            World::current().state().busy += 1;
            self.thread.unpark();
        }
    }
}
