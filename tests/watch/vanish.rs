//! Events that go without anybody's unlink of their name: expired, dropped, spoiled, popped.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::{Mounted, close, errno, get, names, set, wait_until, write};
use crate::watcher::Watcher;

fn mount(policy: &str) -> Mounted {
    Mounted::with(&format!("allow_other,root_mode=0777,max_event=4k,notify={policy}"))
}

/// A queue that holds so many events and drops the oldest beyond.
fn dropping(mounted: &Mounted, name: &str, most: u32) -> PathBuf {
    let queue = mounted.queue(name);
    set(&queue, "user.eventfs_max_events", &most.to_string()).expect("max_events");
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    queue
}

fn put(queue: &Path, name: &str) {
    write(queue.join(name), "x").expect("write");
}

/// What was told before is complete when this returns: the herald keeps the order of vanishing.
fn settle(mounted: &Mounted, watcher: &mut Watcher) {
    let queue = dropping(mounted, "control", 1);
    watcher.add("control", &queue);
    put(&queue, "first");
    wait_until("publication", || names(&queue).len() == 3);
    put(&queue, "second");
    watcher.wait_for("control: DELETE first");
}

#[test]
fn an_event_that_expires_is_told_by_name() {
    for policy in ["full", "lazy"] {
        let mounted = mount(policy);
        let queue = mounted.queue("q");
        set(&queue, "user.eventfs_ttl", "1").expect("ttl");
        let mut watcher = Watcher::of("q", &queue);
        put(&queue, "e");
        watcher.wait_for("q: DELETE e");
        assert_eq!(names(&queue), [""; 0]);
        assert_eq!(get(&queue, "user.eventfs_expired").as_deref(), Some("1"));
    }
}

#[test]
fn an_event_that_is_dropped_is_told_by_name() {
    for policy in ["full", "lazy"] {
        let mounted = mount(policy);
        let queue = dropping(&mounted, "q", 2);
        let mut watcher = Watcher::of("q", &queue);
        for name in ["a", "b", "c", "d"] {
            put(&queue, name);
            wait_until("publication", || {
                fs::read_link(queue.join("tail")).is_ok_and(|tail| tail == Path::new(name))
            });
        }
        watcher.wait_for("q: DELETE a");
        watcher.wait_for("q: DELETE b");
        assert_eq!(names(&queue), ["head", "tail", "c", "d"]);
        settle(&mounted, &mut watcher);
        assert!(!watcher.told("q: DELETE c") && !watcher.told("q: DELETE d"));
    }
}

#[test]
fn events_dropped_for_bytes_are_told_by_name() {
    let mounted = mount("lazy");
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_max_bytes", "2000").expect("max_bytes");
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    let mut watcher = Watcher::of("q", &queue);
    for name in ["a", "b"] {
        write(queue.join(name), vec![1; 900]).expect("write");
    }
    wait_until("publication", || names(&queue) == ["head", "tail", "a", "b"]);
    write(queue.join("c"), vec![1; 1_500]).expect("write");
    watcher.wait_for("q: DELETE a");
    watcher.wait_for("q: DELETE b");
}

#[test]
fn an_event_dropped_in_one_queue_is_told_there_alone() {
    let mounted = mount("lazy");
    let (queue, other) = (dropping(&mounted, "q", 1), mounted.queue("other"));
    let mut watcher = Watcher::of("q", &queue);
    watcher.add("other", &other);
    put(&queue, "a");
    fs::hard_link(queue.join("a"), other.join("a")).expect("link");
    put(&queue, "b");
    watcher.wait_for("q: DELETE a");
    settle(&mounted, &mut watcher);
    assert!(!watcher.told("other: DELETE a"));
    assert_eq!(fs::read_to_string(other.join("a")).expect("read"), "x");
}

#[test]
fn an_event_dropped_while_it_is_open_is_told_and_stays_readable() {
    let mounted = mount("lazy");
    let queue = dropping(&mounted, "q", 1);
    let mut watcher = Watcher::of("q", &queue);
    put(&queue, "a");
    let mut reader = File::open(queue.join("a")).expect("open");
    put(&queue, "b");
    watcher.wait_for("q: DELETE a");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).expect("read");
    assert_eq!(text, "x");
}

#[test]
fn a_spoiled_new_file_is_told_when_it_goes_at_its_last_close() {
    for policy in ["full", "lazy"] {
        let mounted = mount(policy);
        let queue = mounted.queue("q");
        let mut watcher = Watcher::of("q", &queue);
        let mut file = File::create_new(queue.join("e")).expect("create");
        assert_eq!(errno(file.write_all(&[1; 5_000])), libc::EFBIG);
        assert!(queue.join("e").exists(), "it goes at the close");
        close(file);
        watcher.wait_for("q: DELETE e");
        assert_eq!(names(&queue), [""; 0]);
    }
}

#[test]
fn with_notify_full_a_pop_is_told_under_the_real_name_too() {
    let mounted = mount("full");
    let queue = mounted.queue("q");
    for name in ["a", "b", "c"] {
        put(&queue, name);
    }
    let mut watcher = Watcher::of("q", &queue);
    fs::remove_file(queue.join("head")).expect("pop");
    watcher.wait_for("q: DELETE head");
    watcher.wait_for("q: DELETE a");
    fs::remove_file(queue.join("tail")).expect("pop");
    watcher.wait_for("q: DELETE tail");
    watcher.wait_for("q: DELETE c");
    assert_eq!(names(&queue), ["head", "tail", "b"]);
}

#[test]
fn with_notify_lazy_a_pop_is_told_as_head_alone() {
    let mounted = mount("lazy");
    let queue = mounted.queue("q");
    for name in ["a", "b", "c"] {
        put(&queue, name);
    }
    let mut watcher = Watcher::of("q", &queue);
    fs::remove_file(queue.join("head")).expect("pop");
    fs::remove_file(queue.join("tail")).expect("pop");
    settle(&mounted, &mut watcher);
    assert!(watcher.told("q: DELETE head") && watcher.told("q: DELETE tail"));
    assert!(!watcher.told("q: DELETE a") && !watcher.told("q: DELETE c"));
}

#[test]
fn with_notify_off_nothing_is_told_of_what_vanishes() {
    let mounted = mount("off");
    let queue = dropping(&mounted, "q", 1);
    let mut watcher = Watcher::of("q", &queue);
    for i in 0..30 {
        put(&queue, &format!("e{i}"));
    }
    wait_until("the drops", || names(&queue).len() == 3);
    let spoiled = queue.join("spoiled");
    fs::write(&spoiled, vec![1; 5_000]).expect_err("too big");
    fs::remove_file(queue.join("head")).expect("pop");
    put(&queue, "marker");
    watcher.wait_for("q: CLOSE_WRITE marker");
    assert!(watcher.told("q: DELETE head"));
    let deletes = |line: &&String| line.starts_with("q: DELETE e") || line.contains("spoiled");
    let told: Vec<_> =
        watcher.lines().iter().filter(|line| line.contains("DELETE")).filter(deletes).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_removal_by_name_is_told_once_even_with_notify_full() {
    let mounted = mount("full");
    let queue = mounted.queue("q");
    put(&queue, "e");
    let mut watcher = Watcher::of("q", &queue);
    fs::remove_file(queue.join("e")).expect("remove");
    settle(&mounted, &mut watcher);
    assert_eq!(watcher.count("q: DELETE e"), 1);
}

#[test]
fn an_event_with_a_strange_name_is_told_by_that_name() {
    let mounted = mount("lazy");
    let queue = dropping(&mounted, "q", 1);
    let mut watcher = Watcher::of("q", &queue);
    let long = "n".repeat(255);
    for name in ["with blank", "new\nline", "ü\\", &long, "last"] {
        put(&queue, name);
    }
    for name in ["with blank", "new\nline", "ü\\", &long] {
        watcher.wait_for(&format!("q: DELETE {name}"));
    }
}
