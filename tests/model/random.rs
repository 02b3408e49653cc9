//! Random scenes.

use eventfs::model::Settings;
use eventfs::model::quota::Quotas;
use proptest::prelude::*;

use super::play::bytes;
use super::play::driver::play;
use super::play::ops::{Op, Setting};
use super::strategies::{busy_reading, crowd, op, scene};

/// `PROPTEST_CASES`, or 512.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(512),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn bytes_are_read_as_their_description_says() {
    let text = b"S1-L1533p0031 # p9999\n?l0100\nx/311u0";
    let (settings, quotas, ops) = bytes::scene(text);
    assert_eq!((settings.events_max, quotas[1].groups[&20].max_bytes), (None, Some(3)));
    let told: Vec<String> = ops.iter().map(|op| format!("{op:?}")).collect();
    assert_eq!(
        told,
        [
            "Put { queue: 0, name: 0, len: 3, who: 1 }",
            "Link { file: 0, queue: 1, name: 0, who: 0 }",
            "Control { queue: 255, what: Overflow, value: 1, who: 1 }",
        ]
    );
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn tree_behaves_like_the_reference((settings, quotas, ops) in scene(op())) {
        play(settings, quotas, &ops);
    }

    #[test]
    fn full_queues_drop_their_oldest(
        (settings, quotas, ops) in scene(crowd()),
        limits in [(0_u8..6, 0_u8..30), (0_u8..6, 0_u8..30)],
    ) {
        let settings = Settings { size_bytes: u64::MAX / 4, events_max: None, ..settings };
        let free = Quotas::default();
        let mut all: Vec<Op> = Vec::new();
        for (queue, (max_events, max_bytes)) in (0..).zip(limits) {
            let control = |what, value| Op::Control { queue, what, value, who: 0 };
            all.push(control(Setting::Overflow, 1));
            all.push(control(Setting::MaxEvents, max_events));
            all.push(control(Setting::MaxBytes, max_bytes));
        }
        all.extend(ops);
        play(settings, [free.clone(), free, quotas[1].clone()], &all);
    }

    #[test]
    fn reading_is_stable_while_queues_change((settings, quotas, ops) in scene(busy_reading())) {
        let settings = Settings { events_max: None, ..settings };
        play(settings, [Quotas::default(), Quotas::default(), quotas[1].clone()], &ops);
    }
}
