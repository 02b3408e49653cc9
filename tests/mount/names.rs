//! Contract section 3: names, and what cannot be made.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::common::{Mounted, errno, write};
use crate::help::{files, head, put, rename_with, text, try_put};

#[test]
fn names_have_up_to_255_bytes() {
    let mount = Mounted::new();
    let queue = mount.queue(&"q".repeat(255));
    for length in [1, 21, 22, 23, 24, 127, 128, 254, 255] {
        let name = "n".repeat(length);
        put(queue.join(&name), &name);
        assert_eq!(head(&queue).as_deref(), Some(&*name));
        assert_eq!(text(queue.join("head")), name);
        fs::remove_file(queue.join("head")).unwrap();
    }
    fs::rename(&queue, mount.path("r".repeat(255))).unwrap();
}

#[test]
fn names_of_256_bytes_are_enametoolong() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let long = "n".repeat(256);
    put(queue.join("e"), "");
    assert_eq!(errno(try_put(queue.join(&long), "")), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::create_dir(mount.path(&long))), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::rename(queue.join("e"), queue.join(&long))), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::hard_link(queue.join("e"), queue.join(&long))), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::rename(&queue, mount.path(&long))), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::metadata(queue.join(&long))), libc::ENAMETOOLONG);
    assert_eq!(
        mknod(&queue.join(&long), SFlag::S_IFREG, Mode::S_IRUSR, 0),
        Err(Errno::ENAMETOOLONG)
    );
}

#[test]
fn a_name_may_have_any_byte_but_slash_and_zero() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names: Vec<OsString> = (1..=255_u8)
        .filter(|byte| *byte != b'/' && *byte != b'.')
        .map(|byte| OsString::from_vec(vec![byte]))
        .chain([b"a\nb".to_vec(), b"\xff\xfe".to_vec(), b"x.".to_vec()].map(OsString::from_vec))
        .collect();
    for name in &names {
        put(queue.join(name), name.as_bytes());
        assert_eq!(fs::read_link(queue.join("tail")).unwrap().as_os_str(), name);
    }
    let listed: Vec<OsString> =
        fs::read_dir(&queue).unwrap().map(|entry| entry.unwrap().file_name()).skip(2).collect();
    assert_eq!(listed, names);
    for name in &names {
        assert_eq!(fs::read(queue.join("head")).unwrap(), name.as_bytes());
        fs::remove_file(queue.join(name)).unwrap();
    }
}

#[test]
fn a_queue_may_have_any_name_too() {
    let mount = Mounted::new();
    for name in [&b"a\nb"[..], b"\xff\xfe", b" ", b"-", b"..."] {
        let path = mount.path(OsStr::from_bytes(name));
        fs::create_dir(&path).unwrap();
        put(path.join("e"), "x");
        assert_eq!(text(path.join("head")), "x");
        fs::remove_file(path.join("e")).unwrap();
        fs::remove_dir(&path).unwrap();
    }
}

#[test]
fn only_the_exact_names_head_and_tail_are_reserved() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let names = ["HEAD", "Tail", "head ", "heads", "tai", ".head", "tail\n"];
    for name in names {
        put(queue.join(name), name);
        assert_eq!(text(queue.join(name)), name);
    }
    assert_eq!(files(&queue).len(), names.len());
}

/// Tries to make `head` and `tail` in every way; returns the error numbers.
fn make_reserved(queue: &std::path::Path, other: &std::path::Path) -> Vec<i32> {
    let mut errors = Vec::new();
    for link in ["head", "tail"] {
        let path = queue.join(link);
        errors.push(errno(File::options().write(true).create_new(true).open(&path)));
        let made = mknod(&path, SFlag::S_IFREG, Mode::S_IRUSR, 0);
        errors.push(made.expect_err("reserved") as i32);
        errors.push(errno(fs::hard_link(other, &path)));
        errors.push(errno(rename_with(other, &path, libc::RENAME_NOREPLACE)));
        errors.push(errno(fs::create_dir(&path)));
        errors.push(errno(symlink("x", &path)));
    }
    errors
}

#[test]
fn reserved_names_cannot_be_made_in_an_empty_queue() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    put(other.join("e"), "");
    assert_eq!(make_reserved(&queue, &other.join("e")), [libc::EPERM; 12]);
    assert_eq!(errno(File::create(queue.join("head"))), libc::EPERM);
    assert_eq!(files(&queue), Vec::<String>::new());
}

#[test]
fn reserved_names_are_eexist_where_the_kernel_sees_one() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    put(queue.join("x"), "");
    put(other.join("e"), "");
    assert_eq!(make_reserved(&queue, &other.join("e")), [libc::EEXIST; 12]);
    // Opened without O_EXCL it is the event behind the link.
    File::options().write(true).create(true).truncate(false).open(queue.join("head")).unwrap();
    assert_eq!(files(&queue), ["x"]);
}

#[test]
fn reserved_names_stay_reserved_in_an_emptied_queue() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    put(other.join("e"), "");
    put(queue.join("x"), "");
    head(&queue);
    fs::metadata(queue.join("tail")).unwrap();
    fs::remove_file(queue.join("x")).unwrap();
    let allowed = [libc::EPERM, libc::ENOENT, libc::EEXIST];
    let errors = make_reserved(&queue, &other.join("e"));
    assert!(errors.iter().all(|error| allowed.contains(error)), "{errors:?}");
    assert_eq!((files(&queue), head(&queue)), (vec![], None));
    assert_eq!(files(&other), ["e"]);
}

#[test]
fn symbolic_links_are_eperm() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for path in [queue.join("s"), queue.join(".s"), mount.path("s")] {
        assert_eq!(errno(symlink("x", path)), libc::EPERM);
    }
}

#[test]
fn fifos_sockets_and_devices_are_eperm() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    for path in [queue.join("s"), queue.join(".s"), mount.path("s")] {
        for (kind, device) in [
            (SFlag::S_IFIFO, 0),
            (SFlag::S_IFSOCK, 0),
            (SFlag::S_IFCHR, makedev(1, 3)),
            (SFlag::S_IFBLK, makedev(7, 0)),
        ] {
            assert_eq!(mknod(&path, kind, mode, device), Err(Errno::EPERM), "{kind:?}");
        }
    }
    let bound = std::os::unix::net::UnixListener::bind(queue.join("s"));
    assert_eq!(errno(bound), libc::EPERM);
    assert_eq!(files(&queue), Vec::<String>::new());
}

#[test]
fn an_event_is_no_directory() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    assert_eq!(errno(fs::metadata(queue.join("e/x"))), libc::ENOTDIR);
    assert_eq!(errno(write(queue.join("e/x"), "")), libc::ENOTDIR);
    assert_eq!(errno(fs::read_dir(queue.join("head"))), libc::ENOTDIR);
}
