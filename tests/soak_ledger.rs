//! The checker of the soak must see what is planted, and nothing else.
#![allow(dead_code, reason = "the soak uses the rest")]

#[path = "soak/ledger.rs"]
mod ledger;
#[path = "soak/seen.rs"]
mod seen;

use ledger::{Id, Made, Order, Story, Taken};
use seen::{Said, Seen};
use serde_json::{Value, json};

fn id(number: u32) -> Id {
    Id { producer: 7, number }
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<Id> {
    numbers.into_iter().map(id).collect()
}

/// Ten events made, taken by two consumers one after the other.
fn sound(order: Order) -> Story {
    let mut story = Story::new("q", order);
    story.made.push(Made { tried: ids(0..11), done: ids(0..10) });
    story.taken.push(Taken { process: 1, ids: ids(0..4), ..Taken::default() });
    story.taken.push(Taken { process: 2, ids: ids(4..10), ..Taken::default() });
    story
}

fn assert_finds(story: &Story, what: &str) {
    let findings = story.findings();
    assert!(findings.len() == 1 && findings[0].contains(what), "{what}: {findings:?}");
}

#[test]
fn a_sound_story_is_sound() {
    for order in [Order::Chain, Order::Each, Order::Free] {
        assert_eq!(sound(order).findings(), [""; 0]);
    }
}

#[test]
fn a_loss_is_found_unless_the_daemon_was_killed() {
    let mut story = sound(Order::Chain);
    story.taken[1].ids.remove(2);
    assert_finds(&story, "1 lost");
    story.cut_short = true;
    assert_eq!(story.findings(), [""; 0]);
}

#[test]
fn what_a_dying_consumer_had_in_hand_is_not_lost() {
    let mut story = sound(Order::Each);
    story.taken[0].ids.pop();
    story.taken[0].open = Some(id(3));
    assert_eq!(story.findings(), [""; 0]);
}

#[test]
fn what_a_queue_dropped_must_add_up() {
    let mut story = sound(Order::Each);
    story.taken[0].ids.clear();
    story.vanished = 4;
    assert_eq!(story.findings(), [""; 0]);
    // The one that was tried may have been published, and dropped.
    story.vanished = 5;
    assert_eq!(story.findings(), [""; 0]);
    story.vanished = 3;
    assert_finds(&story, "4 lost, 3 of them accounted for");
    story.vanished = 6;
    assert_finds(&story, "only 5 are missing");
}

#[test]
fn an_event_from_nowhere_is_found() {
    let mut story = sound(Order::Each);
    story.taken[1].ids.push(id(11));
    assert_finds(&story, "made by nobody");
}

#[test]
fn an_event_that_lost_its_content_is_found_if_its_producer_had_finished() {
    let mut story = sound(Order::Each);
    story.taken[1].ids.push(id(10));
    story.taken[1].empty.push(id(10));
    assert_eq!(story.findings(), [""; 0]);
    story.taken[1].empty.push(id(9));
    assert_finds(&story, "p7-9 was empty");
}

#[test]
fn an_event_taken_twice_is_found() {
    let mut story = sound(Order::Free);
    story.taken[1].ids.push(id(3));
    assert_finds(&story, "taken more than once");
}

#[test]
fn a_killed_pop_may_repeat_its_last_batch_and_nothing_else() {
    let mut story = sound(Order::Chain);
    story.taken[0].may_repeat = true;
    story.taken[1].ids = ids(2..10);
    assert_eq!(story.findings(), [""; 0]);
    assert_eq!(story.repeats(), 2);
    // Not the whole batch.
    story.taken[1].ids = ids([2, 4, 5, 6, 7, 8, 9]);
    assert_finds(&story, "p7-3 was confirmed by 1 alone");
    // Too long ago.
    story.made[0] = Made { tried: ids(0..3_000), done: ids(0..3_000) };
    story.taken[0].ids = ids(0..2_000);
    story.taken[1].ids = ids(970..3_000);
    assert!(story.findings().iter().all(|line| line.contains("more than once")));
    assert_eq!(story.findings().len(), 6);
}

#[test]
fn wrong_order_is_found_within_a_consumer() {
    let mut story = sound(Order::Each);
    story.taken[1].ids.swap(0, 1);
    assert_finds(&story, "p7-4 came after number 5");
    story.order = Order::Free;
    assert_eq!(story.findings(), [""; 0]);
    story.order = Order::Each;
    story.put_back.insert(id(5));
    assert_eq!(story.findings(), [""; 0]);
}

#[test]
fn wrong_order_is_found_across_consumers() {
    let mut story = sound(Order::Chain);
    story.taken.swap(0, 1);
    assert_finds(&story, "p7-0 came after number 9");
}

#[test]
fn names_of_events_are_read_as_they_are_written() {
    assert_eq!(Id::parse(&id(12).to_string()), Some(id(12)));
    for wrong in ["", "p7", "7-12", "p7-", "p-12", "p7-12x"] {
        assert_eq!(Id::parse(wrong), None, "{wrong}");
    }
}

/// What a consumer of a tap's queue printed: these numbers, one event each; 100 and more is a note.
fn seen(numbers: impl IntoIterator<Item = u64>) -> Seen {
    let read = |event: &Value| match event["number"].as_u64() {
        Some(0..100) => Said::Number(event["number"].as_u64().unwrap_or_default()),
        Some(_) => Said::Note,
        None => Said::Stranger,
    };
    let mut seen = Seen::new("tap", read);
    print(&mut seen, numbers);
    seen
}

fn print(seen: &mut Seen, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let event = json!({"number": number}).to_string() + "\n";
        seen.take((json!({"data": event}).to_string() + "\n").as_bytes());
    }
}

#[test]
fn what_a_tap_never_delivered_is_missing_unless_it_is_told() {
    let mut seen = seen((0..4).chain([6]));
    assert_eq!(seen.missing(8), [4, 5, 7]);
    seen.gaps.push((4, 5));
    assert_eq!(seen.missing(8), [7]);
    assert_eq!((seen.counts(), seen.findings.len()), ((5, 0), 0));
}

#[test]
fn what_a_tap_repeats_without_a_kill_or_delivers_late_is_found() {
    let mut seen = seen([0, 1, 3]);
    seen.kills.push(std::time::Instant::now());
    print(&mut seen, [1, 3]);
    assert_eq!((seen.counts(), &seen.findings), ((3, 2), &Vec::new()));
    seen.kills.clear();
    print(&mut seen, [3, 2]);
    assert_eq!(seen.findings.len(), 2, "{:?}", seen.findings);
    assert!(seen.findings[0].contains("3 came again"));
    assert!(seen.findings[1].contains("2 came first after 3"));
}

#[test]
fn what_a_killed_consumer_of_a_tap_had_in_hand_may_come_again_once() {
    let mut seen = seen(0..3);
    let event = json!({"number": 3}).to_string() + "\n";
    seen.take_of_killed((json!({"data": event}).to_string() + "\n").as_bytes());
    print(&mut seen, 3..5);
    assert_eq!((seen.counts(), &seen.findings), ((5, 1), &Vec::new()));
    print(&mut seen, [3]);
    assert_eq!(seen.findings.len(), 1, "{:?}", seen.findings);
}

#[test]
fn a_taps_output_is_taken_as_far_as_it_is_whole() {
    let mut seen = seen([100]);
    assert_eq!(seen.notes.len(), 1);
    // Half a line of a killed consumer, half a file of a killed tap.
    seen.take(b"{\"data\":\"{\\\"numb");
    seen.take(b"{\"data\":\"{\\\"numb\"}\n");
    assert_eq!((seen.missing(1), seen.findings.len()), (vec![0], 0));
    seen.take(b"{\"data\":\"{\\\"numb\\n\"}\n");
    seen.take(b"{\"data\":\"{}\\n\"}\n");
    assert_eq!(seen.findings.len(), 2, "{:?}", seen.findings);
}

#[test]
#[cfg(feature = "web")]
fn a_lost_memory_excuses_the_newest_and_nothing_else() {
    let seen = seen((0..3).chain(6..8).chain([9]));
    assert_eq!(seen.lost(12, &[]), [3, 4, 5, 8, 10, 11]);
    assert_eq!(seen.lost(12, &[(5, 6), (11, 11)]), [8]);
    assert_eq!(seen.lost(12, &[(4, 4), (6, 7), (9, 10)]), [3, 4, 5, 8, 10, 11]);
}
