//! `eventfs status`: the table and the lines for programs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{EVENTFS, Mounted, names, set, sh, skip, wait_until, write};
use crate::kid::{Kid, forlorn, patient, strict};
use crate::place::{eventfs, one_line, outcome, output, text, users_can_run_it};

fn json_of(output: &std::process::Output) -> Vec<Value> {
    assert_eq!(outcome(output), (Some(0), String::new()));
    let text = text(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn json(point: &Path) -> Vec<Value> {
    json_of(&eventfs(&["status".as_ref(), point.as_os_str(), "--json".as_ref()]))
}

fn table(point: &Path) -> String {
    let output = eventfs(&[OsStr::new("status"), point.as_os_str()]);
    assert_eq!(outcome(&output), (Some(0), String::new()));
    text(&output.stdout)
}

fn put(queue: &Path, name: &str) {
    write(queue.join(name), "12345").expect("write");
    wait_until("publication", || names(queue).first().is_some_and(|name| name == "head"));
}

#[test]
fn a_line_has_every_promised_key() {
    let mounted = patient();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o1750)).expect("chmod");
    std::os::unix::fs::chown(&queue, Some(1000), Some(1001)).expect("chown");
    set(&queue, "user.eventfs_max_events", "10").expect("set");
    set(&queue, "user.eventfs_ttl", "1000").expect("set");
    put(&queue, "a");
    put(&queue, "b");
    fs::remove_file(queue.join("head")).expect("pop");
    let lines = json(&mounted.point);
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["queue"], "q");
    assert_eq!((&line["uid"], &line["gid"]), (&Value::from(1000), &Value::from(1001)));
    assert_eq!(line["mode"], "1750");
    assert_eq!((&line["depth"], &line["bytes"]), (&Value::from(1), &Value::from(5)));
    assert_eq!(line["owner"], kid.pid());
    assert_eq!(line["sticky"], false);
    assert!(line["oldest_age_seconds"].as_f64().is_some_and(|age| age >= 0.0), "{line}");
    assert_eq!(line["limits"]["max_events"], 10);
    assert_eq!(line["limits"]["max_bytes"], 0);
    assert_eq!(line["limits"]["overflow"], "reject");
    assert_eq!(line["limits"]["ttl"], 1000);
    assert_eq!((&line["published"], &line["removed"]), (&Value::from(2), &Value::from(1)));
    assert_eq!((&line["dropped"], &line["expired"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(line["taps"], serde_json::json!({}));
}

#[test]
fn what_is_not_there_is_null() {
    let mounted = strict();
    forlorn(&mounted, "q");
    let line = &json(&mounted.point)[0];
    assert_eq!(line["owner"], Value::Null);
    assert_eq!(line["oldest_age_seconds"], Value::Null);
    assert_eq!(line["sticky"], true);
}

#[test]
fn counters_of_taps_are_taken_from_the_queue() {
    let mounted = strict();
    let queue = mounted.queue("q");
    set(&queue, "user.tap.beegfs", r#"{"received": 3, "lost": 0}"#).expect("set");
    set(&queue, "user.tap.broken", "no JSON").expect("set");
    set(&queue, "user.other", "x").expect("set");
    let line = &json(&mounted.point)[0];
    assert_eq!(line["taps"], serde_json::json!({"beegfs": {"received": 3, "lost": 0}}));
}

#[test]
fn there_is_one_line_a_queue_in_the_order_of_the_directory() {
    let mounted = strict();
    assert!(json(&mounted.point).is_empty(), "no queue, no line");
    for name in ["b", "a", "with \"quotes\" and\nbreak"] {
        mounted.queue(name);
    }
    let found: Vec<String> =
        json(&mounted.point).iter().map(|l| l["queue"].as_str().expect("name").into()).collect();
    assert_eq!(found, names(&mounted.point));
}

#[test]
fn a_name_that_is_no_text_is_told_in_base64() {
    let mounted = strict();
    let queue = mounted.point.join(OsStr::from_bytes(b"a\xff"));
    fs::create_dir(&queue).expect("mkdir");
    let line = &json(&mounted.point)[0];
    assert_eq!(line["queue_base64"], "Yf8=");
    assert!(line.get("queue").is_none());
    assert!(table(&mounted.point).contains("Yf8="));
}

#[test]
fn the_table_has_a_heading_and_a_row_a_queue() {
    let mounted = patient();
    let (owned, sticky) = (mounted.path("owned"), mounted.queue("sticky"));
    let kid = Kid::with_queue(&owned);
    put(&sticky, "e");
    set(&sticky, "user.eventfs_max_events", "3").expect("set");
    let table = table(&mounted.point);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    for word in ["QUEUE", "DEPTH", "BYTES", "OWNER", "LIMITS"] {
        assert!(lines[0].contains(word), "{table}");
    }
    let row = |name: &str| {
        let path = mounted.path(name);
        lines.iter().find(|l| l.starts_with(path.to_str().expect("UTF-8"))).expect("row")
    };
    assert!(row("owned").contains(&kid.pid().to_string()), "{table}");
    assert!(row("sticky").contains("sticky") && row("sticky").contains("events 3"), "{table}");
}

#[test]
fn a_name_cannot_forge_rows_of_the_table() {
    let mounted = strict();
    mounted.queue("one\ntwo\u{1b}[31m");
    let table = table(&mounted.point);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(!table.contains('\u{1b}'));
}

#[test]
fn without_a_mountpoint_all_mounts_are_shown() {
    let (one, two) = (strict(), strict());
    one.queue("in_one");
    two.queue("in_two");
    // Other tests' mounts come and go: a failing one is asked again.
    wait_until("both", || {
        let output = eventfs(&["status", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("in_one") && text.contains("in_two")
    });
}

#[test]
fn without_any_mount_there_is_nothing() {
    let script = format!(
        "unshare -m bash -c 'while read -r _ _ _ _ point _; do umount -l \"$(printf -- \"$point\")\" 2> /dev/null; done \
         < <(grep \" fuse.eventfs \" /proc/self/mountinfo); {EVENTFS} status'"
    );
    let line = one_line(&sh(Path::new("/"), &script), 3);
    assert!(line.contains("no eventfs mount"), "{line}");
}

#[test]
fn what_is_no_mount_is_a_failure() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let line = one_line(&eventfs(&[OsStr::new("status"), dir.path().as_os_str()]), 1);
    assert!(line.contains("not an eventfs mount"), "{line}");
    let line = one_line(&eventfs(&["status", "/no/such/place"]), 1);
    assert!(line.contains("/no/such/place: No such file or directory"), "{line}");
}

fn json_as(user: u32, mounted: &Mounted) -> Vec<String> {
    let mut command = Command::new(EVENTFS);
    command.arg("status").arg(&mounted.point).arg("--json").uid(user).gid(user);
    let lines = json_of(&output(&mut command));
    lines.iter().map(|line| line["queue"].as_str().expect("name").to_owned()).collect()
}

#[test]
fn an_ordinary_user_sees_the_queues_that_it_may_read() {
    if !users_can_run_it() {
        return skip("ordinary users cannot reach the program under test");
    }
    let mounted = strict();
    for (name, mode, user) in
        [("open", 0o755, 0), ("closed", 0o700, 0), ("own", 0o700, 1000), ("pass", 0o711, 0)]
    {
        let queue = mounted.queue(name);
        fs::set_permissions(&queue, fs::Permissions::from_mode(mode)).expect("chmod");
        std::os::unix::fs::chown(&queue, Some(user), None).expect("chown");
    }
    assert_eq!(json_as(1000, &mounted), ["open", "own"]);
    assert_eq!(json_as(0, &mounted), ["open", "closed", "own", "pass"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mounted = strict();
    for i in 0..50 {
        mounted.queue(&format!("q{i}"));
    }
    let script =
        format!("{EVENTFS} status --json . | head -n 1 > /dev/null; echo ${{PIPESTATUS[0]}}");
    let output = sh(&mounted.point, &script);
    assert_eq!((text(&output.stdout).trim(), text(&output.stderr).as_str()), ("0", ""));
}
