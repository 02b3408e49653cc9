//! `pop --wait`.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::common::{Mounted, close, is_root, sh_ok, wait_until, write};
use crate::help::{
    Background, as_somebody, command, depth, events, fill, mode, pop, put, run, user,
};

fn waiter(queue: &Path) -> Background {
    let waiter = Background::pop(queue, &["--wait"]);
    waiter.wait_until_it_waits();
    waiter
}

/// What a waiter prints when this happens.
fn woken_by(queue: &Path, happening: impl FnOnce()) -> String {
    let mut waiter = waiter(queue);
    happening();
    let printed = waiter.finish().ok();
    assert_eq!(depth(queue), 0);
    printed
}

#[test]
fn every_way_of_publication_wakes() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("r"));
    fill(&other, "e", 2);
    let written = woken_by(&queue, || write(queue.join("a"), "written").unwrap());
    assert_eq!(written, "written");
    let moved = || fs::rename(other.join("e-00000"), queue.join("b")).unwrap();
    assert_eq!(woken_by(&queue, moved), "e-00000\n");
    let linked = || fs::hard_link(other.join("e-00001"), queue.join("c")).unwrap();
    assert_eq!(woken_by(&queue, linked), "e-00001\n");
    let bits = Mode::from_bits_truncate(0o644);
    let made = || mknod(&queue.join("d"), SFlag::S_IFREG, bits, 0).unwrap();
    assert_eq!(woken_by(&queue, made), "");
    write(queue.join(".staged"), "staged").unwrap();
    let staged = || fs::rename(queue.join(".staged"), queue.join("e")).unwrap();
    assert_eq!(woken_by(&queue, staged), "staged");
}

#[test]
fn a_waiter_waits_until_a_slow_writer_closes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut waiter = waiter(&queue);
    let file = File::create(queue.join("a")).unwrap();
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(waiter.is_running());
    close(file);
    waiter.finish().ok();
}

#[test]
fn what_is_there_is_printed_at_once() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fill(&queue, "e", 3);
    assert_eq!(pop(&queue, &["--wait", "-n", "2"]).ok(), "e-00000\ne-00001\n");
    assert_eq!(pop(&queue, &["--wait=30", "--all"]).ok(), "e-00002\n");
}

#[test]
fn a_wait_may_time_out_with_status_3() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for (option, least) in [("--wait=0", 0), ("--wait=0.3", 300), ("--wait=1", 1_000)] {
        let start = Instant::now();
        let told = pop(&queue, &[option]);
        assert_eq!((told.code, told.out, told.err.as_str()), (3, vec![], ""), "{option}");
        assert!(start.elapsed() >= Duration::from_millis(least), "{option}");
    }
}

#[test]
fn other_happenings_do_not_end_a_wait() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut waiter = waiter(&queue);
    write(queue.join(".staged"), "").unwrap();
    mode(&queue, 0o700);
    fs::remove_file(queue.join(".staged")).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(waiter.is_running());
    put(&queue.join("a"), "x");
    assert_eq!(waiter.finish().ok(), "x");
}

#[test]
fn the_removal_of_the_queue_ends_a_wait() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut waiter = waiter(&queue);
    fs::remove_dir(&queue).unwrap();
    let line = waiter.finish().refused(1);
    assert_eq!(line, format!("eventfs: {}: No such file or directory", queue.display()));
}

#[test]
fn the_end_of_the_owner_ends_a_wait() {
    let mount = Mounted::with("allow_other,grace=0");
    let queue = mount.path("q");
    let script = format!("{} mkqueue --owner $$ q && exec sleep 60", crate::common::EVENTFS);
    let mut owner = std::process::Command::new("bash");
    owner.arg("-c").arg(script).current_dir(&mount.point);
    let mut owner = Background::start(owner);
    wait_until("the queue", || queue.exists());
    let mut waiter = waiter(&queue);
    owner.kill();
    waiter.finish().refused(1);
}

#[test]
fn another_queue_under_the_name_is_not_waited_for() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut waiter = waiter(&queue);
    fs::rename(&queue, mount.path("old")).unwrap();
    mount.queue("q");
    let line = waiter.finish().line();
    assert!(line.starts_with(&format!("eventfs: {}: ", queue.display())), "{line}");
    assert_eq!(waiter.finish().code, 1);
}

#[test]
fn a_wait_ends_with_the_mount() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut waiter = waiter(&queue);
    mount.end();
    waiter.finish().refused(1);
}

#[test]
fn a_bind_mount_of_a_queue_tells_its_end() {
    if !is_root() {
        return crate::common::skip("bind mounts need root");
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let dir = tempfile::tempdir().unwrap();
    let quoted = |path: &Path| format!("'{}'", path.display());
    sh_ok(dir.path(), &format!("mount --bind {} {}", quoted(&queue), quoted(dir.path())));
    let _bind = crate::common::Unmounted(dir.path().to_owned());
    let mut waiter = waiter(dir.path());
    put(&queue.join("a"), "x");
    let first = waiter.finish();
    let mut waiter = Background::pop(dir.path(), &["--wait"]);
    waiter.wait_until_it_waits();
    // The queue itself cannot be removed here, where it is not the mountpoint, until it is empty.
    fs::remove_dir(&queue).unwrap();
    let second = waiter.finish();
    let third = pop(dir.path(), &[]);
    sh_ok(Path::new("/"), &format!("umount {}", quoted(dir.path())));
    assert_eq!((first.ok().as_str(), second.code), ("x", 1));
    assert_eq!(
        (third.code, third.line().split(": ").last()),
        (1, Some("No such file or directory"))
    );
}

#[test]
fn each_of_many_waiters_gets_one_of_as_many_events() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut waiters: Vec<_> = (0..8).map(|_| Background::pop(&queue, &["--wait"])).collect();
    waiters.iter().for_each(Background::wait_until_it_waits);
    let names = fill(&queue, "e", 8);
    let mut printed: Vec<String> = waiters.iter_mut().map(|waiter| waiter.finish().ok()).collect();
    printed.sort();
    assert_eq!(printed.concat(), names.join("\n") + "\n");
}

#[test]
fn who_may_not_list_the_queue_can_wait_all_the_same() {
    if !is_root() {
        return crate::common::skip("other users need root");
    }
    let mount = Mounted::new();
    let queue = mount.queue("q");
    chown(&queue, Some(5001), Some(5001)).unwrap();
    mode(&queue, 0o733);
    let mut waiter = as_somebody(&user(5002), &["pop", "--wait"]);
    waiter.arg(&queue);
    let mut waiter = Background::start(waiter);
    waiter.wait_until_it_waits();
    put(&queue.join("a"), "x");
    assert_eq!(waiter.finish().ok(), "x");
    let mut waiter = as_somebody(&user(5002), &["pop", "--wait=0.2"]);
    waiter.arg(&queue);
    assert_eq!(Background::start(waiter).finish().code, 3);
    let mut waiter = as_somebody(&user(5002), &["pop", "--wait"]);
    waiter.arg(&queue);
    let mut waiter = Background::start(waiter);
    waiter.wait_until_it_waits();
    fs::remove_dir(&queue).unwrap();
    waiter.finish().refused(1);
}

#[test]
fn events_of_a_killed_consumer_wake_those_who_wait() {
    for options in ["allow_other", "allow_other,notify=off"] {
        let mount = Mounted::with(options);
        let queue = mount.queue("q");
        put(&queue.join("big"), vec![b'x'; 200_000]);
        // Its output is a pipe that nobody reads.
        let (reader, writer) = std::io::pipe().unwrap();
        let mut holder = command(&["pop"]);
        holder.arg(&queue).stdout(writer);
        let mut holder = holder.spawn().unwrap();
        wait_until("the event in its hands", || events(&queue).is_empty());
        let mut waiter = waiter(&queue);
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(waiter.finish().ok().len(), 200_000, "{options}");
        drop(reader);
    }
}

#[test]
fn a_wait_on_nothing_is_refused_at_once() {
    let plain = tempfile::tempdir().unwrap();
    let told = run(&["pop", "--wait", plain.path().to_str().unwrap()]);
    assert!(told.refused(1).ends_with("not a queue of an eventfs mount"));
}
