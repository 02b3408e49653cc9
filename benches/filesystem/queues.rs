//! The same calls beside few queues and beside many.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::calls::{Dir, name};
use crate::common::mount::Eventfs;
use crate::common::row::{Row, Unit};
use crate::common::timing::{Rounds, ratio, seconds};
use crate::common::{Broken, EVENTFS, cpu, scale};

/// Queues of the small mount.
const FEW: u32 = 10;

/// How much longer a call may take among many.
const RATIO_MAX: f64 = 1.25;

/// Calls of each kind in a round.
const CALLS: u32 = 100;

/// A mount with so many queues that hold an event each.
struct Place {
    mounted: Eventfs,
    root: Dir,
    queues: u32,
    /// Number of the event that is put next.
    next: u32,
    put: Rounds,
    pop: Rounds,
    mkdir: Rounds,
    status: Rounds,
}

impl Place {
    fn with(queues: u32) -> Result<Self, Broken> {
        let mounted = Eventfs::start(&[])?;
        for number in 0..queues {
            let queue = mounted.queue(&queue_name(number))?;
            Dir::open(&queue)?.put(0)?;
        }
        let root = Dir::open(mounted.root())?;
        let (put, pop) = (Rounds::default(), Rounds::default());
        let (mkdir, status) = (Rounds::default(), Rounds::default());
        Ok(Self { mounted, root, queues, next: 1, put, pop, mkdir, status })
    }

    /// One round, in a queue each time that was not used just before; the depths stay.
    fn round(&mut self) -> nix::Result<()> {
        let first = self.next;
        self.next += CALLS;
        let queues = self.queues;
        // A stride without a common divisor: all queues get their turn, neighbours not in a row.
        let queue = |number: u32| queue_name((number * 7_919) % queues);
        let paths: Vec<String> = (first..self.next)
            .map(|number| format!("{}/{}", queue(number), String::from_utf8_lossy(&name(number))))
            .collect();
        let heads: Vec<String> =
            (first..self.next).map(|number| format!("{}/head", queue(number))).collect();
        let root = &self.root;
        self.put.run(0..CALLS, |at| root.put_at(paths[at as usize].as_bytes()))?;
        self.pop.run(0..CALLS, |at| root.take(heads[at as usize].as_bytes()))?;
        self.mkdir.run(0..CALLS, |number| root.mkdir_rmdir(&name(number)))
    }

    /// All of `eventfs status`, and what of it is one queue's.
    fn status(&mut self) -> Result<(), Broken> {
        self.status.run(0..1, |_| {
            let output = Command::new(EVENTFS)
                .args(["status", "--json"])
                .arg(self.mounted.root())
                .stdin(Stdio::null())
                .output()?;
            let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
            match output.status.success() && lines == self.queues as usize {
                true => Ok(()),
                false => Err(format!("status told {lines} queues").into()),
            }
        })
    }
}

fn queue_name(number: u32) -> String {
    format!("queue-{number:06}")
}

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    cpu::stay_on_one()?;
    let (rounds, queues) = (scale(150, 20), scale(10_000, 2_000));
    let mut few = Place::with(FEW)?;
    let start = Instant::now();
    let mut many = Place::with(queues)?;
    let making = start.elapsed();
    for _ in 0..rounds {
        few.round()?;
        many.round()?;
    }
    let mut middle = Place::with(queues / 10)?;
    for _ in 0..scale(10, 3) {
        middle.status()?;
        many.status()?;
    }
    let row = |what: &str, of: fn(&Place) -> &Rounds| {
        let (few, many) = (of(&few), of(&many));
        let measured = ratio(many.quiet(), few.quiet());
        Row::at_most(&format!("{what} among 10 000 queues, beside 10"), Unit::Times, RATIO_MAX, measured)
            .under(format!(
                "{} among {queues}, {} among {FEW}; best twentieth of {rounds} rounds of {CALLS}, medians {:.2} x",
                seconds(many.quiet()),
                seconds(few.quiet()),
                ratio(many.median(), few.median()),
            ))
    };
    let each = |place: &Place| -> Duration { place.status.quiet() / place.queues };
    Ok(vec![
        row("put", |place| &place.put),
        row("pop through head", |place| &place.pop),
        row("mkdir + rmdir", |place| &place.mkdir),
        Row::at_most(
            "eventfs status, a queue, among 10 000 queues, beside 1 000",
            Unit::Times,
            RATIO_MAX,
            ratio(each(&many), each(&middle)),
        )
        .under(format!(
            "{} among {queues}, {} among {}; all of {queues} in {}; best of {}",
            seconds(each(&many)),
            seconds(each(&middle)),
            middle.queues,
            seconds(many.status.quiet()),
            many.status.count()
        )),
        Row::told("idle daemon with 10 000 queues, of a processor", idle(&many.mounted)?)
            .under(format!("over 2 s; {queues} queues made in {}", seconds(making))),
    ])
}

/// What part of a processor a daemon uses that nobody calls.
fn idle(mounted: &Eventfs) -> Result<String, Broken> {
    // What the last call left to do ends by itself.
    std::thread::sleep(Duration::from_secs(2));
    let (start, before) = (Instant::now(), mounted.processor_time()?);
    std::thread::sleep(Duration::from_secs(2));
    let used = mounted.processor_time()?.saturating_sub(before);
    Ok(format!("{:.2} %", 100.0 * ratio(used, start.elapsed())))
}
