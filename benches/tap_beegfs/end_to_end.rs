//! From a metadata server's socket to files in a queue: the tap as its users run it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::mount::Eventfs;
use crate::common::row::{Row, Unit};
use crate::common::tap::Tap;
use crate::common::timing::median_and_best;
use crate::common::{Broken, scale};
use crate::server::{BOUND, Bare, Load, shake_hands};

/// Events a second with `--batch 1000`.
const BATCH_TARGET: f64 = 400_000.0;

/// Events a second of processor time: the reference listener that BeeGFS ships manages so many.
const REFERENCE: f64 = 240_000.0;

/// Part of the rate of a loop that writes the same files.
const SINGLE_TARGET: f64 = 0.7;

/// Between two looks at the last file: each takes both processors from what is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// The last line is looked for in so many bytes.
const LAST_BYTES: u64 = 1_024;

/// Bursts as a busy server sends them, and all of it in files of a thousand.
pub(crate) fn batches() -> Result<Vec<Row>, Broken> {
    let load = Load::of(scale(500_000, 50_000));
    let (count, rounds) = (load.count(), scale(9, 1));
    let rate = |time: Duration| f64::from(count) / time.as_secs_f64();
    let (mut rates, mut by_processor, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_rates, mut bare_by_processor) = (Vec::new(), Vec::new());
    let mut senders = Vec::new();
    for _ in 0..rounds {
        let bare = Bare::run(&load)?;
        let round = Round::run(&load, &["--batch", "1000"])?;
        bare_rates.push(rate(bare.took));
        bare_by_processor.push(rate(bare.processor));
        rates.push(rate(round.took));
        by_processor.push(rate(round.processor));
        ratios.push(bare.took.as_secs_f64() / round.took.as_secs_f64());
        senders.push(rate(round.sending));
    }
    let (median, best) = median_and_best(rates);
    let (ratio, _) = median_and_best(ratios);
    let (of_processor, of_processor_best) = median_and_best(by_processor);
    let (bare, bare_best) = median_and_best(bare_rates);
    let (bare_of_processor, _) = median_and_best(bare_by_processor);
    let (sender, _) = median_and_best(senders);
    let show = |rate| Unit::Rate.show(rate);
    let of = format!("{rounds} rounds of {count}");
    Ok(vec![
        Row::at_least(
            "BeeGFS tap, socket to files, --batch 1000",
            Unit::Rate,
            BATCH_TARGET,
            median,
        )
        .under(format!("median of {of}, best {}; {ratio:.2} of the bare receive loop", show(best))),
        Row::at_least(
            "BeeGFS tap, --batch 1000, events a second of its processor time",
            Unit::Rate,
            REFERENCE,
            of_processor,
        )
        .under(format!(
            "median of {of}, best {}; target: what BeeGFS' reference listener takes and writes nowhere",
            show(of_processor_best)
        )),
        Row::told("a loop that only receives the BeeGFS packets", show(bare)).under(format!(
            "median of {of}, best {}; of its processor time {}, of the sender's {}",
            show(bare_best),
            show(bare_of_processor),
            show(sender)
        )),
    ])
}

/// One event a file, against a loop that writes the same files into the same mount.
pub(crate) fn single_files() -> Result<Vec<Row>, Broken> {
    let load = Load::of(scale(20_000, 5_000));
    let (count, rounds) = (load.count(), scale(5, 1));
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let round = Round::run(&load, &[])?;
        let by_loop = write_again(&round)?;
        ratios.push(by_loop.as_secs_f64() / round.took.as_secs_f64());
        rates.push(f64::from(count) / round.took.as_secs_f64());
    }
    let ((ratio, best), (rate, _)) = (median_and_best(ratios), median_and_best(rates));
    Ok(vec![
        Row::at_least(
            "BeeGFS tap, one event a file, beside a compiled loop that writes the same files",
            Unit::Times,
            SINGLE_TARGET,
            ratio,
        )
        .under(format!(
            "median of {rounds} rounds of {count}, best {best:.2}; {}",
            Unit::Rate.show(rate)
        )),
    ])
}

/// A tap on a mount that has taken its events.
struct Round {
    mount: Eventfs,
    queue: PathBuf,
    took: Duration,
    /// Processor time of the tap, from its start to its end.
    processor: Duration,
    /// Processor time of the sender.
    sending: Duration,
}

impl Round {
    fn run(load: &Load, words: &[&str]) -> Result<Self, Broken> {
        let mount = Eventfs::start(&["-o", "size=4g"])?;
        let queue = mount.queue("q")?;
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("socket");
        let source = ["beegfs", "--socket", path.to_str().ok_or("not UTF-8")?];
        let tap = Tap::start(&source, &queue, words)?;
        let server = shake_hands(&path, load.count())?;
        let last = format!("\"msn\":{},", load.count() - 1);
        let start = Instant::now();
        let (took, sending) = std::thread::scope(|scope| {
            let sender = scope.spawn(|| load.send(&server));
            while !ends_with(&queue.join("tail"), &last) {
                if start.elapsed() > BOUND {
                    return Err(Broken::from("not all came"));
                }
                std::thread::sleep(PAUSE);
            }
            let took = start.elapsed();
            Ok((took, sender.join().map_err(|_| "the sender panicked")??))
        })?;
        drop(server);
        let processor = tap.end()?.processor;
        Ok(Self { mount, queue, took, processor, sending })
    }
}

/// Whether the end of a file says this. No more of it is read: a file of a batch is most of a MiB.
fn ends_with(path: &Path, text: &str) -> bool {
    let end = || -> std::io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let mut end = vec![0; LAST_BYTES as usize];
        let count = file.read_at(&mut end, file.metadata()?.len().saturating_sub(LAST_BYTES))?;
        end.truncate(count);
        Ok(end)
    };
    end().is_ok_and(|end| String::from_utf8_lossy(&end).contains(text))
}

/// The same names with the same contents, written into another queue of the same mount by a plain loop.
fn write_again(round: &Round) -> Result<Duration, Broken> {
    let mut files = Vec::new();
    for entry in fs::read_dir(&round.queue)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name(), fs::read(entry.path())?));
        }
    }
    let other = round.mount.queue("again")?;
    let start = Instant::now();
    for (name, content) in &files {
        File::create_new(other.join(name))?.write_all(content)?;
    }
    Ok(start.elapsed())
}
