//! A listener's side of a connection, packet by packet.

use std::time::Duration;

use eventfs::decode::beegfs::{
    Cause, CloseReason, Dropped, End, From, Memory, Note, Now, Packet, Payload, Place, Saved,
    Session, Settings, Step, V1Packet, V7_STREAM,
};
use eventfs::event::{Class, Event};
use serde_json::{Value, json};

use super::driver::{Heap, Tap, gap, message};
use super::samples::session as recorded;
use crate::metadata_server::{Identity, created};

#[test]
fn the_recorded_session_is_played() {
    let mut tap = Tap::fresh();
    for packet in recorded().iter().filter(|packet| packet.is_from_server) {
        match tap.hear(&packet.bytes) {
            Step::Go => {}
            Step::Close(end) => {
                assert_eq!(end.cause, Cause::Closed(CloseReason::Acknowledged));
                assert_eq!(tap.out.events.len(), 27);
            }
        }
    }
    assert_eq!(tap.out.msns(), (0..27).collect::<Vec<_>>());
    let kinds: Vec<u8> = tap.out.sent.iter().map(|packet| packet[0]).collect();
    assert_eq!(kinds, [1, 5, 7], "handshake, range once, stream once");
    assert_eq!(tap.out.sent[0], [1, 101, 118, 101, 110, 116, 115, 0, 2, 0, 0, 0]);
    assert_eq!((tap.out.notes.len(), tap.out.dropped.len()), (0, 0));
}

#[test]
fn the_request_goes_out_before_anything_came() {
    let tap = Tap::fresh();
    assert_eq!(tap.out.sent.len(), 1);
    assert_eq!(tap.session.deadline(), Some(Duration::from_secs(5)));
    assert!(tap.session.wants_packets());
}

#[test]
fn where_it_begins() {
    let mut fresh = Tap::fresh();
    fresh.open(50, 20);
    assert_eq!(fresh.out.starts(), [20]);
    let settings = |from| Settings { from, ..Settings::default() };
    for (from, start) in [(From::Resume, 29), (From::Oldest, 20), (From::Newest, 50)] {
        let saved = Saved::After { stream: 12, msn: 29, mark: 7 };
        let mut tap = Tap::new(settings(from), &[saved]);
        tap.open(50, 20);
        assert_eq!(tap.out.starts(), [start], "{from:?}");
        assert_eq!(tap.out.notes, []);
    }
    let mut lost_queue = Tap::new(Settings::default(), &[Saved::At { stream: 12, msn: 25 }]);
    lost_queue.open(50, 20);
    assert_eq!(lost_queue.out.starts(), [25]);
}

#[test]
fn it_resumes_with_one_event_of_overlap() {
    let mut tap = Tap::after(29);
    tap.open(32, 0);
    assert_eq!(tap.out.starts(), [29]);
    for msn in 29..32 {
        tap.event(msn);
    }
    assert_eq!(tap.out.msns(), [30, 31]);
    assert_eq!(tap.out.dropped, [Dropped::Overlap]);
    assert_eq!(tap.out.notes, []);
}

#[test]
fn another_event_under_the_last_number_is_a_new_queue() {
    let mut tap = Tap::after(29);
    tap.open(60, 20);
    let other = Packet::Message { msn: 29, payload: &created(1_000) }.to_bytes();
    assert_eq!(tap.closes(&other).cause, Cause::NewQueue);
    let [Note::Reset { meta_id: 12, old: Some(29), new: 20, resets: 1, .. }] = tap.out.notes[..]
    else {
        panic!("{:?}", tap.out.notes)
    };
    tap.reconnect();
    tap.open(60, 20);
    assert_eq!(tap.out.starts(), [29, 0], "below the oldest, once");
    tap.crash();
    tap.reconnect();
    tap.open(60, 20);
    assert_eq!(tap.out.starts(), [29, 0, 20]);
    tap.event(20);
    assert_eq!(tap.out.events[0].id, "12/r1/20");
    assert_eq!(gap(&tap.out.notes[1]), (0, 19));
}

#[test]
fn a_queue_that_ends_before_the_last_number_is_a_new_one() {
    let mut tap = Tap::after(29);
    tap.open(3, 0);
    assert_eq!(tap.out.starts(), [0], "on the same connection");
    (0..3).for_each(|msn| tap.event(msn));
    let [Note::Reset { old: Some(29), new: 0, resets: 1, .. }] = tap.out.notes[..] else {
        panic!("{:?}", tap.out.notes)
    };
    assert_eq!(tap.out.events[2].name, "beegfs-0000000012-r1-00000000000000000002");
    assert_eq!(tap.out.events[2].position.expect("place").stream, Place::stream(12, 1));
    let mut event = Event::default();
    tap.out.notes[0].fill(&mut event);
    assert_eq!((event.kind.as_str(), event.class), ("beegfs.reset", Class::Note));
    let data: Value = serde_json::from_slice(&event.data).expect("JSON");
    assert_eq!((&data["old"], &data["new"], &data["meta_id"]), (&json!(29), &json!(0), &json!(12)));
}

#[test]
fn the_ring_has_overwritten_what_was_wanted() {
    let mut tap = Tap::after(9);
    for start in [9, 10] {
        tap.open(50, 20);
        assert_eq!(tap.out.starts().last(), Some(&start));
        assert_eq!(tap.crash().wait, Duration::ZERO);
        tap.reconnect();
    }
    tap.open(52, 22);
    assert_eq!(tap.out.starts(), [9, 10, 22]);
    assert_eq!(gap(&tap.out.notes[0]), (10, 21));
    tap.event(22);
    assert_eq!((tap.out.msns(), tap.out.notes.len()), (vec![22], 1));
    let mut event = Event::default();
    tap.out.notes[0].fill(&mut event);
    assert_eq!((event.kind.as_str(), event.source.as_str()), ("beegfs.gap", "/beegfs/meta/12"));
    let data: Value = serde_json::from_slice(&event.data).expect("JSON");
    assert_eq!(
        (&data["first"], &data["last"], &data["count"]),
        (&json!(10), &json!(21), &json!(12))
    );
    let reason = data["reason"].as_str().expect("a reason");
    let words = format!("node 12: 12 events missing (10 to 21): {reason}");
    assert_eq!(tap.out.notes[0].to_string(), words);
}

#[test]
fn an_event_that_the_server_cannot_read_is_passed_over() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    (0..4).for_each(|msn| tap.event(msn));
    assert_eq!(tap.crash().wait, Duration::ZERO);
    for start in [3, 4] {
        tap.reconnect();
        tap.open(9, 0);
        if start == 3 {
            tap.event(3);
        }
        assert_eq!(tap.crash().wait, Duration::ZERO);
        assert_eq!(tap.out.starts().last(), Some(&start));
    }
    tap.reconnect();
    tap.open(9, 0);
    assert_eq!(tap.out.starts(), [0, 3, 4, 5]);
    (5..9).for_each(|msn| tap.event(msn));
    assert_eq!(tap.out.msns(), [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(tap.out.notes.iter().map(gap).collect::<Vec<_>>(), [(4, 4)]);
}

#[test]
fn holes_are_gaps_and_doubles_are_dropped() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    for msn in [0, 1, 1, 0, 5, 5, 6] {
        tap.event(msn);
    }
    assert_eq!(tap.out.msns(), [0, 1, 5, 6]);
    assert_eq!(tap.out.dropped, [Dropped::Duplicate; 3]);
    assert_eq!(tap.out.notes.iter().map(gap).collect::<Vec<_>>(), [(2, 4)]);
}

#[test]
fn goodbye_takes_what_is_under_way() {
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    tap.event(0);
    assert_eq!(tap.session.goodbye(&mut tap.memory, tap.now, &mut tap.out), Step::Go);
    assert_eq!(tap.session.goodbye(&mut tap.memory, tap.now, &mut tap.out), Step::Go);
    assert_eq!(tap.out.sent.iter().filter(|packet| packet[0] == 9).count(), 1);
    tap.event(1);
    let end = tap.closes(&Packet::Close { reason: CloseReason::Acknowledged }.to_bytes());
    assert_eq!((end.cause, end.wait), (Cause::Goodbye, Duration::ZERO));
    assert_eq!(tap.out.msns(), [0, 1]);
    // A server that does not answer is not waited for longer than a second.
    let mut tap = Tap::fresh();
    tap.open(9, 0);
    assert_eq!(tap.session.goodbye(&mut tap.memory, tap.now, &mut tap.out), Step::Go);
    assert_eq!(tap.session.deadline(), Some(Duration::from_secs(1)));
    assert!(matches!(tap.wait(), Step::Close(End { cause: Cause::Goodbye, .. })));
    // Before the handshake there is nothing to say goodbye to.
    let mut tap = Tap::fresh();
    let step = tap.session.goodbye(&mut tap.memory, tap.now, &mut tap.out);
    assert!(matches!(step, Step::Close(End { cause: Cause::Goodbye, .. })));
}

#[test]
fn the_doubles_of_a_mirror_can_be_left_out() {
    let secondary = |msn| {
        let mut payload = Vec::new();
        Payload { flags: 3, event: 2, ..Payload::default() }.encode(&mut payload);
        Packet::Message { msn, payload: &payload }.to_bytes()
    };
    for (skip_secondary, events) in [(false, vec![0, 1, 2]), (true, vec![0, 2])] {
        let mut tap = Tap::new(Settings { skip_secondary, ..Settings::default() }, &[]);
        tap.open(9, 0);
        tap.event(0);
        tap.goes_on(&secondary(1));
        tap.event(2);
        assert_eq!(tap.out.msns(), events);
        assert_eq!(tap.out.dropped.len(), usize::from(skip_secondary));
        assert_eq!(tap.out.notes, []);
        tap.end();
        tap.reconnect();
        tap.open(9, 0);
        assert_eq!(tap.out.starts(), [0, 2]);
    }
}

#[test]
fn every_node_has_a_state_of_its_own() {
    let mut memory = Memory::default();
    let mut out = Heap::default();
    let now = Now::default();
    let mut sessions: Vec<_> =
        (1..=3).map(|peer| Session::accept(&memory, peer, now, &mut out)).collect();
    let mut hear = |session: &mut Session, packet: &[u8]| {
        assert_eq!(session.on_packet(&mut memory, packet, false, now, &mut out), Step::Go);
    };
    for (session, meta_id) in sessions.iter_mut().zip([7, 8, 7]) {
        hear(session, &Identity::node(meta_id).handshake());
        hear(session, &Packet::Range { next: 9, oldest: 0 }.to_bytes());
    }
    for (index, msn) in [(0, 0), (1, 0), (0, 1), (2, 0), (2, 1), (2, 2), (1, 1), (0, 2)] {
        hear(&mut sessions[index], &message(msn));
    }
    let ids: Vec<&str> = out.events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["7/0", "8/0", "7/1", "7/2", "8/1"], "two connections of node 7, no doubles");
    assert_eq!(out.dropped, [Dropped::Duplicate; 3]);
}

#[test]
fn beegfs_7_is_served_with_numbers_of_ours() {
    let packet = |dropped, missed| {
        let mut bytes = Vec::new();
        let path = b"/bar/foo";
        V1Packet { dropped, missed, number: 4, path, ..V1Packet::default() }.encode(&mut bytes);
        bytes
    };
    let mut tap = Tap::fresh();
    tap.goes_on(&packet(0, 0));
    tap.goes_on(&packet(0, 0));
    assert_eq!(tap.out.notes, []);
    tap.goes_on(&packet(3, 1));
    assert_eq!(tap.out.notes.len(), 1);
    let Note::Gap { meta_id: 0, first: None, last: None, count: Some(4), .. } = tap.out.notes[0]
    else {
        panic!("{:?}", tap.out.notes)
    };
    // What cannot be read is delivered, and nothing is closed: this server would lose what follows.
    tap.goes_on(&packet(3, 1)[..50]);
    tap.goes_on(&packet(3, 1));
    let names: Vec<&str> = tap.out.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[0], "beegfs-v7-00000000000000000001");
    assert_eq!(names[4], "beegfs-v7-00000000000000000005");
    assert_eq!(tap.out.events[3].kind, "beegfs.unreadable");
    assert_eq!(tap.out.events[4].position.expect("place").stream, V7_STREAM);
    assert_eq!(tap.end().wait, Duration::ZERO);
    // After a restart of the tap numbers and counters go on.
    let (stream, context) = tap.out.contexts.pop().expect("a context");
    let mut tap = Tap::new(Settings::default(), &[Saved::After { stream, msn: 5, mark: 0 }]);
    tap.memory.restore_context(stream, &context);
    tap.goes_on(&packet(4, 1));
    assert_eq!(tap.out.events[0].id, "v7/6");
    assert!(matches!(tap.out.notes[0], Note::Gap { count: Some(1), .. }));
}
