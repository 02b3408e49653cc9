//! Contract section 3: reading a directory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::{Mounted, names};
use crate::help::{begin, close, files, getdents, put, raw_names};

/// Room for a few entries only.
const SMALL_BYTES: usize = 160;

fn fill(queue: &Path, count: usize) -> Vec<String> {
    // Not in the order of the alphabet.
    let all: Vec<String> = (0..count).map(|n| format!("{:03}-{n}", n * 7 % 1_000)).collect();
    for name in &all {
        put(queue.join(name), "");
    }
    all
}

/// Goes on with a listing to its end; returns the names.
fn rest(dir: &File) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let some = getdents(dir, SMALL_BYTES);
        if some.is_empty() {
            return all;
        }
        all.extend(some.into_iter().map(|(name, _)| name.into_string().unwrap()));
    }
}

#[test]
fn order_is_dots_links_events_staged() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".staged"), "");
    for name in ["z", "a", "m"] {
        put(queue.join(name), "");
    }
    let file = begin(queue.join("unfinished"));
    let expected = [".", "..", "head", "tail", "z", "a", "m", ".staged", "unfinished"];
    for buffer in [32, SMALL_BYTES, 32_768] {
        assert_eq!(raw_names(&queue, buffer), expected);
    }
    close(file);
}

#[test]
fn an_empty_queue_lists_only_the_dots() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    assert_eq!(raw_names(&queue, SMALL_BYTES), [".", ".."]);
    put(queue.join(".staged"), "");
    assert_eq!(raw_names(&queue, SMALL_BYTES), [".", "..", ".staged"]);
}

#[test]
fn entries_tell_their_type_and_number() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    let found = getdents(&File::open(&queue).unwrap(), 32_768);
    let types: Vec<u8> = found.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(types, [libc::DT_DIR, libc::DT_DIR, libc::DT_LNK, libc::DT_LNK, libc::DT_REG]);
    use std::os::unix::fs::DirEntryExt;
    for entry in fs::read_dir(&queue).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.ino(), fs::symlink_metadata(entry.path()).unwrap().ino());
    }
}

#[test]
fn a_long_listing_in_small_steps_is_complete_and_in_order() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let all = fill(&queue, 1_500);
    assert_eq!(raw_names(&queue, SMALL_BYTES)[4..], all);
    assert_eq!(files(&queue), all);
}

#[test]
fn what_is_removed_meanwhile_hides_nothing_that_stays() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let all = fill(&queue, 300);
    let dir = File::open(&queue).unwrap();
    let mut seen = Vec::new();
    let mut removed = BTreeSet::new();
    for step in 0.. {
        let some = getdents(&dir, SMALL_BYTES);
        if some.is_empty() {
            break;
        }
        seen.extend(some.into_iter().map(|(name, _)| name.into_string().unwrap()));
        // One that was listed, the last one listed, and one that was not.
        let listed = seen.len() - 4;
        for index in [listed / 2, listed - 1, (listed + 7 * step).min(299)] {
            if removed.insert(index) {
                fs::remove_file(queue.join(&all[index])).unwrap();
            }
        }
    }
    let stayed: Vec<&String> =
        all.iter().enumerate().filter(|(i, _)| !removed.contains(i)).map(|(_, n)| n).collect();
    let seen_stayed: Vec<&String> = seen[4..].iter().filter(|name| stayed.contains(name)).collect();
    assert_eq!(seen_stayed, stayed);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "something is doubled");
}

#[test]
fn pops_and_pushes_meanwhile_hide_and_double_nothing_that_stays() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let all = fill(&queue, 300);
    let dir = File::open(&queue).unwrap();
    let mut seen = Vec::new();
    for step in 0..100 {
        let some = getdents(&dir, SMALL_BYTES);
        seen.extend(some.into_iter().map(|(name, _)| name.into_string().unwrap()));
        fs::remove_file(queue.join("head")).unwrap();
        put(queue.join(format!("new{step}")), "");
    }
    seen.extend(rest(&dir));
    let listed: Vec<&String> = seen.iter().filter(|name| all[100..].contains(name)).collect();
    assert_eq!(listed, all[100..].iter().collect::<Vec<_>>());
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "something is doubled");
}

#[test]
fn staged_files_that_stay_are_listed_once_while_others_are_published() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fill(&queue, 20);
    let staged: Vec<String> = (0..100).map(|n| format!(".s{n}")).collect();
    for name in &staged {
        put(queue.join(name), "");
    }
    let dir = File::open(&queue).unwrap();
    let mut seen = Vec::new();
    for number in 0..50 {
        let some = getdents(&dir, SMALL_BYTES);
        seen.extend(some.into_iter().map(|(name, _)| name.into_string().unwrap()));
        let name = format!("s{}", 2 * number);
        fs::rename(queue.join(format!(".{name}")), queue.join(name)).unwrap();
    }
    seen.extend(rest(&dir));
    for name in staged.iter().skip(1).step_by(2) {
        assert_eq!(seen.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
}

#[test]
fn listings_beside_busy_threads_show_what_stays_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let all = fill(&queue, 200);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (queue, stop) = (&queue, &stop);
            scope.spawn(move || {
                for number in 0.. {
                    let name = queue.join(format!("w{worker}.{number}"));
                    put(&name, "");
                    fs::remove_file(&name).unwrap();
                    if stop.load(order) {
                        return;
                    }
                }
            });
        }
        for _ in 0..40 {
            let seen = raw_names(&queue, SMALL_BYTES);
            let stayed: Vec<&String> = seen.iter().filter(|name| all.contains(name)).collect();
            let same = stayed == all.iter().collect::<Vec<_>>();
            stop.store(!same, order);
            assert!(same, "{stayed:?}");
        }
        stop.store(true, order);
    });
}

#[test]
fn a_reader_that_removes_what_it_reads_gets_everything() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fill(&queue, 500);
    let dir = File::open(&queue).unwrap();
    loop {
        let some = getdents(&dir, SMALL_BYTES);
        if some.is_empty() {
            break;
        }
        for (name, kind) in some {
            if kind == libc::DT_REG {
                fs::remove_file(queue.join(name)).unwrap();
            }
        }
    }
    assert_eq!(names(&queue), Vec::<String>::new());
}

#[test]
fn a_directory_can_be_read_again_from_the_start() {
    use std::io::{Seek, SeekFrom};
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    let mut dir = File::open(&queue).unwrap();
    assert_eq!(rest(&dir).len(), 5);
    put(queue.join("b"), "");
    dir.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(rest(&dir), [".", "..", "head", "tail", "a", "b"]);
}

#[test]
fn two_readers_do_not_disturb_each_other() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let all = fill(&queue, 100);
    let (one, two) = (File::open(&queue).unwrap(), File::open(&queue).unwrap());
    let mut first = getdents(&one, SMALL_BYTES).len();
    assert_eq!(rest(&two)[4..], all);
    first += rest(&one).len();
    assert_eq!(first, 104);
}

#[test]
fn the_root_lists_its_queues_once_while_others_come_and_go() {
    let mount = Mounted::new();
    let stay: Vec<String> = (0..60).map(|n| format!("stay{n}")).collect();
    for name in &stay {
        mount.queue(name);
        mount.queue(&format!("go{name}"));
    }
    let dir = File::open(&mount.point).unwrap();
    let mut seen = Vec::new();
    for name in &stay {
        let some = getdents(&dir, SMALL_BYTES);
        seen.extend(some.into_iter().map(|(name, _)| name.into_string().unwrap()));
        fs::remove_dir(mount.path(format!("go{name}"))).unwrap();
        fs::create_dir(mount.path(format!("new{name}"))).unwrap();
    }
    seen.extend(rest(&dir));
    let listed: Vec<&String> = seen.iter().filter(|name| stay.contains(name)).collect();
    assert_eq!(listed, stay.iter().collect::<Vec<_>>());
}

#[test]
fn the_open_directory_of_a_removed_queue_is_empty() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let dir = File::open(&queue).unwrap();
    fs::remove_dir(&queue).unwrap();
    // The kernel answers for a removed directory by itself, as on tmpfs.
    use std::os::fd::AsRawFd;
    let again = fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    let left = again.map_or(0, |entries| entries.filter(Result::is_ok).count());
    assert_eq!(left, 0);
    assert_eq!(dir.metadata().unwrap().nlink(), 0);
}

#[test]
fn st_blocks_is_0_everywhere() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), vec![1; 100_000]);
    put(queue.join(".s"), vec![1; 100_000]);
    for path in ["", "q", "q/e", "q/.s", "q/head", "q/tail"] {
        assert_eq!(fs::symlink_metadata(mount.path(path)).unwrap().blocks(), 0, "{path}");
    }
}
