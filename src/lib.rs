//! eventfs: a filesystem whose first-level directories are message queues.
//!
//! ```text
//!            cli ── daemon ── config                    cli ── tap ── decode ── event
//!                     │                                         │
//!         ┌───────────┼───────────┐                            sys
//!        fuse ──── janitor        │        (fuse hands the janitor the kernel's notifier)
//!         └─────┬─────┘           │
//!             model              sys       (pure)   (the only `unsafe`)
//! ```
//!
//! A request: kernel → [`fuse`] → lock the [`model::Tree`] → one method of it → unlock → answer →
//! what it changed goes to the [`janitor`], which tells the kernel's caches and inotify.
//!
//! An outside event: socket → [`tap`] → [`decode`] → [`event::Event`] → a file, written through the mount like
//! anybody's. [`export`] is the way back into YAML; [`client`] is for programs that consume.
//!
//! The layers are a table that `tests/tidy.rs` enforces; `docs/ARCHITECTURE.md` says why.

pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod event;
pub mod export;
pub mod fuse;
pub mod janitor;
pub mod model;
pub mod sys;
pub mod tap;
pub mod wire;
