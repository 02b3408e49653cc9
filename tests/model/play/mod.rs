//! The tree of queues and what it should be, side by side: operations are done in both and all that can be
//! seen is compared. The random scenes, the named tests and the fuzz target have this in common.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub(crate) mod bench;
pub(crate) mod bytes;
pub(crate) mod compare;
pub(crate) mod consumers;
pub(crate) mod driver;
pub(crate) mod listing;
pub(crate) mod ops;
pub(crate) mod reference;
pub(crate) mod reference_links;
pub(crate) mod reference_settings;
