//! The register of owners: each death is handled once, for the process that died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::mount::{Mount, Options};
use crate::schedules::check;

#[test]
fn an_owner_dies_while_it_is_given_a_queue() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let (maker, heir) = (mount.client(11), mount.client(10));
        let own = heir.mkdir("own").expect("a queue");
        let queue = maker.mkdir("a").expect("a queue");
        let (world, process) = (mount.world.clone(), Arc::clone(&heir.process));
        let killer = mount.work(move || world.kill(&process));
        let given = maker.set(queue, "user.eventfs_owner", "10").is_ok();
        killer.join().expect("killed");
        mount.settle();
        assert_eq!(mount.ends(own).len(), 1);
        assert_eq!(mount.ends(queue).len(), usize::from(given));
        assert_eq!(mount.has_queue("a"), !given);
        assert_eq!(heir.process.holds(), 0, "descriptors of a process without a queue");
    });
}

#[test]
fn an_owner_dies_while_it_is_given_queues_and_loses_one() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let (maker, heir) = (mount.client(11), mount.client(10));
        let own = heir.mkdir("own").expect("a queue");
        let first = maker.mkdir("a").expect("a queue");
        let second = maker.mkdir("b").expect("a queue");
        let given = [first, second].map(|queue| {
            let (maker, done) = (maker.clone(), Arc::new(AtomicBool::new(false)));
            let told = Arc::clone(&done);
            let worker = mount.work(move || {
                let set = maker.set(queue, "user.eventfs_owner", "10");
                told.store(set.is_ok(), Ordering::Relaxed);
            });
            (queue, worker, done)
        });
        let (world, process) = (mount.world.clone(), Arc::clone(&heir.process));
        let killer = mount.work(move || world.kill(&process));
        let remover = mount.work(move || {
            let _ = maker.rmdir("a");
        });
        killer.join().expect("killed");
        remover.join().expect("removed or not");
        let given = given.map(|(queue, worker, done)| {
            worker.join().expect("set or not");
            (queue, done.load(Ordering::Relaxed))
        });
        mount.settle();
        assert_eq!(heir.process.holds(), 0, "descriptors of a process without a queue");
        assert_eq!(mount.ends(own).len(), 1);
        let (queue, was_given) = given[1];
        assert_eq!(mount.ends(queue).len(), usize::from(was_given));
        assert_eq!(mount.has_queue("b"), !was_given);
        let (queue, _) = given[0];
        assert!(mount.ends(queue).len() <= 1 && !mount.has_queue("a"));
    });
}

#[test]
fn a_number_that_is_given_again_is_another_owner() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let first = mount.client(10);
        let queue = first.mkdir("a").expect("a queue");
        mount.world.kill(&first.process);
        mount.world.reap(&first.process);
        let second = mount.client(10);
        let b = second.mkdir("b").expect("a queue");
        let c = second.mkdir("c").expect("a queue");
        mount.settle();
        let d = second.mkdir("d").expect("a queue");
        mount.settle();
        assert!(["b", "c", "d"].iter().all(|name| mount.has_queue(name)));
        assert_eq!(second.process.holds(), 1, "a descriptor a process");
        mount.world.kill(&second.process);
        mount.settle();
        for queue in [queue, b, c, d] {
            assert_eq!(mount.ends(queue).len(), 1);
        }
        assert_eq!((first.process.holds(), second.process.holds()), (0, 0));
    });
}
