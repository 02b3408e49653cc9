//! A life with Gluster: a node that posts its events one after the other, each until it is answered 200, and
//! then forgets it. Afterwards each was delivered but for those that were in memory alone: in the tap's
//! while there was no queue, in the daemon's otherwise.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemon::wait_for;
use crate::rng::Rng;
use crate::scene::{Plan, Scene, TICK, Victim};
use crate::seen::Said;
use crate::slot::Places;
use crate::tally::Tally;

/// Most messages in a tick.
const BURST_MAX: u64 = 10;

/// Pause before a message that was not answered is posted again.
const AGAIN_AFTER: Duration = Duration::from_millis(3);

/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// Messages after the last kill.
const QUIET: u64 = 20;

fn read(event: &Value) -> Said {
    match event["type"].as_str() {
        Some("gluster.volume_start") => {
            let name = event["data"]["message"]["name"].as_str().unwrap_or_default();
            name.parse().map_or(Said::Stranger, Said::Number)
        }
        _ => Said::Stranger,
    }
}

/// What the driver and the node tell each other.
#[derive(Default)]
struct Desk {
    /// Messages are posted up to here.
    wanted: AtomicU64,
    /// Numbers below were answered; this one may be under way.
    answered: AtomicU64,
    stop: AtomicBool,
}

/// Posts. Dropped, it ends.
struct Node {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(port: u16) -> Self {
        let desk = Arc::<Desk>::default();
        let own = Arc::clone(&desk);
        let thread = thread::spawn(move || {
            while !own.stop.load(Ordering::Acquire) {
                let next = own.answered.load(Ordering::Acquire);
                if next >= own.wanted.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                } else if post(port, next).is_some_and(|status| status == 200) {
                    own.answered.store(next + 1, Ordering::Release);
                } else {
                    thread::sleep(AGAIN_AFTER);
                }
            }
        });
        Self { desk, thread: Some(thread) }
    }

    fn send(&self, count: u64) {
        self.desk.wanted.fetch_add(count, Ordering::AcqRel);
    }

    fn wanted(&self) -> u64 {
        self.desk.wanted.load(Ordering::Acquire)
    }

    fn answered(&self) -> u64 {
        self.desk.answered.load(Ordering::Acquire)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::Release);
        self.thread.take().map(JoinHandle::join);
    }
}

/// The status of the answer, if there is one.
fn post(port: u16, number: u64) -> Option<u16> {
    let message = json!({"name": number.to_string()});
    let event = json!({"event": "VOLUME_START", "message": message, "nodeid": "n", "ts": 1});
    let body = event.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_WAIT)).ok()?;
    let length = body.len();
    let head = "POST /listen HTTP/1.1\r\nHost: x\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
    let mut answer = Vec::new();
    // A killed tap may leave half an answer, and a whole first line of it is one.
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8(answer).ok()?;
    text.lines().next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// A port that nobody uses, and that the kernel gives to none who do not ask for it.
fn free_port(rng: &mut Rng) -> Result<u16, String> {
    let ports = (0..100).map(|_| 20_000 + rng.below(10_000) as u16);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(free).ok_or_else(|| "no port is free".to_owned())
}

struct Life<'a> {
    scene: Scene<'a>,
    node: Node,
    /// What was in memory alone may end with each of these: the last number that was in it, at least and at
    /// most.
    ends: Vec<(u64, u64)>,
}

/// Runs a life.
pub(crate) fn run(
    places: &Places,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let port = free_port(&mut rng)?;
    let words = vec!["--webhook".into(), format!("127.0.0.1:{port}").into()];
    let scene = Scene::new(places, rng, Plan { source: "gluster", words, read }, tally);
    let mut life = Life { scene, node: Node::start(port), ends: Vec::new() };
    life.storm(length)?;
    life.quiet()?;
    let Life { scene, node, .. } = life;
    let sent = node.wanted();
    scene.tally.tap.forgotten += scene.seen.missing(sent).len() as u64;
    drop(node);
    scene.end(sent);
    Ok(())
}

impl Life<'_> {
    fn storm(&mut self, length: Duration) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            // A node that is behind has enough to do.
            if self.node.wanted() < self.node.answered() + BURST_MAX {
                let count = self.scene.rng.below(BURST_MAX);
                self.node.send(count);
            }
            self.scene.keep_up()?;
            for victim in self.scene.victims() {
                self.kill(victim);
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn kill(&mut self, victim: Victim) {
        // What was answered while there was no queue waits in the tap's memory until there is one, and
        // the tap shows there that nothing waits.
        let is_safe = self.scene.counters()["backlog"] == 0;
        let before = self.node.answered();
        self.scene.kill(victim);
        let after = self.node.answered();
        let takes = match victim {
            Victim::Daemon => true,
            Victim::Tap | Victim::TapInOrder => !is_safe,
            Victim::Consumer => false,
        };
        if takes {
            self.ends.push((before.saturating_sub(1), after));
        }
    }

    fn settle(&mut self, when: &str) -> Result<(), String> {
        let (node, ends) = (&self.node, &self.ends);
        let wanted = node.wanted();
        self.scene.settle(when, |seen| {
            // Of what is not answered the node still knows.
            (node.answered()..wanted).chain(seen.lost(node.answered().min(wanted), ends)).collect()
        })
    }

    /// Nobody is killed any more: everything is delivered, and the counters say so.
    fn quiet(&mut self) -> Result<(), String> {
        self.settle("after the storm")?;
        self.node.send(1);
        self.settle("before the quiet")?;
        self.scene.rest();
        self.scene.stop_tap("before the quiet");
        self.node.send(QUIET);
        let (first, next) = (self.node.wanted() - QUIET, self.node.wanted());
        self.scene.settle("in the quiet", |seen| {
            (first..next).filter(|number| !seen.has(*number)).collect()
        })?;
        let node = &self.node;
        wait_for(|| node.answered() == next);
        let counters = self.scene.stop_tap("after the quiet");
        if counters["written"] != QUIET || counters["lost"] != 0 || counters["notes"] != 0 {
            self.scene.seen.find(format!("{QUIET} messages are counted {counters}"));
        }
        Ok(())
    }
}
