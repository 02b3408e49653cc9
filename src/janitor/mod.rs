//! What happens beside requests: watching owners, deadlines, telling the kernel and inotify.
//!
//! The `reaper` waits for the end of processes and for deadlines. The `herald` is the only
//! thread that makes file calls on our own mount or sends notifications to the kernel, these by the
//! hand of the `courier`; it holds no lock that a handler takes while it does, because either may
//! wait for a directory's lock that somebody holds who waits for us. Request handlers only put work
//! into their queues.

mod courier;
mod ghosts;
mod herald;
mod owners;
mod pids;
mod reaper;
mod remnants;
mod shared;
mod sync;
#[cfg(test)]
mod tests;
mod trimmer;
mod visible;

pub use ghosts::Removal;
pub use herald::KernelNotify;
pub use owners::OwnerChoice;
pub use pids::{owner_by_rule, owner_by_word, seen_pid};
pub use shared::{After, NotifyPolicy, Shared, start};
pub use visible::MountIdentity;
