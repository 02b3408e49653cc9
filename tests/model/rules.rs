//! Order, staging, links, renaming and the fate of queues, rule by rule.

use eventfs::model::limits::SECOND_NS;
use eventfs::model::{Cause, Change, Fate, Ino, Kind, OwnerId, Reason, Settings, XattrFlags};

use super::play::bench::{Bench, ROOT, USER};

fn ends(b: &mut Bench, q: Ino) -> (String, String) {
    (b.points(q, "head").unwrap(), b.points(q, "tail").unwrap())
}

fn pair(head: &str, tail: &str) -> (String, String) {
    (head.to_owned(), tail.to_owned())
}

#[test]
fn order_is_that_of_publication() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let (_, z) = b.create(q, "z").unwrap();
    assert_eq!(b.points(q, "head"), None, "an unfinished file is no event");
    b.put(q, "y", "");
    assert_eq!(b.list(q), "y z");
    b.close(z);
    b.put(q, "a", "");
    assert_eq!(b.list(q), "y z a");
    assert_eq!(ends(&mut b, q), pair("y", "a"));
}

#[test]
fn the_creating_handle_decides_and_not_the_others() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let (file, maker) = b.create(q, "a").unwrap();
    let other = b.open(file);
    b.close(other);
    assert_eq!(b.points(q, "tail"), None);
    let other = b.open(file);
    b.close(maker);
    assert_eq!(b.points(q, "tail").as_deref(), Some("a"));
    b.close(other);
    assert_eq!(b.counters(q), [1, 0, 0, 0]);
}

#[test]
fn publish_at_create_shows_at_once_and_removes_what_was_refused() {
    let settings = Settings { publish_at_create: true, event_bytes_max: 4, ..Settings::default() };
    let mut b = Bench::with(settings, Default::default());
    let q = b.queue("q");
    let (_, handle) = b.create(q, "a").unwrap();
    assert_eq!(b.points(q, "tail").as_deref(), Some("a"));
    assert_eq!(b.write(handle, 0, b"12345"), Err(Reason::TooBig));
    b.close(handle);
    assert_eq!(b.gone(), [("a".to_owned(), Cause::Spoiled)]);
    assert_eq!((b.list(q), b.counters(q)), (String::new(), [1, 1, 0, 0]));
}

#[test]
fn a_dot_name_stages_and_a_plain_one_publishes() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.put(q, ".s", "x");
    b.put(q, "a", "");
    assert_eq!(ends(&mut b, q), pair("a", "a"));
    assert_eq!((b.number(q, "depth"), b.number(q, "bytes")), (1, 1));
    b.rename((q, ".s"), (q, "s")).unwrap();
    assert_eq!(b.list(q), "a s");
    b.rename((q, "a"), (q, ".a")).unwrap();
    assert_eq!(b.list(q), "s .a");
    assert_eq!(b.counters(q), [2, 1, 0, 0]);
    b.rename((q, ".a"), (q, "a")).unwrap();
    assert_eq!(b.list(q), "s a");
    assert_eq!(b.counters(q), [3, 1, 0, 0]);
}

#[test]
fn linking_an_unfinished_file_publishes_the_link_alone() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    let (file, handle) = b.create(q, "a").unwrap();
    b.link(file, r, "a").unwrap();
    assert_eq!((b.points(q, "head"), b.points(r, "head").as_deref()), (None, Some("a")));
    b.write(handle, 0, b"abc").unwrap();
    b.close(handle);
    assert_eq!((b.number(q, "bytes"), b.number(r, "bytes")), (3, 3));
    assert_eq!(b.nlink(file), 2);
}

#[test]
fn an_unfinished_file_stays_unfinished_under_a_plain_name_and_is_staged_under_a_dot() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    let (_, handle) = b.create(q, "a").unwrap();
    b.rename((q, "a"), (r, "b")).unwrap();
    assert_eq!((b.list(q), b.list(r), b.points(r, "head")), (String::new(), "b".into(), None));
    b.close(handle);
    assert_eq!(b.points(r, "head").as_deref(), Some("b"));
    assert_eq!((b.counters(q), b.counters(r)), ([0, 0, 0, 0], [1, 0, 0, 0]));
    let (_, handle) = b.create(q, "c").unwrap();
    b.rename((q, "c"), (q, ".c")).unwrap();
    b.close(handle);
    assert_eq!((b.list(q), b.points(q, "head")), (".c".into(), None));
}

#[test]
fn head_and_tail_remove_what_they_point_to() {
    let mut b =
        Bench::with(Settings { report_popped: true, ..Settings::default() }, Default::default());
    let q = b.queue("q");
    for name in ["a", "b", "c"] {
        b.put(q, name, "");
    }
    b.unlink(q, "head").unwrap();
    assert_eq!(ends(&mut b, q), pair("b", "c"));
    b.unlink(q, "tail").unwrap();
    assert_eq!(ends(&mut b, q), pair("b", "b"));
    let gone = b.gone();
    assert_eq!(gone, [("a".to_owned(), Cause::Popped), ("c".to_owned(), Cause::Popped)]);
    b.unlink(q, "b").unwrap();
    for link in ["head", "tail"] {
        assert_eq!(b.tree.lookup(q, link.as_bytes()), Err(Reason::NotFound));
        assert_eq!(b.unlink(q, link), Err(Reason::NotFound));
    }
    assert_eq!(b.counters(q), [3, 3, 0, 0]);
}

#[test]
fn head_and_tail_are_reserved_in_queues_only() {
    let mut b = Bench::new();
    let q = b.queue("head");
    let file = b.put(q, "a", "");
    for name in ["head", "tail"] {
        assert_eq!(b.create(q, name).map(drop), Err(Reason::NotPermitted));
        assert_eq!(b.link(file, q, name), Err(Reason::NotPermitted));
        assert_eq!(b.rename((q, "a"), (q, name)), Err(Reason::NotPermitted));
        assert_eq!(b.rename((q, name), (q, "b")), Err(Reason::NotPermitted));
        let made = b.tree.mknod(q, name.as_bytes(), 0o644, USER, b.now);
        assert_eq!(made.map(drop), Err(Reason::NotPermitted));
    }
    assert_eq!(b.rename((Ino::ROOT, "head"), (Ino::ROOT, "tail")), Ok(()));
}

#[test]
fn links_look_like_their_target_with_the_owner_of_the_queue() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let (file, handle) = b.create_by(q, "event", ROOT).unwrap();
    b.close(handle);
    let link = b.tree.lookup(q, b"head").unwrap();
    let target = b.tree.getattr(file).unwrap();
    assert_eq!((link.kind, link.mode, link.size), (Kind::Link, 0o777, 5));
    assert_eq!((link.uid, link.gid, target.uid), (USER.uid, USER.gid, 0));
    assert_eq!((link.mtime, link.ctime), (target.mtime, target.ctime));
    b.tree.take_changes();
    b.chown(q, 9, 90).unwrap();
    assert_eq!(b.tree.lookup(q, b"tail").unwrap().uid, 9);
    let changes = b.tree.take_changes();
    for name in [b"head", b"tail"] {
        let ino = b.tree.lookup(q, name).unwrap().ino;
        assert!(changes.contains(&Change::Entry { parent: q, ino, name: name[..].into() }));
    }
}

#[test]
fn renaming_keeps_the_place_inside_a_queue_and_loses_it_across() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    for name in ["a", "b", "c"] {
        b.put(q, name, name);
    }
    b.put(r, "x", "");
    b.rename((q, "a"), (q, "z")).unwrap();
    assert_eq!(b.list(q), "z b c");
    b.rename((q, "z"), (q, "c")).unwrap();
    assert_eq!(b.list(q), "c b", "an event keeps its own place over another");
    b.rename((q, "c"), (r, "c")).unwrap();
    assert_eq!((b.list(q), b.list(r)), ("b".into(), "x c".into()));
    assert_eq!((b.counters(q), b.counters(r)), ([3, 2, 0, 0], [2, 0, 0, 0]));
    b.put(r, ".s", "");
    b.rename((r, ".s"), (r, "x")).unwrap();
    assert_eq!(b.list(r), "c x", "a staged file goes to the tail");
}

#[test]
fn renaming_refuses_what_it_must() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    let file = b.put(q, "a", "");
    b.link(file, r, "a").unwrap();
    b.put(r, "b", "");
    let kept = b.tree.rename((q, b"a"), (r, b"b"), true, USER, b.now);
    assert_eq!(kept, Err(Reason::Exists));
    assert_eq!(b.rename((q, "a"), (r, "a")), Ok(()), "two links of one file: nothing to do");
    assert_eq!(b.nlink(file), 2);
    assert_eq!(b.rename((q, "gone"), (r, "b")), Err(Reason::NotFound));
    assert_eq!(b.rename((q, "a"), (Ino::ROOT, "a")), Err(Reason::NotPermitted));
    assert_eq!(b.rename((Ino::ROOT, "q"), (Ino::ROOT, "r")), Err(Reason::NotEmpty));
    assert_eq!(b.rename((q, "a"), (q, &"n".repeat(256))), Err(Reason::NameTooLong));
    assert_eq!(b.rename((q, "a"), (q, &"n".repeat(255))), Ok(()));
}

#[test]
fn an_atomic_claim_has_one_winner() {
    let mut b = Bench::new();
    let (q, one, two) = (b.queue("q"), b.queue("one"), b.queue("two"));
    b.put(q, "a", "");
    assert_eq!(b.rename((q, "a"), (one, "a")), Ok(()));
    assert_eq!(b.rename((q, "a"), (two, "a")), Err(Reason::NotFound));
}

#[test]
fn a_removed_event_stays_open_and_counts_until_the_last_close() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let before = b.tree.space();
    let file = b.put(q, "a", "1234");
    let (one, two) = (b.open(file), b.open(file));
    b.unlink(q, "head").unwrap();
    b.write(one, 4, b"56").unwrap();
    assert_eq!(b.tree.read(two, 0, 10).unwrap(), b"123456");
    assert_eq!(b.nlink(file), 0);
    assert_eq!(b.get(file, "seq").as_deref(), Some("1"));
    assert_eq!(b.tree.space().bytes_used, before.bytes_used + 16 + 6);
    assert_eq!(b.tree.space().events_used, 0);
    assert_eq!(b.link(file, q, "b"), Err(Reason::NotFound));
    b.close(one);
    b.close(two);
    assert_eq!(b.tree.getattr(file), Err(Reason::NotFound));
    assert_eq!(b.tree.space(), before);
}

#[test]
fn place_numbers_rise_and_follow_the_last_publication() {
    let mut b = Bench::new();
    let (q, r) = (b.queue("q"), b.queue("r"));
    b.put(q, "a", "");
    b.unlink(q, "a").unwrap();
    let file = b.put(q, "a", "");
    assert_eq!(b.get(file, "seq").as_deref(), Some("2"));
    b.link(file, r, "a").unwrap();
    assert_eq!(b.get(file, "seq").as_deref(), Some("1"), "last published in r");
    b.rename((q, "a"), (q, ".a")).unwrap();
    b.rename((q, ".a"), (q, "a")).unwrap();
    assert_eq!(b.get(file, "seq").as_deref(), Some("3"));
    assert_eq!(b.set(file, "seq", "5"), Err(Reason::NotPermitted));
    assert_eq!(b.unset(file, "seq"), Err(Reason::NotPermitted));
}

#[test]
fn a_queue_ends_with_its_owner_and_its_name_is_free_at_once() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    let r = b.queue("r");
    let (file, handle) = b.create(q, "a").unwrap();
    b.link(file, r, "a").unwrap();
    b.pass(SECOND_NS);
    b.tree.take_changes();
    b.die(OwnerId(1));
    let changes = b.tree.take_changes();
    assert!(changes.contains(&Change::QueueEnded { queue: q, name: b"q"[..].into() }));
    assert!(changes.contains(&Change::OwnerReleased(OwnerId(1))));
    assert_eq!((b.list(q), b.nlink(q)), (String::new(), 0));
    assert_eq!(b.create(q, "b").map(drop), Err(Reason::NotFound));
    assert_eq!(b.rename((r, "a"), (q, "a")), Err(Reason::NotFound));
    assert_eq!((b.list(r), b.nlink(file)), ("a".into(), 1), "multicast links live on");
    assert_ne!(b.queue("q"), q);
    b.close(handle);
    b.tree.forget(q, 1);
    assert_eq!(b.tree.getattr(q), Err(Reason::NotFound));
}

#[test]
fn a_queue_whose_creator_ends_early_stands_until_the_grace_is_over() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    let saved = b.mkdir("saved", Some(OwnerId(1))).unwrap().ino;
    b.pass(SECOND_NS / 2);
    b.die(OwnerId(1));
    assert_eq!(b.list(Ino::ROOT), "q saved");
    b.set(saved, "sticky", "").unwrap();
    b.pass(SECOND_NS / 2 - 1);
    assert_eq!(b.list(Ino::ROOT), "q saved");
    b.pass(1);
    assert_eq!(b.list(Ino::ROOT), "saved");
    assert_eq!(b.nlink(q), 0);
    b.unset(saved, "sticky").unwrap();
    b.pass(SECOND_NS - 1);
    assert_eq!(b.list(Ino::ROOT), "saved", "the grace runs from the removal of the mark");
    b.pass(1);
    assert_eq!(b.list(Ino::ROOT), "");
}

#[test]
fn a_sticky_queue_remembers_its_owner_while_that_lives() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    b.set(q, "sticky", "1").unwrap();
    assert_eq!(b.tree.fate(q), Ok(Fate::Sticky { last: Some(OwnerId(1)) }));
    b.tree.set_owner(q, OwnerId(2), USER).unwrap();
    b.die(OwnerId(1));
    assert_eq!(b.tree.fate(q), Ok(Fate::Sticky { last: Some(OwnerId(2)) }));
    b.unset(q, "sticky").unwrap();
    assert_eq!(b.tree.fate(q).unwrap().owner(), Some(OwnerId(2)));
    b.pass(2 * SECOND_NS);
    b.die(OwnerId(2));
    assert_eq!(b.list(Ino::ROOT), "");
}

#[test]
fn attributes_of_eventfs_are_for_the_user_of_the_queue() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let other = eventfs::model::Caller { uid: 8, gid: 70 };
    let flags = XattrFlags::default();
    let set = b.tree.setxattr(q, b"user.eventfs_ttl", b"1", flags, other, b.now);
    assert_eq!(set, Err(Reason::NotPermitted));
    assert_eq!(b.set(q, "depth", "1"), Err(Reason::NotPermitted));
    assert_eq!(b.unset(q, "published"), Err(Reason::NotPermitted));
    for (name, value) in
        [("ttl", "-1"), ("max_events", "x"), ("overflow", "drop"), ("colour", "red")]
    {
        assert_eq!(b.set(q, name, value), Err(Reason::Invalid), "{name}");
    }
    assert_eq!(b.get(q, "sticky").as_deref(), Some("1"));
    assert_eq!(b.get(q, "colour"), None);
    assert_eq!(b.xattr(q, "security.x", "1"), Err(Reason::NotSupported));
    let again = XattrFlags { create: true, replace: false };
    b.xattr(q, "user.mine", "1").unwrap();
    let set = b.tree.setxattr(q, b"user.mine", b"2", again, USER, b.now);
    assert_eq!(set, Err(Reason::Exists));
    assert_eq!(b.number(q, "bytes"), 1);
}

#[test]
fn only_queues_are_in_the_root_and_only_files_in_queues() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.put(q, "a", "");
    let inside = b.tree.mkdir(q, b"d", 0o755, None, USER, b.now);
    assert_eq!(inside.map(drop), Err(Reason::NotPermitted));
    assert_eq!(b.create(Ino::ROOT, "a").map(drop), Err(Reason::NotPermitted));
    assert_eq!(b.mkdir("q", None).map(drop), Err(Reason::Exists));
    assert_eq!(b.unlink(Ino::ROOT, "q"), Err(Reason::IsDirectory));
    assert_eq!(b.tree.rmdir(q, b"a", b.now), Err(Reason::NotDirectory));
    b.rename((q, "a"), (q, ".a")).unwrap();
    assert_eq!(b.tree.rmdir(Ino::ROOT, b"q", b.now), Err(Reason::NotEmpty), "staged files count");
}
