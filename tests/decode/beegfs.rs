//! BeeGFS: packets of the published samples, each of their prefixes, and hostile ones; then connections,
//! packet by packet and against a server that plays every trick.

mod driver;
mod faults;
mod packets;
mod random;
mod render;
mod samples;
mod session;
mod world;
