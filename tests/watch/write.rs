//! New events, links, renames and removals that somebody makes by file calls.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::binding::Bound;
use crate::common::{Mounted, as_user, sh_ok, skip, write};
use crate::watcher::Watcher;

/// Runs a test on a mount of each kind: this part of the rules holds for all of them.
fn for_each_policy(test: impl Fn(&Mounted)) {
    for policy in ["full", "lazy", "off"] {
        let mounted = Mounted::with(&format!("allow_other,root_mode=0777,notify={policy}"));
        test(&mounted);
    }
}

const WRITTEN: [&str; 3] = ["q: CREATE e", "q: MODIFY e", "q: CLOSE_WRITE e"];

#[test]
fn a_new_event_is_told_under_its_real_name() {
    for_each_policy(|mounted| {
        let queue = mounted.queue("q");
        let mut watcher = Watcher::of("q", &queue);
        write(queue.join("e"), "x").expect("write");
        watcher.wait_for("q: CLOSE_WRITE e");
        assert_eq!(watcher.lines(), WRITTEN);
    });
}

#[test]
fn it_is_told_whoever_made_it() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o777)).expect("chmod");
    let mut watcher = Watcher::of("q", &queue);
    as_user(1000, 1000, || write(queue.join("e"), "x")).expect("another user");
    watcher.wait_for("q: CLOSE_WRITE e");
    assert_eq!(watcher.lines(), WRITTEN);
    fs::remove_file(queue.join("e")).expect("remove");
    watcher.clear();
    sh_ok(&queue, "echo x > e");
    watcher.wait_for("q: CLOSE_WRITE e");
    for line in WRITTEN {
        assert!(watcher.told(line), "{line}");
    }
}

#[test]
fn it_is_told_through_every_bind_mount() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    let bound = Bound::of(&queue);
    let mut watcher = Watcher::of("q", &queue);
    watcher.add("q", &bound.point);
    write(bound.path("e"), "x").expect("write");
    watcher.wait_for("q: CLOSE_WRITE e");
    drop(watcher);
    let mut watcher = Watcher::of("bound", &bound.point);
    write(queue.join("f"), "x").expect("write");
    watcher.wait_for("bound: CLOSE_WRITE f");
    drop(watcher);
    bound.off();
}

#[test]
fn an_event_that_was_told_closed_can_be_read_whole() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    let mut watcher = Watcher::of("q", &queue);
    for i in 0..50 {
        let (name, content) = (format!("e{i}"), "x".repeat(i * 100));
        let (path, text) = (queue.join(&name), content.clone());
        let writer = std::thread::spawn(move || write(path, text));
        watcher.wait_for(&format!("q: CLOSE_WRITE {name}"));
        assert_eq!(fs::read_to_string(queue.join(&name)).expect("read"), content);
        writer.join().expect("thread").expect("write");
    }
}

#[test]
fn a_link_is_told_as_create() {
    for_each_policy(|mounted| {
        let (queue, other) = (mounted.queue("q"), mounted.queue("other"));
        write(other.join("a"), "x").expect("write");
        let mut watcher = Watcher::of("q", &queue);
        fs::hard_link(other.join("a"), queue.join("e")).expect("link");
        watcher.wait_for("q: CREATE e");
        assert_eq!(watcher.lines(), ["q: CREATE e"]);
    });
}

#[test]
fn a_mknod_is_told_as_create() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    let mut watcher = Watcher::of("q", &queue);
    mknod(&queue.join("e"), SFlag::S_IFREG, Mode::S_IRUSR, 0).expect("mknod");
    watcher.wait_for("q: CREATE e");
}

#[test]
fn a_rename_is_told_as_moved_to() {
    for_each_policy(|mounted| {
        let (queue, other) = (mounted.queue("q"), mounted.queue("other"));
        write(other.join("a"), "x").expect("write");
        write(queue.join(".staged"), "x").expect("write");
        let mut watcher = Watcher::of("q", &queue);
        watcher.add("other", &other);
        fs::rename(other.join("a"), queue.join("e")).expect("rename");
        watcher.wait_for("q: MOVED_TO e");
        assert!(watcher.told("other: MOVED_FROM a"));
        fs::rename(queue.join(".staged"), queue.join("f")).expect("publish");
        watcher.wait_for("q: MOVED_TO f");
        assert!(watcher.told("q: MOVED_FROM .staged"));
    });
}

#[test]
fn a_removal_is_told_as_delete() {
    for_each_policy(|mounted| {
        let queue = mounted.queue("q");
        write(queue.join("e"), "x").expect("write");
        let mut watcher = Watcher::of("q", &queue);
        fs::remove_file(queue.join("e")).expect("remove");
        watcher.wait_for("q: DELETE e");
        assert_eq!(watcher.count("q: DELETE e"), 1);
    });
}

#[test]
fn making_and_removing_queues_is_told_on_the_root() {
    for_each_policy(|mounted| {
        let mut watcher = Watcher::of("root", &mounted.point);
        let queue = mounted.queue("q");
        watcher.wait_for("root: CREATE,ISDIR q");
        watcher.add("q", &queue);
        fs::remove_dir(&queue).expect("rmdir");
        watcher.wait_for("root: DELETE,ISDIR q");
        watcher.wait_for("q: DELETE_SELF");
        assert_eq!(watcher.count("root: DELETE,ISDIR q"), 1);
    });
}

#[test]
fn a_renamed_queue_is_told_on_the_root() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    let mut watcher = Watcher::of("root", &mounted.point);
    fs::rename(&queue, mounted.path("r")).expect("rename");
    watcher.wait_for("root: MOVED_TO,ISDIR r");
    assert!(watcher.told("root: MOVED_FROM,ISDIR q"));
}

#[test]
fn a_watch_goes_with_a_renamed_queue() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    let mut watcher = Watcher::of("q", &queue);
    fs::rename(&queue, mounted.path("r")).expect("rename");
    write(mounted.path("r/e"), "x").expect("write");
    watcher.wait_for("q: CLOSE_WRITE e");
}

#[test]
fn the_watch_that_the_manual_recommends_wakes_a_shell() {
    if !Path::new("/usr/bin/inotifywait").exists() {
        return skip("there is no inotifywait");
    }
    let mounted = Mounted::with("allow_other");
    mounted.queue("q");
    let script = "coproc W { exec inotifywait -q -m -e close_write,moved_to,create --format \
                  '%e %f' q; }
                  until grep -qs inotify /proc/$W_PID/fdinfo/*; do sleep 0.01; done
                  echo x > q/a; echo y > q/.b; mv q/.b q/b; ln q/a q/c
                  while read -r line; do
                      echo \"$line\"
                      case $line in 'CREATE c') break;; esac
                  done <&${W[0]}
                  kill $W_PID";
    let told = sh_ok(&mounted.point, script);
    let expected =
        "CREATE a|CLOSE_WRITE,CLOSE a|CREATE .b|CLOSE_WRITE,CLOSE .b|MOVED_TO b|CREATE c";
    assert_eq!(told.trim().replace('\n', "|"), expected);
}
