//! The end of queues: told once, and never of the queue that has the name next.

use crate::mount::{Mount, Options};
use crate::schedules::check;

#[test]
fn an_end_is_told_once_whoever_has_the_name_next() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let (owner, other) = (mount.client(10), mount.client(11));
        let queue = owner.mkdir("a").expect("a queue");
        let world = mount.world.clone();
        let killer = mount.work(move || world.kill(&owner.process));
        let maker = {
            let other = other.clone();
            mount.work(move || {
                let _ = other.mkdir("a");
            })
        };
        killer.join().expect("killed");
        maker.join().expect("made or not");
        mount.settle();
        let _ = other.mkdir("a");
        mount.settle();
        assert_eq!(mount.ends(queue).len(), 1);
        assert!(mount.has_queue("a"), "the second one lives");
    });
}

#[test]
fn ends_and_removals_by_hand_meet() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let (owner, other) = (mount.client(10), mount.client(11));
        let queue = owner.mkdir("a").expect("a queue");
        owner.put(queue, "e").expect("an event");
        let world = mount.world.clone();
        let killer = mount.work(move || world.kill(&owner.process));
        let popper = {
            let other = other.clone();
            mount.work(move || {
                let _ = other.unlink(queue, "head");
            })
        };
        let removed = other.rmdir("a").is_ok();
        killer.join().expect("killed");
        popper.join().expect("popped or not");
        mount.settle();
        // What a caller removed is told by the kernel itself.
        assert_eq!(mount.ends(queue).len(), usize::from(!removed));
        assert!(!mount.has_queue("a"));
    });
}
