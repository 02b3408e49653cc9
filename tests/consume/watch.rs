//! What watch prints.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::common::{Mounted, close, is_root, skip, wait_until, write};
use crate::help::{Background, as_somebody, command, events, fill, json, mode, pop, put, user};

pub(super) fn watch(queues: &[&Path], options: &[&str]) -> Background {
    let mut watch = command(&["watch"]);
    watch.args(queues).args(options);
    let watch = Background::start(watch);
    watch.wait_until_it_waits();
    watch
}

/// `NAME=DATA` of each line that the watcher has printed, `-` before what was gone.
fn told(watch: &mut Background) -> Vec<String> {
    let lines = watch.lines().join("\n");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let tell = |line: serde_json::Value| match line.get("gone") {
        Some(_) => format!("-{}", text(&line["name"])),
        None => format!("{}={}", text(&line["name"]), text(&line["data"])),
    };
    json(lines.as_bytes()).into_iter().map(tell).collect()
}

fn wait_for(watch: &mut Background, expected: &[&str]) {
    wait_until("what the watcher prints", || watch.lines().len() >= expected.len());
    assert_eq!(told(watch), expected);
}

#[test]
fn every_event_is_told_once_and_stays() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("before"), "");
    let mut watch = watch(&[&queue], &["--json"]);
    write(queue.join("a"), "1").unwrap();
    wait_for(&mut watch, &["a=1"]);
    put(&queue.join("b"), "2");
    fs::hard_link(queue.join("b"), queue.join("c")).unwrap();
    wait_for(&mut watch, &["a=1", "b=2", "c=2"]);
    assert_eq!(events(&queue), ["before", "a", "b", "c"]);
    watch.kill();
    assert_eq!(watch.lines().len(), 3);
}

#[test]
fn json_lines_are_those_of_pop_with_the_queue() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    put(&queue.join("a"), "1");
    wait_until("a line", || watch.lines().len() == 1);
    let mut told = json(&watch.out()).remove(0);
    assert_eq!(told["queue"], queue.to_str().unwrap());
    let popped = json(&pop(&queue, &["--json"]).out).remove(0);
    assert!(told["time"].as_str().unwrap().len() == 30 && told["seq"] == 1);
    // Computed anew from two clocks each time, which differ by less than a millisecond.
    let (one, two) = (told["time"].take(), popped["time"].clone());
    assert_eq!(one.as_str().unwrap()[..10], two.as_str().unwrap()[..10]);
    for key in ["name", "seq", "size", "data"] {
        assert_eq!(told[key], popped[key], "{key}");
    }
}

#[test]
fn for_people_each_event_has_a_heading() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &[]);
    put(&queue.join("a"), "one\n");
    put(&queue.join("b"), "two");
    put(&queue.join("c"), "");
    let place = queue.display();
    let expected = format!("==> {place}/a <==\none\n==> {place}/b <==\ntwo\n==> {place}/c <==\n");
    wait_until("the lines", || watch.out().len() >= expected.len());
    assert_eq!(String::from_utf8(watch.out()).unwrap(), expected);
}

#[test]
fn several_queues_are_told_each_in_its_order() {
    let mount = Mounted::new();
    let queues = ["a", "b", "c"].map(|name| mount.queue(name));
    let [a, b, c] = &queues;
    // Named twice: told once.
    let mut watch = watch(&[a, b, c, b], &["--json"]);
    let names: Vec<Vec<String>> = std::thread::scope(|scope| {
        let fillers: Vec<_> =
            queues.iter().map(|queue| scope.spawn(move || fill(queue, "e", 300))).collect();
        fillers.into_iter().map(|filler| filler.join().unwrap()).collect()
    });
    wait_until("all lines", || watch.lines().len() >= 900);
    let lines = json(&watch.out());
    for (queue, names) in queues.iter().zip(names) {
        let own = lines.iter().filter(|line| line["queue"] == queue.to_str().unwrap());
        let own: Vec<&str> = own.map(|line| line["name"].as_str().unwrap()).collect();
        assert_eq!(own, names);
    }
}

#[test]
fn an_event_that_is_gone_is_told_by_name() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    watch.signal(Signal::SIGSTOP);
    fill(&queue, "e", 5);
    pop(&queue, &["-n", "2"]).ok();
    fs::remove_file(queue.join("e-00003")).unwrap();
    watch.signal(Signal::SIGCONT);
    let expected = ["-e-00000", "-e-00001", "e-00002=e-00002\n", "-e-00003", "e-00004=e-00004\n"];
    wait_for(&mut watch, &expected);
    let gone = json(&watch.out()).remove(0);
    let mut keys: Vec<&str> = gone.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!((keys, &gone["gone"]), (vec!["gone", "name", "queue"], &true.into()));
}

#[test]
fn an_event_in_a_consumers_hands_is_told_and_not_called_gone() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    watch.signal(Signal::SIGSTOP);
    fill(&queue, "e", 2);
    let mut consumer = eventfs::client::Consumer::open(&queue).unwrap();
    assert_eq!(consumer.take(0, 9).unwrap().len(), 2);
    watch.signal(Signal::SIGCONT);
    wait_for(&mut watch, &["e-00000=e-00000\n", "e-00001=e-00001\n"]);
    drop(consumer);
    put(&queue.join("last"), "");
    wait_for(&mut watch, &["e-00000=e-00000\n", "e-00001=e-00001\n", "last="]);
}

#[test]
fn a_file_is_told_when_it_is_closed_and_not_before() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    let mut file = File::create(queue.join("slow")).unwrap();
    file.write_all(b"half").unwrap();
    put(&queue.join("quick"), "");
    wait_for(&mut watch, &["quick="]);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(told(&mut watch), ["quick="]);
    file.write_all(b" and half").unwrap();
    close(file);
    wait_for(&mut watch, &["quick=", "slow=half and half"]);
}

#[test]
fn what_is_no_publication_is_not_told() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("old"), "");
    let mut watch = watch(&[&queue], &["--json"]);
    fs::rename(queue.join("old"), queue.join("renamed")).unwrap();
    File::options().append(true).open(queue.join("renamed")).unwrap().write_all(b"more").unwrap();
    mode(&queue.join("renamed"), 0o600);
    write(queue.join(".staged"), "x").unwrap();
    fs::rename(queue.join(".staged"), queue.join(".staged2")).unwrap();
    fs::remove_file(queue.join("renamed")).unwrap();
    let unfinished = File::create(queue.join("never")).unwrap();
    fs::remove_file(queue.join("never")).unwrap();
    drop(unfinished);
    std::thread::sleep(Duration::from_millis(100));
    fs::rename(queue.join(".staged2"), queue.join("new")).unwrap();
    wait_for(&mut watch, &["new=x"]);
}

#[test]
fn a_rename_before_the_watcher_looks_changes_the_name_alone() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    watch.signal(Signal::SIGSTOP);
    fill(&queue, "e", 3);
    fs::rename(queue.join("e-00000"), queue.join("x")).unwrap();
    fs::rename(queue.join("e-00001"), queue.join("y")).unwrap();
    fs::remove_file(queue.join("y")).unwrap();
    watch.signal(Signal::SIGCONT);
    wait_for(&mut watch, &["x=e-00000\n", "-y", "e-00002=e-00002\n"]);
}

#[test]
fn contents_that_may_not_be_read_are_left_out() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mode(&queue, 0o755);
    let mut watch = as_somebody(&user(5002), &["watch", "--json"]);
    watch.arg(&queue);
    let mut watch = Background::start(watch);
    watch.wait_until_it_waits();
    write(queue.join(".secret"), "secret").unwrap();
    chown(queue.join(".secret"), Some(5001), None).unwrap();
    mode(&queue.join(".secret"), 0o600);
    fs::rename(queue.join(".secret"), queue.join("secret")).unwrap();
    put(&queue.join("open"), "x");
    wait_until("two lines", || watch.lines().len() == 2);
    let lines = json(&watch.out());
    assert_eq!((&lines[0]["name"], &lines[0]["size"]), (&"secret".into(), &6.into()));
    assert!(lines[0].get("data").is_none() && lines[0].get("data_base64").is_none());
    assert_eq!(lines[1]["data"], "x");
}

#[test]
fn the_end_of_a_queue_is_a_line_on_standard_error() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("r"));
    let mut watch = watch(&[&queue, &other], &["--json"]);
    fs::remove_dir(&queue).unwrap();
    put(&other.join("a"), "1");
    wait_for(&mut watch, &["a=1"]);
    assert!(watch.is_running());
    fs::remove_file(other.join("a")).unwrap();
    fs::remove_dir(&other).unwrap();
    let ended = watch.finish();
    let line = |path: &Path| format!("eventfs: {}: the queue has ended\n", path.display());
    assert_eq!((ended.code, ended.err), (0, line(&queue) + &line(&other)));
}

#[test]
fn the_end_of_the_mount_ends_a_watch() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &[]);
    mount.end();
    assert_eq!(watch.finish().code, 0);
}

#[test]
fn a_reader_who_goes_away_ends_a_watch_at_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = command(&["watch"]);
    let mut child = command.arg(&queue).stdout(writer).spawn().unwrap();
    // Our own copies of the writing end.
    drop(command);
    drop(reader);
    wait_until("its end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_plain_directory_will_do() {
    let plain = tempfile::tempdir().unwrap();
    let dir = plain.path();
    fs::write(dir.join("old"), "old").unwrap();
    let mut watch = watch(&[dir], &["--json"]);
    put(&dir.join("a"), "1");
    wait_for(&mut watch, &["a=1"]);
    fs::rename(dir.join("a"), dir.join("renamed")).unwrap();
    File::options().append(true).open(dir.join("old")).unwrap().write_all(b"er").unwrap();
    fs::create_dir(dir.join("directory")).unwrap();
    std::os::unix::fs::symlink("old", dir.join("link")).unwrap();
    fs::write(dir.join(".hidden"), "").unwrap();
    let mut slow = File::create(dir.join("slow")).unwrap();
    slow.write_all(b"whole").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(told(&mut watch), ["a=1"]);
    drop(slow);
    wait_for(&mut watch, &["a=1", "slow=whole"]);
    fs::hard_link(dir.join("old"), dir.join("linked")).unwrap();
    wait_for(&mut watch, &["a=1", "slow=whole", "linked=older"]);
    watch.signal(Signal::SIGSTOP);
    put(&dir.join("gone"), "");
    fs::remove_file(dir.join("gone")).unwrap();
    watch.signal(Signal::SIGCONT);
    wait_for(&mut watch, &["a=1", "slow=whole", "linked=older", "-gone"]);
    let first = json(&watch.out()).remove(0);
    assert!(first.get("seq").is_none() && first["size"] == 1);
    plain.close().unwrap();
    assert_eq!(watch.finish().code, 0);
}

#[test]
fn what_cannot_be_watched_is_one_line() {
    let plain = tempfile::tempdir().unwrap();
    let missing = plain.path().join("missing");
    let line = crate::help::run(&["watch".as_ref(), missing.as_os_str()]).refused(1);
    assert_eq!(line, format!("eventfs: {}: No such file or directory", missing.display()));
}

#[test]
fn names_that_are_no_text_are_told_in_base64() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut watch = watch(&[&queue], &["--json"]);
    put(&queue.join(std::ffi::OsStr::from_bytes(b"\xff")), b"\xfe");
    wait_until("a line", || watch.lines().len() == 1);
    let line = json(&watch.out()).remove(0);
    assert_eq!((&line["name_base64"], &line["data_base64"]), (&"/w==".into(), &"/g==".into()));
}
