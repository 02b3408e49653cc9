//! Contract section 4: what the settings and counters of a queue do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, errno, set, wait_until};
use crate::help::{begin, close, count, files, head, is_absent, put, tail, text, try_put};

fn limit(queue: &Path, name: &str, value: &str) {
    set(queue, &format!("user.eventfs_{name}"), value).unwrap();
}

/// A queue with this setting, dropping the oldest.
fn dropping(mount: &Mounted, name: &str, value: &str) -> std::path::PathBuf {
    let queue = mount.queue("q");
    limit(&queue, name, value);
    limit(&queue, "overflow", "drop-oldest");
    queue
}

fn counters(queue: &Path) -> [u64; 5] {
    ["depth", "published", "removed", "dropped", "expired"].map(|name| count(queue, name))
}

#[test]
fn max_events_n_fit_and_one_more_is_edquot() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "max_events", "3");
    for name in ["a", "b", "c"] {
        put(queue.join(name), "");
    }
    assert_eq!(errno(try_put(queue.join("d"), "")), libc::EDQUOT);
    fs::remove_file(queue.join("head")).unwrap();
    put(queue.join("d"), "");
    assert_eq!(files(&queue), ["b", "c", "d"]);
    assert_eq!(counters(&queue), [3, 4, 1, 0, 0]);
}

#[test]
fn max_events_holds_for_every_way_to_publish() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    limit(&queue, "max_events", "1");
    put(queue.join("a"), "");
    put(other.join("e"), "");
    put(queue.join(".staged"), "");
    let made = mknod(&queue.join("m"), SFlag::S_IFREG, Mode::S_IRUSR, 0);
    assert_eq!(made, Err(Errno::EDQUOT));
    assert_eq!(errno(fs::hard_link(other.join("e"), queue.join("l"))), libc::EDQUOT);
    assert_eq!(errno(fs::rename(other.join("e"), queue.join("r"))), libc::EDQUOT);
    assert_eq!(errno(fs::rename(queue.join(".staged"), queue.join("s"))), libc::EDQUOT);
    assert_eq!(files(&queue), ["a", ".staged"]);
    assert_eq!(files(&other), ["e"]);
}

#[test]
fn what_replaces_an_event_fits_a_full_queue() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    limit(&queue, "max_events", "1");
    put(queue.join("a"), "");
    put(other.join("e"), "moved");
    put(queue.join(".staged"), "staged");
    fs::rename(queue.join("a"), queue.join("b")).unwrap();
    fs::rename(queue.join(".staged"), queue.join("b")).unwrap();
    assert_eq!(text(queue.join("head")), "staged");
    fs::rename(other.join("e"), queue.join("b")).unwrap();
    assert_eq!(text(queue.join("head")), "moved");
    assert_eq!(files(&queue), ["b"]);
}

#[test]
fn staged_and_unfinished_files_do_not_count_in_max_events() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "max_events", "1");
    for name in [".a", ".b", ".c"] {
        put(queue.join(name), "");
    }
    let file = begin(queue.join("unfinished"));
    put(queue.join("e"), "");
    assert_eq!(count(&queue, "depth"), 1);
    close(file);
}

#[test]
fn zero_is_no_limit() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["max_events", "max_bytes", "ttl"] {
        limit(&queue, name, "1");
        limit(&queue, name, "0");
    }
    for number in 0..20 {
        put(queue.join(format!("{number}")), "content");
    }
    assert_eq!(count(&queue, "depth"), 20);
}

#[test]
fn a_lowered_limit_removes_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["a", "b", "c"] {
        put(queue.join(name), "xyz");
    }
    limit(&queue, "max_events", "1");
    limit(&queue, "max_bytes", "1");
    assert_eq!(count(&queue, "depth"), 3);
    assert_eq!(errno(try_put(queue.join("d"), "")), libc::EDQUOT);
}

#[test]
fn drop_oldest_makes_room_for_every_way_to_publish() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_events", "2");
    let other = mount.queue("other");
    for name in ["a", "b"] {
        put(queue.join(name), "");
    }
    put(other.join("e"), "");
    put(other.join("f"), "");
    put(queue.join("c"), "");
    assert_eq!(files(&queue), ["b", "c"]);
    fs::hard_link(other.join("e"), queue.join("l")).unwrap();
    assert_eq!(files(&queue), ["c", "l"]);
    fs::rename(other.join("f"), queue.join("r")).unwrap();
    assert_eq!(files(&queue), ["l", "r"]);
    put(queue.join(".s"), "");
    fs::rename(queue.join(".s"), queue.join("s")).unwrap();
    assert_eq!(files(&queue), ["r", "s"]);
    mknod(&queue.join("m"), SFlag::S_IFREG, Mode::S_IRUSR, 0).unwrap();
    assert_eq!(files(&queue), ["s", "m"]);
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("s"), Some("m")));
    assert_eq!(counters(&queue), [2, 7, 0, 5, 0]);
    assert!(!is_absent(&other.join("e")), "a drop leaves the other links");
}

#[test]
fn a_dropped_name_is_gone_at_once() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_events", "1");
    put(queue.join("e0"), "");
    for round in 1..300 {
        fs::metadata(queue.join(format!("e{}", round - 1))).unwrap();
        put(queue.join(format!("e{round}")), "");
        assert!(is_absent(&queue.join(format!("e{}", round - 1))), "round {round}");
        assert_eq!(head(&queue), Some(format!("e{round}")));
    }
    assert_eq!(counters(&queue), [1, 300, 0, 299, 0]);
}

#[test]
fn a_dropped_event_that_is_open_stays_readable() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_events", "1");
    put(queue.join("a"), "content");
    let mut file = File::open(queue.join("head")).unwrap();
    put(queue.join("b"), "");
    let mut content = String::new();
    file.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
}

#[test]
fn max_bytes_n_fit_and_one_more_is_edquot() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "max_bytes", "10");
    put(queue.join("a"), "123456");
    put(queue.join("b"), "1234");
    assert_eq!(errno(try_put(queue.join("c"), "1")), libc::EDQUOT);
    put(queue.join("empty"), "");
    assert_eq!(files(&queue), ["a", "b", "empty"]);
    let mut file = File::options().append(true).open(queue.join("a")).unwrap();
    assert_eq!(errno(file.write_all(b"7")), libc::EDQUOT);
    assert_eq!(errno(file.set_len(7)), libc::EDQUOT);
    file.set_len(5).unwrap();
    put(queue.join("c"), "1");
    assert_eq!(count(&queue, "bytes"), 10);
}

#[test]
fn max_bytes_holds_for_links_and_moves() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    limit(&queue, "max_bytes", "10");
    put(queue.join("a"), "123456");
    put(other.join("e"), "12345");
    assert_eq!(errno(fs::hard_link(other.join("e"), queue.join("e"))), libc::EDQUOT);
    assert_eq!(errno(fs::rename(other.join("e"), queue.join("e"))), libc::EDQUOT);
    fs::rename(other.join("e"), queue.join("a")).unwrap();
    assert_eq!((files(&queue), count(&queue, "bytes")), (vec!["a".to_owned()], 5));
}

#[test]
fn a_write_through_one_link_counts_in_every_queue() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "12345");
    fs::hard_link(one.join("e"), two.join("e")).unwrap();
    limit(&two, "max_bytes", "6");
    let mut file = File::options().append(true).open(one.join("e")).unwrap();
    file.write_all(b"6").unwrap();
    assert_eq!(errno(file.write_all(b"7")), libc::EDQUOT);
    assert_eq!((count(&one, "bytes"), count(&two, "bytes")), (6, 6));
}

#[test]
fn staged_and_unfinished_files_count_in_max_bytes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "max_bytes", "10");
    put(queue.join(".a"), "12345");
    let mut file = begin(queue.join("b"));
    file.write_all(b"1234").unwrap();
    assert_eq!(count(&queue, "bytes"), 9);
    assert_eq!(errno(try_put(queue.join("c"), "12")), libc::EDQUOT);
    close(file);
}

#[test]
fn drop_oldest_makes_room_for_bytes() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_bytes", "10");
    for name in ["a", "b", "c"] {
        put(queue.join(name), "123");
    }
    put(queue.join("d"), "12345");
    assert_eq!(files(&queue), ["c", "d"]);
    assert_eq!(counters(&queue), [2, 4, 0, 2, 0]);
}

#[test]
fn what_can_never_fit_drops_nothing() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_bytes", "10");
    put(queue.join("a"), "123");
    assert_eq!(errno(try_put(queue.join("b"), "12345678901")), libc::EDQUOT);
    assert_eq!((files(&queue), count(&queue, "dropped")), (vec!["a".to_owned()], 0));
}

#[test]
fn an_event_that_grows_is_not_dropped_for_itself() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_bytes", "10");
    put(queue.join("a"), "12345");
    put(queue.join("b"), "12345");
    let mut file = File::options().append(true).open(queue.join("a")).unwrap();
    assert_eq!(errno(file.write_all(b"6")), libc::EDQUOT);
    assert_eq!(files(&queue), ["a", "b"]);
}

#[test]
fn ttl_ends_an_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "ttl", "1");
    put(queue.join("e"), "");
    put(queue.join(".staged"), "");
    wait_until("expiry", || head(&queue).is_none());
    assert!(is_absent(&queue.join("e")));
    assert_eq!(files(&queue), [".staged"], "staged files do not age");
    assert_eq!(counters(&queue), [0, 1, 0, 0, 1]);
}

#[test]
fn ttl_holds_for_events_already_queued() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    limit(&queue, "ttl", "1");
    wait_until("expiry", || count(&queue, "expired") == 2);
    assert_eq!(files(&queue), Vec::<String>::new());
}

#[test]
fn a_shortened_ttl_holds_at_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "ttl", "100000");
    put(queue.join("a"), "");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(files(&queue), ["a"]);
    limit(&queue, "ttl", "1");
    wait_until("expiry", || head(&queue).is_none());
}

#[test]
fn ttl_counts_from_the_last_publication() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    std::thread::sleep(Duration::from_millis(1_100));
    // Published anew: young again, so it must outlive the other, which is due at once.
    fs::rename(queue.join("a"), queue.join(".a")).unwrap();
    fs::rename(queue.join(".a"), queue.join("a")).unwrap();
    limit(&queue, "ttl", "1");
    wait_until("expiry of b", || is_absent(&queue.join("b")));
    assert_eq!(count(&queue, "published"), 3);
    wait_until("expiry of a", || is_absent(&queue.join("a")));
}

#[test]
fn events_expire_oldest_first() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    limit(&queue, "ttl", "1");
    let mut all = Vec::new();
    for number in 0..20 {
        let name = format!("e{number}");
        put(queue.join(&name), "");
        all.push(name);
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_until("expiry of all", || {
        let left = files(&queue);
        assert!(all.ends_with(&left), "{left:?}");
        left.is_empty()
    });
    assert_eq!(count(&queue, "expired"), 20);
}

#[test]
fn an_expired_event_that_is_open_stays_readable() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "content");
    let mut file = File::open(queue.join("e")).unwrap();
    limit(&queue, "ttl", "1");
    wait_until("expiry", || is_absent(&queue.join("e")));
    let mut content = String::new();
    file.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
}

#[test]
fn counters_always_add_up() {
    let mount = Mounted::new();
    let queue = dropping(&mount, "max_events", "4");
    let other = mount.queue("other");
    for round in 0..60 {
        let name = format!("e{round}");
        put(queue.join(&name), "x");
        match round % 6 {
            0 => fs::remove_file(queue.join("head")).unwrap(),
            1 => fs::rename(queue.join(&name), other.join(&name)).unwrap(),
            2 => fs::hard_link(queue.join(&name), other.join(&name)).unwrap(),
            3 => fs::rename(queue.join(&name), queue.join(".back")).unwrap(),
            4 => fs::rename(queue.join(&name), queue.join("fixed")).unwrap(),
            _ => fs::remove_file(queue.join("tail")).unwrap(),
        }
        for queue in [&queue, &other] {
            let [depth, published, removed, dropped, expired] = counters(queue);
            assert_eq!(depth, published - removed - dropped - expired, "round {round}");
            let events = files(queue).iter().filter(|name| !name.starts_with('.')).count();
            assert_eq!(depth, events as u64, "round {round}");
        }
    }
}
