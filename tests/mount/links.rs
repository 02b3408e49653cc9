//! Contract section 3: `head` and `tail`.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::{Duration, UNIX_EPOCH};

use crate::common::{Mounted, errno, sh_ok};
use crate::help::{files, head, is_absent, put, tail, text};

#[test]
fn an_empty_queue_has_neither_link() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for link in ["head", "tail"] {
        let path = queue.join(link);
        assert_eq!(errno(fs::symlink_metadata(&path)), libc::ENOENT);
        assert_eq!(errno(fs::read_link(&path)), libc::ENOENT);
        assert_eq!(errno(File::open(&path)), libc::ENOENT);
        assert_eq!(errno(fs::remove_file(&path)), libc::ENOENT);
    }
}

#[test]
fn an_emptied_queue_has_neither_link() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    // The kernel has seen both by now.
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("e"), Some("e")));
    fs::remove_file(queue.join("e")).unwrap();
    for link in ["head", "tail"] {
        let path = queue.join(link);
        assert_eq!(errno(fs::symlink_metadata(&path)), libc::ENOENT);
        assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
        assert_eq!(errno(fs::read_link(&path)), libc::ENOENT);
        assert_eq!(errno(File::open(&path)), libc::ENOENT);
        assert_eq!(errno(fs::remove_file(&path)), libc::ENOENT);
    }
}

#[test]
fn links_are_symbolic_links_to_bare_names() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("first"), "");
    put(queue.join("second one"), "");
    for (link, name) in [("head", "first"), ("tail", "second one")] {
        let found = fs::symlink_metadata(queue.join(link)).unwrap();
        assert!(found.file_type().is_symlink());
        assert_eq!(found.size(), name.len() as u64);
        assert_eq!(fs::read_link(queue.join(link)).unwrap().to_str(), Some(name));
    }
}

#[test]
fn links_have_mode_0777_and_the_ids_of_the_queue() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    std::os::unix::fs::chown(queue.join("e"), Some(5003), Some(5004)).unwrap();
    std::os::unix::fs::chown(&queue, Some(5001), Some(5002)).unwrap();
    for link in ["head", "tail"] {
        let found = fs::symlink_metadata(queue.join(link)).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o777);
        assert_eq!((found.uid(), found.gid()), (5001, 5002));
    }
}

#[test]
fn links_have_the_times_of_the_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for (name, second) in [("a", 1_000), ("b", 2_000)] {
        put(queue.join(name), "");
        let time = UNIX_EPOCH + Duration::new(second, 7);
        let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
        File::open(queue.join(name)).unwrap().set_times(times).unwrap();
    }
    for (link, name) in [("head", "a"), ("tail", "b")] {
        let of_link = fs::symlink_metadata(queue.join(link)).unwrap();
        let of_event = fs::metadata(queue.join(name)).unwrap();
        assert_eq!(of_link.modified().unwrap(), of_event.modified().unwrap());
        assert_eq!(of_link.accessed().unwrap(), of_event.accessed().unwrap());
        assert_eq!(
            (of_link.ctime(), of_link.ctime_nsec()),
            (of_event.ctime(), of_event.ctime_nsec())
        );
    }
}

#[test]
fn opening_through_a_link_opens_the_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "oldest");
    put(queue.join("b"), "newest");
    assert_eq!(text(queue.join("head")), "oldest");
    assert_eq!(text(queue.join("tail")), "newest");
    let direct = fs::metadata(queue.join("a")).unwrap().ino();
    assert_eq!(fs::metadata(queue.join("head")).unwrap().ino(), direct);
    let mut file = File::options().append(true).open(queue.join("head")).unwrap();
    file.write_all(b"!").unwrap();
    assert_eq!(text(queue.join("a")), "oldest!");
}

#[test]
fn a_link_opened_without_following_is_eloop() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    let opened = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(queue.join("head"));
    assert_eq!(errno(opened), libc::ELOOP);
}

#[test]
fn unlink_head_removes_the_oldest() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["c", "a", "b"] {
        put(queue.join(name), "");
    }
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!(files(&queue), ["a", "b"]);
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("a"), Some("b")));
}

#[test]
fn unlink_tail_removes_the_newest() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["c", "a", "b"] {
        put(queue.join(name), "");
    }
    fs::remove_file(queue.join("tail")).unwrap();
    assert_eq!(files(&queue), ["c", "a"]);
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("c"), Some("a")));
}

#[test]
fn unlink_of_a_name_removes_that_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["c", "a", "b"] {
        put(queue.join(name), "");
    }
    fs::remove_file(queue.join("a")).unwrap();
    assert_eq!(files(&queue), ["c", "b"]);
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("c"), Some("b")));
}

#[test]
fn unlink_of_a_name_that_is_not_there_is_enoent() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    assert_eq!(errno(fs::remove_file(queue.join("b"))), libc::ENOENT);
}

#[test]
fn an_emptied_queue_refills_a_thousand_times() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for round in 0..1_000 {
        let name = format!("e{}", round % 7);
        put(queue.join(&name), &name);
        assert_eq!(head(&queue).as_deref(), Some(&*name), "round {round}");
        assert_eq!(text(queue.join("tail")), name, "round {round}");
        let how = ["head", "tail", &name][round % 3];
        fs::remove_file(queue.join(how)).unwrap();
        assert!(is_absent(&queue.join("head")), "round {round}");
        assert!(is_absent(&queue.join("tail")), "round {round}");
        assert!(is_absent(&queue.join(&name)), "round {round}");
    }
}

/// Fills a queue, warms every cache, removes one event so, and demands that its name is gone.
fn no_stale_name(remove: impl Fn(usize) -> (String, String)) {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e0"), "");
    for round in 0..300 {
        put(queue.join(format!("e{}", round + 1)), "x");
        for name in [format!("e{round}"), format!("e{}", round + 1), "head".into(), "tail".into()] {
            fs::metadata(queue.join(&name)).unwrap();
        }
        let (how, gone) = remove(round);
        fs::remove_file(queue.join(how)).unwrap();
        assert_eq!(errno(fs::metadata(queue.join(&gone))), libc::ENOENT, "round {round}");
        assert_eq!(errno(File::open(queue.join(&gone))), libc::ENOENT, "round {round}");
        // The other one of the two goes on.
        let left = files(&queue).remove(0);
        assert_ne!(left, gone);
        assert_eq!((head(&queue), tail(&queue)), (Some(left.clone()), Some(left.clone())));
        if left != format!("e{}", round + 1) {
            fs::rename(queue.join(left), queue.join(format!("e{}", round + 1))).unwrap();
        }
    }
}

#[test]
fn a_name_is_gone_at_once_after_unlink_head() {
    no_stale_name(|round| ("head".into(), format!("e{round}")));
}

#[test]
fn a_name_is_gone_at_once_after_unlink_tail() {
    no_stale_name(|round| ("tail".into(), format!("e{}", round + 1)));
}

#[test]
fn a_link_is_right_at_once_after_unlink_of_a_name() {
    no_stale_name(|round| (format!("e{round}"), format!("e{round}")));
}

#[test]
fn another_process_sees_the_removal_at_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    // The subshells are other processes; each looks before and after.
    let said = sh_ok(
        &queue,
        "for i in $(seq 200); do echo $i > e$i; (cat head > /dev/null; [ -e e$i ]) || echo missing $i
         rm head; ([ -e e$i ] && echo stale $i; [ -L head ] && echo link $i); done; echo done",
    );
    assert_eq!(said, "done\n");
}

#[test]
fn links_follow_a_rename_of_their_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    assert_eq!(head(&queue).as_deref(), Some("a"));
    fs::rename(queue.join("a"), queue.join("b")).unwrap();
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("b"), Some("b")));
}

#[test]
fn chmod_through_a_link_changes_the_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    sh_ok(&queue, "chmod 0640 head");
    assert_eq!(fs::metadata(queue.join("a")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::symlink_metadata(queue.join("head")).unwrap().mode() & 0o7777, 0o777);
}
