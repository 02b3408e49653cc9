//! A long queue: its memory, its speed, and what is left of it after a drain.

use std::time::{Duration, Instant};

use crate::common::calls::Dir;
use crate::common::mount::Eventfs;
use crate::common::row::{Row, Unit};
use crate::common::{Broken, cpu, scale};
use crate::depth::{Queue, compare};

/// Resident bytes that an event of 200 bytes with a name of 13 may cost.
const EVENT_BYTES_MAX: f64 = 350.0;

/// Resident bytes that may be left of a drained queue.
const LEFT_BYTES_MAX: i64 = 16 << 20;

/// The daemon gives memory back at its leisure, but not later than this.
const TRIM_BOUND: Duration = Duration::from_secs(10);

/// Depth of the short queue.
const SHORT: u32 = 1_000;

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    cpu::stay_on_one()?;
    let depth = scale(1_000_000, 100_000);
    let (rounds, mounted) = (scale(200, 40), Eventfs::start(&[])?);
    let dir = Dir::open(&mounted.queue("long")?)?;
    // What the first requests of all need is not the queue's.
    for number in 0..SHORT {
        dir.put(number)?;
        dir.take(b"head")?;
    }
    let empty = mounted.resident_bytes()?;
    let kernel_empty = kernel_inodes();
    let start = Instant::now();
    let mut long = Queue::filled(dir, depth)?;
    let filling = start.elapsed();
    let full = mounted.resident_bytes()?;
    let each = full.saturating_sub(empty) as f64 / f64::from(depth);
    let mut rows = vec![
        Row::at_most(
            "memory of a queued 200-byte event with a 13-byte name",
            Unit::Bytes,
            EVENT_BYTES_MAX,
            each,
        )
        .under(format!(
            "{depth} events; RSS {} to {}; filled in {:.0} s",
            Unit::Mebibytes.show(empty as f64),
            Unit::Mebibytes.show(full as f64),
            filling.as_secs_f64()
        )),
    ];

    let other = Eventfs::start(&[])?;
    let mut short = Queue::filled(Dir::open(&other.queue("short")?)?, SHORT)?;
    rows.extend(compare(&mut short, &mut long, rounds)?);
    drop((short, other));

    let kernel_full = kernel_inodes();
    rows.push(drain(&mounted, &long, empty)?);
    rows.push(kernel_left(kernel_empty, kernel_full));
    Ok(rows)
}

/// FUSE inodes that the kernel keeps, on all mounts of the machine; only root may know.
fn kernel_inodes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/slabinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("fuse_inode "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the kernel keeps of the drained events. The daemon waits with that until nothing goes on.
fn kernel_left(empty: Option<u64>, full: Option<u64>) -> Row {
    let name = "inodes that the kernel keeps of 1 000 000 drained events";
    let (Some(empty), Some(full)) = (empty, full) else {
        return Row::told(name, "only root may know");
    };
    let (start, enough) = (Instant::now(), empty + (full - empty.min(full)) / 100);
    let mut left = u64::MAX;
    while left > enough && start.elapsed() < TRIM_BOUND {
        left = left.min(kernel_inodes().unwrap_or(u64::MAX));
        std::thread::sleep(Duration::from_millis(20));
    }
    let measured = left.saturating_sub(empty).to_string();
    Row::checked(name, "at most 1 of 100", measured, left <= enough).under(format!(
        "of {}; reached {:.1} s after the daemon's memory",
        full.saturating_sub(empty),
        start.elapsed().as_secs_f64()
    ))
}

fn drain(mounted: &Eventfs, queue: &Queue, empty: u64) -> Result<Row, Broken> {
    let start = Instant::now();
    for _ in 0..queue.depth() {
        queue.dir().unlink(b"head")?;
    }
    let drained = start.elapsed();
    let (start, mut back) = (Instant::now(), Duration::ZERO);
    let mut left = i64::MAX;
    while start.elapsed() < TRIM_BOUND {
        let now = mounted.resident_bytes()?.cast_signed() - empty.cast_signed();
        if now < left {
            (left, back) = (now, start.elapsed());
        }
        if left <= LEFT_BYTES_MAX && back + Duration::from_secs(2) < start.elapsed() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Row::at_most(
        "memory kept after 1 000 000 events were drained",
        Unit::Mebibytes,
        LEFT_BYTES_MAX as f64,
        left as f64,
    )
    .under(format!(
        "{} events; over the start; reached {:.1} s after a drain of {:.0} s (unlink head)",
        queue.depth(),
        back.as_secs_f64(),
        drained.as_secs_f64()
    )))
}
