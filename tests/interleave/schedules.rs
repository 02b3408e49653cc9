//! How many schedules, and which.

use std::time::{SystemTime, UNIX_EPOCH};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Schedules of each kind unless `EVENTFS_SCHEDULES` says another number.
const FEW: usize = 100;

/// Same seed, same schedules.
const SEED: u64 = 0x5eed;

/// Preemptions in a schedule of the kind that has few of them.
const PREEMPTIONS: usize = 4;

/// A schedule with more steps goes round in circles.
const STEPS_MAX: usize = 100_000;

/// The tree is deeper on the stack than shuttle expects.
const STACK_BYTES: usize = 512 << 10;

/// Tries a scenario: with steps chosen at random, and with priorities that change seldom, which finds
/// what needs one thread to stand still for long.
pub fn check(scenario: fn()) {
    let told = std::env::var("EVENTFS_SCHEDULES").ok();
    let many = told.map(|number| number.parse().expect("EVENTFS_SCHEDULES is a number"));
    let (count, seed) = match many {
        Some(many) => {
            (many, SystemTime::now().duration_since(UNIX_EPOCH).map_or(SEED, |d| d.as_secs()))
        }
        None => (FEW, SEED),
    };
    run(RandomScheduler::new_from_seed(seed, count), scenario);
    run(PctScheduler::new_from_seed(seed, PREEMPTIONS, count), scenario);
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    Runner::new(scheduler, config).run(scenario);
}
