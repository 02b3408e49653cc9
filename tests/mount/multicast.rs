//! Contract section 3: one event in several queues.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use crate::common::{Mounted, errno, wait_until};
use crate::help::{close, count, files, head, put, tail, text};

fn nlink(path: &std::path::Path) -> u64 {
    fs::metadata(path).unwrap().nlink()
}

#[test]
fn a_link_is_appended_to_the_other_queue() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(two.join("old"), "");
    put(one.join("e"), "x");
    fs::hard_link(one.join("e"), two.join("f")).unwrap();
    assert_eq!((head(&two).as_deref(), tail(&two).as_deref()), (Some("old"), Some("f")));
    assert_eq!(text(two.join("f")), "x");
}

#[test]
fn nlink_counts_the_queues() {
    let mount = Mounted::new();
    let queues = ["a", "b", "c", "d"].map(|name| mount.queue(name));
    put(queues[0].join("e"), "x");
    assert_eq!(nlink(&queues[0].join("e")), 1);
    for (index, queue) in queues.iter().enumerate().skip(1) {
        fs::hard_link(queues[0].join("e"), queue.join("e")).unwrap();
        assert_eq!(nlink(&queue.join("e")), index as u64 + 1);
        assert_eq!(nlink(&queues[0].join("e")), index as u64 + 1);
    }
    fs::remove_file(queues[2].join("e")).unwrap();
    assert_eq!(nlink(&queues[0].join("e")), 3);
    // The kernel does not know what goes through a link; it is told.
    fs::remove_file(queues[1].join("head")).unwrap();
    wait_until("nlink 2", || nlink(&queues[0].join("e")) == 2);
}

#[test]
fn all_links_are_one_copy_of_the_bytes() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "x");
    fs::hard_link(one.join("e"), two.join("f")).unwrap();
    let (a, b) = (fs::metadata(one.join("e")).unwrap(), fs::metadata(two.join("f")).unwrap());
    assert_eq!(a.ino(), b.ino());
    let mut file = File::options().append(true).open(two.join("f")).unwrap();
    file.write_all(b"yz").unwrap();
    close(file);
    assert_eq!(text(one.join("e")), "xyz");
    assert_eq!((count(&one, "bytes"), count(&two, "bytes")), (3, 3));
}

#[test]
fn removal_in_one_queue_leaves_the_others() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "x");
    fs::hard_link(one.join("e"), two.join("e")).unwrap();
    fs::remove_file(one.join("head")).unwrap();
    assert_eq!((head(&one), head(&two)), (None, Some("e".into())));
    assert_eq!(text(two.join("head")), "x");
    assert_eq!((count(&one, "removed"), count(&two, "removed")), (1, 0));
}

#[test]
fn rmdir_of_one_queue_leaves_the_others() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "x");
    fs::hard_link(one.join("e"), two.join("e")).unwrap();
    fs::remove_file(one.join("e")).unwrap();
    fs::remove_dir(&one).unwrap();
    assert_eq!(text(two.join("head")), "x");
    assert_eq!(nlink(&two.join("e")), 1);
}

#[test]
fn a_link_in_the_same_queue_is_an_event_of_its_own() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "x");
    fs::hard_link(queue.join("a"), queue.join("b")).unwrap();
    assert_eq!((files(&queue), count(&queue, "depth")), (vec!["a".into(), "b".into()], 2));
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!((head(&queue).as_deref(), text(queue.join("b"))), (Some("b"), "x".into()));
}

#[test]
fn a_link_to_a_name_that_is_taken_is_eexist() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    assert_eq!(errno(fs::hard_link(queue.join("a"), queue.join("b"))), libc::EEXIST);
}

#[test]
fn a_link_to_a_queue_or_to_head_itself_is_eperm() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "");
    assert_eq!(errno(fs::hard_link(&one, mount.path("three"))), libc::EPERM);
    // linkat without AT_SYMLINK_FOLLOW takes the symbolic link itself.
    assert_eq!(errno(fs::hard_link(one.join("head"), two.join("e"))), libc::EPERM);
}

#[test]
fn linkat_that_follows_takes_the_oldest_event() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "x");
    nix::unistd::linkat(
        nix::fcntl::AT_FDCWD,
        &one.join("head"),
        nix::fcntl::AT_FDCWD,
        &two.join("f"),
        nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW,
    )
    .unwrap();
    assert_eq!(text(two.join("head")), "x");
}

#[test]
fn rename_of_one_link_over_another_of_the_same_event_does_nothing() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "x");
    fs::hard_link(one.join("e"), two.join("f")).unwrap();
    fs::rename(one.join("e"), two.join("f")).unwrap();
    assert_eq!((files(&one), files(&two)), (vec!["e".into()], vec!["f".into()]));
    assert_eq!(nlink(&two.join("f")), 2);
}

#[test]
fn an_open_event_without_a_queue_cannot_be_linked_back() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "x");
    let file = File::open(queue.join("e")).unwrap();
    fs::remove_file(queue.join("e")).unwrap();
    use std::os::fd::AsRawFd;
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let linked = nix::unistd::linkat(
        nix::fcntl::AT_FDCWD,
        source.as_str(),
        nix::fcntl::AT_FDCWD,
        &queue.join("f"),
        nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW,
    );
    assert_eq!(linked, Err(nix::errno::Errno::ENOENT));
}
