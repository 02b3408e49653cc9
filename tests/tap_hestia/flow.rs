//! FIFO, standard input, sockets.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::stat::Mode;
use serde_json::Value;

use crate::common::{spawn, wait_until};
use crate::help::{Site, document, names, number, sample};

fn numbers(events: &[Value]) -> Vec<usize> {
    events.iter().filter_map(number).collect()
}

fn make_fifo(site: &Site) {
    nix::unistd::mkfifo(&site.feed(), Mode::S_IRUSR | Mode::S_IWUSR).expect("mkfifo");
}

#[test]
fn standard_input_is_read_to_its_end() {
    let site = Site::new();
    let mut child = spawn(site.command(&["--feed", "-"]).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    let feed = sample("legacy_feed.yaml");
    for piece in feed.as_bytes().chunks(101) {
        stdin.write_all(piece).unwrap();
    }
    stdin.write_all(b"--- !delete\nid: cut").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let events = site.lines();
    assert_eq!(events.len(), 16);
    assert_eq!(events[15]["type"], "hestia.unreadable");
    assert_eq!(events[15]["data"]["reason"], "truncated document");
    assert_eq!(events[0]["source"], "/hestia/-");
    assert_eq!(events[0]["data"]["inode"], Value::Null);
    let (id, offset) = events[1]["id"].as_str().unwrap().split_once('/').unwrap();
    let start: u64 = id.strip_prefix('s').unwrap().parse().unwrap();
    let offset: u64 = offset.parse().unwrap();
    assert_eq!(names(&site.queue)[1], format!("hestia-s{start:020}-{offset:020}.json"));
}

#[test]
fn input_that_never_closes_its_documents_ends_with_one() {
    let site = Site::new();
    fs::write(site.path("in"), "--- !read\nid: a\ntime: 1\n--- !read\nid: b\ntime: 2\n").unwrap();
    let stdin = File::open(site.path("in")).unwrap();
    let output = spawn(site.command(&["--feed", "-"]).stdin(stdin)).wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(site.lines().len(), 2);
}

#[test]
fn a_fifo_is_read_from_writer_to_writer() {
    let site = Site::new();
    make_fifo(&site);
    let tap = site.tap(&[]);
    for turn in 0..5 {
        // Open, write, close: as Hestia does for every event.
        let mut fifo = OpenOptions::new().write(true).open(site.feed()).unwrap();
        fifo.write_all(document(turn).as_bytes()).unwrap();
        drop(fifo);
        site.wait_for(turn + 1);
    }
    // Two writers at once, one of which is slow.
    let mut slow = OpenOptions::new().write(true).open(site.feed()).unwrap();
    let text = document(5);
    slow.write_all(&text.as_bytes()[..20]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    slow.write_all(&text.as_bytes()[20..]).unwrap();
    drop(slow);
    assert_eq!(numbers(&site.wait_for(6)), [0, 1, 2, 3, 4, 5]);
    // A writer that dies in the middle.
    let mut dying = OpenOptions::new().write(true).open(site.feed()).unwrap();
    dying.write_all(b"--- !delete\nid: e").unwrap();
    drop(dying);
    assert_eq!(site.wait_for(7)[6]["type"], "hestia.unreadable");
    let mut next = OpenOptions::new().write(true).open(site.feed()).unwrap();
    next.write_all(document(6).as_bytes()).unwrap();
    drop(next);
    assert_eq!(numbers(&site.wait_for(8)), [0, 1, 2, 3, 4, 5, 6]);
    tap.end();
}

#[test]
fn once_ends_with_the_last_writer_of_a_fifo() {
    let site = Site::new();
    make_fifo(&site);
    let mut tap = site.tap(&["--once"]);
    let mut fifo = OpenOptions::new().write(true).open(site.feed()).unwrap();
    let feed = sample("current_feed.yaml");
    for piece in feed.as_bytes().chunks(999) {
        fifo.write_all(piece).unwrap();
    }
    drop(fifo);
    let ended = tap.wait();
    assert_eq!(ended.count("written"), 14);
}

#[test]
fn writers_connect_to_our_socket() {
    let site = Site::new();
    let socket = site.path("socket");
    let tap = site.tap(&["--feed-listen", socket.to_str().unwrap()]);
    wait_until("the socket", || UnixStream::connect(&socket).is_ok());
    let mut writers: Vec<UnixStream> =
        (0..3).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    // Halves of documents of several writers do not mix.
    for half in 0..2 {
        for (number, writer) in writers.iter_mut().enumerate() {
            let text = document(number);
            let (head, tail) = text.as_bytes().split_at(25);
            writer.write_all(if half == 0 { head } else { tail }).unwrap();
        }
    }
    let events = site.wait_for(3);
    let mut found = numbers(&events);
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2]);
    assert_eq!(events[0]["source"], "/hestia/socket");
    drop(writers);
    // Somebody listens there: refused, and the socket stays.
    let second = site.once(&[
        "--feed-listen",
        socket.to_str().unwrap(),
        "--queue",
        site.path("q2").to_str().unwrap(),
    ]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("somebody listens there already"), "{}", second.stderr);
    tap.end();
    assert!(!socket.exists(), "ours is removed");
}

#[test]
fn once_ends_with_the_writers_of_a_socket() {
    let site = Site::new();
    let socket = site.path("socket");
    let mut tap = site.tap(&["--once", "--feed-listen", socket.to_str().unwrap()]);
    wait_until("the socket", || socket.exists());
    wait_until("a connection", || match UnixStream::connect(&socket) {
        Ok(mut writer) => writer.write_all(document(1).as_bytes()).is_ok(),
        Err(_) => false,
    });
    let ended = tap.wait();
    assert_eq!(ended.count("written"), 1);
}

#[test]
fn a_socket_is_connected_to_again_and_again() {
    let site = Site::new();
    let listener = UnixListener::bind(site.feed()).unwrap();
    let tap = site.tap(&[]);
    for turn in 0..2 {
        let (mut writer, _) = listener.accept().unwrap();
        writer.write_all(document(turn).as_bytes()).unwrap();
        site.wait_for(turn + 1);
    }
    tap.end();
    // With --once the end of the connection is the end.
    let mut tap = site.tap(&["--once"]);
    let (mut writer, _) = listener.accept().unwrap();
    writer.write_all(document(2).as_bytes()).unwrap();
    drop(writer);
    tap.wait();
    assert_eq!(numbers(&site.lines()), [0, 1, 2]);
}

#[test]
fn a_path_may_become_a_pipe_later() {
    let site = Site::new();
    let tap = site.tap(&[]);
    std::thread::sleep(Duration::from_millis(200));
    make_fifo(&site);
    let mut fifo = OpenOptions::new().write(true).open(site.feed()).unwrap();
    fifo.write_all(document(1).as_bytes()).unwrap();
    site.wait_for(1);
    drop(fifo);
    tap.end();
}

#[test]
fn more_writers_than_are_served_at_once_wait_for_their_turn() {
    let site = Site::new();
    let socket = site.path("socket");
    let tap = site.tap(&["--feed-listen", socket.to_str().unwrap()]);
    wait_until("the socket", || UnixStream::connect(&socket).is_ok());
    let connect = |number: usize| {
        let mut writer = UnixStream::connect(&socket).expect("connect");
        writer.write_all(document(number).as_bytes()).expect("write");
        writer
    };
    let mut writers: Vec<UnixStream> = (0..300).map(connect).collect();
    wait_until("as many as are served", || names(&site.queue).len() >= 256);
    assert_eq!(names(&site.queue).len(), 256);
    // Those that were served leave, the oldest first.
    writers.drain(..50);
    site.wait_for(300);
    tap.end();
}
