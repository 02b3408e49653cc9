//! Many consumers at once, some of them killed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::Mounted;
use crate::help::{Background, depth, events, fill, pop};

/// Fills a queue from two threads; returns the names in no order.
fn fill_from_two(queue: &Path, count: usize) -> Vec<String> {
    let halves = std::thread::scope(|scope| {
        let halves = ["a", "b"].map(|prefix| scope.spawn(move || fill(queue, prefix, count / 2)));
        halves.map(|half| half.join().unwrap())
    });
    let mut names = halves.concat();
    names.sort();
    names
}

fn numbers(names: &[String]) -> HashMap<&str, usize> {
    names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect()
}

/// Demands that a consumer's lines are in queue order.
fn assert_in_order(lines: &[String], order: &HashMap<&str, usize>) {
    let places: Vec<usize> = lines.iter().map(|line| order[line.as_str()]).collect();
    assert!(places.is_sorted());
}

#[test]
fn eight_consumers_lose_nothing_and_double_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = fill_from_two(&queue, 20_000);
    let listed = events(&queue);
    let order = numbers(&listed);
    let consumers = (0..8).map(|number| {
        let options: &[&str] = if number % 2 == 0 { &["--all"] } else { &["-n", "2500"] };
        Background::pop(&queue, options)
    });
    let mut printed = Vec::new();
    for mut consumer in consumers.collect::<Vec<_>>() {
        let told = consumer.finish();
        assert!(told.code == 0 || told.code == 3 && told.out.is_empty(), "{told:?}");
        assert_in_order(&consumer.lines(), &order);
        printed.extend(consumer.lines());
    }
    printed.sort();
    assert!(printed == names);
    assert_eq!(depth(&queue), 0);
}

#[test]
fn consumers_and_shells_that_claim_share_fairly() {
    let mount = Mounted::new();
    let (queue, mine) = (mount.queue("q"), mount.queue("mine"));
    let names = fill(&queue, "e", 2_000);
    let mut consumer = Background::pop(&queue, &["--all"]);
    let mut claimed = 0;
    for name in names.iter().rev() {
        claimed += usize::from(fs::rename(queue.join(name), mine.join(name)).is_ok());
    }
    consumer.finish();
    let mut printed = consumer.lines();
    assert_eq!(printed.len() + claimed, names.len());
    printed.extend(events(&mine));
    printed.sort();
    assert_eq!(printed, names);
}

#[test]
fn producers_and_consumers_at_once_lose_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let consumers: Vec<Background> =
        (0..4).map(|_| Background::pop(&queue, &["-n", "1000", "--wait"])).collect();
    let names = fill_from_two(&queue, 3_000);
    let mut printed = Vec::new();
    for mut consumer in consumers {
        consumer.finish();
        printed.extend(consumer.lines());
    }
    let rest = pop(&queue, &["--all"]);
    printed.extend(String::from_utf8(rest.out).unwrap().lines().map(str::to_owned));
    printed.sort();
    assert_eq!(printed, names);
}

#[test]
fn consumers_killed_at_random_lose_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = fill(&queue, "e", 6_000);
    let order = numbers(&names);
    let mut printed: Vec<String> = Vec::new();
    let mut kills = 0_u64;
    while depth(&queue) > 0 && kills < 400 {
        let mut consumers: Vec<Background> =
            (0..4).map(|_| Background::pop(&queue, &["-n", "300"])).collect();
        for consumer in &mut consumers {
            // Spread over the life of a consumer, some milliseconds.
            std::thread::sleep(Duration::from_micros(kills * 7_919 % 3_000));
            consumer.kill();
            kills += 1;
            assert_in_order(&consumer.lines(), &order);
            printed.extend(consumer.lines());
        }
    }
    let rest = pop(&queue, &["--all"]);
    printed.extend(String::from_utf8(rest.out).unwrap().lines().map(str::to_owned));
    printed.sort();
    printed.dedup();
    assert!(printed == names, "{} of {} after {kills} kills", printed.len(), names.len());
    assert_eq!(depth(&queue), 0);
}
