//! What a dead queue leaves: links elsewhere, open events, its name, nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use nix::sys::statvfs::statvfs;

use crate::common::{Mounted, close, errno, get, names, wait_until, write};
use crate::kid::{Kid, strict, wait_gone};

fn events_used(mounted: &Mounted) -> u64 {
    let space = statvfs(&mounted.point).expect("statfs");
    space.files() - space.files_free()
}

fn blocks_free(mounted: &Mounted) -> u64 {
    statvfs(&mounted.point).expect("statfs").blocks_free()
}

#[test]
fn the_events_of_a_dead_queue_cease_to_exist() {
    let mounted = Mounted::with("grace=0,nr_events=1000,size=64m");
    let queue = mounted.path("q");
    let (used, free) = (events_used(&mounted), blocks_free(&mounted));
    let kid = Kid::with_queue(&queue);
    for i in 0..100 {
        write(queue.join(format!("e{i}")), vec![1; 10_000]).expect("write");
    }
    write(queue.join(".staged"), "staged").expect("write");
    assert_eq!(events_used(&mounted), used + 101);
    kid.kill();
    wait_gone(&queue);
    wait_until("the room to be given back", || {
        events_used(&mounted) == used && blocks_free(&mounted) == free
    });
}

#[test]
fn multicast_links_of_a_dead_queue_live_on() {
    let mounted = strict();
    let (queue, other) = (mounted.path("q"), mounted.queue("other"));
    let kid = Kid::with_queue(&queue);
    write(queue.join("e"), "bytes").expect("write");
    xattr::set(queue.join("e"), "user.note", b"kept").expect("setxattr");
    fs::hard_link(queue.join("e"), other.join("f")).expect("link");
    kid.kill();
    wait_gone(&queue);
    assert_eq!(fs::read_to_string(other.join("head")).expect("read"), "bytes");
    assert_eq!(get(&other.join("f"), "user.note").as_deref(), Some("kept"));
    wait_until("the link count", || fs::metadata(other.join("f")).expect("stat").nlink() == 1);
}

#[test]
fn an_open_event_of_a_dead_queue_stays_readable_and_writable() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    write(queue.join("e"), "first").expect("write");
    let mut reader = File::open(queue.join("head")).expect("open");
    let mut both = OpenOptions::new().read(true).write(true).open(queue.join("e")).expect("open");
    kid.kill();
    wait_gone(&queue);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("read");
    assert_eq!(text, "first");
    both.seek(SeekFrom::End(0)).expect("seek");
    both.write_all(b" second").expect("write");
    both.rewind().expect("seek");
    let mut text = String::new();
    both.read_to_string(&mut text).expect("read");
    assert_eq!(text, "first second");
}

#[test]
fn an_unfinished_event_of_a_dead_queue_can_be_closed() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    let mut file = File::create_new(queue.join("e")).expect("create");
    file.write_all(b"half").expect("write");
    kid.kill();
    wait_gone(&queue);
    file.write_all(b" and half").expect("write");
    close(file);
    fs::create_dir(&queue).expect("mkdir");
    assert_eq!(names(&queue), [""; 0]);
}

#[test]
fn a_new_queue_may_take_the_name_as_soon_as_the_old_one_is_gone() {
    let mounted = strict();
    let queue = mounted.path("q");
    for turn in 0..100 {
        let kid = Kid::with_queue(&queue);
        write(queue.join("old"), "old").expect("write");
        kid.kill();
        wait_gone(&queue);
        // This one belongs to the test: nothing of the old one's end may reach it.
        fs::create_dir(&queue).unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        assert_eq!(names(&queue), [""; 0]);
        assert_eq!(
            get(&queue, "user.eventfs_owner"),
            Some(std::process::id().to_string()),
            "turn {turn}"
        );
        fs::remove_dir(&queue).expect("rmdir");
    }
}

#[test]
fn a_directory_handle_of_a_dead_queue_shows_nothing() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    write(queue.join("e"), "x").expect("write");
    let dir = File::open(&queue).expect("open");
    kid.kill();
    wait_gone(&queue);
    let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    let through = std::path::Path::new(&through);
    assert_eq!(names(through), [""; 0]);
    assert_eq!(errno(File::create(through.join("new"))), libc::ENOENT);
    assert_eq!(errno(File::open(through.join("e"))), libc::ENOENT);
    assert_eq!(errno(fs::read_link(through.join("head"))), libc::ENOENT);
    wait_until("the link count", || dir.metadata().expect("stat").nlink() == 0);
}

#[test]
fn a_dead_queue_takes_no_settings() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    let dir = File::open(&queue).expect("open");
    kid.kill();
    wait_gone(&queue);
    let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    let through = std::path::Path::new(&through);
    assert_eq!(errno(xattr::set_deref(through, "user.eventfs_sticky", b"1")), libc::ENOENT);
    assert!(!queue.exists(), "nothing brings it back");
}

#[test]
fn a_queue_that_ended_frees_a_place_under_nr_queues() {
    let mounted = Mounted::with("grace=0,nr_queues=1");
    let kid = Kid::with_queue(&mounted.path("a"));
    assert_eq!(errno(fs::create_dir(mounted.path("b"))), libc::ENOSPC);
    kid.kill();
    wait_gone(&mounted.path("a"));
    fs::create_dir(mounted.path("b")).expect("mkdir");
}
