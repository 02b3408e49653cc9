//! Random scenes of consumers among everything else that happens to a queue.

use proptest::prelude::*;

use super::play::consumers::{self, Op};

fn op() -> impl Strategy<Value = Op> {
    let name = 0_u8..12;
    let who = 0_usize..3;
    prop_oneof![
        6 => name.clone().prop_map(Op::Create),
        2 => name.clone().prop_map(Op::Unlink),
        1 => Just(Op::PopHead),
        1 => Just(Op::PopTail),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => name.prop_map(Op::Stage),
        6 => (who.clone(), 0_usize..4, 0_u32..4)
            .prop_map(|(who, confirmed, most)| Op::Take { who, confirmed, most }),
        1 => who.prop_map(|who| Op::Close { who }),
        1 => Just(Op::Pass),
        1 => (0_u8..8).prop_map(Op::Limit),
        1 => any::<bool>().prop_map(Op::DropOldest),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn consumers_and_others_see_the_queue_that_a_plain_list_tells(
        ops in proptest::collection::vec(op(), 1..80)
    ) {
        consumers::play(ops);
    }
}
