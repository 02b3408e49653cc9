//! Storage notifications: the kernel log and uevents of this machine, or the events of others.
//!
//! Descriptors are here; what the bytes mean is in [`crate::decode::storage`].

mod lookup;
mod mounts;
mod sysfs;
mod transport;

pub use lookup::Lookup;
