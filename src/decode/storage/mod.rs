//! Storage notifications: kernel log records and uevents become the events of the "Storage Event
//! Notification Daemon".
//!
//! ```text
//! bytes ── frame ── record ──┐
//!                            ├── parse (rules, user) ── Found ── pair, flood ── object ── Event
//! netlink message ── uevent ─┘
//! ```
//!
//! The tables of messages are in `rules/`, in a language that `template.rs` explains.

pub mod check;
mod config;
mod datagram;
mod device;
mod flood;
mod found;
mod frame;
mod maps;
mod object;
mod pair;
mod parse;
mod record;
mod rules;
mod template;
mod uevent;
mod user;

pub use config::{Config, PORT_DEFAULT};
pub use datagram::{DATAGRAM_MAX, fit, heard};
pub use device::Device;
pub use flood::{Flood, Held};
pub use found::{Collector, Fields, Found, Severity, System};
pub use frame::Framer;
pub use maps::Maps;
pub use object::{Identity, Writer};
pub use pair::Pairs;
pub use parse::Parsers;
pub use record::{Form, Reason, Record, read_record};
pub use uevent::{MESSAGE_MAX, Uevent, find_uevent};
pub use user::{UserRule, UserRules};
