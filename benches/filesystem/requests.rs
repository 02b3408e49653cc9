//! Requests of a put and of a pop, counted in the daemon's own log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use crate::common::Broken;
use crate::common::calls::{CONTENT, RoundTrip};
use crate::common::mount::Eventfs;
use crate::common::row::Row;

/// Repetitions; the counts must come out the same for each.
const TIMES: u32 = 100;

/// Requests that nobody waits for.
const ASYNC: [&str; 4] = ["RELEASE", "RELEASEDIR", "FORGET", "BATCHFORGET"];

/// Requests by name.
#[derive(Default)]
struct Counts(BTreeMap<String, u32>);

impl Counts {
    /// Reads `FUSE(  8) ino 0x0000000000000001 LOOKUP name ...`.
    fn of(log: &str) -> Self {
        let mut counts = Self::default();
        for line in log.lines() {
            let Some((_, request)) = line.split_once("FUSE(") else { continue };
            let name = request.split_once(" ino 0x").and_then(|(_, rest)| rest.split(' ').nth(1));
            *counts.0.entry(name.unwrap_or("?").to_owned()).or_default() += 1;
        }
        counts
    }

    fn getattr(&self) -> f64 {
        self.sum(|name| name == "GETATTR")
    }

    fn sync(&self) -> f64 {
        self.sum(|name| name != "GETATTR" && !ASYNC.contains(&name))
    }

    fn async_(&self) -> f64 {
        self.sum(|name| ASYNC.contains(&name))
    }

    fn sum(&self, wanted: impl Fn(&str) -> bool) -> f64 {
        let all = self.0.iter().filter(|(name, _)| wanted(name)).map(|(_, count)| count);
        f64::from(all.sum::<u32>()) / f64::from(TIMES)
    }

    fn shown(&self) -> String {
        format!("{} sync + {} async (+{} GETATTR)", self.sync(), self.async_(), self.getattr())
    }

    fn detail(&self) -> String {
        let each = self.0.iter().map(|(name, count)| match (count / TIMES, count % TIMES) {
            (1, 0) => name.clone(),
            (times, 0) => format!("{times} {name}"),
            _ => format!("{:.2} {name}", f64::from(*count) / f64::from(TIMES)),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    fn within(&self, sync: f64, async_: f64, getattr: f64) -> bool {
        let counted = !self.0.is_empty();
        counted && self.sync() <= sync && self.async_() <= async_ && self.getattr() <= getattr
    }
}

fn put(queue: &Path, number: u32) -> Result<(), Broken> {
    let path = queue.join(format!("event-{number:07}"));
    File::options().write(true).create_new(true).open(path)?.write_all(&CONTENT)?;
    Ok(())
}

fn pop(queue: &Path) -> Result<(), Broken> {
    let head = queue.join("head");
    let mut content = [0; 4_096];
    let mut file = File::open(&head)?;
    let count = file.read(&mut content)?;
    drop(file);
    assert_eq!(count, CONTENT.len(), "an event has its whole content");
    Ok(fs::remove_file(head)?)
}

/// Counts what `work` sends when it is done [`TIMES`] times.
fn count(
    mounted: &Eventfs,
    mut work: impl FnMut(u32) -> Result<(), Broken>,
) -> Result<Counts, Broken> {
    let before = mounted.log_text()?.len();
    for number in 0..TIMES {
        work(number)?;
    }
    Ok(Counts::of(&mounted.log_text()?[before..]))
}

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    let mounted = Eventfs::start(&["-d"])?;
    let queue = mounted.queue("q")?;
    // One of each first: what only the first one needs does not count.
    put(&queue, TIMES)?;
    pop(&queue)?;
    let puts = count(&mounted, |number| put(&queue, number))?;
    let pops = count(&mounted, |_| pop(&queue))?;
    put(&queue, TIMES)?;
    let round_trip = RoundTrip::of(&queue)?;
    round_trip.go()?;
    let trips = count(&mounted, |_| Ok(round_trip.go()?))?;
    Ok(vec![
        Row::checked(
            "requests of a put (open, write, close)",
            "at most 3 sync + 1 async (+2 GETATTR)",
            puts.shown(),
            puts.within(3.0, 1.0, 2.0),
        )
        .under(puts.detail()),
        Row::checked(
            "requests of a pop (open head, read, close, unlink head)",
            "at most 6 sync + 2 async (+1 GETATTR)",
            pops.shown(),
            pops.within(6.0, 2.0, 1.0),
        )
        .under(pops.detail()),
        Row::checked(
            "requests of the round trip (control)",
            "1 GETATTR",
            trips.shown(),
            trips.within(0.0, 0.0, 1.0) && trips.getattr() == 1.0,
        )
        .under("fstat of head, opened with O_PATH"),
    ])
}
