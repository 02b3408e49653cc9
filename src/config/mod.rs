//! Settings: the `-o` words of a mount and the configuration files, checked and made plain data.
//!
//! This part reads files and the user database and nothing else: it mounts nothing, logs nothing
//! and keeps no state. What it returns is complete: names are numeric ids, missing limits are
//! filled in, and every option word has been applied once to see that it is good. A second call
//! of [`load`] is all that a reload (SIGHUP) needs; on an error the caller still has its old
//! [`Config`].
//!
//! Every complaint is one line that names what is wrong, fit for standard error as it is.

pub mod check;
mod error;
mod file;
mod ini;
mod limits;
mod names;
mod options;
mod quotafile;
mod taps;
mod toml;
mod values;

pub use error::ConfigError;
pub use file::{Config, DEFAULT_DIR, load};
pub use options::{
    Atime, MountOptions, NotifyRule, OptionError, OrphanRule, OwnerRule, PublishRule, Size,
};
pub use taps::{TapOption, TapTable};
pub use values::parse_size;
