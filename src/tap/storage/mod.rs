//! Storage notifications: the kernel log and uevents of this machine, or the events of others.
//!
//! Descriptors are here; what the bytes mean is in [`crate::decode::storage`].
//!
//! ```text
//! kmsg ────┐
//!          ├── source ── pipeline (lookup, pairs, floods) ── sink
//! uevents ─┘                     └── receivers
//! listen ──────────────────────────────────────────────────── sink
//! ```

mod kmsg;
mod listen;
mod lookup;
mod mounts;
mod pipeline;
mod receivers;
mod settings;
mod source;
mod stream;
mod sysfs;
mod transport;
mod uevents;

pub use listen::Listener;
pub use lookup::Lookup;
pub use settings::{FLOOD_DEFAULT, From, Settings, Wanted};
pub use source::Storage;

use crate::tap::source::Failure;

/// A pattern of types with today's names in place of the successor's.
pub fn pattern(text: &str) -> String {
    [
        ("dm_mpath_path_failed", "dm_mpath_path_down"),
        ("dm_mpath_path_reinstated", "dm_mpath_path_up"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (alias, name)| text.replace(alias, name))
}

/// What the configuration says where a tap listens.
///
/// # Errors
/// One line about the file.
pub fn listen_interface(settings: &Settings) -> Result<Option<std::net::IpAddr>, Failure> {
    Ok(settings.bind.or(settings.read_config()?.bind))
}

#[cfg(test)]
mod tests {
    #[test]
    fn old_names_of_types_still_do() {
        assert_eq!(super::pattern("storage.dm_mpath_path_failed"), "storage.dm_mpath_path_down");
        assert_eq!(super::pattern("*dm_mpath_path_reinstated*"), "*dm_mpath_path_up*");
        assert_eq!(super::pattern("storage.*"), "storage.*");
    }
}
