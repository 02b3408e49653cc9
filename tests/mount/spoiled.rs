//! Contract section 3: a new file whose write was refused or cut short never becomes an event.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, fallocate};

use crate::common::{Mounted, errno, set, sh, write};
use crate::help::{begin, close, count, files, head, is_absent, put, text};

const MIB: usize = 1 << 20;

/// The file is there while it is open, is never an event, and is gone with the close.
fn is_spoiled_by(mount: &Mounted, error: i32, spoil: impl Fn(&File) -> std::io::Result<()>) {
    let queue = mount.path("q");
    for name in ["e", ".staged"] {
        let mut file = begin(queue.join(name));
        file.write_all(b"good").unwrap();
        assert_eq!(errno(spoil(&file)), error, "{name}");
        assert!(!is_absent(&queue.join(name)));
        close(file);
        assert!(is_absent(&queue.join(name)), "{name}");
        assert_eq!(head(&queue), None);
    }
    assert_eq!(files(&queue), Vec::<String>::new());
    assert_eq!((count(&queue, "depth"), count(&queue, "bytes")), (0, 0));
    // Nothing remains charged, and the queue works on.
    put(queue.join("next"), "fits");
    assert_eq!(text(queue.join("head")), "fits");
    fs::remove_file(queue.join("head")).unwrap();
}

#[test]
fn a_write_refused_with_enospc_spoils_a_new_file() {
    let mount = Mounted::with("allow_other,size=1m");
    mount.queue("q");
    is_spoiled_by(&mount, libc::ENOSPC, |file| file.write_all_at(&vec![1; 2 * MIB], 0));
}

#[test]
fn a_write_refused_with_edquot_spoils_a_new_file() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    set(&queue, "user.eventfs_max_bytes", "1000").unwrap();
    is_spoiled_by(&mount, libc::EDQUOT, |file| file.write_all_at(&[1; 1_001], 0));
}

#[test]
fn a_write_refused_with_efbig_spoils_a_new_file() {
    let mount = Mounted::with("allow_other,max_event=1000");
    mount.queue("q");
    is_spoiled_by(&mount, libc::EFBIG, |file| file.write_all_at(&[1; 1_001], 0));
}

#[test]
fn a_truncate_that_is_refused_spoils_a_new_file() {
    let mount = Mounted::with("allow_other,max_event=1000");
    mount.queue("q");
    is_spoiled_by(&mount, libc::EFBIG, |file| file.set_len(1_001));
}

#[test]
fn a_fallocate_that_is_refused_spoils_a_new_file() {
    let mount = Mounted::with("allow_other,size=1m");
    mount.queue("q");
    is_spoiled_by(&mount, libc::ENOSPC, |file| {
        fallocate(file, FallocateFlags::empty(), 0, 2 << 20).map_err(std::io::Error::from)
    });
}

#[test]
fn a_write_cut_short_spoils_a_new_file() {
    let mount = Mounted::with("allow_other,size=4m");
    let queue = mount.queue("q");
    let mut file = begin(queue.join("e"));
    // The kernel sends it in pieces of a mebibyte, of which the first ones fit.
    let written = file.write(&vec![1; 6 * MIB]).unwrap();
    assert!((MIB..6 * MIB).contains(&written), "{written}");
    close(file);
    assert!(is_absent(&queue.join("e")));
    assert_eq!(count(&queue, "published"), 0);
}

#[test]
fn a_spoiled_file_is_removed_with_publish_create_too() {
    let mount = Mounted::with("allow_other,publish=create,max_event=1000");
    let queue = mount.queue("q");
    let mut file = begin(queue.join("e"));
    file.write_all(b"good").unwrap();
    assert_eq!(head(&queue).as_deref(), Some("e"));
    assert_eq!(errno(file.write_all(&[1; 1_000])), libc::EFBIG);
    close(file);
    assert!(is_absent(&queue.join("e")));
    assert_eq!((head(&queue), count(&queue, "depth")), (None, 0));
}

#[test]
fn a_spoiled_file_stays_spoiled_if_it_is_cut_down_again() {
    let mount = Mounted::with("allow_other,max_event=1000");
    let queue = mount.queue("q");
    let mut file = begin(queue.join("e"));
    assert_eq!(errno(file.write_all(&[1; 1_001])), libc::EFBIG);
    file.set_len(0).unwrap();
    file.write_all(b"small").unwrap();
    close(file);
    assert!(is_absent(&queue.join("e")));
}

#[test]
fn a_spoiled_file_under_a_new_name_is_removed() {
    let mount = Mounted::with("allow_other,max_event=1000");
    let queue = mount.queue("q");
    let other = mount.queue("other");
    let mut file = begin(queue.join("e"));
    assert_eq!(errno(file.write_all(&[1; 1_001])), libc::EFBIG);
    fs::rename(queue.join("e"), queue.join("f")).unwrap();
    close(file);
    assert_eq!(files(&queue), Vec::<String>::new());

    let mut file = begin(queue.join("e"));
    assert_eq!(errno(file.write_all(&[1; 1_001])), libc::EFBIG);
    fs::rename(queue.join("e"), other.join("f")).unwrap();
    close(file);
    assert_eq!((files(&other), head(&other)), (Vec::new(), None));
}

#[test]
fn an_event_whose_later_write_is_refused_stays() {
    let mount = Mounted::with("allow_other,max_event=1000");
    let queue = mount.queue("q");
    put(queue.join("e"), "good");
    let mut file = File::options().append(true).open(queue.join("e")).unwrap();
    assert_eq!(errno(file.write_all(&[1; 1_000])), libc::EFBIG);
    close(file);
    assert_eq!(text(queue.join("head")), "good");
}

#[test]
fn a_shell_whose_output_does_not_fit_leaves_nothing() {
    let mount = Mounted::with("allow_other,size=1m");
    let queue = mount.queue("q");
    let ended = sh(&queue, "head -c 3M /dev/zero > e");
    assert!(!ended.status.success());
    assert!(is_absent(&queue.join("e")));
    let ended = sh(&queue, "{ echo small; head -c 3M /dev/zero; echo after; } > f");
    assert!(ended.status.success());
    assert!(is_absent(&queue.join("f")));
}

#[test]
fn a_create_that_is_refused_leaves_nothing() {
    let mount = Mounted::with("allow_other,nr_events=1");
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    assert_eq!(errno(write(queue.join("b"), "")), libc::ENOSPC);
    assert_eq!(files(&queue), ["a"]);
}
