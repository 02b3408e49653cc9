//! The operating system's edge: the only `unsafe`, the only raw libc.
//!
//! One safe, documented function per facility. Nothing here knows what eventfs is.
#![allow(unsafe_code)]

pub mod background;
pub mod clock;
pub mod fusemount;
pub mod ioctl;
pub mod memory;
pub mod mounts;
pub mod process;

use std::io;

/// The text of a system error, without its number.
pub fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}
