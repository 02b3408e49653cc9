//! What the random scenes and the reading that went before them found, one test each.

use eventfs::model::limits::SECOND_NS;
use eventfs::model::quota::Quota;
use eventfs::model::{Change, Ino, OwnerId, Reason, SetAttr, Settings};

use super::play::bench::{Bench, USER};

#[test]
fn two_links_in_one_queue_count_twice_when_the_file_grows() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    let file = b.put(q, "a", "1234");
    b.link(file, r, "a").unwrap();
    b.link(file, q, "b").unwrap();
    b.set(q, "max_bytes", "10").unwrap();
    let handle = b.open(file);
    assert_eq!(b.write(handle, 0, b"123456"), Err(Reason::OverQuota));
    assert_eq!(b.write(handle, 0, b"12345"), Ok(()));
    assert_eq!(b.number(q, "bytes"), 10);
}

#[test]
fn a_replaced_event_that_was_dropped_does_not_free_its_bytes_twice() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    b.put(q, "old", "1234");
    b.put(q, "b", "123456");
    b.put(r, "x", "12345678");
    b.set(q, "max_bytes", "10").unwrap();
    b.set(q, "overflow", "drop-oldest").unwrap();
    b.rename((r, "x"), (q, "old")).unwrap();
    assert_eq!(b.list(q), "old");
    assert_eq!(b.number(q, "bytes"), 8);
}

#[test]
fn an_event_keeps_its_place_number_when_a_staged_link_is_made() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.put(q, "first", "");
    let file = b.put(q, "a", "");
    b.link(file, q, ".staged").unwrap();
    assert_eq!(b.get(file, "seq").as_deref(), Some("2"));
    b.unlink(q, ".staged").unwrap();
    assert_eq!(b.get(file, "seq").as_deref(), Some("2"));
}

#[test]
fn a_withdrawn_event_has_no_place_number_even_if_it_once_had_two_links() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    let file = b.put(q, "a", "");
    b.link(file, r, "a").unwrap();
    b.unlink(r, "a").unwrap();
    b.rename((q, "a"), (q, ".a")).unwrap();
    assert_eq!(b.get(file, "seq"), None);
}

/// A new file whose write is refused after `moved` has renamed it.
fn spoil(b: &mut Bench, q: Ino, name: &str, moved: impl FnOnce(&mut Bench)) {
    let (_, handle) = b.create(q, name).unwrap();
    moved(b);
    assert_eq!(b.write(handle, 0, b"too long"), Err(Reason::TooBig));
    b.close(handle);
}

#[test]
fn a_spoiled_file_is_removed_wherever_it_was_moved() {
    let mut b = Bench::with(Settings { event_bytes_max: 4, ..Settings::default() }, default());
    let (q, r) = (b.queue("q"), b.queue("r"));
    spoil(&mut b, q, ".x", |b| b.rename((q, ".x"), (r, ".x")).unwrap());
    assert_eq!(b.list(r), "");
    spoil(&mut b, q, ".x", |b| b.rename((q, ".x"), (r, "x")).unwrap());
    assert_eq!((b.list(r), b.counters(r)), (String::new(), [1, 1, 0, 0]));
}

#[test]
fn a_spoiled_file_is_removed_though_a_reader_stands_on_its_old_place() {
    let mut b = Bench::with(Settings { event_bytes_max: 4, ..Settings::default() }, default());
    let q = b.queue("q");
    let dir = b.tree.opendir(q).unwrap();
    spoil(&mut b, q, ".x", |b| {
        super::play::listing::lines(&mut b.tree, dir, (1 << 62) - 1, 1);
        super::play::listing::lines(&mut b.tree, dir, 1 << 62, 1);
        b.rename((q, ".x"), (q, "x")).unwrap();
    });
    assert_eq!(b.list(q), "");
}

#[test]
fn a_spoiled_file_does_not_take_another_link_with_it() {
    let mut b = Bench::with(Settings { event_bytes_max: 4, ..Settings::default() }, default());
    let (q, r) = (b.queue("q"), b.queue("r"));
    spoil(&mut b, q, "x", |b| {
        let file = b.tree.lookup(q, b"x").unwrap().ino;
        b.link(file, r, "b").unwrap();
        b.unlink(q, "x").unwrap();
        // This one takes the slot of the entry that the handle made.
        b.link(file, r, "c").unwrap();
    });
    assert_eq!(b.list(r), "b c");
}

#[test]
fn a_new_owner_and_a_refused_size_leave_the_accounts_in_order() {
    let mut b = Bench::limited(Quota { max_bytes: Some(10), ..Quota::default() });
    let q = b.queue("q");
    let file = b.put(q, "a", "1234");
    let set = SetAttr { uid: Some(8), size: Some(11), ..SetAttr::default() };
    assert_eq!(b.tree.setattr(file, set, USER, b.now), Err(Reason::OverQuota));
    b.unlink(q, "a").unwrap();
    b.tree.rmdir(Ino::ROOT, b"q", b.now).unwrap();
    b.tree.forget(q, 1);
    assert!(b.tree.is_clear());
}

#[test]
fn writing_nothing_far_out_does_not_grow_a_file() {
    let mut b = Bench::with(Settings { event_bytes_max: 4, ..Settings::default() }, default());
    let q = b.queue("q");
    let (file, handle) = b.create(q, "a").unwrap();
    b.write(handle, 3, b"").unwrap();
    assert_eq!(b.tree.getattr(file).unwrap().size, 0);
    b.write(handle, 5, b"").unwrap();
    b.close(handle);
    assert_eq!(b.list(q), "a");
}

#[test]
fn the_link_count_that_others_see_is_told_to_have_changed() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    let file = b.put(q, "a", "");
    b.link(file, r, "a").unwrap();
    b.tree.take_changes();
    b.unlink(q, "head").unwrap();
    assert!(b.tree.take_changes().contains(&Change::Attributes(file)));
}

#[test]
fn no_deadline_outlives_its_queue() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    b.set(q, "ttl", "1000000").unwrap();
    b.put(q, "a", "");
    b.unlink(q, "a").unwrap();
    b.die(OwnerId(1));
    b.tree.rmdir(Ino::ROOT, b"q", b.now).unwrap();
    assert_eq!(b.tree.next_deadline(), None);
    let q = b.mkdir("q", Some(OwnerId(2))).unwrap().ino;
    b.die(OwnerId(2));
    assert_eq!(b.tree.next_deadline(), Some(b.now.boot_ns + SECOND_NS));
    b.set(q, "sticky", "1").unwrap();
    assert_eq!(b.tree.next_deadline(), None);
}

fn default() -> eventfs::model::quota::Quotas {
    eventfs::model::quota::Quotas::default()
}
