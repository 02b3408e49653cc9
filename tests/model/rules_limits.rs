//! Limits of mounts, users, groups and queues, rule by rule.

use eventfs::model::limits::{
    EVENT_OVERHEAD_BYTES, LINK_OVERHEAD_BYTES, QUEUE_OVERHEAD_BYTES, SECOND_NS,
    XATTR_OVERHEAD_BYTES,
};
use eventfs::model::quota::{Quota, Quotas};
use eventfs::model::{Caller, Cause, Ino, Reason, SetAttr, Settings};

use super::play::bench::{Bench, ROOT, USER};

const OVER: Reason = Reason::OverQuota;

#[test]
fn n_fit_and_one_more_does_not() {
    let mut b = Bench::limited(Quota {
        max_dirs: Some(2),
        max_files: Some(3),
        max_bytes: Some(10),
        ..Quota::default()
    });
    let (q, r) = (b.queue("q"), b.queue("r"));
    assert_eq!(b.mkdir("s", None).map(drop), Err(OVER));
    let file = b.put(q, "a", "12345");
    b.put(q, ".b", "1234");
    let (_, handle) = b.create(r, "c").unwrap();
    assert_eq!(b.create(q, "d").map(drop), Err(OVER));
    assert_eq!(b.link(file, r, "d"), Ok(()), "a link is no file of its own");
    assert_eq!(b.xattr(file, "user.x", "12"), Err(OVER));
    assert_eq!(b.xattr(file, "user.x", "1"), Ok(()));
    assert_eq!(b.write(handle, 0, b"1"), Err(OVER));
    b.close(handle);
    assert_eq!(b.list(r), "d", "the refused file is gone");
    b.unlink(q, "a").unwrap();
    assert_eq!(b.create(q, "e").map(drop), Ok(()));
    assert_eq!(b.create(q, "f").map(drop), Err(OVER), "the link still holds the file");
}

#[test]
fn root_is_not_limited_but_its_files_are_charged_to_their_user() {
    let mut b = Bench::limited(Quota { max_files: Some(1), ..Quota::default() });
    let q = b.queue("q");
    let (one, handle) = b.create_by(q, "one", ROOT).unwrap();
    b.close(handle);
    let (two, handle) = b.create_by(q, "two", ROOT).unwrap();
    b.close(handle);
    assert_eq!(b.chown(one, USER.uid, USER.gid), Ok(()));
    assert_eq!(b.create(q, "three").map(drop), Err(OVER));
    assert_eq!(b.chown(two, USER.uid, USER.gid), Err(OVER));
    assert_eq!(b.tree.getattr(two).unwrap().uid, 0);
}

#[test]
fn user_and_group_limits_both_hold() {
    let user = Quota { max_files: Some(2), ..Quota::default() };
    let group = Quota { max_files: Some(3), ..Quota::default() };
    let quotas = Quotas { default: user, users: [].into(), groups: [(USER.gid, group)].into() };
    let mut b = Bench::with(Settings::default(), quotas);
    let q = b.queue("q");
    let friend = Caller { uid: 8, gid: USER.gid };
    b.create(q, "a").unwrap();
    b.create(q, "b").unwrap();
    assert_eq!(b.create(q, "c").map(drop), Err(OVER), "the user's own limit");
    b.create_by(q, "c", friend).unwrap();
    assert_eq!(b.create_by(q, "d", friend).map(drop), Err(OVER), "the group's limit");
    assert!(b.create_by(q, "d", Caller { uid: 8, gid: 1 }).is_ok(), "a group without limits");
}

#[test]
fn files_of_one_directory_are_limited_by_its_user_and_links_count() {
    let mut b = Bench::limited(Quota { max_files_per_dir: Some(2), ..Quota::default() });
    let (q, r) = (b.queue("q"), b.queue("r"));
    let file = b.put(q, "a", "");
    b.put(q, ".b", "");
    b.put(r, "x", "");
    assert_eq!(b.create(q, "c").map(drop), Err(OVER));
    assert_eq!(b.link(file, q, "c"), Err(OVER));
    assert_eq!(b.rename((r, "x"), (q, "c")), Err(OVER));
    assert_eq!(b.rename((r, "x"), (q, "a")), Ok(()), "one for one");
    assert!(b.create_by(q, "c", ROOT).is_ok());
}

#[test]
fn the_mount_is_full_for_everybody() {
    let room = QUEUE_OVERHEAD_BYTES + EVENT_OVERHEAD_BYTES + 1 + 4;
    let mut b =
        Bench::with(Settings { size_bytes: room, ..Settings::default() }, Quotas::default());
    let q = b.queue("q");
    let (file, handle) = b.create_by(q, "a", ROOT).unwrap();
    assert_eq!(b.tree.write(handle, 0, b"12345", ROOT, b.now), Err(Reason::NoSpace));
    assert_eq!(b.tree.write(handle, 0, b"1234", ROOT, b.now), Ok(()));
    assert_eq!(b.tree.space().bytes_used, room);
    assert_eq!(b.link(file, q, "b"), Err(Reason::NoSpace));
    assert_eq!(b.xattr(file, "user.x", ""), Err(Reason::NoSpace));
    assert_eq!(b.rename((q, "a"), (q, "ab")), Err(Reason::NoSpace));
    assert_eq!(b.mkdir("r", None).map(drop), Err(Reason::NoSpace));
    b.close(handle);
    assert_eq!(b.list(q), "", "root's refused file is gone too");
    assert_eq!(b.tree.space().bytes_used, QUEUE_OVERHEAD_BYTES);
}

#[test]
fn everything_has_its_price() {
    let mut b = Bench::new();
    let empty = b.tree.space().bytes_used;
    let q = b.queue("q");
    let file = b.put(q, "name", "12345");
    b.link(file, q, "other").unwrap();
    b.xattr(file, "user.x", "123").unwrap();
    b.xattr(q, "user.yy", "1").unwrap();
    let price = QUEUE_OVERHEAD_BYTES
        + (EVENT_OVERHEAD_BYTES + 4 + 5)
        + (LINK_OVERHEAD_BYTES + 5)
        + (XATTR_OVERHEAD_BYTES + 6 + 3)
        + (XATTR_OVERHEAD_BYTES + 7 + 1);
    assert_eq!(b.tree.space().bytes_used - empty, price);
    assert_eq!(b.number(q, "bytes"), 2 * (5 + 3) + 1);
    assert_eq!(b.tree.space().events_used, 2);
}

#[test]
fn counts_of_the_mount_hold_for_links_and_staged_files() {
    let settings = Settings { events_max: Some(2), queues_max: Some(1), ..Settings::default() };
    let mut b = Bench::with(settings, Quotas::default());
    let q = b.queue("q");
    assert_eq!(b.mkdir("r", None).map(drop), Err(Reason::NoSpace));
    let file = b.put(q, ".a", "");
    b.link(file, q, "b").unwrap();
    assert_eq!(b.create(q, "c").map(drop), Err(Reason::NoSpace));
    assert_eq!(b.link(file, q, "c"), Err(Reason::NoSpace));
    b.unlink(q, "head").unwrap();
    assert!(b.create(q, "c").is_ok());
}

#[test]
fn a_hole_counts_as_its_bytes() {
    let mut b = Bench::limited(Quota { max_bytes: Some(100), ..Quota::default() });
    let q = b.queue("q");
    let (file, handle) = b.create(q, "a").unwrap();
    b.write(handle, 98, b"xy").unwrap();
    assert_eq!(b.number(q, "bytes"), 100);
    let grow = SetAttr { size: Some(101), ..SetAttr::default() };
    assert_eq!(b.tree.setattr(file, grow, USER, b.now).map(drop), Err(OVER));
    let cut = SetAttr { size: Some(1), ..SetAttr::default() };
    b.tree.setattr(file, cut, USER, b.now).unwrap();
    assert_eq!(b.tree.allocate(handle, 101, USER, b.now), Err(OVER));
    assert_eq!(b.tree.allocate(handle, 100, USER, b.now), Ok(()));
    assert_eq!(b.tree.read(handle, 0, 200).unwrap(), [0; 100]);
}

#[test]
fn a_full_queue_refuses_events_but_not_staged_files() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    b.set(q, "max_events", "1").unwrap();
    let file = b.put(r, "x", "");
    b.put(q, "a", "");
    assert_eq!(b.create(q, "b").map(drop), Err(OVER));
    assert_eq!(b.link(file, q, "b"), Err(OVER));
    assert_eq!(b.rename((r, "x"), (q, "b")), Err(OVER));
    assert_eq!(b.rename((r, "x"), (q, ".b")), Ok(()));
    assert_eq!(b.rename((q, ".b"), (q, "b")), Err(OVER));
    assert_eq!(b.rename((q, ".b"), (q, "a")), Ok(()), "one for one");
    assert_eq!((b.list(q), b.counters(q)), ("a".into(), [2, 1, 0, 0]));
}

#[test]
fn a_full_queue_drops_its_oldest_and_says_so() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.set(q, "overflow", "drop-oldest").unwrap();
    b.set(q, "max_events", "2").unwrap();
    for name in ["a", "b", ".s", "c"] {
        b.put(q, name, "");
    }
    assert_eq!(b.list(q), "b c .s");
    assert_eq!(b.gone(), [("a".to_owned(), Cause::Dropped)]);
    b.rename((q, ".s"), (q, "s")).unwrap();
    assert_eq!((b.list(q), b.counters(q)), ("c s".into(), [4, 0, 2, 0]));
}

#[test]
fn bytes_of_a_full_queue_make_room_only_where_that_helps() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.set(q, "overflow", "drop-oldest").unwrap();
    b.set(q, "max_bytes", "10").unwrap();
    b.put(q, "a", "1234");
    b.put(q, "b", "1234");
    let (_, handle) = b.create(q, "c").unwrap();
    assert_eq!(b.write(handle, 0, b"12345678901"), Err(OVER), "it would never fit");
    assert_eq!(b.list(q), "a b c");
    assert_eq!(b.write(handle, 0, b"123"), Ok(()));
    assert_eq!(b.list(q), "b c");
    b.close(handle);
    assert_eq!(b.list(q), "b", "a refused write spoils");
    let file = b.tree.lookup(q, b"b").unwrap().ino;
    let handle = b.open(file);
    assert_eq!(b.write(handle, 0, b"12345678901"), Err(OVER));
    assert_eq!(b.text(file), "1234", "an old event is not spoiled");
    b.close(handle);
    assert_eq!(b.list(q), "b");
}

#[test]
fn events_expire_from_their_publication_on() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.put(q, "a", "");
    b.pass(SECOND_NS);
    let (_, slow) = b.create(q, "slow").unwrap();
    b.put(q, "b", "");
    b.put(q, ".s", "");
    b.set(q, "ttl", "3").unwrap();
    b.pass(SECOND_NS);
    b.close(slow);
    b.pass(SECOND_NS - 1);
    assert_eq!(b.list(q), "a b slow .s");
    b.pass(1);
    assert_eq!(b.list(q), "b slow .s");
    assert_eq!(b.gone(), [("a".to_owned(), Cause::Expired)]);
    b.rename((q, "b"), (q, "c")).unwrap();
    b.pass(SECOND_NS);
    assert_eq!(b.list(q), "slow .s", "a new name inside the queue is no new life");
    b.set(q, "ttl", "1").unwrap();
    b.pass(0);
    assert_eq!(b.list(q), ".s", "a shorter time holds for what is queued");
    assert_eq!(b.counters(q), [3, 0, 0, 3]);
}

#[test]
fn a_moved_event_lives_anew() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    b.set(r, "ttl", "2").unwrap();
    b.put(q, "a", "");
    b.pass(5 * SECOND_NS);
    b.rename((q, "a"), (r, "a")).unwrap();
    b.pass(2 * SECOND_NS - 1);
    assert_eq!(b.list(r), "a");
    b.pass(1);
    assert_eq!(b.list(r), "");
}

#[test]
fn a_queue_changes_hands_with_its_charge() {
    let mut b = Bench::limited(Quota { max_dirs: Some(1), ..Quota::default() });
    let q = b.queue("q");
    let other = Caller { uid: 8, gid: 80 };
    b.tree.mkdir(Ino::ROOT, b"r", 0o755, None, other, b.now).unwrap();
    assert_eq!(b.chown(q, 8, 80), Err(OVER));
    b.tree.rmdir(Ino::ROOT, b"r", b.now).unwrap();
    assert_eq!(b.chown(q, 8, 80), Ok(()));
    assert!(b.mkdir("s", None).is_ok());
}

#[test]
fn an_event_has_at_most_65000_links() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let file = b.put(q, "e", "x");
    for number in 1..65_000 {
        b.link(file, q, &number.to_string()).unwrap();
    }
    assert_eq!(b.link(file, q, "more"), Err(Reason::TooManyLinks));
    assert_eq!(b.nlink(file), 65_000);
}
