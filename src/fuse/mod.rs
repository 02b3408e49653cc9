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
