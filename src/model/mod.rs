//! What eventfs *is*: the tree of queues behind every file operation.
//!
//! Pure: no I/O, no clock, no threads, no logging, no `unsafe`, nothing of `fuser`. The time, the
//! caller and "this process died" are arguments; what others should hear of an operation comes back
//! as [`Change`]s. Nothing here grows with what a user did before, apart from the answer itself:
//! lists are walked by cursor, large contents are handed out to be freed elsewhere, and what ends in
//! bulk is swept in bounded steps.

mod caller;
mod change;
mod error;
mod handle;
mod inode;
pub mod limits;
mod names;
mod owner;
mod payload;
mod queue;
pub mod quota;
mod slab;
mod taker;
mod tree;
pub mod xattr;

pub use caller::{Caller, Now};
pub use change::{Cause, Change};
pub use error::{Outcome, Reason};
pub use handle::{HandleId, Mode};
pub use inode::{Attr, Ino, Kind, Node, SetAttr};
pub use owner::{Fate, OwnerId};
pub use payload::Payload;
pub use queue::Overflow;
pub use taker::{Powers, Taker};
pub use tree::{DOOR, Listed, Remnant, Settings, Space, Taken, Tree, Want, XattrFlags};
