//! A removal that is shown late never hits what was made anew under the old name.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::{Mounted, get, names, no_forks, set, write};
use crate::kid::Kid;
use crate::watcher::Watcher;

fn put(queue: &Path, name: &str, content: &str) {
    write(queue.join(name), content).expect("write");
}

#[test]
fn a_late_end_never_hits_a_queue_of_the_same_name() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0,notify=full");
    let queue = mounted.path("q");
    let mut watcher = Watcher::of("root", &mounted.point);
    for turn in 0..150 {
        let kid = Kid::with_queue(&queue);
        let old = fs::metadata(&queue).expect("stat").ino();
        kid.kill_unreaped();
        // The first moment at which the name is free.
        while let Err(error) = fs::create_dir(&queue) {
            assert_eq!(error.raw_os_error(), Some(libc::EEXIST), "turn {turn}");
        }
        let new = fs::metadata(&queue).expect("stat").ino();
        assert_ne!(old, new);
        put(&queue, "e", "x");
        // A later end: everything about the old queue has been told by then.
        Kid::with_queue(&mounted.path("later")).kill();
        watcher.wait_for("root: DELETE,ISDIR later");
        watcher.clear();
        assert_eq!(fs::metadata(&queue).expect("stat").ino(), new, "turn {turn}");
        assert_eq!(names(&queue), ["head", "tail", "e"], "turn {turn}");
        assert_eq!(fs::read_to_string(queue.join("head")).expect("read"), "x");
        fs::remove_file(queue.join("head")).expect("pop");
        fs::remove_dir(&queue).expect("rmdir");
    }
}

#[test]
fn a_late_end_never_hits_a_queue_renamed_to_the_old_name() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0");
    let (queue, spare) = (mounted.path("q"), mounted.path("spare"));
    for turn in 0..100 {
        let kid = Kid::with_queue(&queue);
        write(queue.join("old"), "x").expect("write");
        fs::create_dir(&spare).expect("mkdir");
        let new = fs::metadata(&spare).expect("stat").ino();
        kid.kill_unreaped();
        while let Err(error) = fs::rename(&spare, &queue) {
            // The old one is there and not empty, or going away at this moment.
            let known = [libc::ENOTEMPTY, libc::EEXIST, libc::ENOENT];
            assert!(known.contains(&error.raw_os_error().unwrap_or(0)), "turn {turn}: {error}");
        }
        Kid::with_queue(&mounted.path("later")).kill();
        crate::kid::wait_gone(&mounted.path("later"));
        assert_eq!(fs::metadata(&queue).expect("stat").ino(), new, "turn {turn}");
        fs::remove_dir(&queue).expect("rmdir");
    }
}

#[test]
fn a_late_removal_never_hits_an_event_of_the_same_name() {
    let mounted = Mounted::with("allow_other,notify=full");
    let queue = mounted.queue("q");
    let mut watcher = Watcher::of("q", &queue);
    for turn in 0..500 {
        let content = format!("turn {turn}");
        put(&queue, "e", &content);
        assert_eq!(fs::read_to_string(queue.join("e")).expect("read"), content);
        assert_eq!(fs::read_to_string(queue.join("head")).expect("read"), content);
        // Its removal will be shown under the name that the next one takes at once.
        fs::remove_file(queue.join("head")).expect("pop");
        watcher.lines();
    }
    put(&queue, "e", "last");
    watcher.wait_for_many("q: DELETE e", 1);
    assert_eq!(names(&queue), ["head", "tail", "e"]);
    assert_eq!(fs::read_to_string(queue.join("e")).expect("read"), "last");
    assert_eq!(get(&queue, "user.eventfs_published").as_deref(), Some("501"));
    assert_eq!(get(&queue, "user.eventfs_removed").as_deref(), Some("500"));
}

#[test]
fn a_late_drop_never_hits_an_event_of_the_same_name() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_max_events", "1").expect("max_events");
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    for turn in 0..500 {
        let (name, content) = (["a", "b"][turn % 2], format!("turn {turn}"));
        put(&queue, name, &content);
        assert_eq!(names(&queue), ["head", "tail", name], "turn {turn}");
        assert_eq!(fs::read_to_string(queue.join(name)).expect("read"), content);
    }
    assert_eq!(get(&queue, "user.eventfs_dropped").as_deref(), Some("499"));
}

#[test]
fn a_late_drop_never_hits_a_file_that_is_being_written_under_the_name() {
    let mounted = Mounted::with("allow_other");
    let queue = mounted.queue("q");
    set(&queue, "user.eventfs_max_events", "1").expect("max_events");
    set(&queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
    put(&queue, "a", "first");
    for turn in 0..200 {
        // Drops `a` and begins it anew at once.
        put(&queue, "b", "b");
        let mut file = fs::File::create_new(queue.join("a")).expect("create");
        let content = format!("turn {turn}");
        std::io::Write::write_all(&mut file, content.as_bytes()).expect("write");
        assert!(queue.join("a").exists(), "turn {turn}");
        let _guard = no_forks();
        drop(file);
        assert_eq!(fs::read_to_string(queue.join("head")).expect("read"), content);
    }
}
