//! What inotify tells of queues and events: on real mounts, through the real interface.

#[path = "fate/binding.rs"]
mod binding;
mod common;
#[path = "watch/deadlock.rs"]
mod deadlock;
#[path = "watch/ends.rs"]
mod ends;
#[path = "watch/held.rs"]
mod held;
#[path = "fate/kid.rs"]
mod kid;
#[path = "watch/locks.rs"]
mod locks;
#[path = "watch/race.rs"]
mod race;
#[path = "watch/remnants.rs"]
mod remnants;
#[path = "watch/storm.rs"]
mod storm;
#[path = "watch/vanish.rs"]
mod vanish;
#[path = "watch/watcher.rs"]
mod watcher;
#[path = "watch/write.rs"]
mod write;
