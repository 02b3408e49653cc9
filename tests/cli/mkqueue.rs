//! `eventfs mkqueue`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{EVENTFS, Mounted, get, names, set, sh_ok};
use crate::kid::{Kid, kill9, strict, wait_gone};
use crate::place::{eventfs, one_line, outcome, users_can_run_it};
use crate::shell::Shell;

fn mkqueue(args: &[&str], queue: &Path) -> std::process::Output {
    let mut words = vec!["mkqueue"];
    words.extend_from_slice(args);
    words.push(queue.to_str().expect("UTF-8"));
    eventfs(&words)
}

fn made(args: &[&str], queue: &Path) {
    assert_eq!(outcome(&mkqueue(args, queue)), (Some(0), String::new()), "{args:?}");
}

fn control(queue: &Path, name: &str) -> Option<String> {
    get(queue, &format!("user.eventfs_{name}"))
}

#[test]
fn the_calling_shell_owns_what_it_makes_and_no_grace_is_needed() {
    let mounted = strict();
    let mut shell = Shell::new(&mounted.point);
    for i in 0..20 {
        shell.ok(&format!("$EVENTFS mkqueue q{i}"));
        assert_eq!(control(&mounted.path(format!("q{i}")), "owner"), Some(shell.pid().to_string()));
    }
    shell.kill();
    for i in 0..20 {
        wait_gone(&mounted.path(format!("q{i}")));
    }
}

#[test]
fn owner_takes_a_number() {
    let mounted = strict();
    let (queue, kid) = (mounted.path("q"), Kid::idle());
    made(&["--owner", &kid.pid().to_string()], &queue);
    assert_eq!(control(&queue, "owner"), Some(kid.pid().to_string()));
    assert_eq!(control(&queue, "sticky"), None);
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn owner_takes_parent_and_session() {
    let mounted = strict();
    let mut shell = Shell::below(&["setsid", "--wait"], &mounted.point);
    let leader = shell.number("$$").to_string();
    shell
        .ok("$EVENTFS mkqueue --owner parent p && bash -c '$EVENTFS mkqueue --owner=session s; :'");
    assert_eq!(control(&mounted.path("p"), "owner"), Some(leader.clone()));
    assert_eq!(control(&mounted.path("s"), "owner"), Some(leader.clone()));
    kill9(leader.parse().expect("number"));
    wait_gone(&mounted.path("s"));
    wait_gone(&mounted.path("p"));
}

#[test]
fn sticky_belongs_to_nobody() {
    let mounted = strict();
    let queue = mounted.path("q");
    made(&["--sticky"], &queue);
    let later = mounted.path("later");
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert!(control(&queue, "sticky").is_some());
    crate::common::wait_until("no owner", || control(&queue, "owner").is_none());
}

#[test]
fn sticky_with_owner_remembers_the_owner() {
    let mounted = strict();
    let (queue, kid) = (mounted.path("q"), Kid::idle());
    made(&["--sticky", "--owner", &kid.pid().to_string()], &queue);
    assert!(control(&queue, "sticky").is_some());
    assert_eq!(control(&queue, "owner"), Some(kid.pid().to_string()));
    xattr::remove(&queue, "user.eventfs_sticky").expect("remove");
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn mode_is_exact_whatever_the_umask() {
    let mounted = strict();
    for (mode, expected) in [("0777", 0o777), ("1770", 0o1770), ("0", 0), ("2755", 0o2755)] {
        let script = format!("umask 077; {EVENTFS} mkqueue --sticky --mode {mode} q{mode}");
        sh_ok(&mounted.point, &script);
        let metadata = fs::metadata(mounted.path(format!("q{mode}"))).expect("stat");
        assert_eq!(metadata.permissions().mode() & 0o7777, expected);
    }
}

#[test]
fn without_mode_the_umask_decides() {
    let mounted = strict();
    sh_ok(&mounted.point, &format!("umask 027; {EVENTFS} mkqueue --sticky q"));
    let metadata = fs::metadata(mounted.path("q")).expect("stat");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o750);
}

#[test]
fn limits_are_set() {
    let mounted = strict();
    let queue = mounted.path("q");
    made(
        &[
            "--sticky",
            "--max-events",
            "7",
            "--max-bytes",
            "2k",
            "--overflow",
            "drop-oldest",
            "--ttl",
            "60",
        ],
        &queue,
    );
    assert_eq!(control(&queue, "max_events").as_deref(), Some("7"));
    assert_eq!(control(&queue, "max_bytes").as_deref(), Some("2048"));
    assert_eq!(control(&queue, "overflow").as_deref(), Some("drop-oldest"));
    assert_eq!(control(&queue, "ttl").as_deref(), Some("60"));
    let plain = mounted.path("plain");
    made(&["--sticky", "--overflow", "reject"], &plain);
    assert_eq!(control(&plain, "overflow").as_deref(), Some("reject"));
    assert_eq!(control(&plain, "max_events").as_deref(), Some("0"));
}

#[test]
fn several_queues_are_made_alike() {
    let mounted = strict();
    let output = eventfs(&[
        "mkqueue".as_ref(),
        "--sticky".as_ref(),
        "--ttl=5".as_ref(),
        mounted.path("a").as_os_str(),
        mounted.path("b").as_os_str(),
    ]);
    assert_eq!(outcome(&output), (Some(0), String::new()));
    assert_eq!(names(&mounted.point), ["a", "b"]);
    for name in ["a", "b"] {
        assert_eq!(control(&mounted.path(name), "ttl").as_deref(), Some("5"));
    }
}

#[test]
fn a_relative_name_works() {
    let mounted = strict();
    sh_ok(&mounted.point, &format!("{EVENTFS} mkqueue --sticky q ./r && rmdir q r"));
    sh_ok(mounted.point.parent().expect("parent"), &format!("{EVENTFS} mkqueue --sticky mnt/q"));
    assert_eq!(names(&mounted.point), ["q"]);
}

fn refused(mounted: &Mounted, args: &[&str], name: &str, why: &str) {
    let before = names(&mounted.point);
    let line = one_line(&mkqueue(args, &mounted.path(name)), 1);
    assert!(line.contains(name) && line.contains(why), "{line}");
    assert_eq!(names(&mounted.point), before, "something was left");
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let mounted = strict();
    let kid = Kid::idle();
    let dead = kid.pid().to_string();
    kid.kill();
    refused(&mounted, &["--owner", &dead], "q", "No such process");
    refused(&mounted, &["--owner", "nobody"], "q", "Invalid argument");
    refused(&mounted, &["--owner", "0"], "q", "Invalid argument");
    refused(&mounted, &["--sticky", "--owner", &dead], "q", "No such process");
}

#[test]
fn an_existing_queue_is_not_touched() {
    let mounted = strict();
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_ttl", "9").expect("ttl");
    refused(&mounted, &["--sticky", "--ttl", "1"], "q", "File exists");
    assert_eq!(control(&queue, "ttl").as_deref(), Some("9"));
}

#[test]
fn queues_are_made_directly_below_a_mount_only() {
    let mounted = strict();
    mounted.queue("q");
    let line = one_line(&mkqueue(&["--sticky"], &mounted.path("q/inner")), 1);
    assert!(line.contains("q/inner"), "{line}");
    assert_eq!(names(&mounted.path("q")), [""; 0]);
    let line = one_line(&mkqueue(&["--sticky"], &mounted.path("none/q")), 1);
    assert!(line.contains("No such file or directory"), "{line}");
}

#[test]
fn elsewhere_no_directory_is_made() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let line = one_line(&mkqueue(&["--sticky"], &dir.path().join("q")), 1);
    assert!(line.contains("not an eventfs mount"), "{line}");
    assert!(!dir.path().join("q").exists());
}

#[test]
fn bad_flags_are_wrong_usage() {
    let mounted = strict();
    let cases: [&[&str]; 9] = [
        &["--mode", "8"],
        &["--mode", "10000"],
        &["--max-events", "-1"],
        &["--max-events", "many"],
        &["--max-bytes", "1x"],
        &["--overflow", "sometimes"],
        &["--ttl", "1.5"],
        &["--ttl", ""],
        &["--no-such-flag"],
    ];
    for args in cases {
        let output = mkqueue(args, &mounted.path("q"));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(names(&mounted.point).is_empty(), "{args:?}");
    }
}

#[test]
fn an_ordinary_user_makes_its_own() {
    if !users_can_run_it() {
        return crate::common::skip("ordinary users cannot reach the program under test");
    }
    let mounted = strict();
    let prefix = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let mut shell = Shell::below(&prefix, &mounted.point);
    shell.ok("$EVENTFS mkqueue --mode 0 --max-events 5 --ttl 10 q");
    let queue = mounted.path("q");
    assert_eq!(control(&queue, "owner"), Some(shell.pid().to_string()));
    assert_eq!(control(&queue, "max_events").as_deref(), Some("5"));
    assert!(shell.fails("$EVENTFS mkqueue --owner 1 r").contains("r: owner"));
    assert_eq!(names(&mounted.point), ["q"]);
    shell.kill();
    wait_gone(&queue);
}
