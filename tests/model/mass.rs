//! Many events: bounded steps, large contents, tables that grow and shrink.

use eventfs::model::limits::{SECOND_NS, SWEEP_ENTRIES_MAX};
use eventfs::model::{Change, Ino, OwnerId, Reason, SetAttr};

use super::play::bench::{Bench, USER};
use super::play::listing::lines;

fn fill(b: &mut Bench, q: Ino, count: usize) {
    for number in 0..count {
        b.tree.mknod(q, format!("event-{number:08}").as_bytes(), 0o644, USER, b.now).unwrap();
    }
}

#[test]
fn a_large_queue_ends_at_once_and_is_swept_in_steps() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    fill(&mut b, q, 3 * SWEEP_ENTRIES_MAX + 5);
    let (_, handle) = b.create(q, "unfinished").unwrap();
    b.pass(SECOND_NS);
    b.die(OwnerId(1));
    assert_eq!((b.list(Ino::ROOT), b.list(q), b.nlink(q)), (String::new(), String::new(), 0));
    assert_eq!(b.tree.space().events_used as usize, 2 * SWEEP_ENTRIES_MAX + 6);
    assert!(b.tree.next_deadline().is_some_and(|at| at <= b.now.boot_ns));
    assert_eq!(b.queue("q"), b.tree.lookup(Ino::ROOT, b"q").unwrap().ino);
    b.close(handle);
    b.pass(0);
    assert_eq!((b.tree.space().events_used, b.tree.next_deadline()), (0, None));
    b.tree.forget(q, 1);
    let q = b.tree.lookup(Ino::ROOT, b"q").unwrap().ino;
    b.tree.rmdir(Ino::ROOT, b"q", b.now).unwrap();
    b.tree.forget(q, 3);
    assert!(b.tree.is_clear());
}

#[test]
fn many_queues_of_one_owner_end_in_steps() {
    let mut b = Bench::new();
    for number in 0..SWEEP_ENTRIES_MAX + 10 {
        let q = b.mkdir(&format!("q{number}"), Some(OwnerId(1))).unwrap().ino;
        b.tree.forget(q, 1);
    }
    b.pass(SECOND_NS);
    assert!(b.tree.owner_died(OwnerId(1), b.now), "there is more");
    assert!(!b.tree.owner_died(OwnerId(1), b.now));
    assert!(b.tree.is_clear());
}

#[test]
fn a_write_that_drops_too_many_asks_to_be_called_again() {
    let mut b = Bench::new();
    let q = b.queue("q");
    for number in 0..SWEEP_ENTRIES_MAX + 10 {
        b.put(q, &format!("{number}"), "x");
    }
    b.set(q, "overflow", "drop-oldest").unwrap();
    b.set(q, "max_bytes", "100").unwrap();
    let (_, handle) = b.create(q, "new").unwrap();
    assert_eq!(b.write(handle, 0, &[1; 95]), Err(Reason::Again));
    assert_eq!(b.number(q, "dropped") as usize, SWEEP_ENTRIES_MAX);
    assert_eq!(b.write(handle, 0, &[1; 95]), Ok(()));
    b.close(handle);
    assert_eq!((b.number(q, "bytes"), b.number(q, "depth")), (100, 6), "Again spoils nothing");
}

#[test]
fn many_events_that_are_due_expire_in_steps() {
    let mut b = Bench::new();
    let q = b.queue("q");
    fill(&mut b, q, 2 * SWEEP_ENTRIES_MAX + 3);
    b.set(q, "ttl", "1").unwrap();
    b.now.boot_ns += SECOND_NS;
    b.tree.tick(b.now);
    assert_eq!(b.number(q, "expired") as usize, SWEEP_ENTRIES_MAX);
    b.pass(0);
    assert_eq!(b.counters(q), [2_051, 0, 0, 2_051]);
}

#[test]
fn a_reader_of_a_large_queue_survives_its_drain() {
    let mut b = Bench::new();
    let q = b.queue("q");
    fill(&mut b, q, 2_000);
    let dir = b.tree.opendir(q).unwrap();
    let mut offset = 0;
    let mut listed = Vec::new();
    for round in 0_u64.. {
        let got = lines(&mut b.tree, dir, offset, 7);
        let Some(last) = got.last() else { break };
        offset = last.offset;
        listed.extend(got.into_iter().map(|line| line.name));
        for _ in 0..round % 9 {
            let _ = b.unlink(q, "head");
        }
    }
    let mut once = listed.clone();
    once.dedup();
    assert_eq!(once, listed, "nothing is doubled");
    assert!(listed.contains(&b"event-00001999".to_vec()), "the end was reached");
    b.tree.releasedir(dir, b.now);
    while b.unlink(q, "tail").is_ok() {}
    b.tree.rmdir(Ino::ROOT, b"q", b.now).unwrap();
    b.tree.forget(q, 1);
    assert!(b.tree.is_clear());
}

#[test]
fn tables_of_names_grow_and_shrink() {
    let mut b = Bench::new();
    let q = b.queue("q");
    fill(&mut b, q, 150_000);
    for number in (0..150_000).step_by(2) {
        b.tree.unlink(q, format!("event-{number:08}").as_bytes(), b.now).unwrap();
    }
    for number in 0..145_000 {
        let found = b.tree.unlink(q, format!("event-{number:08}").as_bytes(), b.now);
        assert_eq!(found.is_ok(), number % 2 == 1, "{number}");
    }
    assert_eq!(b.number(q, "depth"), 2_500);
    for number in (145_001..150_000).step_by(2) {
        assert!(b.tree.lookup(q, format!("event-{number:08}").as_bytes()).is_ok());
    }
}

#[test]
fn large_contents_are_handed_out_to_be_freed() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let (file, handle) = b.create(q, "a").unwrap();
    b.write(handle, (10 << 20) - 1, b"x").unwrap();
    b.write(handle, 0, b"y").unwrap();
    assert_eq!(b.tree.read(handle, (10 << 20) - 2, 9).unwrap(), [0, b'x']);
    let cut = SetAttr { size: Some(1), ..SetAttr::default() };
    b.tree.setattr(file, cut, USER, b.now).unwrap();
    assert_eq!(b.tree.take_trash().len(), 1);
    assert!(b.tree.take_changes().contains(&Change::Drained));
    assert_eq!(b.tree.read(handle, 0, 9).unwrap(), b"y");
    b.write(handle, 1 << 20, b"z").unwrap();
    b.close(handle);
    b.unlink(q, "head").unwrap();
    assert_eq!(b.tree.take_trash().len(), 1);
}

#[test]
fn inode_numbers_and_handles_are_never_given_twice() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let (ino, handle) = b.create(q, "a").unwrap();
        assert!(seen.insert((ino.0, handle.0)));
        assert!(seen.insert((ino.0, 0)) && seen.insert((0, handle.0)));
        b.close(handle);
        assert_eq!(b.tree.read(handle, 0, 1), Err(Reason::BadHandle));
        b.unlink(q, "a").unwrap();
        assert_eq!(b.tree.getattr(ino), Err(Reason::NotFound));
    }
}
