//! Random operations and settings.

use eventfs::model::Settings;
use eventfs::model::limits::SECOND_NS;
use eventfs::model::quota::{Quota, Quotas};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::play::ops::{On, Op, Setting, Way};

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        2 => Just(Setting::Sticky),
        6 => Just(Setting::MaxEvents),
        6 => Just(Setting::MaxBytes),
        6 => Just(Setting::Overflow),
        3 => Just(Setting::Ttl),
        1 => Just(Setting::Depth),
        1 => Just(Setting::Unknown),
    ]
}

fn name() -> impl Strategy<Value = u8> {
    prop_oneof![30 => 0_u8..10, 1 => 10_u8..12]
}

fn who() -> impl Strategy<Value = u8> {
    0_u8..4
}

/// Somebody who mostly may.
fn master() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(0_u8), 1 => who()]
}

fn make() -> impl Strategy<Value = Op> {
    let b = any::<u8>;
    prop_oneof![
        3 => (0_u8..4, any::<bool>(), option::weighted(0.7, 0_u8..3), who())
            .prop_map(|(name, setgid, owner, who)| Op::Mkdir { name, setgid, owner, who }),
        6 => (b(), name(), who()).prop_map(|(queue, name, who)| Op::Create { queue, name, who }),
        8 => (b(), name(), 0_u8..8, who())
            .prop_map(|(queue, name, len, who)| Op::Put { queue, name, len, who }),
        4 => (b(), name(), who()).prop_map(|(queue, name, who)| Op::Mknod { queue, name, who }),
        6 => (b(), b(), name(), who())
            .prop_map(|(file, queue, name, who)| Op::Link { file, queue, name, who }),
        3 => (b(), any::<bool>(), any::<bool>())
            .prop_map(|(file, truncates, writes)| Op::Open { file, truncates, writes }),
        8 => (b(), 0_u8..8, 0_u8..8, who())
            .prop_map(|(handle, offset, len, who)| Op::Write { handle, offset, len, who }),
        1 => (b(), 0_u8..16, who())
            .prop_map(|(handle, end, who)| Op::Allocate { handle, end, who }),
        6 => b().prop_map(|handle| Op::Release { handle }),
    ]
}

fn change() -> impl Strategy<Value = Op> {
    let b = any::<u8>;
    let way = prop_oneof![
        2 => Just(Way::Head),
        2 => Just(Way::Tail),
        3 => b().prop_map(Way::Entry),
        1 => name().prop_map(Way::Name),
    ];
    prop_oneof![
        5 => (b(), way).prop_map(|(queue, way)| Op::Unlink { queue, way }),
        8 => (b(), b(), b(), name(), prop::bool::weighted(0.2), who()).prop_map(
            |(queue, entry, to, name, no_replace, who)| {
                Op::Rename { queue, entry, to, name, no_replace, who }
            }
        ),
        1 => b().prop_map(|queue| Op::Rmdir { queue }),
        1 => (b(), 0_u8..4, any::<bool>()).prop_map(|(queue, name, no_replace)| {
            Op::RenameQueue { queue, name, no_replace }
        }),
        2 => (b(), option::of(0_u8..16), option::of(0_u8..3), option::of(0_u8..2), who())
            .prop_map(|(file, size, uid, gid, who)| Op::SetAttr { file, size, uid, gid, who }),
        1 => (b(), 0_u8..3, 0_u8..2)
            .prop_map(|(queue, uid, gid)| Op::ChownQueue { queue, uid, gid }),
        1 => (0_u8..3).prop_map(|which| Op::Quotas { which }),
    ]
}

fn settle() -> impl Strategy<Value = Op> {
    let b = any::<u8>;
    let on = || prop_oneof![b().prop_map(On::Queue), b().prop_map(On::File)];
    prop_oneof![
        6 => (b(), setting(), prop_oneof![1_u8..6, 4_u8..24], master())
            .prop_map(|(queue, what, value, who)| Op::Control { queue, what, value, who }),
        1 => (b(), setting(), master()).prop_map(|(queue, what, who)| Op::Reset { queue, what, who }),
        1 => (b(), 0_u8..3, master())
            .prop_map(|(queue, owner, who)| Op::SetOwner { queue, owner, who }),
        3 => (on(), 0_u8..3, 0_u8..8, 0_u8..6, who())
            .prop_map(|(on, name, len, flags, who)| Op::SetUser { on, name, len, flags, who }),
        1 => (on(), 0_u8..3).prop_map(|(on, name)| Op::RemoveUser { on, name }),
        1 => (0_u8..3).prop_map(|owner| Op::OwnerDied { owner }),
        3 => (0_u16..3_000).prop_map(|ms| Op::Pass { ms }),
        1 => b().prop_map(|queue| Op::Forget { queue }),
    ]
}

fn read() -> impl Strategy<Value = Op> {
    let b = any::<u8>;
    prop_oneof![
        2 => option::weighted(0.85, b()).prop_map(|queue| Op::Opendir { queue }),
        8 => (b(), 1_u8..6, 0_u8..6)
            .prop_map(|(dir, want, eaten)| Op::Readdir { dir, want, eaten }),
        1 => b().prop_map(|dir| Op::Rewind { dir }),
        2 => (b(), b()).prop_map(|(dir, to)| Op::Seek { dir, to }),
        1 => b().prop_map(|dir| Op::Releasedir { dir }),
    ]
}

/// One operation of any kind.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![5 => make(), 3 => change(), 2 => settle(), 2 => read()]
}

/// Many events, and what moves them about.
pub(crate) fn crowd() -> impl Strategy<Value = Op> {
    let b = any::<u8>;
    let put = (b(), name(), 0_u8..8, who()).prop_map(|(queue, name, len, who)| Op::Put {
        queue,
        name,
        len,
        who,
    });
    let settle = settle().prop_filter("limits stay", |op| !matches!(op, Op::OwnerDied { .. }));
    prop_oneof![8 => put, 5 => make(), 4 => change(), 1 => settle, 1 => read()]
}

/// Much reading of directories that change.
pub(crate) fn busy_reading() -> impl Strategy<Value = Op> {
    prop_oneof![2 => make(), 2 => change(), 4 => read()]
}

fn quota() -> impl Strategy<Value = Quota> {
    (
        option::of(1_u64..3),
        option::weighted(0.4, 2_u64..16),
        option::weighted(0.3, 2_u64..8),
        option::weighted(0.4, 8_u64..60),
    )
        .prop_map(|(max_dirs, max_files, max_files_per_dir, max_bytes)| Quota {
            max_dirs,
            max_files,
            max_files_per_dir,
            max_bytes,
        })
}

pub(crate) fn quotas() -> impl Strategy<Value = Quotas> {
    let table = |ids: std::ops::Range<u32>, step: u32| {
        vec(option::weighted(0.4, quota()), ids.len()).prop_map(move |list| {
            list.into_iter()
                .zip(ids.clone())
                .filter_map(|(quota, id)| Some((id * step, quota?)))
                .collect::<std::collections::HashMap<_, _>>()
        })
    };
    let default = prop_oneof![Just(Quota::default()), quota()];
    (default, table(0..3, 1), table(1..3, 10)).prop_map(|(default, users, groups)| Quotas {
        default,
        users,
        groups,
    })
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    (
        prop_oneof![3 => Just(u64::MAX / 4), 1 => 2_300_u64..5_000],
        option::weighted(0.3, 3_u64..20),
        option::weighted(0.2, 1_u64..4),
        8_u64..20,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(size_bytes, events_max, queues_max, event_bytes_max, at_create, popped)| Settings {
                size_bytes,
                events_max,
                queues_max,
                event_bytes_max,
                grace_ns: SECOND_NS,
                publish_at_create: at_create,
                report_popped: popped,
                ..Settings::default()
            },
        )
}

/// A whole scene: settings, quotas that may be swapped in, and what happens.
pub(crate) fn scene(
    op: impl Strategy<Value = Op>,
) -> impl Strategy<Value = (Settings, [Quotas; 3], Vec<Op>)> {
    let free = Just(Quotas::default());
    (settings(), (quotas(), quotas(), free), vec(op, 1..150))
        .prop_map(|(settings, (one, two, free), ops)| (settings, [free, one, two], ops))
}
