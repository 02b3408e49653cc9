//! Hestia's and robinhood's documents: splitting, parsing, decoding and the CloudEvents line, on one core.
//!
//! `cargo bench --bench tap_hestia`; `EVENTFS_BENCH_QUICK=1` makes a short run.

use std::fs;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use eventfs::decode::hestia::{Decoder, Limits, Origin, Splitter, Stand};
use eventfs::event::{Event, TimeText, UnixNanos};
use nix::time::{ClockId, clock_gettime};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hestia/");

/// Documents a second and core, at least.
const DOCUMENTS_TARGET: f64 = 60_000.0;

/// Bytes that memory may grow by over the whole run: what the allocator keeps, and no more.
const GROWTH_MAX: u64 = 16 << 20;

/// A document of a MiB that means harm gets its answer within this time.
const HOSTILE_TARGET: Duration = Duration::from_millis(50);

/// Bytes read at a time, as by the tap.
const PIECE_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    match report() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broken: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report() -> io::Result<()> {
    let quick = std::env::var_os("EVENTFS_BENCH_QUICK").is_some();
    let bytes = if quick { 20 << 20 } else { 200 << 20 };
    for name in ["legacy_feed.yaml", "export_reference.yaml", "current_feed.yaml"] {
        let rate = decode(&fs::read(format!("{DATA}{name}"))?, bytes).rate();
        let verdict = if rate >= DOCUMENTS_TARGET { "holds" } else { "MISSED" };
        println!(
            "{name:24} target {DOCUMENTS_TARGET:.0} documents/s, measured {rate:.0}: {verdict}"
        );
    }
    memory(if quick { 50 << 20 } else { 1 << 30 })?;
    hostile();
    Ok(())
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
fn decode(sample: &[u8], bytes: usize) -> Run {
    let limits = Limits::default();
    let mut splitter = Splitter::new(limits.document_bytes_max);
    let mut decoder = Decoder::new("feed.yaml", limits, false);
    let stand = Stand { origin: Origin::File { inode: 77, resets: 0 }, stream: 1 };
    let (mut times, mut line, mut documents) = (TimeText::default(), Vec::new(), 0);
    let start = cpu_time();
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
    Run { documents, took: cpu_time() - start }
}

/// What this process has had of the processor: others may have the rest.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Objects with ever new names, so that what is remembered of them has to be forgotten.
fn memory(bytes: usize) -> io::Result<()> {
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
    let verdict = if grown <= GROWTH_MAX { "holds" } else { "MISSED" };
    println!(
        "memory over {} MiB: target {} MiB more at most, measured {} MiB ({} MiB in all): {verdict}",
        done >> 20,
        GROWTH_MAX >> 20,
        grown >> 20,
        resident()? >> 20
    );
    Ok(())
}

/// Bytes of this process in memory.
fn resident() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.unwrap_or_default() * 4_096)
}

fn hostile() {
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
    for (name, text) in cases {
        for quote in ["", "\"", "["] {
            let body: String = text.chars().cycle().take(length).collect();
            let document = format!("--- !upsert\n{quote}{body}\n...\n");
            let start = cpu_time();
            let read = eventfs::decode::hestia::read(document.as_bytes(), Limits::default());
            let took = cpu_time() - start;
            assert!(read.is_err(), "{name}");
            let verdict = if took < HOSTILE_TARGET { "holds" } else { "MISSED" };
            println!("1 MiB of {quote}{name}: target 50 ms, measured {took:.1?}: {verdict}");
        }
    }
}
