//! A queue that is consumed: nothing goes before the output has it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{EVENTFS, Mounted, is_root, names, set, skip, spawn, wait_until, write};
use crate::tree;

fn delete(number: usize) -> String {
    // The number in base64 digits, four of them.
    format!("{{\"kind\":\"delete\",\"id\":\"{number:04}\"}}\n")
}

fn follow(queue: &std::path::Path) -> Child {
    let mut command = Command::new(EVENTFS);
    command.args(["export", "robinhood", "--follow"]).arg(queue);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    spawn(&mut command)
}

/// Reads one document from a child.
fn document(out: &mut impl BufRead) -> String {
    let mut text = String::new();
    while !text.ends_with("...\n") {
        assert!(out.read_line(&mut text).expect("read") > 0, "the output has ended: {text}");
    }
    text
}

#[test]
fn events_go_as_they_are_written_and_new_ones_are_waited_for() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for number in 0..3 {
        write(queue.join(format!("e{number}")), delete(number)).unwrap();
    }
    let mut child = follow(&queue);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for number in 0..3 {
        assert!(document(&mut out).contains(&format!("\"{number:04}\"")));
    }
    wait_until("an empty queue", || names(&queue).is_empty());
    // A batch of lines in one file, larger than what the consumer gets at once.
    let many: String = (3..2_003).map(delete).collect();
    write(queue.join("many"), &many).unwrap();
    let mut all = String::new();
    for _ in 3..2_003 {
        all += &document(&mut out);
    }
    assert_eq!(tree::read(&all).len(), 2_000);
    wait_until("an empty queue", || names(&queue).is_empty());
    // The queue's end is its end.
    fs::remove_dir(&queue).unwrap();
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
    mount.end();
}

#[test]
fn what_the_output_has_not_accepted_stays_in_the_queue() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    // More than a pipe holds.
    let count = 3_000;
    for number in 0..count {
        write(queue.join(format!("e{number:04}")), delete(number)).unwrap();
    }
    let mut child = follow(&queue);
    let out = child.stdout.take().unwrap();
    // Nobody reads: it gets stuck in the middle.
    std::thread::sleep(Duration::from_millis(500));
    let mut reader = BufReader::new(out);
    let mut read = Vec::new();
    for _ in 0..10 {
        read.push(document(&mut reader));
    }
    drop(reader);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    let left = names(&queue).into_iter().filter(|name| name.starts_with('e')).count();
    assert!(left > 0 && left <= count - 10, "{left}");
    // What is left comes in order, and nothing between is missing: at most what the pipe had taken.
    let mut child = follow(&queue);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let first = document(&mut reader);
    assert!(first.contains(&format!("\"{:04}\"", count - left)), "{first}");
    for _ in 1..left {
        document(&mut reader);
    }
    wait_until("an empty queue", || names(&queue).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    mount.end();
}

#[test]
fn a_signal_ends_it_in_order_whether_it_waits_or_works() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for count in [1, 9_000] {
        let many: String = (0..count).map(delete).collect();
        write(queue.join("first"), &many).unwrap();
        for number in 0..50 {
            write(queue.join(format!("later-{number:02}")), delete(number)).unwrap();
        }
        let mut command = Command::new(EVENTFS);
        command.args(["export", "robinhood", "--follow"]).arg(&queue);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut documents = vec![document(&mut out)];
        if count == 1 {
            // All is exported, and it waits.
            documents.extend((0..50).map(|_| document(&mut out)));
            wait_until("an empty queue", || names(&queue).is_empty());
        }
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
        documents.extend(rest.split_inclusive("...\n").map(str::to_owned));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let counts = String::from_utf8(output.stderr).unwrap();
        let counts: serde_json::Value = serde_json::from_str(counts.trim()).expect(&counts);
        assert_eq!(counts["events"], documents.len());
        // Each event came out or is still there.
        let left = names(&queue).into_iter().filter(|name| name.starts_with('l')).count();
        assert_eq!(documents.len() + left, count + 50, "{left}");
        assert!(!queue.join("first").exists());
        for name in names(&queue).into_iter().filter(|name| name.starts_with('l')) {
            fs::remove_file(queue.join(name)).unwrap();
        }
    }
    mount.end();
}

#[test]
fn a_killed_export_gives_everything_back() {
    if !is_root() {
        skip("needs root to mount");
        return;
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    set(&queue, "user.eventfs_sticky", "1").unwrap();
    for number in 0..3_000 {
        write(queue.join(format!("e{number:04}")), delete(number)).unwrap();
    }
    let mut child = follow(&queue);
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = names(&queue);
    let events: Vec<&String> = left.iter().filter(|name| name.starts_with('e')).collect();
    assert!(!events.is_empty());
    let is_wrong = |pair: &&[&String]| pair[0] >= pair[1];
    assert_eq!(events.windows(2).find(is_wrong), None, "in their old places: {events:?}");
    assert_eq!(events.last().map(|name| name.as_str()), Some("e2999"));
    mount.end();
}
