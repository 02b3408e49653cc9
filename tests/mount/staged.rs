//! Contract section 3: names that start with a dot.

use std::fs;
use std::io::Write;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, sh_ok};
use crate::help::{begin, close, count, files, head, put, tail, text};

fn ends(queue: &Path) -> (Option<String>, Option<String>) {
    (head(queue), tail(queue))
}

fn both(first: &str, last: &str) -> (Option<String>, Option<String>) {
    (Some(first.to_owned()), Some(last.to_owned()))
}

#[test]
fn a_dot_name_never_counts_as_an_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".a"), "x");
    put(queue.join("..."), "x");
    put(queue.join(".head"), "x");
    mknod(&queue.join(".m"), SFlag::S_IFREG, Mode::S_IRUSR, 0).unwrap();
    assert_eq!(ends(&queue), (None, None));
    for counter in ["depth", "published", "removed"] {
        assert_eq!(count(&queue, counter), 0, "{counter}");
    }
    assert_eq!(count(&queue, "bytes"), 3);
    assert_eq!(files(&queue), [".a", "...", ".head", ".m"]);
}

#[test]
fn renaming_to_a_plain_name_publishes_at_the_tail() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".a"), "staged first");
    put(queue.join("b"), "");
    fs::rename(queue.join(".a"), queue.join("a")).unwrap();
    assert_eq!(ends(&queue), both("b", "a"));
    assert_eq!(files(&queue), ["b", "a"]);
    assert_eq!(count(&queue, "published"), 2);
}

#[test]
fn linking_to_a_plain_name_publishes_at_the_tail() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".a"), "x");
    put(queue.join("b"), "");
    fs::hard_link(queue.join(".a"), queue.join("a")).unwrap();
    assert_eq!(ends(&queue), both("b", "a"));
    assert_eq!(files(&queue), ["b", "a", ".a"]);
}

#[test]
fn linking_an_event_to_a_dot_name_makes_a_staged_link() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "x");
    fs::hard_link(queue.join("a"), queue.join(".a")).unwrap();
    assert_eq!(ends(&queue), both("a", "a"));
    assert_eq!(count(&queue, "depth"), 1);
    fs::remove_file(queue.join("a")).unwrap();
    assert_eq!(ends(&queue), (None, None));
    assert_eq!(text(queue.join(".a")), "x");
}

#[test]
fn renaming_an_event_to_a_dot_name_withdraws_it() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "x");
    put(queue.join("b"), "");
    fs::rename(queue.join("a"), queue.join(".a")).unwrap();
    assert_eq!(ends(&queue), both("b", "b"));
    assert_eq!((count(&queue, "depth"), count(&queue, "removed")), (1, 1));
    fs::rename(queue.join("b"), queue.join(".b")).unwrap();
    assert_eq!(ends(&queue), (None, None));
    assert_eq!(text(queue.join(".a")), "x");
}

#[test]
fn an_event_withdrawn_and_published_again_goes_to_the_tail() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    let first = count(&queue.join("a"), "seq");
    fs::rename(queue.join("a"), queue.join(".a")).unwrap();
    fs::rename(queue.join(".a"), queue.join("a")).unwrap();
    assert_eq!(ends(&queue), both("b", "a"));
    assert!(count(&queue.join("a"), "seq") > count(&queue.join("b"), "seq"));
    assert!(count(&queue.join("b"), "seq") > first);
}

#[test]
fn a_staged_file_renamed_to_another_dot_name_stays_staged() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".a"), "");
    fs::rename(queue.join(".a"), queue.join(".b")).unwrap();
    assert_eq!(ends(&queue), (None, None));
    assert_eq!((files(&queue), count(&queue, "published")), (vec![".b".to_owned()], 0));
}

#[test]
fn a_staged_file_that_is_still_open_can_be_published() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut file = begin(queue.join(".a"));
    file.write_all(b"all of it").unwrap();
    fs::rename(queue.join(".a"), queue.join("a")).unwrap();
    assert_eq!(text(queue.join("head")), "all of it");
    close(file);
    assert_eq!((ends(&queue), count(&queue, "published")), (both("a", "a"), 1));
}

#[test]
fn an_unfinished_file_renamed_to_a_plain_name_stays_unfinished() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("a"));
    fs::rename(queue.join("a"), queue.join("b")).unwrap();
    assert_eq!(ends(&queue), (None, None));
    close(file);
    assert_eq!(ends(&queue), both("b", "b"));
}

#[test]
fn an_unfinished_file_renamed_to_a_dot_name_is_staged_and_its_close_changes_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("a"));
    fs::rename(queue.join("a"), queue.join(".a")).unwrap();
    close(file);
    assert_eq!((ends(&queue), count(&queue, "published")), ((None, None), 0));
    fs::rename(queue.join(".a"), queue.join("a")).unwrap();
    assert_eq!(ends(&queue), both("a", "a"));
}

#[test]
fn an_unfinished_file_moved_to_another_queue_is_published_there_at_its_close() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    let file = begin(one.join("a"));
    fs::rename(one.join("a"), two.join("b")).unwrap();
    assert_eq!((head(&one), head(&two)), (None, None));
    close(file);
    assert_eq!((head(&one), head(&two)), (None, Some("b".into())));
    assert_eq!((count(&one, "published"), count(&one, "removed")), (0, 0));
    assert_eq!(count(&two, "published"), 1);
}

#[test]
fn a_staged_file_moved_to_another_queue_under_a_plain_name_is_published_there() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(two.join("z"), "");
    put(one.join(".a"), "x");
    fs::rename(one.join(".a"), two.join("a")).unwrap();
    assert_eq!(ends(&two), both("z", "a"));
    assert_eq!((count(&one, "published"), count(&one, "removed")), (0, 0));
}

#[test]
fn removing_a_staged_file_counts_nowhere() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".a"), "x");
    fs::remove_file(queue.join(".a")).unwrap();
    assert_eq!((count(&queue, "removed"), count(&queue, "bytes")), (0, 0));
}

#[test]
fn staging_in_a_shell_shows_only_whole_events() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let said = sh_ok(
        &queue,
        "for i in {1..100}; do echo part > .t; echo rest >> .t; [ -L tail ] && [ tail -ef .t ] && exit 1
         mv .t e$i; [ tail -ef e$i ] || exit 1; done; ls -U | sed -n 3,5p; cat tail",
    );
    assert_eq!(said, "e1\ne2\ne3\npart\nrest\n");
}
