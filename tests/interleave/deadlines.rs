//! Deadlines: what comes nearer wakes the reaper, and what is over is over.

use crate::kernel::Told;
use crate::mount::{Mount, Options};
use crate::schedules::check;
use crate::world::SECOND;

#[test]
fn a_nearer_deadline_is_kept() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let client = mount.client(11);
        let (far, near) =
            (client.mkdir("far").expect("a queue"), client.mkdir("near").expect("a queue"));
        client.set(far, "user.eventfs_ttl", "1000").expect("a ttl");
        client.set(near, "user.eventfs_ttl", "1").expect("a ttl");
        client.put(far, "f").expect("an event");
        let worker = mount.work(move || client.put(near, "n").expect("an event"));
        worker.join().expect("put");
        let expired = |told: &Told| matches!(told, Told::Delete(queue, ..) if *queue == near);
        mount.world.until(|| mount.told().iter().any(expired));
        assert_eq!(mount.world.now_ns(), SECOND, "expired late");
        mount.settle();
    });
}

#[test]
fn a_queue_is_saved_within_its_grace_or_ends_with_it() {
    check(|| {
        let mount = Mount::new(&Options { grace_ns: SECOND, ..Options::VISIBLE });
        let (owner, heir) = (mount.client(10), mount.client(11));
        let queue = owner.mkdir("a").expect("a queue");
        let world = mount.world.clone();
        let killer = mount.work(move || world.kill(&owner.process));
        killer.join().expect("killed");
        // Time passes while the heir does not work, so it may come too late.
        let saved = heir.set(queue, "user.eventfs_owner", "11").is_ok();
        if !saved {
            mount.world.until(|| !mount.ends(queue).is_empty());
            assert_eq!(mount.ends(queue), [SECOND]);
        }
        // Another one whose grace ends later.
        let last = mount.client(12);
        let later = last.mkdir("later").expect("a queue");
        mount.world.kill(&last.process);
        mount.world.until(|| !mount.ends(later).is_empty());
        mount.settle();
        assert_eq!(mount.has_queue("a"), saved);
        assert_eq!(mount.ends(queue).len(), usize::from(!saved));
    });
}
