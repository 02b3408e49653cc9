//! Random scenes.

use eventfs::model::Settings;
use eventfs::model::quota::Quotas;
use proptest::prelude::*;

use super::driver::World;
use super::ops::{Op, Setting, busy_reading, crowd, op, scene};

/// `PROPTEST_CASES`, or 512.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(512),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Plays a scene to its end.
pub(crate) fn play(settings: Settings, quotas: [Quotas; 3], ops: &[Op]) {
    let mut world = World::new(settings, quotas);
    // Two queues to begin with, so that little is lost on a scene that makes none.
    world.step(&Op::Mkdir { name: 0, setgid: false, owner: Some(0), who: 1 });
    world.step(&Op::Mkdir { name: 1, setgid: false, owner: None, who: 0 });
    for op in ops {
        world.step(op);
    }
    world.finish();
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
