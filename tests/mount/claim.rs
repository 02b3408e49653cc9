//! Contract section 3: of several consumers exactly one gets an event.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use crate::common::{Mounted, sh_ok};
use crate::help::{count, files, put};

const CONSUMERS: usize = 8;
const EVENTS: usize = 2_000;

/// Eight threads claim until nothing is left; every loss must be ENOENT. Returns what each got.
fn claim_all(queue: &Path, place: impl Fn(usize, &str) -> String + Sync) -> BTreeMap<String, u32> {
    let got = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for consumer in 0..CONSUMERS {
            let (got, place) = (&got, &place);
            scope.spawn(move || {
                while let Ok(name) = fs::read_link(queue.join("head")) {
                    let name = name.to_str().expect("UTF-8").to_owned();
                    match fs::rename(queue.join(&name), queue.join(place(consumer, &name))) {
                        Ok(()) => *got.lock().unwrap().entry(name).or_insert(0) += 1,
                        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOENT)),
                    }
                }
            });
        }
    });
    got.into_inner().unwrap()
}

#[test]
fn a_claim_into_queues_of_the_consumers_succeeds_exactly_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for consumer in 0..CONSUMERS {
        mount.queue(&format!("mine{consumer}"));
    }
    for number in 0..EVENTS {
        put(queue.join(format!("e{number}")), "");
    }
    let got = claim_all(&queue, |consumer, name| format!("../mine{consumer}/{name}"));
    assert_eq!(got.len(), EVENTS);
    assert!(got.values().all(|times| *times == 1));
    let there: usize = (0..CONSUMERS).map(|c| files(&mount.path(format!("mine{c}"))).len()).sum();
    assert_eq!(there, EVENTS);
    assert_eq!(files(&queue), Vec::<String>::new());
}

#[test]
fn a_claim_inside_one_queue_succeeds_exactly_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for number in 0..EVENTS {
        put(queue.join(format!("e{number}")), "");
    }
    let got = claim_all(&queue, |consumer, name| format!(".mine.{consumer}.{name}"));
    assert_eq!(got.len(), EVENTS);
    assert!(got.values().all(|times| *times == 1));
    assert_eq!((count(&queue, "depth"), count(&queue, "removed")), (0, EVENTS as u64));
    assert_eq!(files(&queue).len(), EVENTS);
}

#[test]
fn claims_beside_a_producer_lose_and_double_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mount.queue("mine");
    // Keeps the consumers from ending before the producer; claimed like any other.
    put(queue.join("start"), "");
    let got = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..EVENTS {
                put(queue.join(format!("e{number}")), "");
            }
            for consumer in 0..CONSUMERS {
                put(queue.join(format!("stop{consumer}")), "");
            }
        });
        for _ in 0..CONSUMERS {
            scope.spawn(|| {
                loop {
                    let Ok(name) = fs::read_link(queue.join("head")) else { continue };
                    let name = name.to_str().expect("UTF-8").to_owned();
                    if fs::rename(queue.join(&name), mount.path("mine").join(&name)).is_ok() {
                        let stop = name.starts_with("stop");
                        got.lock().unwrap().push(name);
                        if stop {
                            return;
                        }
                    }
                }
            });
        }
    });
    let mut got = got.into_inner().unwrap();
    let all = got.len();
    got.sort();
    got.dedup();
    assert_eq!((all, got.len()), (1 + EVENTS + CONSUMERS, 1 + EVENTS + CONSUMERS));
}

#[test]
fn shells_that_claim_together_get_every_event_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for number in 0..200 {
        put(queue.join(format!("e{number}")), format!("{number}\n"));
    }
    let said = sh_ok(
        &mount.point,
        "for c in 1 2 3 4; do (while n=$(readlink q/head); do
           mv -n \"q/$n\" \"q/.mine.$BASHPID\" 2>&- && cat \"q/.mine.$BASHPID\" && rm \"q/.mine.$BASHPID\"
         done) & done; wait",
    );
    let mut numbers: Vec<u32> = said.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[test]
fn one_consumer_gets_the_events_in_order() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mount.queue("mine");
    for number in 0..300 {
        put(queue.join(format!("{}", (number * 7) % 300)), "");
    }
    for number in 0..300 {
        let name = fs::read_link(queue.join("head")).unwrap();
        assert_eq!(name.to_str(), Some(&*format!("{}", (number * 7) % 300)));
        fs::rename(queue.join(&name), mount.path("mine").join(&name)).unwrap();
    }
}
