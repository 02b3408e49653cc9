//! Publishing on: every event is posted to every webhook, in order, until it has it.
//!
//! ```text
//! tap's thread ─► spool (a directory: one event a file) ◄─ one thread a URL ─► POST
//!                   a file goes when every URL has got it
//! ```
//!
//! A URL that is dead keeps its place, and only its own: the others go on. What it has not got stays in
//! the spool while that has room.

mod board;
mod body;
mod client;
mod spool;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use client::{Client, Post};

use super::store::{Credentials, Webhooks};
use crate::event::{Event, TimeText};
use crate::tap::Failure;
use board::Board;
use spool::{Files, Spool};
use worker::post_all;

/// Where and how to publish.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// URLs of `--publish`.
    pub urls: Vec<String>,
    /// File whose first token they get.
    pub token_file: Option<PathBuf>,
    /// File whose first secret signs their tokens.
    pub secret_file: Option<PathBuf>,
    /// Certificates to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether bodies are CloudEvents; nothing leaves it to the setting `publish-format`.
    pub cloudevents: Option<bool>,
    /// Directory of what is still to be posted; beside the queue if absent.
    pub spool: Option<PathBuf>,
}

/// How long the end waits for posts that are under way.
const END_WAIT: Duration = Duration::from_millis(500);

/// Posts the ping: what an administrator checks a webhook with. It has no body, and a receiver makes no
/// event of it.
///
/// # Errors
/// Why the receiver does not take events: its status, or what stands in the way of it.
pub fn test(
    url: &str,
    credentials: &Credentials,
    ca: Option<&Path>,
    timeout: Duration,
) -> Result<(), String> {
    let client = Client::new(ca, timeout).map_err(|failure| failure.to_string())?;
    client.post(url, credentials, &Post::ping()).map_err(|refused| refused.why)
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    /// Told of everything that may concern a thread that waits.
    news: Condvar,
    files: Files,
    client: Mutex<Client>,
}

/// The publishing side of the tap.
#[derive(Debug)]
pub(super) struct Publisher {
    spool: Spool,
    shared: Arc<Shared>,
    times: TimeText,
    ca: Option<PathBuf>,
    timeout: Duration,
}

/// What a publisher is made from.
#[derive(Debug)]
pub(super) struct Making<'a> {
    pub(super) spool: PathBuf,
    pub(super) shared: bool,
    /// Events and bytes that wait in memory while the spool is full.
    pub(super) backlog: (usize, usize),
    pub(super) hooks: &'a Webhooks,
    /// Numbers given from now on are larger.
    pub(super) floor: u64,
    pub(super) ca: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) cloudevents: bool,
}

impl Publisher {
    /// Opens the spool and goes on where it was.
    ///
    /// # Errors
    /// One line with what cannot be had.
    pub(super) fn start(making: Making<'_>) -> Result<Self, Failure> {
        let spool = Spool::open(&making.spool, making.shared, making.backlog)?;
        let client = Client::new(making.ca.as_deref(), making.timeout)?;
        let mut board = Board::new(spool.pending()?, making.floor);
        board.cloudevents = making.cloudevents;
        let known = spool.positions();
        let started = board.set_hooks(making.hooks, known.as_ref(), true);
        let files = Files::new(making.spool);
        // Who is new must not be taken for somebody who has got nothing, should this be killed now.
        files.save(&board.positions());
        let shared = Arc::new(Shared {
            board: Mutex::new(board),
            news: Condvar::new(),
            files,
            client: Mutex::new(client),
        });
        let publisher = Self {
            spool,
            shared,
            times: TimeText::default(),
            ca: making.ca,
            timeout: making.timeout,
        };
        publisher.begin(started);
        Ok(publisher)
    }

    fn begin(&self, urls: Vec<(String, u64)>) {
        for (url, worker) in urls {
            log::info!("publishing to {url}");
            let shared = Arc::clone(&self.shared);
            let builder = thread::Builder::new().name("publish".into());
            if let Err(error) = builder.spawn(move || post_all(&url, worker, &shared)) {
                log::error!("publishing: {error}");
            }
        }
    }

    /// Posts to these webhooks from now on, with these settings; at once.
    pub(super) fn change(&mut self, hooks: &Webhooks, timeout: Duration, cloudevents: bool) {
        if timeout != self.timeout {
            match Client::new(self.ca.as_deref(), timeout) {
                Ok(client) => *self.shared.client.lock() = client,
                Err(failure) => log::error!("{failure}"),
            }
            self.timeout = timeout;
        }
        let mut board = self.shared.board.lock();
        board.cloudevents = cloudevents;
        let started = board.set_hooks(hooks, None, false);
        let (positions, done) = (board.positions(), board.take_done());
        board.unsaved = false;
        drop(board);
        self.shared.files.save(&positions);
        self.shared.files.remove(&done);
        self.shared.news.notify_all();
        self.begin(started);
    }

    /// The largest number that was given to an event so far.
    pub(super) fn newest(&self) -> u64 {
        self.shared.board.lock().newest()
    }

    /// Whether anybody is posted to.
    pub(super) fn is_wanted(&self) -> bool {
        !self.shared.board.lock().hooks.is_empty()
    }

    /// Puts an event into the spool.
    pub(super) fn publish(&mut self, number: u64, event: &Event) {
        let mut line = Vec::with_capacity(event.data.len() + 512);
        event.write_line(&mut self.times, &mut line);
        let written = self.spool.put(number, line);
        self.announce(written);
    }

    /// Tries again what found no room; says how many events were lost since the last time.
    pub(super) fn retry(&mut self) -> u64 {
        if self.spool.is_waiting() {
            let written = self.spool.write();
            self.announce(written);
            if self.spool.is_waiting() {
                return 0;
            }
        }
        self.spool.take_lost()
    }

    fn announce(&self, written: Vec<u64>) {
        if written.is_empty() {
            return;
        }
        let mut board = self.shared.board.lock();
        written.into_iter().for_each(|number| board.add(number));
        drop(board);
        self.shared.news.notify_all();
    }

    /// Whether something waits for room in the spool.
    pub(super) fn is_waiting(&self) -> bool {
        self.spool.is_waiting()
    }

    /// Lets go of the directory.
    pub(super) fn rest(&mut self) {
        self.spool.rest();
    }

    /// Gives posts that are under way a moment, saves, and ends. What is left stays in the spool.
    pub(super) fn end(&mut self) {
        self.retry();
        let until = Instant::now() + END_WAIT;
        let mut board = self.shared.board.lock();
        while !board.is_done() && !board.hooks.is_empty() {
            if self.shared.news.wait_until(&mut board, until).timed_out() {
                break;
            }
        }
        board.stopped = true;
        let (positions, done) = (board.positions(), board.is_done());
        drop(board);
        self.shared.news.notify_all();
        self.shared.files.save(&positions);
        if done {
            self.spool.remove_if_empty();
        }
    }
}
