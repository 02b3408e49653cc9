//! Contract section 3: `rename` of events.

use std::fs;
use std::io::{Read, Seek, Write};

use crate::common::{Mounted, errno, sh_ok};
use crate::help::{begin, close, count, files, head, put, rename_with, tail, text};

#[test]
fn inside_a_queue_the_event_keeps_its_place() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["a", "b", "c"] {
        put(queue.join(name), name);
    }
    let seq = count(&queue.join("b"), "seq");
    fs::rename(queue.join("b"), queue.join("zz")).unwrap();
    assert_eq!(files(&queue), ["a", "zz", "c"]);
    assert_eq!(count(&queue.join("zz"), "seq"), seq);
    fs::rename(queue.join("a"), queue.join("first")).unwrap();
    fs::rename(queue.join("c"), queue.join("last")).unwrap();
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("first"), Some("last")));
    assert_eq!((count(&queue, "published"), count(&queue, "removed")), (3, 0));
}

#[test]
fn over_another_event_it_removes_that_one_and_keeps_its_own_place() {
    for (from, to, left) in [("a", "c", ["c", "b"]), ("c", "a", ["b", "a"])] {
        let mount = Mounted::new();
        let queue = mount.queue("q");
        for name in ["a", "b", "c"] {
            put(queue.join(name), name);
        }
        fs::rename(queue.join(from), queue.join(to)).unwrap();
        assert_eq!(files(&queue), left);
        assert_eq!(text(queue.join(to)), from);
        assert_eq!(head(&queue).as_deref(), Some(left[0]));
        assert_eq!(tail(&queue).as_deref(), Some(left[1]));
        assert_eq!((count(&queue, "depth"), count(&queue, "removed")), (2, 1));
    }
}

#[test]
fn a_staged_file_over_an_event_goes_to_the_tail() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "old");
    put(queue.join("b"), "");
    put(queue.join(".a"), "new");
    fs::rename(queue.join(".a"), queue.join("a")).unwrap();
    assert_eq!(files(&queue), ["b", "a"]);
    assert_eq!(text(queue.join("tail")), "new");
}

#[test]
fn an_event_from_elsewhere_over_an_event_goes_to_the_tail() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "new");
    put(two.join("a"), "old");
    put(two.join("b"), "");
    fs::rename(one.join("e"), two.join("a")).unwrap();
    assert_eq!((files(&one), files(&two)), (vec![], vec!["b".to_owned(), "a".to_owned()]));
    assert_eq!(text(two.join("tail")), "new");
}

#[test]
fn an_event_over_a_staged_file_is_withdrawn_and_replaces_it() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "event");
    put(queue.join(".a"), "staged");
    fs::rename(queue.join("a"), queue.join(".a")).unwrap();
    assert_eq!((files(&queue), head(&queue)), (vec![".a".to_owned()], None));
    assert_eq!(text(queue.join(".a")), "event");
}

#[test]
fn into_another_queue_it_is_appended_there() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    for name in ["a", "b", "c"] {
        put(one.join(name), name);
    }
    put(two.join("old"), "");
    fs::rename(one.join("b"), two.join("b")).unwrap();
    fs::rename(one.join("a"), two.join("other")).unwrap();
    assert_eq!(files(&one), ["c"]);
    assert_eq!(files(&two), ["old", "b", "other"]);
    assert_eq!(text(two.join("tail")), "a");
    assert_eq!((head(&one).as_deref(), head(&two).as_deref()), (Some("c"), Some("old")));
}

#[test]
fn a_move_is_removed_in_one_queue_and_published_in_the_other() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "12345");
    fs::rename(one.join("e"), two.join("e")).unwrap();
    let counters = |queue| ["depth", "bytes", "published", "removed"].map(|n| count(queue, n));
    assert_eq!(counters(&one), [0, 0, 1, 1]);
    assert_eq!(counters(&two), [1, 5, 1, 0]);
}

#[test]
fn what_is_not_there_is_enoent() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    assert_eq!(errno(fs::rename(one.join("e"), two.join("e"))), libc::ENOENT);
    assert_eq!(errno(fs::rename(one.join("e"), one.join("f"))), libc::ENOENT);
    assert_eq!(errno(fs::rename(mount.path("x"), mount.path("y"))), libc::ENOENT);
}

#[test]
fn a_name_renamed_to_itself_stays() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    fs::rename(queue.join("a"), queue.join("a")).unwrap();
    assert_eq!(files(&queue), ["a", "b"]);
}

#[test]
fn head_and_tail_cannot_be_renamed_nor_renamed_to() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("a"), "");
    put(one.join("b"), "");
    for link in ["head", "tail"] {
        assert_eq!(errno(fs::rename(one.join(link), one.join("x"))), libc::EPERM, "{link}");
        assert_eq!(errno(fs::rename(one.join(link), two.join("x"))), libc::EPERM, "{link}");
        assert_eq!(errno(fs::rename(one.join("a"), one.join(link))), libc::EPERM, "{link}");
        // In an empty queue too.
        assert_eq!(errno(fs::rename(one.join("a"), two.join(link))), libc::EPERM, "{link}");
    }
    assert_eq!((files(&one).len(), files(&two).len()), (2, 0));
}

#[test]
fn noreplace_refuses_a_name_that_is_taken() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("a"), "a");
    put(one.join("b"), "b");
    put(two.join("b"), "b");
    let no = libc::RENAME_NOREPLACE;
    assert_eq!(errno(rename_with(&one.join("a"), &one.join("b"), no)), libc::EEXIST);
    assert_eq!(errno(rename_with(&one.join("a"), &two.join("b"), no)), libc::EEXIST);
    assert_eq!(errno(rename_with(&one.join("a"), &one.join("head"), no)), libc::EEXIST);
    rename_with(&one.join("a"), &one.join("c"), no).unwrap();
    rename_with(&one.join("b"), &two.join("d"), no).unwrap();
    assert_eq!((files(&one), files(&two)), (vec!["c".into()], vec!["b".into(), "d".into()]));
}

#[test]
fn exchange_is_einval() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("a"), "a");
    put(one.join("b"), "b");
    let exchange = libc::RENAME_EXCHANGE;
    assert_eq!(errno(rename_with(&one.join("a"), &one.join("b"), exchange)), libc::EINVAL);
    assert_eq!(errno(rename_with(&one, &two, exchange)), libc::EINVAL);
    assert_eq!(text(one.join("a")), "a");
}

#[test]
fn whiteout_is_einval() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "a");
    let whiteout = libc::RENAME_WHITEOUT;
    assert_eq!(errno(rename_with(&queue.join("a"), &queue.join("b"), whiteout)), libc::EINVAL);
    assert_eq!(files(&queue), ["a"]);
}

#[test]
fn an_open_handle_follows_its_event() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    let mut file = begin(one.join("a"));
    file.write_all(b"one").unwrap();
    fs::rename(one.join("a"), two.join("b")).unwrap();
    file.write_all(b"two").unwrap();
    file.rewind().unwrap();
    let mut all = String::new();
    file.read_to_string(&mut all).unwrap();
    assert_eq!(all, "onetwo");
    close(file);
    assert_eq!(text(two.join("head")), "onetwo");
}

#[test]
fn the_replaced_event_stays_readable_where_it_is_open() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "new");
    put(queue.join("b"), "replaced");
    let mut old = fs::File::open(queue.join("b")).unwrap();
    fs::rename(queue.join("a"), queue.join("b")).unwrap();
    let mut content = String::new();
    old.read_to_string(&mut content).unwrap();
    assert_eq!((content.as_str(), text(queue.join("b")).as_str()), ("replaced", "new"));
}

#[test]
fn a_shell_claims_the_oldest_with_mv() {
    let mount = Mounted::new();
    mount.queue("q");
    mount.queue("mine");
    let said = sh_ok(
        &mount.point,
        "for i in 1 2 3; do echo $i > q/e$i; done
         while n=$(readlink q/head); do mv \"q/$n\" mine/ && cat \"mine/$n\"; rm \"mine/$n\"; done",
    );
    assert_eq!(said, "1\n2\n3\n");
}

#[test]
fn rename_changes_the_change_time_and_not_the_modification_time() {
    use std::os::unix::fs::MetadataExt;
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "x");
    let before = fs::metadata(queue.join("a")).unwrap();
    fs::rename(queue.join("a"), queue.join("b")).unwrap();
    let after = fs::metadata(queue.join("b")).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    let time = |m: &fs::Metadata| (m.ctime(), m.ctime_nsec());
    assert!(time(&after) >= time(&before));
}
