//! Taps: they keep a source connected and bring its events into queues.
//!
//! A tap is an ordinary process that writes files through the mount: quotas, permissions, fate and inotify
//! hold for it without a line of code, and it works on any other directory as well. One file a source
//! implements [`Source`]; [`run`] drives it, and [`Sink`] is where its events go.

mod batch;
pub mod beegfs;
mod counters;
pub mod gluster;
pub mod hestia;
#[cfg(test)]
mod hostile;
mod notes;
mod options;
mod place;
mod progress;
mod queue;
pub mod rules;
mod run;
mod sink;
mod source;
mod state;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod unix;

pub use counters::Counters;
pub use options::{Form, Options};
pub use run::{Ended, Signals, run};
pub use sink::Sink;
pub use source::{Failure, Flow, From, Resume, Source, Start, Wait};
