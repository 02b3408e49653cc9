//! A life with BeeGFS: a metadata server that goes on sending, and a ring that is overwritten while nobody
//! listens. Afterwards each number was delivered or is told to be missing, and the counters say so too.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::metadata_server::{Identity, MetadataServer};
use crate::rng::Rng;
use crate::scene::{Plan, Scene, TICK, Victim};
use crate::seen::Said;
use crate::slot::Places;
use crate::tally::Tally;

/// Most events that the server gets in a tick.
const BURST_MAX: u64 = 20;

/// Events overwritten and kept of the last hole.
const HOLE: u64 = 60;
const KEPT: u64 = 40;

fn read(event: &Value) -> Said {
    let data = &event["data"];
    match event["type"].as_str() {
        Some("beegfs.create") => data["msn"].as_u64().map_or(Said::Stranger, Said::Number),
        Some("beegfs.gap") => {
            let ends = data["first"].as_u64().zip(data["last"].as_u64());
            ends.map_or(Said::Stranger, |(first, last)| Said::Gap(first, last))
        }
        _ => Said::Stranger,
    }
}

struct Life<'a> {
    scene: Scene<'a>,
    server: MetadataServer,
}

/// Runs a life.
pub(crate) fn run(
    places: &Places,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
) -> Result<(), String> {
    let socket = places.work.join("socket");
    let words = vec!["--socket".into(), socket.clone().into()];
    let scene = Scene::new(places, Rng::new(seed), Plan { source: "beegfs", words, read }, tally);
    let server = MetadataServer::start(&socket, Identity::node(7));
    let mut life = Life { scene, server };
    life.storm(length)?;
    life.settle("after the storm")?;
    life.hole()?;
    let Life { mut scene, server } = life;
    for offence in server.offences() {
        scene.seen.find(format!("the tap {offence}"));
    }
    scene.tally.tap.overwritten += HOLE;
    scene.end(server.ring(|ring| ring.next()));
    Ok(())
}

impl Life<'_> {
    fn storm(&mut self, length: Duration) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let count = self.scene.rng.below(BURST_MAX);
            self.server.burst(count);
            self.scene.keep_up()?;
            for victim in self.scene.victims() {
                self.scene.kill(victim);
                // A tap that never began knows of nothing that it could miss.
                if victim == Victim::Tap && self.scene.rng.once_in(3) && self.scene.has_begun() {
                    self.overwrite();
                }
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// The ring goes on while nobody listens.
    fn overwrite(&mut self) {
        let count = self.scene.rng.below(200);
        self.server.burst(count);
        let keep = self.scene.rng.below(300);
        self.scene.tally.tap.overwritten += self.server.ring(|ring| {
            let first = ring.first();
            ring.discard_before(ring.next().saturating_sub(keep));
            ring.first() - first
        });
    }

    fn settle(&mut self, when: &str) -> Result<(), String> {
        let next = self.server.ring(|ring| ring.next());
        self.scene.settle(when, |seen| seen.missing(next))
    }

    /// A hole of known size: the tap ends in order, the ring goes on, the tap comes back.
    fn hole(&mut self) -> Result<(), String> {
        // When this one is there, so is everything before it, and nothing of old is on its way again.
        self.server.burst(1);
        self.settle("before the hole")?;
        self.scene.stop_tap("before the hole");
        let first = self.server.burst(HOLE + KEPT);
        self.server.ring(|ring| ring.discard_before(first + HOLE));
        let known = self.scene.seen.gaps.len();
        self.settle("after the hole")?;
        let told: Vec<_> = self.scene.seen.gaps.iter().skip(known).copied().collect();
        let hole = (first, first + HOLE - 1);
        if told != [hole] {
            self.scene.seen.find(format!("the hole {hole:?} is told as {told:?}"));
        }
        let counters = self.scene.stop_tap("after the hole");
        if counters["lost"] != HOLE || counters["notes"] != 1 || counters["written"] != KEPT {
            self.scene.seen.find(format!("a hole of {HOLE} is counted {counters}"));
        }
        Ok(())
    }
}
