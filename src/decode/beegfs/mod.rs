//! The file-event protocol of BeeGFS metadata servers, version 2, and the events of BeeGFS 7.
//!
//! ```text
//!  packet ──► Packet ──► Payload ──► Renderer ──► Event
//!                └────► Session (handshake, where to start, gaps, resets) ──► Outlet
//! ```
//!
//! A metadata server connects to a SEQPACKET socket of ours, and one packet is one message. It numbers
//! its events (*MSN*) from 0, keeps them in a ring on disk, and sends them from whatever number a listener
//! asks for. There are no acknowledgements.

pub mod check;
mod digest;
mod fault;
mod packet;
mod payload;
mod place;
mod render;
mod session;
mod types;
mod v1;

pub use digest::digest;
pub use fault::Fault;
pub use packet::{
    CloseReason, Form, HEADER_BYTES, MAGIC, PACKET_BYTES_MAX, Packet, VERSION_MAJOR, VERSION_MINOR,
    message_number,
};
pub use payload::{FLAG_MIRRORED, FLAG_SECONDARY, FORMAT, PAYLOAD_BYTES_MAX, Payload};
pub use place::{Place, V7_STREAM};
pub use render::{Renderer, Unreadable};
pub use session::{
    Cause, Dropped, End, From, Memory, Note, Now, Outlet, Saved, Session, Settings, Step, Word,
};
pub use types::{TYPE_COUNT, event_name, push_kind};
pub use v1::{V1_HEADER_BYTES, V1Packet};
