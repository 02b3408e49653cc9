//! The FUSE edge: the only module that names `fuser`.
//!
//! A handler translates, calls the model, answers, and lets the changes go to the janitor. It never
//! blocks, never touches its own mount and never sends a notification itself.

mod answers;
mod consume;
mod convert;
mod errno;
mod ops;
mod owners;
mod session;
mod state;

pub use session::{Edge, serve};

/// Target of log messages about answers that nobody waits for any more, because the caller was
/// killed: no news to an administrator.
pub const UNWANTED_REPLIES: &str = "fuser::reply";
