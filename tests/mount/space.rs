//! Contract sections 2 and 3: `size=`, `nr_events=`, `nr_queues=`, `max_event=` and `statfs`.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::sys::statvfs::{Statvfs, statvfs};

use crate::common::{Mounted, errno, set, wait_until};
use crate::help::{begin, close, files, put, try_put};

fn space(mount: &Mounted) -> Statvfs {
    statvfs(&mount.point).unwrap()
}

fn used_bytes(mount: &Mounted) -> u64 {
    let space = space(mount);
    (space.blocks() - space.blocks_free()) * space.fragment_size()
}

#[test]
fn beyond_size_is_enospc_for_root_too() {
    let mount = Mounted::with("allow_other,size=1m");
    let queue = mount.queue("q");
    put(queue.join("a"), vec![0; 1_000_000]);
    assert_eq!(errno(try_put(queue.join("b"), vec![0; 60_000])), libc::ENOSPC);
    assert_eq!(files(&queue), ["a"]);
    fs::remove_file(queue.join("a")).unwrap();
    put(queue.join("b"), vec![0; 1_000_000]);
}

#[test]
fn size_takes_units() {
    for (word, bytes) in
        [("8192k", 8 << 20), ("8m", 8 << 20), ("8388608", 8 << 20), ("1G", 1 << 30)]
    {
        let mount = Mounted::with(&format!("allow_other,size={word}"));
        let space = space(&mount);
        assert_eq!(space.blocks() * space.fragment_size(), bytes, "{word}");
    }
}

#[test]
fn size_is_half_of_memory_unless_given() {
    let (all, half) = (Mounted::with("allow_other,size=100%"), Mounted::new());
    let (all, half) = (space(&all).blocks(), space(&half).blocks());
    assert!(all.abs_diff(2 * half) <= 200, "{all} {half}");
    let tenth = space(&Mounted::with("allow_other,size=10%")).blocks();
    assert!(all.abs_diff(10 * tenth) <= 200, "{all} {tenth}");
}

#[test]
fn bookkeeping_and_attributes_count_in_size() {
    let mount = Mounted::with("allow_other,size=128k");
    let queue = mount.queue("q");
    let made = (0..10_000).take_while(|n| try_put(queue.join(format!("{n}")), "").is_ok()).count();
    assert!((100..2_000).contains(&made), "{made}");
    assert_eq!(errno(try_put(queue.join("x"), "")), libc::ENOSPC);
    assert_eq!(errno(set(&queue.join("0"), "user.a", &"x".repeat(60_000))), libc::ENOSPC);
    assert_eq!(errno(fs::create_dir(mount.path("r"))), libc::ENOSPC);
    assert_eq!(errno(fs::hard_link(queue.join("0"), queue.join("y"))), libc::ENOSPC);
}

#[test]
fn a_hole_counts_as_its_bytes() {
    let mount = Mounted::with("allow_other,size=1m");
    let queue = mount.queue("q");
    let file = begin(queue.join("a"));
    file.write_all_at(b"x", 900_000).unwrap();
    close(file);
    assert!(used_bytes(&mount) >= 900_000);
    let file = begin(queue.join("b"));
    assert_eq!(errno(file.write_all_at(b"x", 900_000)), libc::ENOSPC);
    assert_eq!(errno(file.set_len(900_000)), libc::ENOSPC);
    close(file);
}

#[test]
fn what_is_removed_but_open_counts_until_the_last_close() {
    let mount = Mounted::with("allow_other,size=1m");
    let queue = mount.queue("q");
    put(queue.join("a"), vec![0; 900_000]);
    let file = File::open(queue.join("a")).unwrap();
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!(errno(try_put(queue.join("b"), vec![0; 900_000])), libc::ENOSPC);
    close(file);
    put(queue.join("b"), vec![0; 900_000]);
}

#[test]
fn everything_is_given_back() {
    let mount = Mounted::with("allow_other,size=1m,nr_events=100");
    let before = space(&mount);
    for round in 0..30 {
        let queue = mount.queue("q");
        put(queue.join("a"), vec![0; 300_000]);
        set(&queue.join("a"), "user.a", &"x".repeat(10_000)).unwrap();
        set(&queue, "user.a", &"x".repeat(10_000)).unwrap();
        fs::hard_link(queue.join("a"), queue.join(".b")).unwrap();
        put(queue.join("c"), vec![0; 100_000]);
        fs::rename(queue.join("c"), queue.join("a")).unwrap();
        fs::remove_file(queue.join(".b")).unwrap();
        fs::remove_file(queue.join("tail")).unwrap();
        fs::remove_dir(&queue).unwrap();
        let now = space(&mount);
        assert_eq!(now.blocks_free(), before.blocks_free(), "round {round}");
        assert_eq!(now.files_free(), before.files_free(), "round {round}");
    }
}

#[test]
fn nr_events_n_fit_and_one_more_is_enospc_over_the_whole_mount() {
    let mount = Mounted::with("allow_other,nr_events=4");
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("a"), "");
    put(one.join(".staged"), "");
    fs::hard_link(one.join("a"), two.join("a")).unwrap();
    let file = begin(two.join("unfinished"));
    assert_eq!(errno(try_put(two.join("b"), "")), libc::ENOSPC);
    assert_eq!(errno(try_put(two.join(".b"), "")), libc::ENOSPC);
    assert_eq!(errno(fs::hard_link(one.join("a"), two.join("b"))), libc::ENOSPC);
    let made = mknod(&one.join("m"), SFlag::S_IFREG, Mode::S_IRUSR, 0);
    assert_eq!(made, Err(nix::errno::Errno::ENOSPC));
    // A move needs no more.
    fs::rename(one.join("a"), two.join("c")).unwrap();
    close(file);
    fs::remove_file(two.join("head")).unwrap();
    put(one.join("b"), "");
}

#[test]
fn nr_queues_n_fit_and_one_more_is_enospc() {
    let mount = Mounted::with("allow_other,nr_queues=2");
    mount.queue("a");
    mount.queue("b");
    assert_eq!(errno(fs::create_dir(mount.path("c"))), libc::ENOSPC);
    fs::rename(mount.path("a"), mount.path("d")).unwrap();
    fs::remove_dir(mount.path("d")).unwrap();
    mount.queue("c");
    assert_eq!(errno(fs::create_dir(mount.path("d"))), libc::ENOSPC);
}

#[test]
fn nr_queues_is_given_back_when_an_owner_dies() {
    let mount = Mounted::with("allow_other,nr_queues=1,grace=0");
    crate::common::sh_ok(&mount.point, "mkdir a || exit 1");
    wait_until("a new queue fits", || fs::create_dir(mount.path("b")).is_ok());
}

#[test]
fn max_event_fits_and_one_more_byte_is_efbig() {
    let mount = Mounted::with("allow_other,max_event=10k");
    let queue = mount.queue("q");
    put(queue.join("a"), vec![1; 10_240]);
    assert_eq!(errno(try_put(queue.join("b"), vec![1; 10_241])), libc::EFBIG);
    let mut file = File::options().append(true).open(queue.join("a")).unwrap();
    assert_eq!(errno(file.write_all(b"x")), libc::EFBIG);
    assert_eq!(errno(file.set_len(10_241)), libc::EFBIG);
    assert_eq!(errno(file.set_len(1 << 50)), libc::EFBIG);
    let asked = fallocate(&file, FallocateFlags::empty(), 10_000, 241);
    assert_eq!(asked, Err(nix::errno::Errno::EFBIG));
    let file = File::options().write(true).open(queue.join("a")).unwrap();
    assert_eq!(errno(file.write_at(b"x", 10_240)), libc::EFBIG);
    assert_eq!(errno(file.write_at(b"x", 1 << 60)), libc::EFBIG);
    assert_eq!(files(&queue), ["a"]);
}

#[test]
fn max_event_is_64_mebibytes_unless_given() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("a"));
    file.set_len(64 << 20).unwrap();
    assert_eq!(errno(file.set_len((64 << 20) + 1)), libc::EFBIG);
    close(file);
}

#[test]
fn statfs_tells_the_size_and_what_is_free() {
    let mount = Mounted::with("allow_other,size=16m");
    let queue = mount.queue("q");
    let before = space(&mount);
    assert_eq!(before.blocks() * before.fragment_size(), 16 << 20);
    put(queue.join("a"), vec![0; 4 << 20]);
    let after = space(&mount);
    let used = (before.blocks_free() - after.blocks_free()) * after.fragment_size();
    assert!((4 << 20..(4 << 20) + 8_192).contains(&used), "{used}");
    assert_eq!(after.blocks_free(), after.blocks_available());
    assert_eq!(after.name_max(), 255);
}

#[test]
fn statfs_tells_the_counts() {
    let mount = Mounted::with("allow_other,nr_events=10");
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    assert_eq!((space(&mount).files(), space(&mount).files_free()), (10, 10));
    put(one.join("a"), "");
    put(one.join(".s"), "");
    fs::hard_link(one.join("a"), two.join("a")).unwrap();
    assert_eq!(space(&mount).files_free(), 7);
    fs::remove_file(one.join("head")).unwrap();
    assert_eq!(space(&mount).files_free(), 8);
}

#[test]
fn statfs_without_a_limit_of_events_still_counts_them() {
    let mount = Mounted::with("allow_other,size=16m");
    let queue = mount.queue("q");
    for number in 0..100 {
        put(queue.join(format!("{number}")), "");
    }
    let space = space(&mount);
    assert_eq!(space.files() - space.files_free(), 100);
    assert!(space.files_free() > 1_000);
}

#[test]
fn df_shows_the_mount() {
    let mount = Mounted::with("allow_other,size=16m,nr_events=50");
    let said = crate::common::sh_ok(&mount.point, "df --output=fstype,size,itotal -k . | tail -1");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["fuse.eventfs", "16384", "50"]);
}
