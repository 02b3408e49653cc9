//! Taking events, rule by rule: hidden in a consumer's hands until it confirms or lets go.

use eventfs::model::limits::SECOND_NS;
use eventfs::model::quota::Quota;
use eventfs::model::{Cause, Change, Ino, OwnerId, Reason, Settings, Taken};

use super::play::bench::{Bench, USER};
use super::play::listing;

/// A queue with events `a` to `e`, each with its name as content.
pub(super) fn filled() -> (Bench, Ino) {
    let mut b = Bench::new();
    let q = b.queue("q");
    for name in ["a", "b", "c", "d", "e"] {
        b.put(q, name, name);
    }
    (b, q)
}

fn ends(b: &mut Bench, q: Ino) -> (Option<String>, Option<String>) {
    (b.points(q, "head"), b.points(q, "tail"))
}

fn pair(head: &str, tail: &str) -> (Option<String>, Option<String>) {
    (Some(head.to_owned()), Some(tail.to_owned()))
}

#[test]
fn events_are_taken_in_order_each_by_one_consumer() {
    let (mut b, q) = filled();
    let (one, two) = (b.consumer(q), b.consumer(q));
    assert_eq!(b.take(one, 0, 2), "a b");
    assert_eq!(b.take(two, 0, 2), "c d");
    assert_eq!(b.take(one, 2, 9), "e");
    assert_eq!(b.take(two, 2, 9), "");
    assert_eq!(b.take(one, 1, 9), "");
    assert_eq!(b.counters(q), [5, 5, 0, 0]);
    b.close_consumer(one);
    b.close_consumer(two);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn what_is_taken_tells_name_number_time_and_content() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.put(q, "a", "first");
    b.now.wall_ns += 700;
    b.now.boot_ns += 300;
    let id = b.consumer(q);
    let taken = b.take_by(id, 0, 1, USER).unwrap();
    let (name, data) = (b"a".to_vec(), Some(b"first".to_vec()));
    // Published 300 ns ago by the clock that nobody sets.
    let time_ns = b.now.wall_ns - 300;
    assert_eq!(taken, [Taken { name, seq: 1, time_ns, size: 5, data }]);
}

#[test]
fn a_held_event_is_hidden_from_every_name() {
    let (mut b, q) = filled();
    let r = b.queue("r");
    let id = b.consumer(q);
    b.take(id, 0, 2);
    assert_eq!((b.list(q), ends(&mut b, q)), ("c d e".into(), pair("c", "e")));
    assert_eq!(b.tree.lookup(q, b"a"), Err(Reason::NotFound));
    assert_eq!(b.unlink(q, "a"), Err(Reason::NotFound));
    assert_eq!(b.rename((q, "a"), (r, "a")), Err(Reason::NotFound));
    b.unlink(q, "head").unwrap();
    assert_eq!(b.list(q), "d e", "the oldest that nobody holds");
    b.take(id, 2, 9);
    assert_eq!((b.list(q), ends(&mut b, q)), (String::new(), (None, None)));
    assert_eq!(b.unlink(q, "tail"), Err(Reason::NotFound));
}

#[test]
fn the_name_of_a_held_event_stays_taken() {
    let (mut b, q) = filled();
    let id = b.consumer(q);
    b.take(id, 0, 1);
    assert_eq!(b.create(q, "a").map(drop), Err(Reason::Exists));
    assert_eq!(b.rename((q, "b"), (q, "a")), Err(Reason::Exists));
    let file = b.tree.lookup(q, b"b").unwrap().ino;
    assert_eq!(b.link(file, q, "a"), Err(Reason::Exists));
    b.take(id, 1, 0);
    assert_eq!(b.rename((q, "b"), (q, "a")), Ok(()));
}

#[test]
fn closing_puts_back_what_was_not_confirmed() {
    let (mut b, q) = filled();
    let id = b.consumer(q);
    b.take(id, 0, 3);
    b.tree.take_changes();
    b.close_consumer(id);
    assert_eq!((b.list(q), ends(&mut b, q)), ("a b c d e".into(), pair("a", "e")));
    assert!(b.tree.take_changes().contains(&Change::Returned { queue: q }));
    assert_eq!((b.counters(q), b.number(q, "depth")), ([5, 0, 0, 0], 5));
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn real_names_are_reported_where_they_are_of_what_is_popped_through_head() {
    let settings = Settings { report_popped: true, ..Settings::default() };
    let mut b = Bench::with(settings, Default::default());
    let q = b.queue("q");
    b.put(q, "a", "");
    b.put(q, "b", "");
    let id = b.consumer(q);
    b.take(id, 0, 2);
    assert_eq!(b.gone(), []);
    b.take(id, 1, 0);
    assert_eq!(b.gone(), [("a".to_owned(), Cause::Popped)]);
}

#[test]
fn a_partly_confirmed_batch_goes_back_in_part() {
    let (mut b, q) = filled();
    let id = b.consumer(q);
    b.take(id, 0, 4);
    assert_eq!(b.take(id, 2, 0), "");
    assert_eq!(b.list(q), "c d e");
    assert_eq!(b.take(id, 7, 1), "c", "nothing more was held");
    assert_eq!(b.counters(q)[1], 2);
}

#[test]
fn events_return_between_their_neighbours_whatever_became_of_those() {
    let (mut b, q) = filled();
    let (one, two, three) = (b.consumer(q), b.consumer(q), b.consumer(q));
    assert_eq!((b.take(one, 0, 1), b.take(two, 0, 2)), ("a".into(), "b c".into()));
    assert_eq!(b.take(three, 0, 1), "d");
    b.put(q, "f", "");
    b.rename((q, "e"), (q, "z")).unwrap();
    b.close_consumer(two);
    assert_eq!((b.list(q), ends(&mut b, q)), ("b c z f".into(), pair("b", "f")));
    b.unlink(q, "b").unwrap();
    b.take(three, 1, 0);
    b.close_consumer(one);
    assert_eq!((b.list(q), ends(&mut b, q)), ("a c z f".into(), pair("a", "f")));
    b.close_consumer(three);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn the_last_event_returns_as_head_and_tail() {
    let mut b = Bench::new();
    let q = b.queue("q");
    b.put(q, "a", "");
    let id = b.consumer(q);
    b.take(id, 0, 1);
    b.put(q, "b", "");
    b.unlink(q, "tail").unwrap();
    assert_eq!(ends(&mut b, q), (None, None));
    b.close_consumer(id);
    assert_eq!(ends(&mut b, q), pair("a", "a"));
}

#[test]
fn held_events_count_in_depth_bytes_and_rmdir() {
    let (mut b, q) = filled();
    let used = b.tree.space();
    let id = b.consumer(q);
    b.take(id, 0, 9);
    assert_eq!((b.number(q, "depth"), b.number(q, "bytes"), b.tree.space()), (5, 5, used));
    assert_eq!(b.tree.rmdir(Ino::ROOT, b"q", b.now), Err(Reason::NotEmpty));
    let r = b.queue("r");
    assert_eq!(b.rename((Ino::ROOT, "r"), (Ino::ROOT, "q")), Err(Reason::NotEmpty));
    b.tree.rmdir(Ino::ROOT, b"r", b.now).unwrap();
    b.tree.forget(r, 1);
    b.take(id, 5, 0);
    b.close_consumer(id);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn held_events_count_in_quotas() {
    let mut b = Bench::limited(Quota {
        max_files: Some(2),
        max_files_per_dir: Some(2),
        ..Quota::default()
    });
    let q = b.queue("q");
    b.put(q, "a", "");
    b.put(q, "b", "");
    let id = b.consumer(q);
    b.take(id, 0, 1);
    assert_eq!(b.create(q, "c").map(drop), Err(Reason::OverQuota));
    b.take(id, 1, 0);
    b.put(q, "c", "");
}

#[test]
fn held_events_count_in_the_limits_of_the_queue_and_are_not_dropped() {
    for overflow in ["reject", "drop-oldest"] {
        let (mut b, q) = filled();
        b.set(q, "overflow", overflow).unwrap();
        b.set(q, "max_events", "5").unwrap();
        let id = b.consumer(q);
        b.take(id, 0, 5);
        assert_eq!(b.create(q, "f").map(drop), Err(Reason::OverQuota), "{overflow}");
        b.set(q, "max_events", "0").unwrap();
        b.set(q, "max_bytes", "6").unwrap();
        let (_, handle) = b.create(q, "f").unwrap();
        assert_eq!(b.write(handle, 0, b"67"), Err(Reason::OverQuota), "{overflow}");
        b.close(handle);
        b.close_consumer(id);
        assert_eq!((b.list(q), b.number(q, "dropped")), ("a b c d e".into(), 0));
    }
}

#[test]
fn an_overflow_drops_the_oldest_that_nobody_holds() {
    let (mut b, q) = filled();
    b.set(q, "overflow", "drop-oldest").unwrap();
    b.set(q, "max_events", "5").unwrap();
    let id = b.consumer(q);
    b.take(id, 0, 2);
    b.put(q, "f", "");
    assert_eq!(b.gone(), [("c".to_owned(), Cause::Dropped)]);
    b.close_consumer(id);
    assert_eq!(b.list(q), "a b d e f");
}

#[test]
fn a_held_event_expires_only_when_it_is_back() {
    let (mut b, q) = filled();
    b.set(q, "ttl", "1").unwrap();
    let id = b.consumer(q);
    b.take(id, 0, 2);
    b.pass(2 * SECOND_NS);
    assert_eq!((b.list(q), b.number(q, "expired")), (String::new(), 3));
    assert_eq!((b.number(q, "depth"), b.tree.next_deadline()), (2, None));
    b.take(id, 1, 0);
    b.pass(0);
    assert_eq!((b.number(q, "depth"), b.number(q, "expired")), (0, 4));
    b.close_consumer(id);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn a_queue_may_end_while_its_events_are_held() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    let r = b.queue("r");
    let file = b.put(q, "a", "1");
    b.put(q, "b", "2");
    b.put(q, "c", "3");
    b.link(file, r, "a").unwrap();
    let id = b.consumer(q);
    b.take(id, 0, 2);
    b.pass(SECOND_NS);
    b.die(OwnerId(1));
    assert_eq!((b.list(q), b.nlink(q)), (String::new(), 0));
    assert_eq!(b.tree.read_taken(id, 1, 0, 9), Ok(b"2".to_vec()), "the consumer can still read");
    assert_eq!(b.take_by(id, 1, 9, USER), Err(Reason::NotFound));
    assert_eq!((b.list(r), b.nlink(file)), ("a".into(), 1), "multicast links live on");
    b.close_consumer(id);
    b.tree.forget(q, 1);
    assert!(b.is_clear_without(r, "r"));
}

#[test]
fn a_dead_queue_is_forgotten_with_its_last_held_event() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    b.put(q, "a", "1");
    let id = b.consumer(q);
    b.take(id, 0, 1);
    b.pass(SECOND_NS);
    b.die(OwnerId(1));
    b.tree.forget(q, 1);
    assert_eq!(b.tree.space().events_used, 1);
    b.close_consumer(id);
    assert!(b.tree.is_clear());
}

#[test]
fn a_reading_that_stands_on_a_held_event_goes_on() {
    let (mut b, q) = filled();
    let dir = b.tree.opendir(q).unwrap();
    let first = listing::lines(&mut b.tree, dir, 4, 1);
    assert_eq!(first[0].name, b"a");
    let id = b.consumer(q);
    for confirmed in [0, 1] {
        b.take(id, 0, 1);
        b.take(id, confirmed, 0);
        let rest = listing::lines(&mut b.tree, dir, first[0].offset, 9);
        let rest: Vec<_> = rest.into_iter().flat_map(|line| line.name).collect();
        assert_eq!(rest, b"bcde", "confirmed {confirmed}");
    }
    b.close_consumer(id);
    b.tree.releasedir(dir, b.now);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn removing_one_link_by_taking_leaves_the_others() {
    let (mut b, q) = filled();
    let r = b.queue("r");
    let file = b.tree.lookup(q, b"a").unwrap().ino;
    b.link(file, r, "x").unwrap();
    let id = b.consumer(q);
    b.take(id, 0, 1);
    assert_eq!((b.nlink(file), b.list(r)), (2, "x".into()));
    b.unlink(r, "x").unwrap();
    assert_eq!((b.nlink(file), b.get(file, "seq").is_some()), (1, true));
    b.link(file, r, "y").unwrap();
    b.take(id, 1, 0);
    assert_eq!((b.nlink(file), b.text(file)), (1, "a".to_owned()));
}

#[test]
fn an_event_that_is_open_when_it_is_taken_stays_readable() {
    let (mut b, q) = filled();
    let file = b.tree.lookup(q, b"a").unwrap().ino;
    let handle = b.open(file);
    let id = b.consumer(q);
    b.take(id, 0, 1);
    b.write(handle, 1, b"more").unwrap();
    assert_eq!(b.tree.read_taken(id, 0, 1, 2), Ok(b"mo".to_vec()));
    b.take(id, 1, 0);
    assert_eq!(b.tree.read(handle, 0, 9), Ok(b"amore".to_vec()));
    assert_eq!(b.nlink(file), 0);
    b.close(handle);
    b.close_consumer(id);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn a_write_refused_while_the_event_is_held_removes_it_when_it_is_back() {
    for confirmed in [0, 1] {
        let settings =
            Settings { publish_at_create: true, event_bytes_max: 4, ..Settings::default() };
        let mut b = Bench::with(settings, Default::default());
        let q = b.queue("q");
        let (_, handle) = b.create(q, "a").unwrap();
        let id = b.consumer(q);
        assert_eq!(b.take(id, 0, 1), "a");
        assert_eq!(b.write(handle, 0, b"12345"), Err(Reason::TooBig));
        b.close(handle);
        assert_eq!(b.number(q, "depth"), 1, "still in somebody's hands");
        assert_eq!(b.take(id, confirmed, 1), "");
        assert_eq!((b.number(q, "depth"), b.counters(q)), (0, [1, 1, 0, 0]));
        b.close_consumer(id);
        assert!(b.is_clear_without(q, "q"));
    }
}

#[test]
fn the_oldest_names_are_told_whoever_has_them_in_hand() {
    let (mut b, q) = filled();
    let oldest = |b: &Bench| {
        let names = b.tree.getxattr(q, b"user.eventfs_oldest").unwrap();
        String::from_utf8(names).unwrap()
    };
    assert_eq!(oldest(&b), "a/b/c/d/e/");
    let (first, second) = (b.consumer(q), b.consumer(q));
    assert_eq!(b.take(first, 0, 2), "a b");
    assert_eq!(b.take(second, 0, 2), "c d");
    assert_eq!((oldest(&b).as_str(), b.list(q).as_str()), ("a/b/c/d/e/", "e"));
    b.take(second, 2, 1);
    assert_eq!(oldest(&b), "a/b/e/");
    b.take(first, 1, 0);
    assert_eq!(oldest(&b), "b/e/");
    b.take(first, 0, 1);
    b.take(first, 1, 0);
    b.take(second, 1, 0);
    assert_eq!(oldest(&b), "");
    // More than an attribute holds.
    for number in 0..700 {
        b.put(q, &format!("{number:0100}"), "");
    }
    let names = oldest(&b);
    assert!(names.len() <= 65_536 && names.ends_with("//"));
    assert_eq!(names.split('/').filter(|name| !name.is_empty()).count(), 648);
    // It is read only, and not listed.
    let set = b.tree.setxattr(q, b"user.eventfs_oldest", b"x", Default::default(), USER, b.now);
    assert_eq!(set, Err(Reason::NotPermitted));
    let removed = b.tree.removexattr(q, b"user.eventfs_oldest", USER, b.now);
    assert_eq!(removed, Err(Reason::NotPermitted));
    let listed = b.tree.listxattr(q).unwrap();
    assert!(!listed.contains(&b"user.eventfs_oldest".to_vec()));
}
