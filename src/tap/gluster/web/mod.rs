//! The web server: webhooks in, the WebSocket out. Everything asynchronous of the project is in here, on
//! one thread, behind this interface.
//!
//! ```text
//! POST any path ─► guard ─► Request::Event ─► inbox ─► the tap's thread ─► queue
//!        200/503 ◄──────────── answer ◄─────────────────────┤
//! GET /v1/events ─► Request::Subscribe ─────────────────────┤
//!        frames  ◄──────────── channel ◄────────────────────┘
//! ```

mod connections;
mod guard;
mod peers;
mod replay;
mod routes;
mod server;
mod socket;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{mpsc, oneshot};

pub(super) use guard::tokens;
pub(super) use peers::Peers;
pub(super) use server::Server;

/// Longest body of a request, bytes (contract section 10).
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Where and how to serve.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses to listen at.
    pub addresses: Vec<SocketAddr>,
    /// Certificate chain, PEM; with it HTTPS is served and HTTP is not.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Tokens, one of which a request has to bear.
    pub token_file: Option<PathBuf>,
    /// Secrets, with one of which a request's token has to be signed.
    pub secret_file: Option<PathBuf>,
}

/// What the server asks of the tap's thread.
#[derive(Debug)]
pub(super) enum Request {
    /// Take an event.
    Event {
        body: Vec<u8>,
        /// When it came, nanoseconds since 1970.
        nanos: u64,
        from: IpAddr,
        /// Whether it came by `/v1/listen`, from another daemon that posts it to everybody.
        listen: bool,
        answer: Asker,
    },
    /// Send frames from now on.
    Subscribe { subscriber: Subscriber, answer: oneshot::Sender<Snapshot> },
}

/// Who waits to hear what became of an event.
pub(super) type Asker = oneshot::Sender<Taken>;

/// What became of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// It is in the queue or the backlog, or was not wanted.
    Yes,
    /// There is no room.
    Full,
}

/// A frame of the WebSocket and its number.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) seq: u64,
    pub(super) text: Utf8Bytes,
}

impl Frame {
    /// The webhook object with `seq`.
    pub(super) fn new(data: &[u8], seq: u64) -> Option<Self> {
        let open = std::str::from_utf8(data).ok()?.trim_ascii_end().strip_suffix('}')?;
        let comma = if open.ends_with('{') { "" } else { "," };
        Some(Self { seq, text: format!("{open}{comma}\"seq\":{seq}}}").into() })
    }
}

/// Where the tap stands in the moment in which a client begins to listen.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The last event that does not come as a live frame.
    pub(super) upto: u64,
    /// Events that are in memory and in no file yet.
    pub(super) unwritten: Vec<Frame>,
    /// Directories with the files.
    pub(super) directories: Vec<PathBuf>,
}

/// Frames that may wait for a client; the one that lets more gather is dropped.
const FRAMES_MAX: usize = 10_000;

/// Bytes of them.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// A client as the tap's thread sees it.
#[derive(Debug)]
pub(super) struct Subscriber {
    frames: mpsc::Sender<Frame>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// A client's frames as its connection sees them.
#[derive(Debug)]
pub(super) struct Subscription {
    frames: mpsc::Receiver<Frame>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Both ends.
pub(super) fn subscription() -> (Subscriber, Subscription) {
    let (sender, receiver) = mpsc::channel(FRAMES_MAX);
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let subscriber = Subscriber { frames: sender, waiting_bytes: Arc::clone(&waiting_bytes) };
    (subscriber, Subscription { frames: receiver, waiting_bytes })
}

impl Subscriber {
    /// Hands it a frame; false when it is gone or too slow, and is to be forgotten.
    pub(super) fn send(&self, frame: &Frame) -> bool {
        let bytes = frame.text.len();
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > FRAME_BYTES_MAX {
            return false;
        }
        self.frames.try_send(frame.clone()).is_ok()
    }
}

impl Subscription {
    /// The next frame; nothing when the tap has dropped this client.
    async fn next(&mut self) -> Option<Frame> {
        let frame = self.frames.recv().await?;
        self.waiting_bytes.fetch_sub(frame.text.len(), Ordering::Relaxed);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_the_object_with_its_number() {
        let text = |data: &str| Frame::new(data.as_bytes(), 7).map(|frame| frame.text.to_string());
        assert_eq!(text(r#"{"a":{}}"#).as_deref(), Some(r#"{"a":{},"seq":7}"#));
        assert_eq!(text("{}").as_deref(), Some(r#"{"seq":7}"#));
        assert_eq!(text("x"), None);
    }

    #[test]
    fn a_client_that_lets_too_much_gather_is_dropped() {
        let (subscriber, subscription) = subscription();
        let small = Frame::new(b"{}", 1).unwrap();
        for _ in 0..FRAMES_MAX {
            assert!(subscriber.send(&small));
        }
        assert!(!subscriber.send(&small));
        drop(subscription);
        let (subscriber, _subscription) = super::subscription();
        let large = Frame { seq: 1, text: "x".repeat(FRAME_BYTES_MAX / 2).into() };
        assert!(subscriber.send(&large) && subscriber.send(&large));
        assert!(!subscriber.send(&large));
    }
}
