//! The janitor under a model checker: the sources of `src/janitor` themselves, with shuttle's locks, channels
//! and threads in the place of the real ones and a small kernel in the place of `sys`. Every step of every
//! thread is a choice of the checker's; a schedule that loses something, does it twice or stands still fails
//! and is printed, see docs/CHECKING.md.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the janitor is compiled whole, each scenario uses a part"
)]

#[path = "interleave/deadlines.rs"]
mod deadlines;
#[path = "interleave/ends.rs"]
mod ends;
#[path = "interleave/gone.rs"]
mod gone;
#[path = "interleave/janitor.rs"]
mod janitor;
#[path = "interleave/kernel.rs"]
mod kernel;
#[path = "interleave/mount.rs"]
mod mount;
#[path = "interleave/owners.rs"]
mod owners;
#[path = "interleave/rules.rs"]
mod rules;
#[path = "interleave/schedules.rs"]
mod schedules;
#[path = "interleave/sys.rs"]
mod sys;
#[path = "interleave/world.rs"]
mod world;

use eventfs::model;
