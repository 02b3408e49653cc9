//! Giving back what the kernel keeps of events that went without its knowledge: about 1.1 KB each.
//!
//! It is done when nothing has been popped for a moment, because it costs a drain a sixth of its speed;
//! or when there are very many.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::herald::{Ghost, KernelNotify};
use super::shared::Shared;
use crate::model::{Ino, Remnant};

/// How long nothing must have been popped.
const PAUSE: Duration = Duration::from_millis(250);

/// So many are not left for later: some 72 MB in the kernel.
const MANY: usize = 64 << 10;

/// Told to the kernel in one notification.
const BATCH: usize = 256;

/// Told to a kernel that wants to hear of each by name, and that may wait for a directory's lock
/// each time, before other work is looked at.
const BATCH_BY_NAME: usize = 32;

/// What the herald knows of remnants.
#[derive(Default)]
pub(super) struct Collector {
    /// When to look again.
    next: Option<Instant>,
    /// How many there had been at the last look.
    seen: u64,
    /// Taken from the tree, still to be told.
    taken: VecDeque<Remnant>,
    /// Whether the kernel is too old to forget inodes by number.
    by_name: bool,
}

impl Collector {
    /// There are remnants.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now + PAUSE);
    }

    /// When [`Collector::step`] is to be called; `None` if there is nothing to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Looks for remnants whose time has come, and tells the kernel of one batch of them.
    /// `forget` takes what is to be told name by name.
    pub(super) fn step(
        &mut self,
        shared: &Shared,
        notify: &dyn KernelNotify,
        forget: impl FnOnce(Vec<Ghost>),
        now: Instant,
    ) {
        if self.taken.is_empty() {
            self.look(shared, now);
        }
        if self.taken.is_empty() {
            return;
        }
        if let Err(error) = self.tell(shared, notify, forget) {
            log::debug!("the kernel keeps {} names: {error}", self.taken.len());
            self.taken.clear();
        }
        // Another look at the end: more may have come meanwhile.
        self.next = Some(if self.taken.is_empty() { now + PAUSE } else { now });
    }

    fn look(&mut self, shared: &Shared, now: Instant) {
        let (seen, next) = (self.seen, now + PAUSE);
        let ((taken, count, left), _after) = shared.with(|tree, _| {
            let (len, count) = tree.remnants();
            let take = count == seen || len >= MANY;
            let taken = if take { tree.take_remnants() } else { Vec::new() };
            (taken, count, len > 0 && !take)
        });
        self.seen = count;
        self.taken = taken.into();
        self.next = left.then_some(next);
    }

    fn tell(
        &mut self,
        shared: &Shared,
        notify: &dyn KernelNotify,
        forget: impl FnOnce(Vec<Ghost>),
    ) -> io::Result<()> {
        if !self.by_name {
            let inos: Vec<Ino> = self.taken.iter().take(BATCH).map(|r| r.ino).collect();
            match notify.prune(&inos) {
                Ok(()) => {
                    self.taken.drain(..inos.len());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => self.by_name = true,
                Err(error) => return Err(error),
            }
        }
        let count = self.taken.len().min(BATCH_BY_NAME);
        let gone = |remnant: &Remnant| shared.with(|tree, _| tree.is_gone(remnant)).0;
        forget(self.taken.drain(..count).filter(gone).map(ghost).collect());
        Ok(())
    }
}

/// Its name is to be forgotten, and inotify told nothing.
fn ghost(remnant: Remnant) -> Ghost {
    let name = remnant.name().into();
    Ghost { parent: remnant.queue, name, ino: remnant.ino, told: false }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::super::shared::NotifyPolicy;
    use super::*;
    use crate::model::quota::Quotas;
    use crate::model::{Caller, HandleId, Mode, Now, Settings, Tree};

    /// A kernel that writes down what it is told.
    #[derive(Default)]
    struct Kernel {
        old: bool,
        gone: bool,
        told: Mutex<Vec<String>>,
    }

    impl KernelNotify for Kernel {
        fn inval_inode(&self, ino: Ino) -> io::Result<()> {
            panic!("{ino:?} has nothing to do with remnants")
        }

        fn inval_entry(&self, parent: Ino, _name: &[u8]) -> io::Result<()> {
            panic!("{parent:?} has nothing to do with remnants")
        }

        fn delete(&self, _parent: Ino, child: Ino, _name: &[u8]) -> io::Result<()> {
            panic!("{child:?} has nothing to do with remnants")
        }

        fn prune(&self, inos: &[Ino]) -> io::Result<()> {
            if self.gone {
                return Err(io::ErrorKind::NotConnected.into());
            }
            if self.old {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.told.lock().push(inos.len().to_string());
            Ok(())
        }
    }

    struct Bench {
        shared: std::sync::Arc<Shared>,
        queue: Ino,
        collector: Collector,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let start = Now { wall_ns: 0, boot_ns: 0 };
            let tree = Tree::new(Settings::default(), Quotas::default(), start);
            let shared = Shared::new(tree, NotifyPolicy::Silent).expect("threads");
            let made = |tree: &mut Tree, now| {
                tree.mkdir(Ino::ROOT, b"q", 0o755, None, Caller::ROOT, now).expect("a queue").ino
            };
            let queue = shared.with(made).0;
            Self { shared, queue, collector: Collector::default(), now: Instant::now() }
        }

        fn put(&self, name: &str) -> (Ino, HandleId) {
            let (queue, mode) = (self.queue, Mode { reads: false, writes: true, truncates: false });
            let put = |tree: &mut Tree, now| {
                let (root, name) = (Caller::ROOT, name.as_bytes());
                let (attr, made) = tree.create(queue, name, 0o644, mode, root, now).expect("room");
                tree.release(made, now);
                (attr.ino, tree.open(attr.ino, mode, now).expect("an event"))
            };
            self.shared.with(put).0
        }

        fn close(&self, handle: HandleId) {
            drop(self.shared.with(|tree, now| tree.release(handle, now)));
        }

        fn pop(&self) {
            let popped = self.shared.with(|tree, now| tree.unlink(self.queue, b"head", now));
            popped.0.expect("an event");
        }

        fn pass(&self, names: &[&str]) {
            for name in names {
                self.close(self.put(name).1);
                self.pop();
            }
        }

        fn step(&mut self, kernel: &Kernel) {
            let forget = |ghosts: Vec<Ghost>| {
                let names = ghosts.iter().map(|ghost| String::from_utf8_lossy(&ghost.name).into());
                kernel.told.lock().extend(names);
            };
            self.collector.step(&self.shared, kernel, forget, self.now);
        }

        /// Does what is due when the pause is over; returns the number of steps.
        fn wait(&mut self, kernel: &Kernel) -> usize {
            self.now += PAUSE;
            let mut steps = 0;
            while self.collector.due().is_some_and(|at| at <= self.now) {
                self.step(kernel);
                steps += 1;
                assert!(steps < 10_000, "never done");
            }
            steps
        }
    }

    #[test]
    fn the_kernel_is_told_when_nothing_was_popped_for_a_pause() {
        let (mut bench, kernel) = (Bench::new(), Kernel::default());
        bench.pass(&["a", "b"]);
        bench.collector.begin(bench.now);
        bench.wait(&kernel);
        bench.pass(&["c"]);
        bench.wait(&kernel);
        assert!(kernel.told.lock().is_empty(), "told in the middle of it");
        bench.wait(&kernel);
        assert_eq!(*kernel.told.lock(), ["3"]);
        bench.wait(&kernel);
        assert_eq!(bench.collector.due(), None);
    }

    #[test]
    fn what_comes_while_the_kernel_is_told_is_told_later() {
        let (mut bench, kernel) = (Bench::new(), Kernel::default());
        let names: Vec<String> = (0..=BATCH).map(|number| number.to_string()).collect();
        bench.pass(&names.iter().map(String::as_str).collect::<Vec<_>>());
        bench.collector.begin(bench.now);
        bench.wait(&kernel);
        bench.now += PAUSE;
        bench.step(&kernel);
        bench.pass(&["late"]);
        bench.collector.begin(bench.now);
        bench.step(&kernel);
        assert_eq!(*kernel.told.lock(), [BATCH.to_string().as_str(), "1"]);
        bench.wait(&kernel);
        bench.wait(&kernel);
        assert_eq!(*kernel.told.lock(), [BATCH.to_string().as_str(), "1", "1"]);
    }

    #[test]
    fn very_many_are_not_left_for_later() {
        let (mut bench, kernel) = (Bench::new(), Kernel::default());
        let names: Vec<String> = (0..MANY).map(|number| number.to_string()).collect();
        bench.pass(&names.iter().map(String::as_str).collect::<Vec<_>>());
        bench.collector.begin(bench.now);
        assert_eq!(bench.wait(&kernel), MANY / BATCH);
        assert_eq!(*kernel.told.lock(), vec![BATCH.to_string(); MANY / BATCH]);
    }

    #[test]
    fn an_old_kernel_is_told_by_name_but_not_of_names_that_live_again() {
        let (mut bench, kernel) = (Bench::new(), Kernel { old: true, ..Kernel::default() });
        bench.pass(&["a", "b", "c"]);
        bench.close(bench.put("b").1);
        bench.collector.begin(bench.now);
        bench.wait(&kernel);
        bench.wait(&kernel);
        assert_eq!(*kernel.told.lock(), ["a", "c"]);
        bench.wait(&kernel);
        assert_eq!(bench.collector.due(), None);
    }

    #[test]
    fn what_the_kernel_forgot_already_and_what_is_open_is_not_told() {
        let (mut bench, kernel) = (Bench::new(), Kernel::default());
        bench.close(bench.put("unlinked").1);
        let unlink = |tree: &mut Tree, now| tree.unlink(bench.queue, b"unlinked", now);
        bench.shared.with(unlink).0.expect("an event");
        let open = bench.put("open").1;
        bench.pop();
        assert_eq!(bench.shared.with(|tree, _| tree.remnants()).0, (0, 0));
        bench.close(open);
        bench.collector.begin(bench.now);
        bench.wait(&kernel);
        assert!(kernel.told.lock().is_empty());
        assert_eq!(bench.collector.due(), None);
    }

    #[test]
    fn a_kernel_that_is_gone_is_told_nothing_more() {
        let (mut bench, kernel) = (Bench::new(), Kernel { gone: true, ..Kernel::default() });
        bench.pass(&["a"]);
        bench.collector.begin(bench.now);
        bench.wait(&kernel);
        assert_eq!(bench.wait(&kernel), 1);
        bench.wait(&kernel);
        assert_eq!(bench.collector.due(), None);
    }
}
