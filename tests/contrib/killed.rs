//! Consumers that are killed while they work: a claim is not lost with them.

use std::path::Path;
use std::time::Duration;

use crate::common::{Mounted, names, wait_until};
use crate::help::{Background, command, example, fill, have};

fn start(words: &[&str], queue: &Path, handler: &[&str]) -> Background {
    let mut command = command(&example(words[0]));
    Background::start(command.args(&words[1..]).arg(queue).args(handler))
}

/// What one leaves with a claim, the next one handles; what is being handled, it leaves alone.
fn leave_and_take_over(words: &[&str], staged: &Path, queue: &Path) {
    fill(queue, "event", 3);
    let mut busy = start(words, queue, &["sh", "-c", "cat; exec sleep 600"]);
    wait_until("its claim", || busy.lines() == ["event-0000"]);
    let mut other = start(words, queue, &["cat"]);
    wait_until("the other events", || other.lines() == ["event-0001", "event-0002"]);
    assert_eq!(other.finish(), 0);
    assert_eq!(names(staged).iter().filter(|name| name.contains("claim.")).count(), 1);
    busy.kill();
    let mut next = start(words, queue, &["cat"]);
    assert_eq!((next.finish(), next.lines()), (0, vec!["event-0000".to_owned()]));
    assert_eq!(names(queue), Vec::<String>::new());
}

#[test]
fn claims_of_a_killed_claim_sh_are_taken_over() {
    let mount = Mounted::new();
    let (queue, work) = (mount.queue("q"), mount.queue("work"));
    leave_and_take_over(&["claim.sh"], &queue, &queue);
    leave_and_take_over(&["claim.sh", "-w", work.to_str().expect("UTF-8")], &work, &queue);
}

#[test]
fn claims_of_a_killed_consumer_py_are_taken_over() {
    if have("python3") {
        let mount = Mounted::new();
        let queue = mount.queue("q");
        leave_and_take_over(&["consumer.py", "--drain"], &queue, &queue);
    }
}

#[test]
fn each_takes_over_the_claims_of_the_other() {
    if !have("python3") {
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let kinds: [&[&str]; 2] = [&["claim.sh"], &["consumer.py", "--drain"]];
    for [one, other] in [kinds, [kinds[1], kinds[0]]] {
        fill(&queue, "event", 1);
        let mut busy = start(one, &queue, &["sh", "-c", "cat; exec sleep 600"]);
        wait_until("its claim", || busy.lines() == ["event-0000"]);
        busy.kill();
        let mut next = start(other, &queue, &["cat"]);
        assert_eq!((next.finish(), next.lines()), (0, vec!["event-0000".to_owned()]));
    }
}

/// Killed at any moment: nothing is lost, and only what was being handled may come twice.
#[test]
fn nothing_is_lost_with_consumers_that_are_killed_at_random() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let expected = fill(&queue, "event", 150);
    let mut printed = Vec::new();
    let mut kills = 0;
    while kills < 40 && !names(&queue).is_empty() {
        let mut consumers: Vec<Background> =
            (0..2).map(|_| start(&["claim.sh"], &queue, &["cat"])).collect();
        for consumer in &mut consumers {
            std::thread::sleep(Duration::from_micros(10_000 + kills * 7_919 % 30_000));
            consumer.kill();
            kills += 1;
            printed.extend(consumer.lines());
        }
    }
    let mut last = start(&["claim.sh"], &queue, &["cat"]);
    assert_eq!(last.finish(), 0);
    printed.extend(last.lines());
    let count = printed.len();
    printed.sort();
    printed.dedup();
    assert_eq!(printed, expected);
    let doubled = count - printed.len();
    assert!(doubled <= usize::try_from(kills).expect("few"), "{doubled} twice by {kills} kills");
    assert_eq!(names(&queue), Vec::<String>::new());
}
