//! Which remnants the kernel is told of, and when.

use std::io;
use std::time::Instant;

use parking_lot::Mutex;

use super::herald::{Ghost, KernelNotify};
use super::remnants::{BATCH, Collector, MANY, PAUSE};
use super::shared::{NotifyPolicy, Shared};
use crate::model::quota::Quotas;
use crate::model::{Caller, HandleId, Ino, Mode, Now, Settings, Tree};

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
