//! `eventfs pop --all` against a compiled loop that reads and unlinks through `head`, on the same
//! mount in one run: a ratio, because a shared machine is never quiet.
//!
//! `cargo bench --bench consume`; `EVENTFS_BENCH_QUICK=1` makes a short run.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use common::calls::{CONTENT, Dir};
use common::mount::Eventfs;
use common::row::{Row, Unit};
use common::timing::median_and_best;
use common::{Broken, EVENTFS, cpu, scale};

/// How much faster pop must be than the loop.
const TARGET: f64 = 4.0;

fn main() -> ExitCode {
    common::main("consume", &[("pop", measure)])
}

fn measure() -> Result<Vec<Row>, Broken> {
    cpu::stay_on_one()?;
    let (count, rounds) = (scale(50_000, 10_000), scale(5, 1));
    let mount = Eventfs::start(&[])?;
    let queue = mount.queue("q")?;
    let dir = Dir::open(&queue)?;
    let (mut loops, mut pops, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let fill = || (0..count).try_for_each(|number| dir.put(number));
        fill()?;
        let by_loop = time(&queue, || Ok((0..count).try_for_each(|_| dir.take(b"head"))?))?;
        fill()?;
        let by_pop = time(&queue, || drain_by_pop(&queue))?;
        loops.push(f64::from(count) / by_loop.as_secs_f64());
        pops.push(f64::from(count) / by_pop.as_secs_f64());
        ratios.push(by_loop.as_secs_f64() / by_pop.as_secs_f64());
    }
    let ((ratio, best), (by_loop, _), (by_pop, _)) =
        (median_and_best(ratios), median_and_best(loops), median_and_best(pops));
    Ok(vec![
        Row::at_least(
            "eventfs pop --all, beside a compiled loop through head",
            Unit::Times,
            TARGET,
            ratio,
        )
        .under(format!(
            "median of {rounds} rounds of {count} events of {} bytes, best {best:.0}; {} and {}; one processor",
            CONTENT.len(),
            Unit::Rate.show(by_pop),
            Unit::Rate.show(by_loop),
        )),
    ])
}

/// The time in which a queue is emptied.
fn time(queue: &Path, drain: impl FnOnce() -> Result<(), Broken>) -> Result<Duration, Broken> {
    let start = Instant::now();
    drain()?;
    let took = start.elapsed();
    match fs::read_dir(queue)?.next() {
        None => Ok(took),
        Some(_) => Err("events are left".into()),
    }
}

fn drain_by_pop(queue: &Path) -> Result<(), Broken> {
    let mut pop = Command::new(EVENTFS);
    let status = pop.arg("pop").arg(queue).arg("--all").stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("pop: {status}").into()) }
}
