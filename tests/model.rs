//! The tree of queues against a slow and obvious reference, and its tricky rules one by one.

#[path = "model/bench.rs"]
mod bench;
#[path = "model/compare.rs"]
mod compare;
#[path = "model/driver.rs"]
mod driver;
#[path = "model/found.rs"]
mod found;
#[path = "model/hold.rs"]
mod hold;
#[path = "model/hold_random.rs"]
mod hold_random;
#[path = "model/hold_rights.rs"]
mod hold_rights;
#[path = "model/listing.rs"]
mod listing;
#[path = "model/mass.rs"]
mod mass;
#[path = "model/ops.rs"]
mod ops;
#[path = "model/random.rs"]
mod random;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/reference_links.rs"]
mod reference_links;
#[path = "model/reference_settings.rs"]
mod reference_settings;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/rules_limits.rs"]
mod rules_limits;
