//! The checker of the soak must see what is planted, and nothing else.
#![allow(dead_code, reason = "the soak uses the rest")]

#[path = "soak/ledger.rs"]
mod ledger;

use ledger::{Id, Made, Order, Story, Taken};

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
