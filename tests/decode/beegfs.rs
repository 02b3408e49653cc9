//! BeeGFS: packets of the published samples, each of their prefixes, and hostile ones.

mod packets;
mod random;
mod render;
mod samples;
