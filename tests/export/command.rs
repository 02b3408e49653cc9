//! The command: inputs, counts, usage.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use eventfs::export::LINE_BYTES_MAX;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{EVENTFS, spawn};
use crate::tree;

pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hestia/");

/// What it wrote.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) yaml: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            yaml: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
        }
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        let last = self.stderr.lines().last().unwrap_or_default();
        let counts: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}"));
        counts[name].as_u64().unwrap_or_else(|| panic!("{name} in {last}"))
    }
}

/// Runs it with lines on standard input.
pub(crate) fn export(words: &[&str], input: &str) -> Done {
    let mut command = Command::new(EVENTFS);
    command.args(["export", "robinhood"]).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // It may end before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("writer");
    Done::of(&output)
}

#[test]
fn the_samples_are_written_as_the_real_reader_is_known_to_take_them() {
    let events = format!("{DATA}export_events.jsonl");
    let reference = fs::read_to_string(format!("{DATA}export_reference.yaml")).unwrap();
    let done = export(&[&events], "");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.yaml, reference);
    assert_eq!((done.count("events"), done.count("documents")), (16, 16));
    assert_eq!((done.count("skipped"), done.count("left_out")), (0, 0));
    // The same from standard input, and inside of CloudEvents.
    let lines = fs::read_to_string(&events).unwrap();
    assert_eq!(export(&[], &lines).yaml, reference);
    let wrapped: String = lines
        .lines()
        .map(|data| format!("{{\"specversion\":\"1.0\",\"type\":\"x\",\"data\":{data}}}\n"))
        .collect();
    assert_eq!(export(&[], &wrapped).yaml, reference);
}

#[test]
fn a_directory_is_read_in_its_order_and_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    let delete = |id: &str| format!("{{\"kind\":\"delete\",\"id\":\"{id}\"}}\n");
    fs::write(dir.path().join("b"), delete("Yg==")).unwrap();
    fs::write(dir.path().join("a"), delete("YQ==") + &delete("YTI=")).unwrap();
    fs::write(dir.path().join(".staged"), delete("eA==")).unwrap();
    std::os::unix::fs::symlink("b", dir.path().join("head")).unwrap();
    let done = export(&[dir.path().to_str().unwrap()], "");
    let ids: Vec<String> =
        tree::read(&done.yaml).iter().map(|d| d.at(&["id"]).unwrap().to_owned()).collect();
    assert_eq!(ids, ["YQ==", "YTI=", "Yg=="]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

#[test]
fn what_has_no_inode_is_skipped_and_counted() {
    let lines = [
        r#"{"specversion":"1.0","type":"gluster.volume_start","data":{"event":"VOLUME_START","message":{}}}"#,
        r#"{"specversion":"1.0","type":"storage.block","data":{"event_id":"x"}}"#,
        r#"{"specversion":"1.0","type":"beegfs.gap","data":{"first":1,"last":2}}"#,
        r#"{"specversion":"1.0","type":"hestia.unreadable","data":{"source":"hestia","kind":"unreadable"}}"#,
        r#"{"event":"open_read","entry_id":"1-2-3","path":"/a","num_hardlinks":1}"#,
        "no JSON",
        "[1]",
        "",
    ];
    let done = export(&[], &(lines.join("\n") + "\n"));
    assert_eq!((done.code, done.yaml.as_str()), (Some(0), ""));
    assert_eq!((done.count("events"), done.count("skipped")), (7, 5));
    assert_eq!(done.count("unreadable"), 2);
}

#[test]
fn wrong_usage_is_refused() {
    assert_eq!(export(&["--ids", "handle"], "").code, Some(2));
    assert_eq!(export(&["--enrich"], "").code, Some(2));
    assert_eq!(export(&["--follow"], "").code, Some(2));
    assert_eq!(export(&["--ids", "inode"], "").code, Some(2));
    let gone = export(&["/nonexistent/file"], "");
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.starts_with("eventfs: /nonexistent/file: No such file"), "{}", gone.stderr);
    let dir = TempDir::new().unwrap();
    let plain = export(&["--follow", dir.path().to_str().unwrap()], "");
    assert_eq!(plain.code, Some(1));
    assert!(plain.stderr.contains("not a queue of an eventfs mount"), "{}", plain.stderr);
}

#[test]
fn an_output_that_closes_is_a_failure() {
    let mut command = Command::new(EVENTFS);
    let events = PathBuf::from(format!("{DATA}export_events.jsonl"));
    command.args(["export", "robinhood"]).arg(events);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Nobody will ever read.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = spawn(command.stdout(writer)).wait_with_output().unwrap();
    let done = Done::of(&output);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.starts_with("eventfs: standard output: Broken pipe"), "{}", done.stderr);
}

#[test]
fn a_line_that_is_too_long_is_unreadable_and_its_neighbours_are_not() {
    let record =
        |pad: usize| format!(r#"{{"kind":"delete","id":"eA==","pad":"{}"}}"#, "p".repeat(pad));
    let lines = [record(0), record(LINE_BYTES_MAX), record(1)].join("\n");
    let directory = TempDir::new().expect("directory");
    fs::write(directory.path().join("batch.json"), &lines).expect("file");
    let path = directory.path().to_str().expect("UTF-8");
    for done in [export(&[], &lines), export(&[path], "")] {
        assert_eq!((done.code, done.count("events"), done.count("unreadable")), (Some(0), 3, 1));
        assert_eq!((done.count("documents"), done.yaml.matches("--- !delete").count()), (2, 2));
    }
}
