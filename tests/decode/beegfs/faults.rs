//! What a listener does about servers that do wrong.

use std::time::Duration;

use eventfs::decode::beegfs::{Cause, End, Fault, Packet, Session, Step, V1Packet};
use eventfs::event::Class;
use serde_json::Value;

use super::driver::{Tap, gap, message};
use super::samples::packets;
use crate::metadata_server::{Identity, created};

#[test]
fn a_server_of_another_major_version_is_refused_and_left_waiting() {
    let mut tap = Tap::fresh();
    let handshake = Identity { major: 3, ..Identity::node(12) }.handshake();
    let mut waits = Vec::new();
    for _ in 0..7 {
        let end = tap.closes(&handshake);
        assert_eq!(end.cause, Cause::Refused { major: 3 });
        waits.push(end.wait.as_secs());
        tap.reconnect();
        let sent = tap.out.sent.len();
        assert!(!tap.session.wants_packets(), "not before its time");
        assert_eq!(tap.wait(), Step::Go);
        assert_eq!((tap.out.sent.len(), tap.session.wants_packets()), (sent + 1, true));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    // Another server does not wait with it.
    let other = Session::accept(&tap.memory, 43, tap.now, &mut tap.out);
    assert!(other.wants_packets());
    // Once it does well all is forgiven.
    tap.open(9, 0);
    tap.event(0);
    tap.end();
    tap.reconnect();
    assert!(tap.session.wants_packets());
}

#[test]
fn a_higher_minor_version_may_have_more_fields() {
    let mut tap = Tap::fresh();
    let handshake = Identity { minor: 1, ..Identity::node(12) }.handshake();
    tap.goes_on(&handshake);
    let longer = |mut packet: Vec<u8>| {
        packet.extend_from_slice(b"later");
        packet
    };
    tap.goes_on(&longer(Packet::Range { next: 9, oldest: 0 }.to_bytes()));
    let payload = longer(created(0));
    tap.goes_on(&longer(Packet::Message { msn: 0, payload: &payload }.to_bytes()));
    assert_eq!(tap.out.msns(), [0]);
    let mut strict = Tap::fresh();
    strict.open(9, 0);
    let end = strict.closes(&longer(message(0)));
    assert!(matches!(end.cause, Cause::Broken(Fault::Size { .. })));
}

#[test]
fn a_broken_event_is_delivered_once_in_its_place() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    tap.event(0);
    let mut broken = message(1);
    broken[18] = 3;
    let end = tap.closes(&broken);
    assert_eq!(end.cause, Cause::Broken(Fault::Format(3)));
    assert_eq!(end.wait, Duration::from_secs(1));
    let event = &tap.out.events[1];
    assert_eq!((event.kind.as_str(), event.class), ("beegfs.unreadable", Class::Unreadable));
    assert_eq!(event.name, "beegfs-0000000012-00000000000000000001");
    let data: Value = serde_json::from_slice(&event.data).expect("JSON");
    assert_eq!(data["reason"], "unknown event format 3");
    assert_eq!(data["msn"], 1);
    // It is asked for once more, and passed over if it is still broken.
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    assert_eq!(tap.out.starts(), [0, 1]);
    tap.goes_on(&broken);
    tap.event(2);
    assert_eq!(tap.out.msns(), [0, 1, 2]);
    assert_eq!((tap.out.dropped.len(), tap.out.notes.len()), (1, 0));
}

#[test]
fn an_event_that_was_damaged_on_its_way_is_delivered_when_it_comes_whole() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    tap.event(0);
    tap.closes(&message(1)[..40]);
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    tap.event(1);
    tap.event(2);
    assert_eq!(tap.out.msns(), [0, 1, 1, 2]);
    let classes: Vec<Class> = tap.out.events.iter().map(|event| event.class).collect();
    assert_eq!(classes, [Class::Record, Class::Unreadable, Class::Record, Class::Record]);
    assert_eq!(tap.out.notes, []);
}

#[test]
fn cut_events_are_delivered_in_their_places() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    tap.closes(&message(0)[..40]);
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    tap.event(1);
    assert_eq!(tap.out.msns(), [0, 1]);
    // The same, as the socket tells it: longer than the buffer.
    let long = message(2);
    let step = tap.session.on_packet(&mut tap.memory, &long, true, tap.now, &mut tap.out);
    let Step::Close(End { cause: Cause::Broken(Fault::Truncated), .. }) = step else {
        panic!("{step:?}")
    };
    assert_eq!(tap.out.msns(), [0, 1, 2]);
    assert_eq!(tap.out.events[2].class, Class::Unreadable);
}

#[test]
fn a_broken_event_in_place_of_the_overlap_is_not_taken_for_another_queue() {
    let mut tap = Tap::after(29);
    tap.open(50, 0);
    let broken = &message(29)[..60];
    tap.closes(broken);
    assert_eq!(tap.out.events[0].position, None);
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(50, 0);
    tap.goes_on(broken);
    tap.event(30);
    assert_eq!(tap.out.msns(), [u64::MAX, 30]);
    assert_eq!(tap.out.starts(), [29, 29]);
    assert_eq!(tap.out.notes, []);
}

#[test]
fn junk_is_delivered_once_and_then_passed_over() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    tap.event(0);
    tap.closes(b"junk");
    assert_eq!(tap.out.events[1].position, None);
    assert_eq!(
        tap.out.events[1].name,
        "beegfs-unreadable-00000000000000001000-00000000000000000001"
    );
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    tap.event(0);
    tap.goes_on(b"junk");
    tap.event(1);
    assert_eq!(tap.out.events.len(), 3);
    assert_eq!(tap.out.notes, []);
}

#[test]
fn a_broken_event_ahead_is_believed_when_it_comes_again() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    tap.event(0);
    let mut broken = message(3);
    broken.pop();
    tap.closes(&broken);
    assert_eq!(tap.out.events[1].position, None, "its number may be damaged too");
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    tap.event(0);
    tap.goes_on(&broken);
    tap.event(4);
    assert_eq!(tap.out.events.len(), 3);
    assert_eq!(tap.out.notes.iter().map(gap).collect::<Vec<_>>(), [(1, 2)]);
    // Numbers from nowhere are not believed at all.
    let mut far = message(1 << 40);
    far.pop();
    tap.closes(&far);
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    tap.event(4);
    tap.goes_on(&far);
    tap.event(5);
    assert_eq!(tap.out.notes.len(), 1);
}

#[test]
fn events_before_the_stream_are_not_lost() {
    let mut tap = Tap::fresh();
    let end = tap.closes(&message(7));
    assert_eq!(end.cause, Cause::Broken(Fault::OutOfOrder("Send_Message")));
    assert_eq!(tap.out.events[0].source, "/beegfs/meta/unknown");
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.goes_on(&Identity::node(12).handshake());
    tap.closes(&message(7));
    assert_eq!(tap.out.events[1].source, "/beegfs/meta/12");
    let data: Value = serde_json::from_slice(&tap.out.events[1].data).expect("JSON");
    assert!(data["raw_base64"].as_str().is_some_and(|raw| raw.starts_with("CGV2ZW50cw")));
}

#[test]
fn a_silent_connection_is_closed_after_five_seconds() {
    let mut tap = Tap::fresh();
    tap.now.steady = Duration::from_millis(4_999);
    assert_eq!(tap.session.on_timer(&mut tap.memory, tap.now, &mut tap.out), Step::Go);
    let Step::Close(end) = tap.wait() else { panic!("it waits on") };
    assert_eq!((end.cause, tap.now.steady.as_secs()), (Cause::Late, 5));
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.goes_on(&Identity::node(12).handshake());
    assert!(matches!(tap.wait(), Step::Close(End { cause: Cause::Late, .. })), "no range either");
    tap.reconnect();
    assert_eq!(tap.wait(), Step::Go);
    tap.open(9, 0);
    assert_eq!(tap.session.deadline(), None, "a stream may be silent for ever");
}

#[test]
fn unknown_types_are_ignored_and_said_once() {
    let mut tap = Tap::fresh();
    let unknown = packets().into_iter().filter(|s| s.name.starts_with("unknown_type"));
    let unknown: Vec<_> = unknown.map(|sample| sample.bytes).collect();
    tap.goes_on(&unknown[0]);
    tap.open(9, 0);
    for packet in &unknown {
        tap.goes_on(packet);
    }
    tap.goes_on(&Packet::Newest { next: 3 }.to_bytes());
    tap.goes_on(&Packet::Range { next: 3, oldest: 0 }.to_bytes());
    tap.event(0);
    assert_eq!((tap.out.msns(), tap.out.starts()), (vec![0], vec![0]));
    assert_eq!(tap.out.words.iter().filter(|word| word.contains("ignored")).count(), 1);
}

#[test]
fn an_empty_packet_is_the_end() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    assert_eq!(tap.closes(b"").cause, Cause::Gone);
    tap.reconnect();
    let mut seven = Vec::new();
    V1Packet::default().encode(&mut seven);
    tap.goes_on(&seven);
    assert_eq!(tap.closes(b"").cause, Cause::Gone);
}

#[test]
fn a_server_that_only_connects_and_leaves_is_slowed_down() {
    let mut tap = Tap::fresh();
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(tap.end().wait.as_secs());
        tap.reconnect();
        if !tap.session.wants_packets() {
            assert_eq!(tap.wait(), Step::Go);
        }
    }
    assert_eq!(waits, [0, 0, 0, 1, 2, 4]);
    // A stream that stood for a while was a good one.
    tap.open(0, 0);
    tap.now.steady += Duration::from_secs(10);
    assert_eq!(tap.end().wait, Duration::ZERO);
}

#[test]
fn ends_are_said_in_words() {
    let end = End { cause: Cause::Refused { major: 3 }, wait: Duration::from_secs(2) };
    assert_eq!(end.to_string(), "refused: protocol 3 is not 2; the next connection waits 2 s");
    let end = End { cause: Cause::Gone, wait: Duration::ZERO };
    assert_eq!(end.to_string(), "the server is gone");
}
