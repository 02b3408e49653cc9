//! What the herald is told: all of it is done, in time, and none while the process ends.

use crate::janitor::NotifyPolicy;
use crate::kernel::Told;
use crate::model::Ino;
use crate::mount::{Client, Mount, Options};
use crate::schedules::check;

fn put_all(client: &Client, queue: Ino, names: &[&str]) {
    for name in names {
        client.put(queue, name).expect("an event");
    }
}

#[test]
fn every_popped_event_is_told_once() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let client = mount.client(11);
        let queue = client.mkdir("q").expect("a queue");
        let workers = [["a", "b"], ["c", "d"]].map(|names| {
            let client = client.clone();
            mount.work(move || {
                put_all(&client, queue, &names);
                for _ in names {
                    client.unlink(queue, "head").expect("an event");
                }
            })
        });
        let passers = mount.work({
            let client = client.clone();
            move || {
                client.mkdir("passing").expect("a queue");
                client.rmdir("passing").expect("it is there");
            }
        });
        for worker in workers.into_iter().chain([passers]) {
            worker.join().expect("done");
        }
        let count = |name: &str| {
            let is = |told: &&Told| matches!(told, Told::Delete(parent, _, gone) if *parent == queue && **gone == *name.as_bytes());
            mount.told().iter().filter(is).count()
        };
        let names = ["a", "b", "c", "d"];
        mount.settle();
        assert!(names.iter().all(|name| count(name) == 1));
    });
}

#[test]
fn attributes_are_told_after_the_last_change() {
    check(|| {
        let mount = Mount::new(&Options { policy: NotifyPolicy::Silent, ..Options::VISIBLE });
        let client = mount.client(11);
        let queue = client.mkdir("q").expect("a queue");
        put_all(&client, queue, &["a", "b", "c"]);
        let workers = [2, 1].map(|pops| {
            let client = client.clone();
            mount.work(move || {
                for _ in 0..pops {
                    client.unlink(queue, "head").expect("an event");
                }
            })
        });
        for worker in workers {
            worker.join().expect("popped");
        }
        let last = |wanted: Told| mount.told().into_iter().rposition(|told| told == wanted);
        mount.settle();
        assert!(last(Told::InvalInode(queue)) > last(Told::Removed(queue)));
    });
}

/// The numbers that the kernel was told to forget.
fn pruned(mount: &Mount) -> usize {
    let numbers = |told: Told| if let Told::Pruned(inos) = told { inos.len() } else { 0 };
    mount.told().into_iter().map(numbers).sum()
}

#[test]
fn all_remnants_are_told_and_delay_nothing() {
    check(|| {
        let mount = Mount::new(&Options { report_popped: false, ..Options::VISIBLE });
        let (client, owner) = (mount.client(11), mount.client(10));
        let queue = client.mkdir("q").expect("a queue");
        let other = owner.mkdir("other").expect("a queue");
        put_all(&client, queue, &["a", "b", "c"]);
        client.unlink(queue, "head").expect("an event");
        let popper = mount.work(move || {
            client.unlink(queue, "head").expect("an event");
            client.unlink(queue, "head").expect("an event");
        });
        let world = mount.world.clone();
        let killer = mount.work(move || world.kill(&owner.process));
        let died_at = mount.world.now_ns();
        popper.join().expect("popped");
        killer.join().expect("killed");
        mount.world.until(|| pruned(&mount) == 3);
        mount.settle();
        assert_eq!(mount.ends(other), [died_at], "an end that had to wait for remnants");
        assert_eq!(pruned(&mount), 3, "told twice");
    });
}

#[test]
fn an_old_kernel_forgets_remnants_by_name() {
    check(|| {
        let options = Options { report_popped: false, old_kernel: true, ..Options::VISIBLE };
        let mount = Mount::new(&options);
        let client = mount.client(11);
        let queue = client.mkdir("q").expect("a queue");
        put_all(&client, queue, &["a", "b"]);
        client.unlink(queue, "head").expect("an event");
        client.unlink(queue, "head").expect("an event");
        let again = mount.work(move || client.put(queue, "a").expect("an event"));
        let forgotten = |name: &[u8]| mount.told().contains(&Told::Forgotten(queue, name.into()));
        mount.world.until(|| forgotten(b"b"));
        again.join().expect("put");
        let depth = mount.shared.with(|tree, _| tree.getxattr(queue, b"user.eventfs_depth")).0;
        assert_eq!(depth.expect("a counter"), b"1", "the new event stays");
        mount.settle();
    });
}

#[test]
fn the_process_ends_between_two_calls_of_the_herald() {
    check(|| {
        let mount = Mount::new(&Options::VISIBLE);
        let (client, owner) = (mount.client(11), mount.client(10));
        let queue = client.mkdir("q").expect("a queue");
        owner.mkdir("other").expect("a queue");
        put_all(&client, queue, &["a", "b"]);
        let world = mount.world.clone();
        let killer = mount.work(move || world.kill(&owner.process));
        let popper = mount.work(move || {
            client.unlink(queue, "head").expect("an event");
            client.unlink(queue, "head").expect("an event");
        });
        // So that it has something to do by now.
        killer.join().expect("killed");
        let resting = mount.shared.herald().rest();
        assert!(resting.is_some());
        mount.world.kernel.end_of_process();
        // What the herald would do now it does not begin.
        popper.join().expect("popped");
        std::mem::forget(resting);
    });
}
