//! Contract section 3: what can be done with the bytes and attributes of an event.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::time::{Duration, UNIX_EPOCH};

use nix::fcntl::{FallocateFlags, fallocate};

use crate::common::{Mounted, errno, sh_ok, wait_until, write};
use crate::help::{begin, close, count, files, is_absent, put, text};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

#[test]
fn what_was_written_is_read() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for length in [0, 1, 200, 4_095, 4_096, 4_097, 65_537, (1 << 20) + 1, 5 << 20] {
        let content = pattern(length);
        put(queue.join("e"), &content);
        assert_eq!(fs::read(queue.join("head")).unwrap(), content, "{length}");
        assert_eq!(fs::metadata(queue.join("e")).unwrap().size(), length as u64);
        assert_eq!(count(&queue, "bytes"), length as u64);
        fs::remove_file(queue.join("e")).unwrap();
    }
}

#[test]
fn reading_past_the_end_gives_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "abc");
    let file = File::open(queue.join("e")).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 2);
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
}

#[test]
fn a_write_in_the_middle_changes_only_that() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut content = pattern(100_000);
    put(queue.join("e"), &content);
    let file = File::options().write(true).open(queue.join("e")).unwrap();
    file.write_all_at(b"middle", 50_000).unwrap();
    content[50_000..50_006].copy_from_slice(b"middle");
    assert_eq!(fs::read(queue.join("e")).unwrap(), content);
}

#[test]
fn random_writes_cuts_and_reads_agree_with_a_buffer_in_memory() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    let reader = File::open(queue.join("e")).unwrap();
    let mut model: Vec<u8> = Vec::new();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..600 {
        let at = random(40_000);
        match random(4) {
            0 => {
                file.set_len(at as u64).unwrap();
                model.resize(at, 0);
            }
            1 | 2 => {
                let data = pattern(random(9_000));
                file.write_all_at(&data, at as u64).unwrap();
                if !data.is_empty() {
                    model.resize(model.len().max(at + data.len()), 0);
                    model[at..at + data.len()].copy_from_slice(&data);
                }
            }
            _ => {}
        }
        let mut buffer = vec![0; random(9_000)];
        let from = if random(2) == 0 { &file } else { &reader };
        let got = from.read_at(&mut buffer, at as u64).unwrap();
        let end = model.len().min(at + buffer.len());
        assert_eq!(buffer[..got], model[at.min(end)..end]);
    }
    assert_eq!(fs::read(queue.join("e")).unwrap(), model);
}

#[test]
fn appending_adds_at_the_end() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    assert_eq!(sh_ok(&queue, "echo a > e; echo b >> e; (echo c) >> e; cat e"), "a\nb\nc\n");
}

#[test]
fn several_appending_writers_lose_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let queue = &queue;
            scope.spawn(move || {
                let mut file = File::options().append(true).open(queue.join("e")).unwrap();
                for line in 0..250 {
                    file.write_all(format!("{writer} {line}\n").as_bytes()).unwrap();
                }
            });
        }
    });
    let all = text(queue.join("e"));
    let mut next = [0; 4];
    for line in all.lines() {
        let (writer, number) = line.split_once(' ').unwrap();
        let writer: usize = writer.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[writer]), "lines of one writer stay in order");
        next[writer] += 1;
    }
    assert_eq!(next, [250; 4]);
}

#[test]
fn truncating_cuts_and_grows_with_zeros() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "abcdef");
    sh_ok(&queue, "truncate -s 3 e");
    assert_eq!(text(queue.join("e")), "abc");
    sh_ok(&queue, "truncate -s 5 e");
    assert_eq!(fs::read(queue.join("e")).unwrap(), b"abc\0\0");
    drop(File::options().write(true).truncate(true).open(queue.join("e")).unwrap());
    assert_eq!(fs::metadata(queue.join("e")).unwrap().size(), 0);
    assert_eq!(count(&queue, "bytes"), 0);
}

#[test]
fn a_sparse_write_leaves_zeros_before_it() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    file.write_all_at(b"end", 1_000_000).unwrap();
    close(file);
    let content = fs::read(queue.join("head")).unwrap();
    assert_eq!(content.len(), 1_000_003);
    assert!(content[..1_000_000].iter().all(|byte| *byte == 0));
    assert_eq!(&content[1_000_000..], b"end");
}

#[test]
fn fallocate_makes_room_and_other_modes_are_not_supported() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    fallocate(&file, FallocateFlags::empty(), 0, 1_000).unwrap();
    assert_eq!(file.metadata().unwrap().size(), 1_000);
    fallocate(&file, FallocateFlags::empty(), 0, 10).unwrap();
    assert_eq!(file.metadata().unwrap().size(), 1_000);
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    assert_eq!(fallocate(&file, punch, 0, 10), Err(nix::errno::Errno::EOPNOTSUPP));
    close(file);
}

#[test]
fn an_event_can_be_mapped_for_reading() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let content = pattern(100_000);
    put(queue.join("e"), &content);
    let file = File::open(queue.join("head")).unwrap();
    for flags in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
        #[allow(unsafe_code)]
        // SAFETY: a new mapping of an open file; the result is checked before it is used, nobody
        // cuts the file while it is mapped, and the slice is gone before the mapping.
        unsafe {
            let null = std::ptr::null_mut();
            let at = libc::mmap(null, content.len(), libc::PROT_READ, flags, file.as_raw_fd(), 0);
            assert_ne!(at, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
            let mapped = std::slice::from_raw_parts(at.cast::<u8>(), content.len());
            let same = mapped == content;
            libc::munmap(at, content.len());
            assert!(same);
        }
    }
}

#[test]
fn a_reader_sees_at_once_what_a_writer_writes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    let reader = File::open(queue.join("e")).unwrap();
    let mut writer = File::options().append(true).open(queue.join("e")).unwrap();
    let mut all = Vec::new();
    for round in 0..200 {
        let part = format!("part {round};");
        writer.write_all(part.as_bytes()).unwrap();
        all.extend_from_slice(part.as_bytes());
        let mut buffer = vec![0; all.len() + 10];
        let got = reader.read_at(&mut buffer, 0).unwrap();
        assert_eq!(buffer[..got], all);
        assert_eq!(reader.metadata().unwrap().size(), all.len() as u64);
    }
}

#[test]
fn mode_owner_and_times_can_be_changed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let path = queue.join("e");
    put(&path, "x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o4751);
    chown(&path, Some(5001), Some(5002)).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid()), (5001, 5002));
    for (access, change) in [(1, 2), (1_700_000_000, 4_000_000_000)] {
        let access = UNIX_EPOCH + Duration::new(access, 123_456_789);
        let change = UNIX_EPOCH + Duration::new(change, 987_654_321);
        let times = fs::FileTimes::new().set_accessed(access).set_modified(change);
        File::open(&path).unwrap().set_times(times).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.accessed().unwrap(), found.modified().unwrap()), (access, change));
    }
}

#[test]
fn writing_changes_the_modification_time_and_reading_no_time() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "x");
    let old = UNIX_EPOCH + Duration::from_secs(1_000);
    let times = fs::FileTimes::new().set_accessed(old).set_modified(old);
    File::open(queue.join("e")).unwrap().set_times(times).unwrap();
    text(queue.join("e"));
    assert_eq!(fs::metadata(queue.join("e")).unwrap().modified().unwrap(), old);
    write(queue.join("e"), "y").unwrap();
    let found = fs::metadata(queue.join("e")).unwrap();
    assert!(found.modified().unwrap() > old);
    assert!(found.ctime() > 1_000);
}

/// Removes an open event so; it must stay readable and writable on its handle, with no links.
fn stays_usable(remove: &str) {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "before ");
    let mut file = File::options().read(true).append(true).open(queue.join("head")).unwrap();
    let mut reader = File::open(queue.join("e")).unwrap();
    fs::remove_file(queue.join(remove)).unwrap();
    assert!(is_absent(&queue.join("e")));
    file.write_all(b"after").unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    for handle in [&mut file, &mut reader] {
        let mut content = String::new();
        handle.read_to_string(&mut content).unwrap();
        assert_eq!(content, "before after");
    }
    wait_until("nlink 0", || file.metadata().unwrap().nlink() == 0);
    file.set_len(2).unwrap();
    assert_eq!(file.metadata().unwrap().size(), 2);
    // A new event of the name is another file.
    put(queue.join("e"), "other");
    assert_ne!(fs::metadata(queue.join("e")).unwrap().ino(), file.metadata().unwrap().ino());
    close(file);
    assert_eq!((text(queue.join("head")), files(&queue).len()), ("other".into(), 1));
}

#[test]
fn an_open_event_removed_by_name_stays_readable_and_writable() {
    stays_usable("e");
}

#[test]
fn an_open_event_removed_through_head_stays_readable_and_writable() {
    stays_usable("head");
}

#[test]
fn an_open_event_removed_through_tail_stays_readable_and_writable() {
    stays_usable("tail");
}

#[test]
fn a_handle_does_only_what_it_was_opened_for() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "x");
    let mut reader = File::open(queue.join("e")).unwrap();
    assert_eq!(errno(reader.write_all(b"y")), libc::EBADF);
    let mut writer = File::options().write(true).open(queue.join("e")).unwrap();
    assert_eq!(errno(writer.read(&mut [0; 1])), libc::EBADF);
}

#[test]
fn syncing_works() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut file = begin(queue.join("e"));
    file.write_all(b"x").unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    File::open(&queue).unwrap().sync_all().unwrap();
    close(file);
}

#[test]
fn ordinary_tools_copy_in_and_out() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in"), pattern(3_000_000)).unwrap();
    let outside = dir.path().display();
    sh_ok(
        &queue,
        &format!(
            "cp {outside}/in e; cp -p head {outside}/out; cmp {outside}/in {outside}/out
             dd if={outside}/in of=f bs=64k status=none; cmp f e; tar cf - e f | tar xf - -C {outside}
             cmp {outside}/e {outside}/f && mv {outside}/f g && cmp e g && cat e f | wc -c"
        ),
    );
    assert_eq!(files(&queue), ["e", "f", "g"]);
}
