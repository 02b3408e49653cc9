//! What a peer of the daemon can ask for is bounded, whatever it asks.

use std::fs::File;
use std::os::fd::AsFd;

use eventfs::sys::ioctl::exchange;
use eventfs::wire;

use crate::common::{Mounted, errno, set};
use crate::help::{files, put};

/// The door of a queue, with the right to take.
fn door(queue: &std::path::Path) -> File {
    let door = File::open(queue.join(".eventfs-door")).expect("door");
    let mut buffer = [0; wire::BUFFER_BYTES];
    exchange(door.as_fd(), wire::request(wire::BEGIN), &mut buffer).expect("begin");
    let permit = queue.join(wire::permit_name(wire::number(&buffer).expect("a number")));
    assert_eq!(errno(std::fs::remove_file(permit)), libc::EALREADY);
    door
}

fn ask(door: &File, command: u8, fill: impl FnOnce(&mut wire::Buffer)) -> wire::Buffer {
    let mut buffer = [0; wire::BUFFER_BYTES];
    fill(&mut buffer);
    exchange(door.as_fd(), wire::request(command), &mut buffer).expect("an answer");
    buffer
}

#[test]
fn a_consumer_gets_one_bounded_batch_whatever_it_asks_for() {
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    for number in 0..1_200 {
        put(queue.join(format!("{number}")), "");
    }
    let door = door(&queue);
    let all = |buffer: &mut wire::Buffer| wire::ask_take(buffer, u32::MAX, u32::MAX);
    let first = wire::batch(&ask(&door, wire::TAKE, all)).expect("a batch").len();
    assert!((1..=1_024).contains(&first), "{first} events");
    // It confirms more than it has: what it has goes, and no more.
    let second = wire::batch(&ask(&door, wire::TAKE, all)).expect("a batch").len();
    drop(door);
    assert!(second > 0);
    crate::common::wait_until("the second batch to return", || {
        files(&queue).len() == 1_200 - first
    });
}

#[test]
fn absurd_places_and_offsets_are_answered_with_nothing() {
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    put(queue.join("e"), "content");
    let door = door(&queue);
    ask(&door, wire::TAKE, |buffer| wire::ask_take(buffer, 0, 1));
    let piece = ask(&door, wire::READ, |buffer| wire::ask_read(buffer, 0, u64::MAX));
    assert_eq!(wire::piece(&piece), Ok(&b""[..]));
    let mut buffer = [0; wire::BUFFER_BYTES];
    wire::ask_read(&mut buffer, u32::MAX, 0);
    let beyond = exchange(door.as_fd(), wire::request(wire::READ), &mut buffer);
    assert_eq!(errno(beyond), libc::ENOENT);
    let directory = File::open(&queue).expect("open");
    let told = ask(&directory, wire::SCAN, |buffer| wire::ask_scan(buffer, u64::MAX, u32::MAX));
    assert_eq!(wire::scanned(&told).expect("an answer").1, []);
}

#[test]
fn an_ioctl_that_is_not_ours_is_enotty() {
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    put(queue.join("e"), "");
    let things = [File::open(&queue), File::open(queue.join("e")), File::open(&mounted.point)];
    for thing in things {
        let thing = thing.expect("open");
        for command in [0, 5, 77, 255] {
            let mut buffer = [0xff; wire::BUFFER_BYTES];
            let asked = exchange(thing.as_fd(), wire::request(command), &mut buffer);
            assert_eq!(errno(asked), libc::ENOTTY);
        }
    }
    assert_eq!(files(&queue), ["e"]);
}

#[test]
fn the_names_of_all_attributes_of_a_file_are_bounded() {
    let mounted = Mounted::new();
    let queue = mounted.queue("q");
    put(queue.join("e"), "");
    for path in [queue.join("e"), queue] {
        let set = |number: usize| set(&path, &format!("user.{number:0>240}"), "");
        let refused = (0..400).find_map(|number| set(number).err()).expect("a bound");
        assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
        // So they can always be listed.
        assert!(xattr::list(&path).expect("list").count() > 200);
    }
}
