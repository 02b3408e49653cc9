//! What others may try with the directory of a tap, and what a source may put into names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{Form, Options, Sink};
use crate::event::{Event, UnixNanos};

fn open(dir: &Path) -> Sink {
    let mut options = Options::new("test", vec![dir.join("q")]);
    options.form = Form::Bare;
    Sink::open(options).expect("a sink")
}

fn offer(sink: &mut Sink, name: &str) {
    let (kind, data) = ("test.event".into(), b"{}".to_vec());
    sink.offer(&mut Event {
        name: name.into(),
        kind,
        data,
        time: UnixNanos(1),
        ..Event::default()
    });
    sink.flush();
    assert_eq!(sink.counters().lost, 0);
}

/// Everything below a directory, relative to it.
fn all_below(dir: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("directory") {
        let entry = entry.expect("entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("type").is_dir() {
            found.extend(all_below(&entry.path(), &format!("{name}/")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn a_name_from_a_source_never_leads_out_of_the_queue() {
    let dir = TempDir::new().expect("temporary directory");
    let mut sink = open(dir.path());
    for name in ["../out", "/tmp/out", "sub/dir", "..", "a\0b", ""] {
        offer(&mut sink, name);
    }
    drop(sink);
    let expected = ["_", "_._out", "_.", "_tmp_out", "a_b", "sub_dir"];
    let mut expected = expected.map(|name| format!("q/{name}.json")).to_vec();
    expected.sort();
    assert_eq!(all_below(dir.path(), ""), expected);
}

#[test]
fn a_link_under_an_events_name_is_not_followed() {
    let dir = TempDir::new().expect("temporary directory");
    let mut sink = open(dir.path());
    let (queue, target) = (dir.path().join("q"), dir.path().join("target"));
    fs::write(&target, "{").expect("write");
    symlink(&target, queue.join("there.json")).expect("link");
    symlink(dir.path().join("nowhere"), queue.join("dangling.json")).expect("link");
    offer(&mut sink, "there");
    offer(&mut sink, "dangling");
    drop(sink);
    assert_eq!(fs::read_to_string(target).expect("read"), "{", "an incomplete file of ours?");
    assert!(!dir.path().join("nowhere").exists());
    for name in ["there~2.json", "dangling~2.json"] {
        assert_eq!(fs::read_to_string(queue.join(name)).expect("read"), "{}\n");
    }
}

#[test]
fn a_fifo_or_directory_under_an_events_name_stops_nothing() {
    let dir = TempDir::new().expect("temporary directory");
    let mut sink = open(dir.path());
    let queue = dir.path().join("q");
    nix::unistd::mkfifo(&queue.join("a.json"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    fs::create_dir(queue.join("b.json")).expect("directory");
    offer(&mut sink, "a");
    offer(&mut sink, "b");
    drop(sink);
    for name in ["a~2.json", "b~2.json"] {
        assert_eq!(fs::read_to_string(queue.join(name)).expect("read"), "{}\n");
    }
}
