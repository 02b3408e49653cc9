//! Hestia's and robinhood's documents: splitting, parsing, decoding and the CloudEvents line, on one core.
//!
//! `cargo bench --bench tap_hestia [-- PART...]`; `EVENTFS_BENCH_QUICK=1` makes a short run.

mod common;

use std::fs;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use common::row::{Row, Unit};
use common::timing::{median_and_best, ratio, seconds};
use common::{Broken, cpu, scale};
use eventfs::decode::hestia::{Decoder, Limits, Origin, Splitter, Stand};
use eventfs::event::{Event, TimeText, UnixNanos};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hestia/");

/// Documents a second and core, at least.
const DOCUMENTS_TARGET: f64 = 60_000.0;

/// Bytes that memory may grow by over the whole run: what the allocator keeps, and no more.
const GROWTH_MAX: u64 = 16 << 20;

/// Bytes read at a time, as by the tap.
const PIECE_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    common::main(
        "tap_hestia",
        &[("documents", documents), ("memory", memory), ("hostile", hostile)],
    )
}

fn documents() -> Result<Vec<Row>, Broken> {
    let (bytes, rounds) = (scale(20 << 20, 10 << 20) as usize, scale(9, 2));
    let mut rows = Vec::new();
    let mut slowest = (f64::INFINITY, String::new());
    for name in ["legacy_feed.yaml", "export_reference.yaml", "current_feed.yaml"] {
        let sample = fs::read(format!("{DATA}{name}"))?;
        let mut rates = Vec::new();
        for _ in 0..rounds {
            rates.push(decode(&sample, bytes)?.rate());
        }
        let (median, best) = median_and_best(rates);
        let show = |rate| Unit::Rate.show(rate);
        let under = format!(
            "{name}: best of {rounds} rounds of {} MiB, median {}; processor time",
            bytes >> 20,
            show(median)
        );
        if best < slowest.0 {
            slowest = (best, under.clone());
        }
        rows.push(Row::told(&format!("Hestia, {name}, a core"), show(best)).under(under));
    }
    let (rate, under) = slowest;
    rows.insert(
        0,
        Row::at_least("Hestia documents, a core", Unit::Rate, DOCUMENTS_TARGET, rate).under(under),
    );
    Ok(rows)
}

struct Run {
    documents: u64,
    took: Duration,
}

impl Run {
    fn rate(&self) -> f64 {
        self.documents as f64 / self.took.as_secs_f64()
    }
}

/// A feed that repeats a sample until it has so many bytes.
fn decode(sample: &[u8], bytes: usize) -> nix::Result<Run> {
    let limits = Limits::default();
    let mut splitter = Splitter::new(limits.document_bytes_max);
    let mut decoder = Decoder::new("feed.yaml", limits, false);
    let stand = Stand { origin: Origin::File { inode: 77, resets: 0 }, stream: 1 };
    let (mut times, mut line, mut documents) = (TimeText::default(), Vec::new(), 0);
    let start = cpu::time_of_process()?;
    let mut out = |event: &mut Event| {
        line.clear();
        event.write_line(&mut times, &mut line);
        std::hint::black_box(&line);
        documents += 1;
    };
    for _ in 0..bytes / sample.len() {
        for piece in sample.chunks(PIECE_BYTES) {
            splitter.push(piece);
            while let Some(document) = splitter.next() {
                decoder.take(&document, stand, UnixNanos(1), &mut out);
            }
        }
    }
    decoder.release(&mut out);
    Ok(Run { documents, took: cpu::time_of_process()?.saturating_sub(start) })
}

/// Objects with ever new names, so that what is remembered of them has to be forgotten.
fn memory() -> Result<Vec<Row>, Broken> {
    let bytes = scale(1 << 30, 100 << 20) as usize;
    let limits = Limits::default();
    let mut splitter = Splitter::new(limits.document_bytes_max);
    let mut decoder = Decoder::new("feed.yaml", limits, false);
    let stand = Stand { origin: Origin::File { inode: 77, resets: 0 }, stream: 1 };
    let (mut done, mut number, mut settled) = (0, 0_u64, 0);
    let mut piece = Vec::new();
    while done < bytes {
        piece.clear();
        for _ in 0..200 {
            number += 1;
            let text = format!(
                "---\n!update\nid: \"object-{number}\"\ntime: {number}\nattrs:\n  size: 5\n  tiers:\n    \
                 - index: 1\n      extents:\n        - {{offset: 0, length: 5}}\n...\n"
            );
            piece.extend_from_slice(text.as_bytes());
        }
        splitter.push(&piece);
        while let Some(document) = splitter.next() {
            decoder.take(&document, stand, UnixNanos(1), &mut |event| event.clear());
        }
        done += piece.len();
        // Beyond the 100 000 objects that are remembered nothing may grow.
        if settled == 0 && number > 250_000 {
            settled = resident()?;
        }
    }
    let grown = resident()?.saturating_sub(settled);
    Ok(vec![
        Row::at_most(
            "memory that 1 GB of Hestia documents takes",
            Unit::Mebibytes,
            GROWTH_MAX as f64,
            grown as f64,
        )
        .under(format!(
            "{number} documents in {} MiB, each of another object; more than after 250 000; {} in all",
            done >> 20,
            Unit::Mebibytes.show(resident()? as f64)
        )),
    ])
}

/// Bytes of this process in memory.
fn resident() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.unwrap_or_default() * 4_096)
}

/// Documents of a MiB that are nothing but one sign, or two, again and again.
fn hostile() -> Result<Vec<Row>, Broken> {
    let length = (1 << 20) - 100;
    let cases = [
        ("brackets", "["),
        ("braces", "{"),
        ("dashes", "- "),
        ("questions", "? "),
        ("colons", "a: "),
        ("commas", "a,"),
        ("letters", "x"),
        ("lines", " x\n"),
        ("comments", "#\n"),
        ("pairs", "a: b\n"),
    ];
    let mut worst = (Duration::ZERO, String::new());
    for (name, text) in cases {
        for quote in ["", "\"", "["] {
            let body: String = text.chars().cycle().take(length).collect();
            let document = format!("--- !upsert\n{quote}{body}\n...\n");
            let mut took = Duration::MAX;
            for _ in 0..3 {
                let start = cpu::time_of_process()?;
                let read = eventfs::decode::hestia::read(document.as_bytes(), Limits::default());
                took = took.min(cpu::time_of_process()?.saturating_sub(start));
                if read.is_ok() {
                    return Err(format!("{quote}{name} was read").into());
                }
            }
            if took > worst.0 {
                worst = (took, format!("{quote}{name}"));
            }
        }
    }
    let sample = fs::read(format!("{DATA}legacy_feed.yaml"))?;
    let ordinary = decode(&sample, 4 * length)?.took / 4;
    let (took, name) = worst;
    Ok(vec![Row::told("the worst hostile Hestia document of 1 MiB", seconds(took)).under(format!(
        "{name}; of {}, best of 3, processor time; {:.1} x a feed of the same size",
        3 * cases.len(),
        ratio(took, ordinary)
    ))])
}
