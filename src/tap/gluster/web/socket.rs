//! A client of the WebSocket: what is queued first if it asks, then every event as it comes.
//!
//! A client that takes too little is dropped, with status 1013 and the number to go on from: nothing is
//! skipped silently, and nobody's memory grows without bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::replay::replay;
use super::server::{Shared, ended};
use super::{Frame, Request, Subscription, subscription};
use crate::tap::gluster::inbox::Item;

/// Longest message taken from a client, bytes: none of them means anything.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Clients at once.
const CLIENTS_MAX: usize = 256;

/// How long a client may take for one frame.
const SEND_WAIT: Duration = Duration::from_secs(30);

/// How often a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// A client that was silent for so long, pings and all, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(100);

/// How long the end of a conversation may take.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Frames read ahead of a client from files.
const REPLAY_AHEAD: usize = 64;

/// How many clients there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<AtomicUsize>);

impl Clients {
    /// As it is now.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, if there may be.
    fn enter(&self) -> Option<Counted> {
        let add = |count| (count < CLIENTS_MAX).then_some(count + 1);
        let entered = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        entered.ok().map(|_| Counted(self.clone()))
    }
}

/// One of them, until it is dropped.
struct Counted(Clients);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Status codes of RFC 6455 section 7.4.1, and why.
type Close = (u16, String);

const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;
const TRY_AGAIN: u16 = 1013;

/// Serves a client to its end.
pub(super) async fn serve(mut socket: WebSocket, shared: Arc<Shared>, mut feed: Feed) {
    if let Some(why) = converse(&mut socket, &shared, &mut feed).await {
        close(socket, why).await;
    }
    // It has counted as a client until here.
    drop(feed);
}

/// Where a client's frames come from.
pub(super) struct Feed {
    /// What was queued; done when it has ended.
    queued: Option<mpsc::Receiver<Frame>>,
    live: Subscription,
    /// The last number that was sent.
    last: u64,
    _counted: Counted,
}

impl Feed {
    /// Asks the tap for frames from now on, and begins to read what is queued. Nothing when there are too
    /// many clients, or the tap does not answer.
    pub(super) async fn begin(shared: &Shared, since: Option<u64>) -> Option<Self> {
        let counted = shared.clients.enter()?;
        let (subscriber, live) = subscription();
        let (answer, snapshot) = oneshot::channel();
        let request = Request::Subscribe { subscriber, answer };
        if !shared.inbox.try_put(Item::Web(request)) {
            return None;
        }
        let snapshot = timeout(SEND_WAIT, snapshot).await.ok()?.ok()?;
        let queued = since.map(|since| {
            let (sender, receiver) = mpsc::channel(REPLAY_AHEAD);
            tokio::task::spawn_blocking(move || replay(snapshot, since, &sender));
            receiver
        });
        Some(Self { queued, live, last: since.unwrap_or(0), _counted: counted })
    }

    async fn next(&mut self) -> Option<Frame> {
        if let Some(queued) = &mut self.queued {
            if let Some(frame) = queued.recv().await {
                return Some(frame);
            }
            self.queued = None;
        }
        self.live.next().await
    }
}

/// Until one side has enough; says how to close if it is ours.
async fn converse(socket: &mut WebSocket, shared: &Shared, feed: &mut Feed) -> Option<Close> {
    let mut ending = shared.ending.clone();
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.reset();
    loop {
        let message = tokio::select! {
            () = ended(&mut ending) => {
                return Some((GOING_AWAY, "the tap ends".into()));
            }
            received = socket.recv() => {
                match received? {
                    // Clients have nothing to say; the library answers pings and the closing.
                    Ok(_) => heard = Instant::now(),
                    Err(error) => return fault(error),
                }
                continue;
            }
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    return Some((GOING_AWAY, "silent for too long".into()));
                }
                Message::Ping(Vec::new().into())
            }
            frame = feed.next() => match frame {
                Some(frame) => {
                    feed.last = frame.seq;
                    Message::Text(frame.text)
                }
                None => return Some(too_slow(feed)),
            }
        };
        match timeout(SEND_WAIT, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(too_slow(feed)),
        }
    }
}

fn too_slow(feed: &Feed) -> Close {
    (TRY_AGAIN, format!("too slow; go on with ?since={}", feed.last))
}

/// What a client's fault is called; nothing where the connection is gone.
fn fault(error: axum::Error) -> Option<Close> {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>()? {
        Error::Capacity(_) => Some((TOO_LARGE, "too large".into())),
        Error::Protocol(fault) => Some((PROTOCOL_ERROR, fault.to_string())),
        Error::Utf8(_) => Some((NOT_UTF8, "not UTF-8".into())),
        _ => None,
    }
}

async fn close(mut socket: WebSocket, (code, reason): Close) {
    let frame = CloseFrame { code, reason: reason.into() };
    let said = timeout(CLOSE_WAIT, socket.send(Message::Close(Some(frame)))).await;
    if matches!(said, Ok(Ok(()))) {
        // The client's own closing, so that it reads ours before the connection goes.
        let heard = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = timeout(CLOSE_WAIT, heard).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_bounded_and_who_leaves_makes_room() {
        let clients = Clients::default();
        let mut inside: Vec<Counted> = (0..CLIENTS_MAX).filter_map(|_| clients.enter()).collect();
        assert_eq!(inside.len(), CLIENTS_MAX);
        assert!(clients.enter().is_none());
        inside.pop();
        assert!(clients.enter().is_some());
        assert_eq!(clients.count(), CLIENTS_MAX - 1);
    }
}
