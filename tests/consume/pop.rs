//! What pop prints and removes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::common::{Mounted, get, write};
use crate::help::{depth, events, fill, json, pop, put, run};

#[test]
fn the_oldest_event_is_printed_and_removed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("z"), "first");
    put(&queue.join("a"), "second");
    assert_eq!(pop(&queue, &[]).ok(), "first");
    assert_eq!(events(&queue), ["a"]);
    assert_eq!(get(&queue, "user.eventfs_removed").as_deref(), Some("1"));
    assert_eq!(pop(&queue, &[]).ok(), "second");
}

#[test]
fn an_empty_queue_is_status_3_without_a_word() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for options in [&[][..], &["-n", "3"], &["--all"], &["--json"]] {
        let told = pop(&queue, options);
        assert_eq!((told.code, told.out, told.err.as_str()), (3, vec![], ""), "{options:?}");
    }
}

#[test]
fn so_many_are_printed_as_are_wanted_or_there() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = fill(&queue, "e", 10);
    assert_eq!(pop(&queue, &["-n", "3"]).ok(), names[..3].join("\n") + "\n");
    assert_eq!(events(&queue), names[3..]);
    assert_eq!(pop(&queue, &["-n", "100"]).ok(), names[3..].join("\n") + "\n");
    assert_eq!(depth(&queue), 0);
}

#[test]
fn all_of_many_batches_come_in_queue_order() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut names = fill(&queue, "z", 1_500);
    names.extend(fill(&queue, "a", 1_500));
    assert_eq!(pop(&queue, &["--all"]).ok(), names.join("\n") + "\n");
    assert_eq!(depth(&queue), 0);
}

#[test]
fn only_published_events_are_popped() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    write(queue.join(".staged"), "staged").unwrap();
    let unfinished = File::create(queue.join("unfinished")).unwrap();
    assert_eq!(pop(&queue, &["--all"]).code, 3);
    fs::rename(queue.join(".staged"), queue.join("now")).unwrap();
    assert_eq!(pop(&queue, &["--all"]).ok(), "staged");
    assert_eq!(events(&queue), ["unfinished"]);
    drop(unfinished);
}

#[test]
fn contents_are_printed_byte_for_byte() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let bytes: Vec<u8> = (0..=255).collect();
    put(&queue.join("a"), &bytes);
    put(&queue.join("empty"), "");
    put(&queue.join("b"), "end");
    let told = pop(&queue, &["--all"]);
    assert_eq!((told.code, told.out), (0, [&bytes[..], b"end"].concat()));
    put(&queue.join("empty"), "");
    let told = pop(&queue, &[]);
    assert_eq!((told.code, told.out), (0, vec![]), "an empty event is an event");
}

/// Bytes that repeat with no power of two.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| b'a' + (index % 23) as u8).collect()
}

#[test]
fn events_of_every_size_come_whole_and_in_order() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let sizes = [1, 16_300, 16_315, 16_331, 16_332, 16_400, 3, 100_000, 3_000_000, 5];
    let mut whole = Vec::new();
    for (number, size) in sizes.into_iter().enumerate() {
        put(&queue.join(format!("{number}")), pattern(size));
        whole.extend(pattern(size));
    }
    let told = pop(&queue, &["--all"]);
    assert_eq!((told.code, told.out.len()), (0, whole.len()));
    assert!(told.out == whole);
    assert_eq!(depth(&queue), 0);
}

#[test]
fn a_large_event_is_one_json_line() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("large"), pattern(3_000_000));
    put(&queue.join("small"), "x");
    let lines = json(&pop(&queue, &["--all", "--json"]).out);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["data"].as_str().unwrap().as_bytes(), pattern(3_000_000));
    assert_eq!((&lines[0]["size"], &lines[1]["data"]), (&3_000_000.into(), &"x".into()));
}

#[test]
fn json_tells_name_number_time_size_and_data() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fill(&queue, "gone", 2);
    pop(&queue, &["--all"]).ok();
    let before = jiff::Timestamp::now();
    put(&queue.join("a\n\"ö"), "hello\n");
    let lines = json(&pop(&queue, &["--json"]).out);
    let after = jiff::Timestamp::now();
    let object = lines[0].as_object().unwrap();
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!((lines.len(), keys), (1, vec!["data", "name", "seq", "size", "time"]));
    assert_eq!(object["name"], "a\n\"ö");
    assert_eq!((&object["seq"], &object["size"]), (&3.into(), &6.into()));
    assert_eq!(object["data"], "hello\n");
    let time = object["time"].as_str().unwrap();
    assert_eq!((time.len(), &time[10..11], &time[19..20], &time[29..]), (30, "T", ".", "Z"));
    let time: jiff::Timestamp = time.parse().unwrap();
    let lag = jiff::SignedDuration::from_millis(50);
    assert!(before - lag <= time && time <= after + lag, "{before} {time} {after}");
}

#[test]
fn json_says_in_base64_what_is_no_text() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let (name, data) = (b"n\xffame", b"\xc3\x28data");
    put(&queue.join(OsStr::from_bytes(name)), data);
    put(&queue.join("empty"), "");
    let lines = json(&pop(&queue, &["--json", "--all"]).out);
    let keys: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["data_base64", "name_base64", "seq", "size", "time"]);
    let decoded = |key: &str| STANDARD.decode(lines[0][key].as_str().unwrap()).unwrap();
    assert_eq!((decoded("name_base64"), decoded("data_base64")), (name.to_vec(), data.to_vec()));
    assert_eq!(lines[1]["data"], "");
}

#[test]
fn names_of_255_bytes_fit() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names: Vec<String> = (0..200).map(|number| format!("{number:0>255}")).collect();
    for name in &names {
        put(&queue.join(name), "");
    }
    let lines = json(&pop(&queue, &["--all", "--json"]).out);
    let told: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(told, names);
}

#[test]
fn time_is_that_of_publication_and_not_of_the_last_change() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("a"), "");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
    File::options().write(true).open(queue.join("a")).unwrap().set_modified(old).unwrap();
    let lines = json(&pop(&queue, &["--json"]).out);
    assert!(lines[0]["time"].as_str().unwrap() > "2020");
}

#[test]
fn what_is_no_queue_is_one_line_and_status_1() {
    let mount = Mounted::new();
    let plain = tempfile::tempdir().unwrap();
    let file = plain.path().join("file");
    fs::write(&file, "").unwrap();
    // Whatever stands there under the name of the door.
    let decoy = tempfile::tempdir().unwrap();
    fs::write(decoy.path().join(".eventfs-door"), "").unwrap();
    let fifo = tempfile::tempdir().unwrap();
    let bits = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&fifo.path().join(".eventfs-door"), bits).unwrap();
    for path in [mount.path(""), plain.path().into(), decoy.path().into(), fifo.path().into()] {
        for options in [&[][..], &["--wait=1"]] {
            let line = pop(&path, options).refused(1);
            let expected = format!("eventfs: {}: not a queue of an eventfs mount", path.display());
            assert_eq!(line, expected);
        }
    }
    let why = |path: &std::path::Path| {
        assert_eq!(pop(path, &["--wait=1"]).refused(1), pop(path, &[]).refused(1));
        pop(path, &[]).refused(1).split(": ").last().unwrap().to_owned()
    };
    assert_eq!(why(&plain.path().join("missing")), "No such file or directory");
    assert_eq!(why(&mount.path("missing")), "No such file or directory");
    assert_eq!(why(&file), "Not a directory");
    assert_eq!(why(&file.join("below")), "Not a directory");
}

#[test]
fn wrong_usage_is_status_2() {
    for args in [
        &["pop"][..],
        &["pop", "q", "-n", "0"],
        &["pop", "q", "-n", "x"],
        &["pop", "q", "-n", "1", "--all"],
        &["pop", "q", "--wait=-1"],
        &["pop", "q", "--wait=soon"],
        &["pop", "q", "--wait=nan"],
        &["pop", "q", "r"],
        &["pop", "q", "--colour"],
        &["push"],
        &["watch"],
        &["completions"],
        &["completions", "csh"],
    ] {
        let told = run(args);
        assert_eq!((told.code, told.out), (2, vec![]), "{args:?}");
        assert!(!told.err.is_empty());
    }
}

#[test]
fn inotify_is_told_of_nothing_but_an_open_door() {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fill(&queue, "e", 10);
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
    inotify.add_watch(&queue, AddWatchFlags::IN_ALL_EVENTS).unwrap();
    pop(&queue, &["-n", "5"]).ok();
    let silent =
        AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE_NOWRITE | AddWatchFlags::IN_ACCESS;
    for event in inotify.read_events().unwrap_or_default() {
        assert!((event.mask - silent).is_empty(), "{event:?}");
        assert_eq!(event.name.as_deref(), Some(OsStr::new(".eventfs-door")));
    }
}
