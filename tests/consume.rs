//! Section 8 of the contract from outside: pop, push, watch and completions on real mounts.

mod common;
#[path = "consume/help.rs"]
mod help;
#[path = "consume/many.rs"]
mod many;
#[path = "consume/pop.rs"]
mod pop;
#[path = "consume/push.rs"]
mod push;
#[path = "consume/refused.rs"]
mod refused;
#[path = "consume/rights.rs"]
mod rights;
#[path = "consume/shells.rs"]
mod shells;
#[path = "consume/storm.rs"]
mod storm;
#[path = "consume/waiting.rs"]
mod waiting;
#[path = "consume/watch.rs"]
mod watch;
