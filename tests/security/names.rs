//! Names and contents that others choose: they stay in their queue, and on their line.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{EVENTFS, Mounted, names, sh_ok};
use crate::help::put;

/// A name that would end a line and clear a terminal.
const HOSTILE: &[u8] = b"evil\x1b[2J\nx\"\\\xff";

fn eventfs(args: &[&OsStr]) -> Output {
    Command::new(EVENTFS).args(args).stdin(Stdio::null()).output().expect("eventfs")
}

#[test]
fn push_takes_no_name_that_leads_out_of_the_queue() {
    let mounted = Mounted::new();
    let (queue, other) = (mounted.queue("q"), mounted.queue("other"));
    for name in ["../other/e", "/tmp/e", "..", ".", "", "a/b", "./e", ".hidden"] {
        let output = eventfs(&["push".as_ref(), queue.as_os_str(), name.as_ref()]);
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
    assert_eq!((names(&queue).len(), names(&other).len()), (0, 0));
    assert_eq!(names(&mounted.point).len(), 2);
}

#[test]
fn what_is_told_of_a_hostile_name_is_one_line_without_control_characters() {
    let mounted = Mounted::new();
    let hostile = OsStr::from_bytes(HOSTILE);
    let queue = mounted.path(Path::new(hostile));
    fs::create_dir(&queue).expect("mkdir");
    crate::common::set(&queue, "user.eventfs_sticky", "1").expect("sticky");
    put(queue.join(hostile), HOSTILE);
    let point = mounted.point.as_os_str();
    let clean = |args: &[&OsStr], lines: usize| {
        let output = eventfs(args);
        assert!(output.status.success(), "{args:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(text.lines().count(), lines, "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    };
    clean(&["status".as_ref(), point], 2);
    clean(&["status".as_ref(), "--json".as_ref(), point], 1);
    clean(&["pop".as_ref(), "--json".as_ref(), queue.as_os_str()], 1);
}

#[test]
fn an_events_content_never_becomes_a_name() {
    // A multicast of contents that look like names and commands: popped, they are only printed.
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    let contents = ["../../etc/passwd\n", "$(touch evil)\n", "-rf\n", "%s%n\n"];
    for (number, content) in contents.iter().enumerate() {
        put(queue.join(format!("e{number}")), content);
    }
    let output = eventfs(&["pop".as_ref(), "--all".as_ref(), queue.as_os_str()]);
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), contents.concat());
    assert_eq!(names(&mounted.point), ["q"]);
    assert_eq!(names(&queue), [""; 0]);
}

#[test]
fn names_with_dots_are_names_and_no_paths() {
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    let hostile = ["...", "..a", "a..", "~", "*", "-rf", "$(id)", "head ", "HEAD"];
    for name in hostile {
        put(queue.join(name), name);
        assert_eq!(fs::read_to_string(queue.join(name)).expect("read"), name);
    }
    let counted = sh_ok(&queue, "ls -A | wc -l");
    assert_eq!(counted.trim(), (hostile.len() + 2).to_string(), "with head and tail");
    for name in hostile {
        fs::remove_file(queue.join(name)).expect("remove");
    }
}
