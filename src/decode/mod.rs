//! Foreign bytes become events: one folder a source, and the checked cursor that all of them read with.
//!
//! Pure: bytes in, [`crate::event::Event`]s and faults out. Nothing here opens, waits or asks the clock;
//! what is wrong with a record is a value, and no input panics.

pub mod beegfs;
pub mod gluster;
pub mod hestia;
mod reader;
pub mod storage;

pub use reader::{Reader, Short};
