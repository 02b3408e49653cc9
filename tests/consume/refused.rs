//! Outputs that accept only a part.

use std::fs::{self, File};
use std::io::{PipeReader, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::{Mounted, sh, wait_until};
use crate::help::{Background, command, depth, events, pop, put};

/// Bytes of each event here.
const EVENT_BYTES: usize = 100;

/// What a consumer takes at once, at most.
const BATCH_BYTES: usize = 16 << 10;

/// Fills a queue with numbered events of 100 bytes.
fn numbered(queue: &Path, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("{number:05}")).collect();
    for name in &names {
        put(&queue.join(name), format!("{name:.<99}\n"));
    }
    names
}

fn pop_into(queue: &Path, options: &[&str], out: impl Into<Stdio>) -> Child {
    let mut pop = command(&["pop"]);
    pop.arg(queue).args(options).stdout(out).stderr(Stdio::piped());
    pop.spawn().unwrap()
}

/// A consumer that hangs on a full pipe.
fn stuck(queue: &Path) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let room = nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap();
    let child = pop_into(queue, &["--all"], writer);
    let path = format!("/proc/{}/syscall", child.id());
    wait_until("a full pipe", || {
        let call = fs::read_to_string(&path).unwrap_or_default();
        let writes = call.starts_with(&format!("{} 0x1 ", libc::SYS_write));
        writes && unread(&reader) > room / 2
    });
    (child, reader)
}

fn unread(pipe: &PipeReader) -> i32 {
    let mut count = 0;
    #[allow(unsafe_code)]
    // SAFETY: FIONREAD writes one int, which `count` is.
    let result = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut count) };
    assert_eq!(result, 0);
    count
}

fn rest(mut reader: PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    all
}

/// The names of the events that a text holds whole.
fn whole(text: &[u8]) -> Vec<String> {
    let events = text.chunks_exact(EVENT_BYTES);
    events.map(|event| String::from_utf8(event[..5].to_vec()).unwrap()).collect()
}

#[test]
fn a_full_device_removes_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = numbered(&queue, 500);
    for options in [&["--all"][..], &[], &["--json", "--all"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = pop_into(&queue, options, full).wait_with_output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(line, "eventfs: standard output: No space left on device\n");
        assert_eq!((output.status.code(), events(&queue)), (Some(1), names.clone()));
    }
}

#[test]
fn a_large_event_that_is_not_accepted_whole_stays() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(&queue.join("small"), "small");
    put(&queue.join("large"), vec![b'x'; 3_000_000]);
    let told = sh(&queue, &format!("'{}' pop . --all | head -c 6", crate::common::EVENTFS));
    assert_eq!(told.stdout, b"smallx");
    assert_eq!(events(&queue), ["large"]);
    assert_eq!(pop(&queue, &[]).ok().len(), 3_000_000);
}

#[test]
fn a_closed_pipe_keeps_what_it_did_not_accept() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = numbered(&queue, 5_000);
    let script = "set -o pipefail; '{}' pop . --all | head -c 10";
    let told = sh(&queue, &script.replace("{}", crate::common::EVENTFS));
    assert_eq!((told.status.code(), told.stdout.as_slice()), (Some(1), &b"00000....."[..]));
    let line = String::from_utf8(told.stderr).unwrap();
    assert_eq!(line, "eventfs: standard output: Broken pipe\n");
    let left = events(&queue);
    assert!(!left.is_empty());
    assert_eq!(left, names[names.len() - left.len()..]);
    let (gone, pipe_bytes) = (names.len() - left.len(), 64 << 10);
    assert!(gone * EVENT_BYTES <= pipe_bytes + BATCH_BYTES, "{gone} events are gone");
    assert_eq!(whole(&pop(&queue, &["--all"]).out), left);
}

#[test]
fn a_consumer_killed_in_the_middle_of_its_output_loses_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = numbered(&queue, 3_000);
    let (mut consumer, reader) = stuck(&queue);
    let hidden = names.len() - events(&queue).len();
    assert!(depth(&queue) > names.len() - hidden, "what it holds counts");
    consumer.kill().unwrap();
    consumer.wait().unwrap();
    wait_until("the return", || events(&queue).len() == depth(&queue));
    let left = events(&queue);
    assert!(left == names[names.len() - left.len()..], "in the old places");
    let printed = whole(&rest(reader));
    assert!(printed == names[..printed.len()]);
    let (again, lost) = (printed.len() + left.len(), names.len());
    assert!(again >= lost, "{} are lost", lost - again);
    assert!((again - lost) * EVENT_BYTES <= BATCH_BYTES, "{} come twice", again - lost);
}

#[test]
fn what_returns_stands_before_what_came_meanwhile() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    numbered(&queue, 3_000);
    let (mut consumer, reader) = stuck(&queue);
    put(&queue.join("new"), "");
    let next = fs::read_link(queue.join("head")).unwrap();
    fs::remove_file(queue.join("head")).unwrap();
    consumer.kill().unwrap();
    consumer.wait().unwrap();
    drop(reader);
    wait_until("the return", || events(&queue).len() == depth(&queue));
    let left = events(&queue);
    assert_eq!(left.last().map(String::as_str), Some("new"));
    assert!(left.is_sorted() && !left.contains(&next.to_str().unwrap().to_owned()));
    assert!(left[0].as_str() < next.to_str().unwrap());
}

#[test]
fn a_slow_reader_gets_everything() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = numbered(&queue, 3_000);
    let (mut consumer, reader) = stuck(&queue);
    let held = pop(&queue, &["-n", "1"]);
    assert_eq!(held.code, 0, "others go on with what it does not hold");
    let mut printed = whole(&rest(reader));
    assert!(consumer.wait().unwrap().success());
    printed.extend(whole(&held.out));
    printed.sort();
    assert!(printed == names);
}

#[test]
fn an_output_that_does_not_block_is_waited_for() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = numbered(&queue, 3_000);
    let (reader, writer) = std::io::pipe().unwrap();
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    let mut consumer = pop_into(&queue, &["--all"], writer);
    let printed = whole(&rest(reader));
    assert!(consumer.wait().unwrap().success());
    assert!(printed == names);
}

#[test]
fn the_queue_may_end_while_its_events_are_printed() {
    let mount = Mounted::with("allow_other,grace=0");
    let queue = mount.path("q");
    let script = format!("{} mkqueue --owner $$ q && exec sleep 60", crate::common::EVENTFS);
    let mut owner = std::process::Command::new("bash");
    owner.arg("-c").arg(script).current_dir(&mount.point);
    let mut owner = Background::start(owner);
    wait_until("the queue", || queue.exists());
    let names = numbered(&queue, 3_000);
    let (mut consumer, reader) = stuck(&queue);
    owner.kill();
    wait_until("its end", || !queue.exists());
    let printed = whole(&rest(reader));
    assert!(consumer.wait().unwrap().success());
    assert!(!printed.is_empty() && printed == names[..printed.len()]);
}

#[test]
fn exactly_what_was_accepted_whole_is_removed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = numbered(&queue, 500);
    let dir = tempfile::tempdir().unwrap();
    // A file that takes 8192 bytes, and an error instead of a signal beyond.
    let script = "trap '' XFSZ; ulimit -f 8; exec '{}' pop '{q}' --all > out";
    let script = script.replace("{}", crate::common::EVENTFS);
    let told = sh(dir.path(), &script.replace("{q}", queue.to_str().unwrap()));
    assert_eq!(told.status.code(), Some(1));
    assert_eq!(told.stderr, b"eventfs: standard output: File too large\n");
    assert_eq!(fs::read(dir.path().join("out")).unwrap().len(), 8_192);
    assert_eq!(events(&queue), names[8_192 / EVENT_BYTES..]);
}
