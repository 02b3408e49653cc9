//! Who may take what, how much at once, the door, and looking without taking.

use eventfs::model::{
    Caller, DOOR, Ino, Kind, Mode, Node, Outcome, OwnerId, Powers, Reason, SetAttr, Taken, Taker,
    Want,
};

use super::hold::filled;
use super::play::bench::{Bench, ROOT, USER};

const OTHER: Caller = Caller { uid: 8, gid: 80 };
const GROUP: Caller = Caller { uid: 8, gid: 70 };
const WANT: Want = Want { events_max: 100, bytes_max: 1_000, event_bytes: 32 };

fn mode(b: &mut Bench, ino: Ino, mode: u16) {
    let set = SetAttr { mode: Some(mode), ..SetAttr::default() };
    b.tree.setattr(ino, set, ROOT, b.now).unwrap();
}

fn all_powers() -> Powers {
    Powers { groups: vec![], reads_all: true, writes_all: true, owns_all: true }
}

/// Takes one event from a queue of these modes as somebody, and puts it back.
fn try_take(queue: u16, event: u16, who: Caller, powers: &dyn Fn() -> Powers) -> Outcome<usize> {
    let mut b = Bench::new();
    let q = b.queue("q");
    let file = b.put(q, "a", "");
    mode(&mut b, q, queue);
    mode(&mut b, file, event);
    let id = b.consumer(q);
    let taken = b.tree.take(id, 0, WANT, &Taker::new(who, powers), b.now);
    taken.map(|events| events.len())
}

#[test]
fn an_event_needs_write_and_search_on_the_queue_and_read_on_itself() {
    let none = &Powers::default;
    for (who, shift) in [(USER, 6), (GROUP, 3), (OTHER, 0)] {
        for queue in 0..8 {
            for event in 0..8 {
                let expected =
                    if queue & 3 == 3 && event & 4 == 4 { Ok(1) } else { Err(Reason::Denied) };
                let (queue, event) = (queue << shift, event << shift);
                assert_eq!(try_take(queue, event, who, none), expected, "{queue:o} {event:o}");
            }
        }
    }
}

#[test]
fn the_class_that_fits_first_decides_alone() {
    let none = &Powers::default;
    assert_eq!(try_take(0o077, 0o777, USER, none), Err(Reason::Denied));
    assert_eq!(try_take(0o707, 0o777, GROUP, none), Err(Reason::Denied));
    assert_eq!(try_take(0o777, 0o704, GROUP, none), Err(Reason::Denied));
}

#[test]
fn supplementary_groups_count() {
    let member = || Powers { groups: vec![1, 70], ..Powers::default() };
    assert_eq!(try_take(0o730, 0o640, OTHER, &member), Ok(1));
    assert_eq!(try_take(0o703, 0o604, OTHER, &member), Err(Reason::Denied));
}

#[test]
fn root_takes_everything_unless_it_gave_up_its_powers() {
    assert_eq!(try_take(0, 0, ROOT, &all_powers), Ok(1));
    assert_eq!(try_take(0, 0o444, ROOT, &Powers::default), Err(Reason::Denied));
    let reads = || Powers { reads_all: true, ..Powers::default() };
    assert_eq!(try_take(0o777, 0, ROOT, &reads), Ok(1));
    assert_eq!(try_take(0o755, 0, ROOT, &reads), Err(Reason::Denied));
}

#[test]
fn in_a_sticky_directory_everybody_takes_what_is_his() {
    let mut b = Bench::new();
    let q = b.queue("q");
    mode(&mut b, q, 0o1777);
    let (_, handle) = b.create_by(q, "theirs", OTHER).unwrap();
    b.close(handle);
    b.put(q, "mine", "");
    let id = b.consumer(q);
    let taken = |b: &mut Bench, who| b.take_by(id, 0, 9, who).map(|events| events.len());
    assert_eq!(taken(&mut b, OTHER), Ok(1), "up to the first that is another's");
    assert_eq!(taken(&mut b, USER), Ok(2), "the queue's user takes all");
    assert_eq!(taken(&mut b, Caller { uid: 9, gid: 9 }), Err(Reason::NotPermitted));
    assert_eq!(taken(&mut b, ROOT), Err(Reason::NotPermitted), "root without capabilities");
    let root = b.tree.take(id, 0, WANT, &Taker::new(ROOT, &all_powers), b.now).unwrap();
    assert_eq!(root.len(), 2);
}

#[test]
fn an_event_that_may_not_be_read_ends_the_batch_and_then_refuses() {
    let (mut b, q) = filled();
    let file = b.tree.lookup(q, b"c").unwrap().ino;
    mode(&mut b, q, 0o777);
    mode(&mut b, file, 0o600);
    let id = b.consumer(q);
    assert_eq!(b.take_by(id, 0, 9, OTHER).map(|events| events.len()), Ok(2));
    assert_eq!(b.take_by(id, 2, 9, OTHER), Err(Reason::Denied));
    assert_eq!((b.list(q), b.number(q, "removed")), ("c d e".into(), 2), "confirmed all the same");
}

#[test]
fn a_batch_is_bounded_in_bytes_of_names_and_contents() {
    let mut b = Bench::new();
    let q = b.queue("q");
    for name in ["a", "b", "c"] {
        b.put(q, name, &"x".repeat(300));
    }
    let id = b.consumer(q);
    let want = Want { bytes_max: 2 * (32 + 1 + 300), ..WANT };
    let taker = Taker::new(USER, &Powers::default);
    assert_eq!(b.tree.take(id, 0, want, &taker, b.now).unwrap().len(), 2);
    let want = Want { bytes_max: want.bytes_max - 1, ..want };
    assert_eq!(b.tree.take(id, 0, want, &taker, b.now).unwrap().len(), 1);
}

#[test]
fn an_event_that_does_not_fit_comes_alone_without_its_content() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let text: String = ('a'..='z').cycle().take(5_000).collect();
    b.put(q, "small", "1");
    b.put(q, "large", &text);
    b.put(q, "last", "3");
    let id = b.consumer(q);
    let taker = Taker::new(USER, &Powers::default);
    let take = |b: &mut Bench, confirmed| {
        b.tree.take(id, confirmed, WANT, &taker, b.now).unwrap().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(take(&mut b, 0).len(), 1);
    let large: Vec<Taken> = take(&mut b, 1);
    assert_eq!((large.len(), large[0].size, &large[0].data), (1, 5_000, &None));
    let piece = |b: &Bench, offset, count| b.tree.read_taken(id, 0, offset, count).unwrap();
    assert_eq!(piece(&b, 0, 4_000), text.as_bytes()[..4_000]);
    assert_eq!(piece(&b, 4_000, 4_000), text.as_bytes()[4_000..]);
    assert_eq!(piece(&b, 5_000, 4_000), b"");
    assert_eq!(b.tree.read_taken(id, 1, 0, 1), Err(Reason::NotFound));
    assert_eq!(take(&mut b, 1)[0].name, b"last");
}

#[test]
fn the_door_is_never_listed_and_nobody_can_change_it() {
    let mut b = Bench::new();
    let q = b.queue("q");
    let file = b.put(q, "a", "");
    let name = std::str::from_utf8(DOOR).unwrap();
    mode(&mut b, q, 0o700);
    let door = b.tree.lookup(q, DOOR).unwrap();
    assert_eq!((door.kind, door.mode, door.size, door.nlink), (Kind::File, 0o444, 0, 1));
    assert_eq!(b.tree.getattr(door.ino), Ok(door));
    assert_eq!(b.list(q), "a");
    assert_eq!(b.create(q, name).map(drop), Err(Reason::NotPermitted));
    assert_eq!(b.link(file, q, name), Err(Reason::NotPermitted));
    assert_eq!(b.link(door.ino, q, "b"), Err(Reason::NotPermitted));
    assert_eq!(b.unlink(q, name), Err(Reason::NotPermitted));
    assert_eq!(b.rename((q, "a"), (q, name)), Err(Reason::NotPermitted));
    assert_eq!(b.rename((q, name), (q, "b")), Err(Reason::NotPermitted));
    assert_eq!(b.chown(door.ino, 1, 1), Err(Reason::NotPermitted));
    let how = Mode { reads: true, writes: true, truncates: false };
    assert_eq!(b.tree.open(door.ino, how, b.now), Err(Reason::NotPermitted));
    assert!(b.xattr(door.ino, "user.x", "1").is_err());
    b.unlink(q, "a").unwrap();
    assert_eq!(b.tree.rmdir(Ino::ROOT, b"q", b.now), Ok(()), "it does not count");
    assert_eq!(b.tree.lookup(q, DOOR), Err(Reason::NotFound));
    assert_eq!(b.tree.getattr(door.ino), Err(Reason::NotFound));
}

#[test]
fn events_are_taken_through_the_door() {
    let (mut b, q) = filled();
    let door = b.tree.lookup(q, DOOR).unwrap().ino;
    assert!(matches!(door.node(), Node::Door(_)));
    let id = b.consumer(door);
    assert_eq!(b.take(id, 0, 9), "a b c d e");
    b.close_consumer(id);
    assert_eq!(b.list(q), "a b c d e");
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn nothing_is_taken_from_the_root_or_through_a_closed_handle() {
    let mut b = Bench::new();
    let root = b.consumer(Ino::ROOT);
    assert_eq!(b.take_by(root, 0, 1, USER), Err(Reason::NotDirectory));
    b.close_consumer(root);
    assert_eq!(b.take_by(root, 0, 1, USER), Err(Reason::BadHandle));
    assert_eq!(b.tree.read_taken(root, 0, 0, 1), Err(Reason::BadHandle));
}

fn scan(b: &mut Bench, q: Ino, since: u64, who: Caller) -> (u64, String) {
    let id = b.consumer(q);
    let taker = Taker::new(who, &Powers::default);
    let (newest, seen) = b.tree.scan(id, since, WANT, &taker, b.now).unwrap();
    b.close_consumer(id);
    let tell = |event: &Taken| {
        let data = event.data.as_ref().map_or("?".into(), |data| String::from_utf8_lossy(data));
        format!("{}{}={data}", event.seq, String::from_utf8_lossy(&event.name))
    };
    (newest, seen.iter().map(tell).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_scan_tells_what_came_behind_a_number_and_what_is_held() {
    let (mut b, q) = filled();
    assert_eq!(scan(&mut b, q, 3, USER), (5, "4d=d 5e=e".into()));
    assert_eq!(scan(&mut b, q, 5, USER), (5, String::new()));
    let id = b.consumer(q);
    b.take(id, 0, 5);
    assert_eq!(scan(&mut b, q, 3, USER), (5, "4d=d 5e=e".into()), "it may come back");
    b.take(id, 4, 0);
    b.put(q, "f", "f");
    assert_eq!(scan(&mut b, q, 0, USER), (6, "5e=e 6f=f".into()));
    b.rename((q, "e"), (q, ".e")).unwrap();
    b.unlink(q, "f").unwrap();
    assert_eq!(scan(&mut b, q, 0, USER), (6, String::new()));
}

#[test]
fn a_scan_goes_on_where_it_stood_though_that_is_gone() {
    let (mut b, q) = filled();
    let dir = b.tree.opendir(q).unwrap();
    let taker = Taker::new(USER, &Powers::default);
    let want = Want { events_max: 2, ..WANT };
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let since = numbers.last().copied().unwrap_or(0);
        let (_, seen) = b.tree.scan(dir, since, want, &taker, b.now).unwrap();
        numbers.extend(seen.iter().map(|event| event.seq));
        let last = seen.last().map(|event| String::from_utf8(event.name.clone()).unwrap());
        b.unlink(q, &last.unwrap()).unwrap();
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    b.tree.releasedir(dir, b.now);
    assert!(b.is_clear_without(q, "q"));
}

#[test]
fn a_scan_keeps_contents_from_those_who_may_not_read_them() {
    let (mut b, q) = filled();
    let file = b.tree.lookup(q, b"d").unwrap().ino;
    mode(&mut b, file, 0o600);
    assert_eq!(scan(&mut b, q, 3, OTHER), (5, "4d=? 5e=e".into()));
    mode(&mut b, q, 0o744);
    assert_eq!(scan(&mut b, q, 3, OTHER), (5, "4d=? 5e=?".into()), "no search permission");
}

#[test]
fn a_scan_of_a_queue_that_ended_says_so() {
    let mut b = Bench::new();
    let q = b.mkdir("q", Some(OwnerId(1))).unwrap().ino;
    let id = b.consumer(q);
    b.pass(eventfs::model::limits::SECOND_NS);
    b.die(OwnerId(1));
    let taker = Taker::new(USER, &Powers::default);
    assert_eq!(b.tree.scan(id, 0, WANT, &taker, b.now), Err(Reason::NotFound));
}
