//! The sink on plain directories; tests/tap_*.rs drive it on real mounts and through real sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::rules::glob;
use super::{Form, Options, Resume, Sink, Start};
use crate::event::{Class, Event, Position, UnixNanos};

/// An event of stream 1.
fn event(at: u64) -> Event {
    Event {
        name: format!("test-{at:020}"),
        id: at.to_string(),
        source: "/test".into(),
        kind: if at.is_multiple_of(2) { "test.even".into() } else { "test.odd".into() },
        time: UnixNanos(1),
        data: format!("{{\"at\":{at}}}").into_bytes(),
        position: Some(Position { stream: 1, at, next: at + 1, mark: 9 }),
        ..Event::default()
    }
}

fn locate(name: &str) -> Option<(u64, u64)> {
    let number = name.strip_prefix("test-")?.get(..20)?;
    Some((1, number.parse().ok()?))
}

fn options(dir: &Path) -> Options {
    let mut options = Options::new("test", vec![dir.join("q")]);
    options.form = Form::Bare;
    options
}

fn offer(sink: &mut Sink, numbers: impl IntoIterator<Item = u64>) {
    for at in numbers {
        sink.offer(&mut event(at));
    }
    sink.flush();
    assert!(sink.counters().balance());
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(at: u64) -> String {
    format!("test-{at:020}.json")
}

fn setup() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let queue = dir.path().join("q");
    (dir, queue)
}

#[test]
fn one_event_a_file_under_its_stable_name() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    offer(&mut sink, 0..3);
    assert_eq!(names(&queue), [file(0), file(1), file(2)]);
    assert_eq!(fs::read_to_string(queue.join(file(1))).unwrap(), "{\"at\":1}\n");
    assert_eq!(sink.counters().written, 3);
}

#[test]
fn the_first_position_of_a_stream_is_saved_at_once_and_the_next_ones_wait() {
    let (dir, _) = setup();
    let state = dir.path().join("state");
    let with_state = || Options { state: Some(state.clone()), ..options(dir.path()) };
    let mut sink = Sink::open(Options { batch: 50, ..with_state() }).unwrap();
    sink.tick(Instant::now(), &locate);
    let context = serde_json::json!({"inode": 7});
    sink.describe(1, context.clone());
    (0..3).for_each(|at| sink.offer(&mut event(at)));
    // As after a kill before anything was written, and in the first second of a tap's life.
    let known = Sink::open(with_state()).unwrap().starts().to_vec();
    assert_eq!(known, [Resume { stream: 1, context, start: Start::At(0), written: None }]);
    sink.flush();
    sink.tick(Instant::now(), &locate);
    let known = Sink::open(with_state()).unwrap().starts().to_vec();
    assert!(matches!(known[..], [ref resume] if resume.stream == 1), "{known:?}");
    let first = fs::read(&state).unwrap();
    offer(&mut sink, 3..6);
    sink.tick(Instant::now(), &locate);
    assert_eq!(fs::read(&state).unwrap(), first);
}

#[test]
fn what_is_redelivered_meets_its_own_file() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    offer(&mut sink, 0..3);
    offer(&mut sink, 0..4);
    let counters = sink.counters();
    assert_eq!((counters.written, counters.duplicate), (4, 3));
    // A killed tap left it incomplete, or empty.
    fs::write(queue.join(file(1)), "{\"a").unwrap();
    fs::write(queue.join(file(2)), "").unwrap();
    offer(&mut sink, 1..3);
    assert_eq!(fs::read_to_string(queue.join(file(1))).unwrap(), "{\"at\":1}\n");
    assert_eq!(fs::read_to_string(queue.join(file(2))).unwrap(), "{\"at\":2}\n");
    assert_eq!(sink.counters().written, 6);
}

#[test]
fn another_event_under_a_name_leaves_it_alone() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    fs::write(queue.join(file(1)), "other").unwrap();
    fs::create_dir(queue.join("test-00000000000000000001~2.json")).unwrap();
    offer(&mut sink, [1, 1]);
    assert_eq!(fs::read_to_string(queue.join(file(1))).unwrap(), "other");
    let third = queue.join("test-00000000000000000001~3.json");
    assert_eq!(fs::read_to_string(third).unwrap(), "{\"at\":1}\n");
    assert_eq!((sink.counters().written, sink.counters().duplicate), (1, 1));
}

#[test]
fn a_batch_has_the_name_of_its_first_and_is_known_again_in_any_parts() {
    let (dir, queue) = setup();
    let batched = |batch: usize| Options { batch, ..options(dir.path()) };
    let mut sink = Sink::open(batched(4)).unwrap();
    offer(&mut sink, 0..10);
    assert_eq!(names(&queue), [file(0), file(4), file(8)]);
    assert_eq!(fs::read_to_string(queue.join(file(8))).unwrap(), "{\"at\":8}\n{\"at\":9}\n");
    drop(sink);
    for batch in [1, 3, 4, 7, 100] {
        let mut sink = Sink::open(batched(batch)).unwrap();
        offer(&mut sink, 4..10);
        let counters = sink.counters();
        assert_eq!(
            (counters.written, counters.duplicate),
            (0, 6),
            "batch {batch}: {:?}",
            names(&queue)
        );
    }
    // What is new gets a file of its own.
    let mut sink = Sink::open(batched(4)).unwrap();
    offer(&mut sink, 8..12);
    assert_eq!((sink.counters().written, sink.counters().duplicate), (2, 2));
    assert_eq!(names(&queue), [file(0), file(4), file(8), file(10)]);
    // One that was cut in the middle of a line is completed.
    fs::write(queue.join(file(8)), "{\"at\":8}\n{\"a").unwrap();
    offer(&mut sink, 8..10);
    assert_eq!(fs::read_to_string(queue.join(file(8))).unwrap(), "{\"at\":8}\n{\"at\":9}\n");
    assert_eq!((sink.counters().written, sink.counters().duplicate), (3, 3));
}

#[test]
fn further_queues_get_links_or_copies() {
    let (dir, queue) = setup();
    let mut options = options(dir.path());
    options.places = vec![vec![queue.clone(), dir.path().join("q2"), dir.path().join("q3")]];
    let mut sink = Sink::open(options).unwrap();
    fs::write(dir.path().join("q3").join(file(0)), "other").unwrap();
    offer(&mut sink, 0..2);
    assert_eq!(names(&dir.path().join("q2")), [file(0), file(1)]);
    assert_eq!(names(&dir.path().join("q3")).len(), 3);
    let inode = |path: PathBuf| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    assert_eq!(inode(queue.join(file(0))), inode(dir.path().join("q2").join(file(0))));
    assert_eq!(sink.counters().written, 2, "once, however many links");
}

#[test]
fn filters_and_routes_are_obeyed_and_counted() {
    let (dir, queue) = setup();
    let mut options = options(dir.path());
    options.rules.add(false, glob("test.odd").unwrap());
    options.places.push(vec![dir.path().join("even")]);
    let mut sink = Sink::open(options.clone()).unwrap();
    offer(&mut sink, 0..4);
    assert_eq!(names(&queue), [file(0), file(2)]);
    assert_eq!(sink.counters().filtered, 2);
    drop(sink);
    options.rules.add_route(glob("*.even").unwrap(), 1);
    let mut sink = Sink::open(options).unwrap();
    offer(&mut sink, 4..8);
    assert_eq!(names(&dir.path().join("even")), [file(4), file(6)]);
    sink.note("gap", "/test", |fields| fields.number("first", 3));
    sink.flush();
    let note = names(&queue).pop().unwrap();
    assert!(note.starts_with("test-gap-"), "{note}");
    assert_eq!(sink.counters().notes, 1);
    assert!(sink.counters().balance());
}

#[test]
fn attributes_are_set_when_asked_for() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(Options { xattrs: true, ..options(dir.path()) }).unwrap();
    offer(&mut sink, [1]);
    let get = |name: &str| {
        let value = xattr::get(queue.join(file(1)), format!("user.ce.{name}")).unwrap().unwrap();
        String::from_utf8(value).unwrap()
    };
    assert_eq!(
        (get("type"), get("id"), get("source")),
        ("test.odd".into(), "1".into(), "/test".into())
    );
    assert_eq!(get("time"), "1970-01-01T00:00:00.000000001Z");
}

#[test]
fn positions_survive_and_tell_a_queue_that_lives_from_one_that_is_gone() {
    let (dir, queue) = setup();
    let state = dir.path().join("state");
    let options = Options { state: Some(state), ..options(dir.path()) };
    let mut sink = Sink::open(options.clone()).unwrap();
    assert!(sink.starts().is_empty());
    sink.describe(1, serde_json::json!({"resets": 3}));
    offer(&mut sink, 0..6);
    for at in 0..2 {
        fs::remove_file(queue.join(file(at))).unwrap();
    }
    sink.finish(&locate);
    drop(sink);
    let sink = Sink::open(options.clone()).unwrap();
    let resume = &sink.starts()[0];
    let written = Position { stream: 1, at: 5, next: 6, mark: 9 };
    assert_eq!(resume.start, Start::After(written));
    assert_eq!(resume.context["resets"], 3);
    fs::remove_dir_all(&queue).unwrap();
    let mut sink = Sink::open(options.clone()).unwrap();
    assert_eq!(sink.starts()[0].start, Start::At(2));
    // Killed before anything came again: from the same place.
    sink.finish(&locate);
    let sink = Sink::open(options).unwrap();
    match &sink.starts()[0].start {
        Start::After(position) => assert_eq!((position.next, position.mark), (2, 0)),
        Start::At(at) => assert_eq!(*at, 2),
    }
}

#[test]
fn a_queue_that_goes_is_made_again_and_the_source_sent_back() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    offer(&mut sink, 0..4);
    fs::remove_file(queue.join(file(0))).unwrap();
    let now = Instant::now();
    sink.tick(now + Duration::from_secs(5), &locate);
    offer(&mut sink, 4..6);
    fs::remove_dir_all(&queue).unwrap();
    sink.rest();
    sink.offer(&mut event(6));
    assert!(!sink.ready());
    assert_eq!(sink.counters().backlog, 1);
    assert!(sink.tick(now + Duration::from_secs(9), &locate), "made again");
    sink.prepare_rewind();
    assert_eq!(sink.starts()[0].start, Start::At(1), "the oldest that nobody had consumed");
    sink.rewind();
    offer(&mut sink, 1..7);
    assert_eq!(names(&queue).len(), 6);
    assert!(sink.counters().balance());
}

#[test]
fn a_source_is_sent_back_to_its_first_event_though_none_was_written() {
    let (dir, queue) = setup();
    let state = dir.path().join("state");
    let options = Options { batch: 50, state: Some(state), ..options(dir.path()) };
    let mut sink = Sink::open(options.clone()).unwrap();
    // Settled before anything came, and nothing of it is a position.
    sink.describe(1, serde_json::json!({"resets": 3}));
    let now = Instant::now();
    sink.tick(now, &locate);
    (7..12).for_each(|at| sink.offer(&mut event(at)));
    fs::remove_dir_all(&queue).unwrap();
    sink.flush();
    assert!(sink.tick(now + Duration::from_secs(9), &locate), "made again");
    sink.prepare_rewind();
    assert_eq!(sink.starts()[0].start, Start::At(7));
    assert_eq!(sink.starts()[0].context["resets"], 3);
    sink.rewind();
    // Once more, and after what is known was saved; then as after a kill.
    sink.tick(now + Duration::from_secs(18), &locate);
    (7..9).for_each(|at| sink.offer(&mut event(at)));
    fs::remove_dir_all(&queue).unwrap();
    sink.flush();
    assert!(sink.tick(now + Duration::from_secs(27), &locate), "made again");
    sink.prepare_rewind();
    assert_eq!(sink.starts()[0].start, Start::At(7));
    sink.rewind();
    sink.tick(now + Duration::from_secs(36), &locate);
    assert_eq!(Sink::open(options).unwrap().starts()[0].start, Start::At(7));
}

/// Files of the notes in a queue.
fn notes(queue: &Path) -> Vec<String> {
    names(queue).into_iter().filter(|name| name.contains("-gap-")).collect()
}

#[test]
fn a_note_that_nobody_consumed_is_told_again_after_its_queue_was_gone() {
    let (dir, queue) = setup();
    let state = dir.path().join("state");
    for batch in [1, 50] {
        let _ = fs::remove_file(&state);
        let options = Options { batch, state: Some(state.clone()), ..options(dir.path()) };
        let mut sink = Sink::open(options.clone()).unwrap();
        let mut now = Instant::now();
        sink.note("gap", "/test", |fields| fields.number("first", 3));
        offer(&mut sink, 5..7);
        let again = |sink: &mut Sink, now: &mut Instant| {
            sink.tick(*now, &locate);
            fs::remove_dir_all(&queue).unwrap();
            *now += Duration::from_secs(9);
            sink.tick(*now, &locate);
            *now += Duration::from_secs(9);
            assert!(sink.tick(*now, &locate), "made again");
            sink.prepare_rewind();
            sink.rewind();
            sink.tell_again(true);
            sink.flush();
        };
        let told = notes(&queue);
        assert_eq!(told.len(), 1);
        again(&mut sink, &mut now);
        assert_eq!(notes(&queue), told);
        // Also by the next process.
        now += Duration::from_secs(9);
        sink.tick(now, &locate);
        drop(sink);
        fs::remove_dir_all(&queue).unwrap();
        let mut sink = Sink::open(options.clone()).unwrap();
        sink.flush();
        assert_eq!(notes(&queue), told);
        // A process that finds the queue alive says nothing twice, and knows what is in it.
        let now = Instant::now();
        sink.tick(now + Duration::from_secs(9), &locate);
        drop(sink);
        let mut sink = Sink::open(options.clone()).unwrap();
        sink.flush();
        assert_eq!((notes(&queue), sink.counters().notes), (told.clone(), 0));
        // Once it is consumed it is not told again.
        fs::remove_file(queue.join(&told[0])).unwrap();
        let mut now = now + Duration::from_secs(18);
        sink.tick(now, &locate);
        offer(&mut sink, 7..8);
        again(&mut sink, &mut now);
        assert!(notes(&queue).is_empty());
        fs::remove_dir_all(&queue).unwrap();
    }
}

#[test]
fn a_note_that_the_source_makes_anew_is_not_told_twice() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    let mut now = Instant::now() + Duration::from_secs(9);
    let gap = |first| Event {
        class: Class::Note,
        name: format!("test-gap-{first}"),
        kind: "test.gap".into(),
        position: Some(Position { stream: 1, at: first, next: first, mark: 0 }),
        ..Event::default()
    };
    offer(&mut sink, 0..3);
    sink.offer(&mut gap(3));
    offer(&mut sink, 5..7);
    sink.offer(&mut gap(7));
    offer(&mut sink, 9..10);
    // The oldest that is left is between the two.
    (0..3).chain(5..6).for_each(|at| fs::remove_file(queue.join(file(at))).unwrap());
    sink.tick(now, &locate);
    fs::remove_dir_all(&queue).unwrap();
    for _ in 0..2 {
        now += Duration::from_secs(9);
        if sink.tick(now, &locate) {
            sink.prepare_rewind();
            sink.rewind();
            sink.tell_again(true);
        }
    }
    assert_eq!(sink.starts()[0].start, Start::At(6));
    sink.flush();
    assert_eq!(notes(&queue), ["test-gap-3.json"]);
}

#[test]
fn another_queue_under_the_same_numbers_is_not_taken_for_an_empty_one() {
    let (dir, queue) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    offer(&mut sink, 0..4);
    let now = Instant::now();
    sink.tick(now + Duration::from_secs(1), &locate);
    // As after a new mount: device and inode are the same, what was in it and its token are not.
    if xattr::remove(&queue, "user.tap_token.test").is_err() {
        eprintln!("SKIPPED: no extended attributes here");
        return;
    }
    for at in 0..4 {
        fs::remove_file(queue.join(file(at))).unwrap();
    }
    sink.tick(now + Duration::from_secs(5), &locate);
    assert!(!sink.ready(), "it is noticed");
    assert!(sink.tick(now + Duration::from_secs(9), &locate));
    sink.prepare_rewind();
    assert_eq!(sink.starts()[0].start, Start::At(0), "nobody has consumed anything");
}

#[test]
fn what_does_not_fit_into_memory_is_counted_and_told() {
    let (dir, queue) = setup();
    let options = Options { backlog_events: 2, ..options(dir.path()) };
    let mut sink = Sink::open(options).unwrap();
    fs::remove_dir(&queue).unwrap();
    for at in 0..8 {
        sink.offer(&mut event(at));
    }
    let counters = sink.counters();
    // One in the batch, two behind it.
    assert_eq!((counters.lost, counters.backlog), (5, 3));
    assert!(counters.balance());
    assert!(sink.tick(Instant::now() + Duration::from_secs(9), &locate));
    sink.tick(Instant::now(), &locate);
    sink.flush();
    sink.tick(Instant::now(), &locate);
    let names = names(&queue);
    assert_eq!(names[..3], [file(0), file(1), file(2)]);
    let gap = fs::read_to_string(queue.join(&names[3])).unwrap();
    assert_eq!(gap, "{\"first\":3,\"last\":7,\"count\":5,\"reason\":\"backlog full\"}\n");
    assert!(sink.counters().balance() && sink.counters().notes == 1);
}

#[test]
fn unreadable_records_count_twice_and_notes_alone() {
    let (dir, _) = setup();
    let mut sink = Sink::open(options(dir.path())).unwrap();
    sink.offer(&mut Event { class: Class::Unreadable, ..event(0) });
    sink.ignored(2);
    sink.lost(3);
    sink.flush();
    let counters = sink.counters();
    assert_eq!((counters.received, counters.written, counters.unreadable), (6, 1, 1));
    assert_eq!((counters.ignored, counters.lost), (2, 3));
    assert!(counters.balance());
}

#[test]
fn a_queue_of_another_user_needs_a_word() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give directories away");
        return;
    }
    let (dir, queue) = setup();
    fs::create_dir(&queue).unwrap();
    std::os::unix::fs::chown(&queue, Some(1), Some(1)).unwrap();
    let line = Sink::open(options(dir.path())).unwrap_err().to_string();
    assert!(line.contains("belongs to user 1") && line.contains("--shared"), "{line}");
    assert!(Sink::open(Options { shared: true, ..options(dir.path()) }).is_ok());
    let missing = Options::new("test", vec![dir.path().join("a/b")]);
    let line = Sink::open(missing).unwrap_err().to_string();
    assert!(line.ends_with("/a/b: No such file or directory"), "{line}");
}
