//! What push publishes, and what it leaves behind: nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::common::{Mounted, is_root, names, set, skip, wait_until};
use crate::help::{as_somebody, command, depth, events, mode, pop, push, run, user};

/// Whether a name has the promised form: `20261121T031400.123456789Z-PID-N`.
fn has_the_form(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((time, rest)) = name.split_once('-') else { return false };
    let Some((pid, number)) = rest.split_once('-') else { return false };
    let time_parts = [&time[..8], &time[9..15], &time[16..25]];
    time.len() == 26
        && time_parts.into_iter().all(digits)
        && (&time[8..9], &time[15..16], &time[25..]) == ("T", ".", "Z")
        && digits(pid)
        && digits(number)
}

#[test]
fn an_event_is_made_from_standard_input_and_its_name_is_printed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let line = push(&queue, &[], b"con\0tent").ok();
    let name = line.trim_end();
    assert!(has_the_form(name) && line.len() == name.len() + 1, "{line:?}");
    assert_eq!(events(&queue), [name]);
    assert_eq!(fs::read(queue.join(name)).unwrap(), b"con\0tent");
    assert_eq!(push(&queue, &["mine"], b"").ok(), "mine\n");
    assert_eq!(fs::read_link(queue.join("tail")).unwrap(), Path::new("mine"));
}

#[test]
fn made_names_tell_the_time_and_the_process() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let before = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    let mut child = command(&["push"]);
    child.arg(&queue).stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = child.spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let name = String::from_utf8(output.stdout).unwrap();
    let after = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    assert!(before.as_str() <= &name[..15] && &name[..15] <= after.as_str(), "{name}");
    assert_eq!(name.split('-').nth(1).unwrap(), pid.to_string());
}

#[test]
fn names_made_by_eight_at_once_are_unique_and_sort_by_time() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let each = || (0..25).map(|_| push(&queue, &[], b"x").ok()).collect::<Vec<_>>();
    let mut all: Vec<String> = std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..8).map(|_| scope.spawn(each)).collect();
        pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()).collect()
    });
    for own in all.chunks(25) {
        assert!(own.is_sorted(), "one after the other");
    }
    all.sort();
    all.dedup();
    assert_eq!((all.len(), depth(&queue)), (200, 200));
}

#[test]
fn a_name_that_is_taken_is_refused_and_nothing_changes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    push(&queue, &["a"], b"first").ok();
    let line = push(&queue, &["a"], b"second").refused(1);
    assert_eq!(line, format!("eventfs: {}/a: File exists", queue.display()));
    assert_eq!(names(&queue), ["head", "tail", "a"]);
    assert_eq!(pop(&queue, &[]).ok(), "first");
    for reserved in ["head", "tail"] {
        push(&queue, &[reserved], b"x").refused(1);
        assert!(names(&queue).is_empty());
    }
    push(&queue, &[&"n".repeat(256)], b"x").refused(1);
    assert!(names(&queue).is_empty());
}

#[test]
fn what_is_no_name_of_an_event_is_wrong_usage() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["", ".", "..", "a/b", "/a", ".hidden"] {
        push(&queue, &[name], b"x").refused(2);
    }
    assert!(names(&queue).is_empty());
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let mount = Mounted::with("allow_other,max_event=2m");
    let queue = mount.queue("q");
    let why = |line: String| line.split(": ").last().unwrap().to_owned();
    for size in [(2 << 20) + 1, 5 << 20] {
        let line = push(&queue, &["a"], &vec![b'x'; size]).refused(1);
        assert_eq!(why(line), "File too large");
    }
    assert!(names(&queue).is_empty());
    assert_eq!(push(&queue, &["a"], &vec![b'x'; 2 << 20]).ok(), "a\n");
    set(&queue, "user.eventfs_max_events", "1").unwrap();
    assert_eq!(why(push(&queue, &["b"], b"").refused(1)), "Quota exceeded");
    set(&queue, "user.eventfs_max_events", "0").unwrap();
    set(&queue, "user.eventfs_max_bytes", "2097153").unwrap();
    assert_eq!(why(push(&queue, &["b"], b"xx").refused(1)), "Quota exceeded");
    assert_eq!(names(&queue), ["head", "tail", "a"]);
    assert_eq!(push(&queue, &["b"], b"x").ok(), "b\n");
}

#[test]
fn a_large_event_arrives_whole() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let content: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    push(&queue, &["large"], &content).ok();
    assert!(pop(&queue, &[]).out == content);
}

#[test]
fn a_plain_directory_will_do() {
    let plain = tempfile::tempdir().unwrap();
    let name = push(plain.path(), &[], b"content").ok();
    assert!(has_the_form(name.trim_end()));
    push(plain.path(), &["a"], b"1").ok();
    push(plain.path(), &["a"], b"2").refused(1);
    assert_eq!(fs::read(plain.path().join("a")).unwrap(), b"1");
    assert_eq!(names(plain.path()).len(), 2);
}

#[test]
fn what_is_no_directory_is_refused_before_the_input_is_read() {
    let plain = tempfile::tempdir().unwrap();
    let missing = plain.path().join("missing");
    let line = push(&missing, &[], b"").refused(1);
    assert_eq!(line, format!("eventfs: {}: No such file or directory", missing.display()));
    fs::write(plain.path().join("file"), "").unwrap();
    assert!(push(&plain.path().join("file"), &[], b"").refused(1).ends_with("Not a directory"));
    let mut endless = command(&["push"]);
    endless.arg(&missing).stdin(fs::File::open("/dev/zero").unwrap());
    assert_eq!(endless.output().unwrap().status.code(), Some(1));
}

#[test]
fn an_input_that_cannot_be_read_is_named() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut bad = command(&["push"]);
    let output = bad.arg(&queue).stdin(fs::File::open("/").unwrap()).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line, "eventfs: standard input: Is a directory\n");
    assert!(names(&queue).is_empty());
}

#[test]
fn a_producer_that_is_killed_publishes_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for bytes in [10, 3 << 20] {
        let mut pusher = command(&["push"]);
        let mut child = pusher.arg(&queue).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&vec![b'x'; bytes]).unwrap();
        if bytes > 1 << 20 {
            wait_until("the staged file", || !names(&queue).is_empty());
        } else {
            std::thread::sleep(Duration::from_millis(50));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(depth(&queue), 0);
        let left = events(&queue);
        assert_eq!(left.len(), usize::from(bytes > 1 << 20), "small ones leave nothing: {left:?}");
        assert!(left.iter().all(|name| name.starts_with('.')), "{left:?}");
        assert_eq!(pop(&queue, &[]).code, 3);
    }
}

#[test]
fn nobody_sees_an_event_before_its_end() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut pusher = command(&["push"]);
    let mut child =
        pusher.arg(&queue).arg("a").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&vec![b'x'; 2 << 20]).unwrap();
    wait_until("the staged file", || !names(&queue).is_empty());
    assert_eq!((depth(&queue), pop(&queue, &[]).code), (0, 3));
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(names(&queue), ["head", "tail", "a"]);
}

#[test]
fn a_reader_who_goes_away_does_not_matter() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = command(&["push"]).arg(&queue).stdout(full).status().unwrap();
    assert_eq!((status.code(), depth(&queue)), (Some(0), 1));
}

#[test]
fn permissions_are_those_of_a_file_that_is_made() {
    if !is_root() {
        return skip("other users need root");
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    chown(&queue, Some(5001), Some(5001)).unwrap();
    mode(&queue, 0o755);
    let output = as_somebody(&user(5002), &["push"]).arg(&queue).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    let expected = format!("eventfs: {}: Permission denied\n", queue.display());
    assert_eq!((output.status.code(), line), (Some(1), expected));
    let output = as_somebody(&user(5001), &["push"]).arg(&queue).arg("a").output().unwrap();
    assert!(output.status.success());
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(queue.join("a")).unwrap().uid(), 5001);
    assert_eq!(run(&["push", queue.to_str().unwrap(), "a"]).code, 1);
}
