//! The modules of `src/janitor`, all but `sync`, which here is the checker's.

#[path = "../../src/janitor/courier.rs"]
mod courier;
#[path = "../../src/janitor/ghosts.rs"]
mod ghosts;
#[path = "../../src/janitor/herald.rs"]
mod herald;
#[path = "../../src/janitor/owners.rs"]
mod owners;
#[path = "../../src/janitor/pids.rs"]
mod pids;
#[path = "../../src/janitor/reaper.rs"]
mod reaper;
#[path = "../../src/janitor/remnants.rs"]
mod remnants;
#[path = "../../src/janitor/shared.rs"]
mod shared;
#[path = "sync.rs"]
mod sync;
#[path = "../../src/janitor/trimmer.rs"]
mod trimmer;
#[path = "../../src/janitor/visible.rs"]
mod visible;

pub use ghosts::Removal;
pub use herald::KernelNotify;
pub use owners::OwnerChoice;
pub use pids::{owner_by_rule, owner_by_word};
pub use shared::{NotifyPolicy, Shared, start};
pub use visible::MountIdentity;
