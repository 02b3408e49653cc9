//! Using queues from Rust programs: what the commands `push`, `pop` and `watch` are made of.
//!
//! ```no_run
//! use eventfs::client::{Consumer, push};
//!
//! # fn main() -> std::io::Result<()> {
//! push("/mnt/events/jobs".as_ref(), None, &mut &b"build 17"[..])?;
//! let mut consumer = Consumer::open("/mnt/events/jobs".as_ref())?;
//! let batch = consumer.take(0, 10)?;
//! for event in &batch {
//!     println!("{} bytes", event.size);
//! }
//! consumer.take(batch.len(), 0)?; // only now are they gone
//! # Ok(())
//! # }
//! ```

mod consumer;
mod place;
mod producer;
mod scanner;
mod told;
mod wait;
mod watch;

pub use consumer::Consumer;
pub use producer::{event_name, push};
pub use scanner::Scanner;
pub use wait::{Arrivals, Woken};
pub(crate) use wait::{IDLE_PAUSE, SECOND_LOOKS};
pub use watch::{Seen, Watch};
