//! Contract section 3: when a file becomes an event.

use std::fs::{self, File};
use std::io::Write;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, errno, sh, sh_ok, wait_until, write};
use crate::help::{begin, close, count, files, head, is_absent, put, tail, text};

#[test]
fn order_is_the_order_of_publication_whatever_the_names() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let order = ["m", "z", "a", "0", "ZZ", "~", "b"];
    for name in order {
        put(queue.join(name), "");
        assert_eq!(tail(&queue).as_deref(), Some(name));
    }
    assert_eq!(files(&queue), order);
    for name in order {
        assert_eq!(head(&queue).as_deref(), Some(name));
        fs::remove_file(queue.join("head")).unwrap();
    }
}

#[test]
fn a_file_is_published_when_it_is_closed_not_when_it_is_created() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let slow = begin(queue.join("slow"));
    put(queue.join("fast"), "");
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("fast"), Some("fast")));
    close(slow);
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("fast"), Some("slow")));
    assert_eq!(files(&queue), ["fast", "slow"]);
}

#[test]
fn an_unfinished_file_is_listed_and_usable_but_the_links_skip_it() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut file = begin(queue.join("e"));
    assert_eq!((head(&queue), tail(&queue)), (None, None));
    file.write_all(b"half").unwrap();
    assert_eq!(files(&queue), ["e"]);
    assert_eq!(text(queue.join("e")), "half");
    assert_eq!((head(&queue), tail(&queue)), (None, None));
    assert_eq!(count(&queue, "depth"), 0);
    close(file);
    assert_eq!((head(&queue).as_deref(), count(&queue, "depth")), (Some("e"), 1));
}

#[test]
fn the_last_copy_of_the_creating_handle_decides() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    let copy = file.try_clone().unwrap();
    close(file);
    assert_eq!(head(&queue), None);
    close(copy);
    assert_eq!(head(&queue).as_deref(), Some("e"));
}

#[test]
fn other_handles_neither_publish_nor_delay() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let creator = begin(queue.join("e"));
    let writer = File::options().write(true).open(queue.join("e")).unwrap();
    close(writer);
    assert_eq!(head(&queue), None);
    let reader = File::open(queue.join("e")).unwrap();
    close(creator);
    assert_eq!(head(&queue).as_deref(), Some("e"));
    close(reader);
    assert_eq!(count(&queue, "published"), 1);
}

#[test]
fn an_event_opened_again_keeps_its_place() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "1");
    put(queue.join("b"), "2");
    let mut file = File::options().append(true).open(queue.join("a")).unwrap();
    file.write_all(b"1").unwrap();
    close(file);
    assert_eq!(head(&queue).as_deref(), Some("a"));
    assert_eq!(files(&queue), ["a", "b"]);
    assert_eq!(count(&queue, "published"), 2);
}

#[test]
fn publication_is_exact_for_one_process() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for round in 0..5_000 {
        let name = format!("e{round}");
        put(queue.join(&name), "x");
        assert_eq!(tail(&queue), Some(name));
    }
    assert_eq!(count(&queue, "depth"), 5_000);
}

#[test]
fn publication_is_exact_for_a_shell_with_readlink() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    sh_ok(
        &queue,
        "for i in {1..1000}; do echo x > a$i; t=$(readlink tail)
         [ \"$t\" = a$i ] || { echo \"$t instead of a$i\" >&2; exit 1; }; done",
    );
}

#[test]
fn publication_is_exact_for_a_shell_without_a_fork_between() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    sh_ok(&queue, "for i in {1..4000}; do echo x > a$i; [ tail -ef a$i ] || exit 1; done");
}

#[test]
fn publication_is_exact_beside_busy_writers() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mount.queue("noise");
    sh_ok(
        &mount.point,
        "for w in 1 2 3; do (i=0; while [ ! -e q/stop ]; do i=$((i+1)); echo y > noise/$w.$i
           rm noise/$w.$i; done) & done
         for i in {1..300}; do (echo x > q/a$i); [ q/tail -ef q/a$i ] || bad=$i; done
         echo > q/stop; wait; [ -z \"$bad\" ]",
    );
    assert_eq!(count(&queue, "depth"), 301);
}

#[test]
fn a_group_of_commands_makes_one_whole_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let said = sh_ok(
        &queue,
        "{ echo a; /bin/echo b; readlink head >&2 && exit 1; (echo c); [ ! -L tail ] || exit 1; } > f
         cat head",
    );
    assert_eq!(said, "a\nb\nc\n");
    assert_eq!(count(&queue, "published"), 1);
}

#[test]
fn a_background_child_that_inherits_the_handle_delays_publication() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let said = sh_ok(
        &queue,
        "exec 3> f; (until [ -e .go ]; do sleep 0.01; done; echo late >&3) &
         exec 3>&-; [ -L head ] && echo early; : > .go; wait; cat head",
    );
    assert_eq!(said, "late\n");
}

#[test]
fn mknod_publishes_at_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mknod(&queue.join("e"), SFlag::S_IFREG, Mode::S_IRUSR | Mode::S_IWUSR, 0).unwrap();
    assert_eq!((head(&queue).as_deref(), count(&queue, "depth")), (Some("e"), 1));
    // Being written later does not change that.
    write(queue.join("e"), "later").unwrap();
    assert_eq!((text(queue.join("head")).as_str(), count(&queue, "published")), ("later", 1));
}

#[test]
fn link_publishes_at_once_even_an_unfinished_file() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    fs::hard_link(queue.join("e"), queue.join("f")).unwrap();
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("f"), Some("f")));
    close(file);
    assert_eq!((head(&queue).as_deref(), tail(&queue).as_deref()), (Some("f"), Some("e")));
}

#[test]
fn publish_create_makes_an_event_of_a_new_file_at_once() {
    let mount = Mounted::with("allow_other,publish=create");
    let queue = mount.queue("q");
    let slow = begin(queue.join("slow"));
    assert_eq!((head(&queue).as_deref(), count(&queue, "depth")), (Some("slow"), 1));
    put(queue.join("fast"), "");
    close(slow);
    assert_eq!(files(&queue), ["slow", "fast"]);
    assert_eq!((tail(&queue).as_deref(), count(&queue, "published")), (Some("fast"), 2));
}

#[test]
fn publish_create_leaves_dot_names_staged() {
    let mount = Mounted::with("allow_other,publish=create");
    let queue = mount.queue("q");
    let file = begin(queue.join(".e"));
    assert_eq!(head(&queue), None);
    close(file);
    assert_eq!((head(&queue), count(&queue, "depth")), (None, 0));
}

#[test]
fn an_unfinished_file_that_is_removed_is_never_published() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    fs::remove_file(queue.join("e")).unwrap();
    close(file);
    assert_eq!((head(&queue), count(&queue, "published")), (None, 0));
    assert_eq!(files(&queue), Vec::<String>::new());
}

#[test]
fn a_name_reused_while_the_first_file_is_open_belongs_to_the_second() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut first = begin(queue.join("e"));
    fs::remove_file(queue.join("e")).unwrap();
    let mut second = begin(queue.join("e"));
    first.write_all(b"first").unwrap();
    second.write_all(b"second").unwrap();
    close(first);
    assert_eq!(head(&queue), None);
    close(second);
    assert_eq!(text(queue.join("head")), "second");
}

#[test]
fn a_file_cannot_be_created_twice() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let file = begin(queue.join("e"));
    assert_eq!(errno(File::options().write(true).create_new(true).open(queue.join("e"))), 17);
    close(file);
    assert_eq!(errno(File::options().write(true).create_new(true).open(queue.join("e"))), 17);
}

#[test]
fn a_killed_producer_publishes_what_it_had_written() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let ended = sh(&queue, "exec 3> e; echo part >&3; [ -L head ] && exit 1; kill -9 $$");
    assert!(!ended.status.success());
    wait_until("publication", || head(&queue).is_some());
    assert_eq!(text(queue.join("head")), "part\n");
}

#[test]
fn a_killed_producer_that_stages_publishes_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    sh(&queue, "exec 3> .e; echo part >&3; kill -9 $$");
    assert_eq!((head(&queue), count(&queue, "published")), (None, 0));
    assert!(!is_absent(&queue.join(".e")));
}

#[test]
fn an_empty_file_is_an_event_too() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    sh_ok(&queue, ": > e; touch f");
    assert_eq!(files(&queue), ["e", "f"]);
    assert_eq!((head(&queue).as_deref(), count(&queue, "depth")), (Some("e"), 2));
}
