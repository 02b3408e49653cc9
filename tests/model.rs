//! The tree of queues against a slow and obvious reference, and its tricky rules one by one.

#[path = "model/found.rs"]
mod found;
#[path = "model/hold.rs"]
mod hold;
#[path = "model/hold_random.rs"]
mod hold_random;
#[path = "model/hold_rights.rs"]
mod hold_rights;
#[path = "model/mass.rs"]
mod mass;
#[path = "model/play/mod.rs"]
mod play;
#[path = "model/random.rs"]
mod random;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/rules_limits.rs"]
mod rules_limits;
#[path = "model/strategies.rs"]
mod strategies;
