//! The examples of consumers, several at once: each event is handled once, by one of them.

use std::fs;
use std::path::Path;

use crate::common::{Mounted, names, set, wait_until, write};
use crate::help::{
    Background, all_lines, command, counter, example, fill, have, ok, output, put, text,
};

/// One of the examples on a queue.
fn start(words: &[&str], queue: &Path, handler: &[&str]) -> Background {
    let mut command = command(&example(words[0]));
    Background::start(command.args(&words[1..]).arg(queue).args(handler))
}

/// Demands that a queue is empty, staged files included.
fn demand_empty(queue: &Path) {
    assert_eq!(names(queue), Vec::<String>::new());
}

/// Four consumers that wait, events that come meanwhile in every way; then the end of the queue.
fn follow(words: &[&str]) {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    let mut expected = fill(&queue, "before", 20);
    let mut consumers: Vec<Background> = (0..4).map(|_| start(words, &queue, &["cat"])).collect();
    expected.extend(fill(&queue, "renamed", 40));
    for name in fill(&other, "linked", 20) {
        fs::hard_link(other.join(&name), queue.join(&name)).expect("link");
        expected.push(name);
    }
    // Closed by another process than this one: published at once, whatever this one forks.
    let script = "for i in $(seq -w 40); do echo written-$i >$0/written-$i; done";
    ok(command("sh").args(["-c", script]).arg(&queue));
    expected.extend((1..=40).map(|number| format!("written-{number:02}")));
    expected.sort();
    wait_until("all events to be handled", || all_lines(&mut consumers).len() >= expected.len());
    assert_eq!(all_lines(&mut consumers), expected);
    wait_until("an empty queue", || fs::remove_dir(&queue).is_ok());
    for consumer in &mut consumers {
        assert_eq!(consumer.finish(), 0);
    }
}

/// Four consumers that empty a queue.
fn drain(words: &[&str]) {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let expected = fill(&queue, "event", 200);
    let mut consumers: Vec<Background> = (0..4).map(|_| start(words, &queue, &["cat"])).collect();
    for consumer in &mut consumers {
        assert_eq!(consumer.finish(), 0);
    }
    assert_eq!(all_lines(&mut consumers), expected);
    demand_empty(&queue);
}

/// A handler that fails once: the event stays, the status is the handler's, and then all are
/// handled.
fn fail_once(words: &[&str], status: i32, expected: [&str; 4]) {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let dir = tempfile::tempdir().expect("temporary directory");
    let failed = dir.path().join("failed");
    let handler = "read -r line; [ \"$line\" != e-0001 ] || [ -e \"$0\" ] || { : >\"$0\"; exit 7; }
        echo \"$line\"";
    let handler = ["sh", "-c", handler, failed.to_str().expect("UTF-8")];
    fill(&queue, "e", 4);
    let mut first = start(words, &queue, &handler);
    assert_eq!((first.finish(), first.lines().len()), (status, 1));
    assert_eq!(counter(&queue, "depth"), 3);
    let mut second = start(words, &queue, &handler);
    wait_until("the other events", || second.lines().len() == 3);
    let lines = [first.lines(), second.lines()].concat();
    assert_eq!(lines, expected);
    wait_until("an empty queue", || counter(&queue, "depth") == 0);
}

/// What goes back is the newest.
const AGAIN_AT_THE_END: [&str; 4] = ["e-0000", "e-0002", "e-0003", "e-0001"];

#[test]
fn consumer_sh_shares_a_queue() {
    follow(&["consumer.sh"]);
}

#[test]
fn consumer_sh_gives_back_what_failed() {
    fail_once(&["consumer.sh"], 7, AGAIN_AT_THE_END);
}

#[test]
fn consumer_sh_hands_over_every_byte() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue, "a", "one\0two\n\n\n");
    let mut consumer = start(&["consumer.sh"], &queue, &["od", "-An", "-c"]);
    wait_until("the bytes", || !consumer.lines().is_empty());
    assert_eq!(consumer.lines(), ["   o   n   e  \\0   t   w   o  \\n  \\n  \\n"]);
}

#[test]
fn claim_sh_shares_a_queue() {
    drain(&["claim.sh"]);
}

#[test]
fn claim_sh_gives_back_what_failed() {
    fail_once(&["claim.sh"], 7, AGAIN_AT_THE_END);
}

#[test]
fn claim_sh_gives_back_beside_a_new_event_of_that_name() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue, "a", "old\n");
    let handler = "echo new >\"$0/.a\"; mv \"$0/.a\" \"$0/a\"; exit 7";
    let mut consumer =
        start(&["claim.sh"], &queue, &["sh", "-c", handler, queue.to_str().expect("UTF-8")]);
    assert_eq!(consumer.finish(), 7);
    let mut consumer = start(&["claim.sh"], &queue, &["cat"]);
    assert_eq!((consumer.finish(), consumer.lines()), (0, vec!["new".into(), "old".into()]));
    demand_empty(&queue);
}

#[test]
fn claim_sh_takes_names_of_every_kind() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let kinds = ["-n", "a b", "*", "$x\n", "\"'", "ä", "\n"].map(str::to_owned);
    for name in kinds.iter().cloned().chain(["x".repeat(250)]) {
        write(queue.join(".staged"), "event\n").expect("write");
        fs::rename(queue.join(".staged"), queue.join(name)).expect("rename");
    }
    let mut consumer = start(&["claim.sh"], &queue, &["cat"]);
    assert_eq!((consumer.finish(), consumer.lines()), (0, vec!["event".to_owned(); 8]));
    demand_empty(&queue);
}

#[test]
fn claim_sh_claims_into_another_queue() {
    let mount = Mounted::new();
    let (queue, work) = (mount.queue("q"), mount.queue("work"));
    let expected = fill(&queue, "event", 100);
    let words = ["claim.sh", "-w", work.to_str().expect("UTF-8")];
    let mut consumers: Vec<Background> = (0..4).map(|_| start(&words, &queue, &["cat"])).collect();
    for consumer in &mut consumers {
        assert_eq!(consumer.finish(), 0);
    }
    assert_eq!(all_lines(&mut consumers), expected);
    demand_empty(&queue);
    demand_empty(&work);
    // One that starts late may give back what is claimed and not locked yet; then it is claimed again.
    assert!(counter(&work, "published") >= 100);
}

#[test]
fn claim_sh_refuses_where_mv_would_copy() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    fill(&queue, "event", 3);
    let mut claim = command(&example("claim.sh"));
    let told = output(claim.arg("-w").arg(elsewhere.path()).arg(&queue).arg("cat"));
    assert_eq!((told.status.code(), text(&told.stdout)), (Some(1), String::new()));
    assert!(text(&told.stderr).contains("not in the same mount"));
    assert_eq!(counter(&queue, "depth"), 3);
    assert_eq!(fs::read_dir(elsewhere.path()).expect("readdir").count(), 0);
}

/// Beside a queue that removes events by itself, `cat q/head; rm q/head` would remove what nobody
/// has read.
#[test]
fn claims_are_right_while_the_queue_drops_its_oldest() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    set(&queue, "user.eventfs_max_events", "5").expect("limit");
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    let mut consumers = Vec::new();
    for number in 0..60 {
        fill(&queue, &format!("burst{number}"), 20);
        if number % 10 == 0 {
            consumers.push(start(&["claim.sh"], &queue, &["cat"]));
            consumers.push(start(&["consumer.sh"], &queue, &["cat"]));
        }
    }
    wait_until("an empty queue", || counter(&queue, "depth") == 0);
    wait_until("the end of all claims", || names(&queue).is_empty());
    let dropped = usize::try_from(counter(&queue, "dropped")).expect("a number");
    wait_until("all lines", || all_lines(&mut consumers).len() + dropped >= 1200);
    let mut lines = all_lines(&mut consumers);
    assert_eq!(lines.len() + dropped, 1200);
    lines.dedup();
    assert_eq!(lines.len() + dropped, 1200, "an event was handled twice");
}

#[test]
fn consumer_py_shares_a_queue() {
    if have("python3") {
        drain(&["consumer.py", "--drain"]);
        follow(&["consumer.py"]);
    }
}

#[test]
fn consumer_py_shares_a_queue_by_pop() {
    if have("python3") {
        drain(&["consumer.py", "--pop", "--drain"]);
        follow(&["consumer.py", "--pop"]);
    }
}

#[test]
fn consumer_py_gives_back_what_failed() {
    if have("python3") {
        fail_once(&["consumer.py"], 1, AGAIN_AT_THE_END);
        fail_once(&["consumer.py", "--pop"], 1, AGAIN_AT_THE_END);
    }
}

#[test]
fn all_kinds_share_one_queue() {
    if !have("python3") {
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut expected = fill(&queue, "event", 300);
    let kinds: [&[&str]; 5] = [
        &["consumer.sh"],
        &["claim.sh"],
        &["claim.sh"],
        &["consumer.py", "--drain"],
        &["consumer.py", "--pop"],
    ];
    let mut consumers: Vec<Background> =
        kinds.iter().map(|words| start(words, &queue, &["cat"])).collect();
    expected.extend(fill(&queue, "late", 100));
    wait_until("all events to be handled", || all_lines(&mut consumers).len() >= 400);
    assert_eq!(all_lines(&mut consumers), expected);
    wait_until("an empty queue", || fs::remove_dir(&queue).is_ok());
}
