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
