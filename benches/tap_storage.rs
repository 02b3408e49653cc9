//! Kernel log lines scanned (section 11 of the contract), beside a plain set of regular expressions.
//!
//! `cargo bench --bench tap_storage` prints one table; `EVENTFS_BENCH_QUICK=1` makes a short run.

mod common;

use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use common::row::{Row, Unit};
use common::timing::Rounds;
use common::{Broken, scale};
use eventfs::decode::storage::{Device, Found, Identity, Parsers, Writer, read_record};
use eventfs::event::{Event, TimeText, UnixNanos};

/// Lines a second on one core, for lines that match nothing and lines that match.
const TARGETS: (f64, f64) = (2e6, 5e5);

/// Lines of a round.
const LINES: usize = 50_000;

fn main() -> ExitCode {
    common::main("tap_storage", &[("scan", measure)])
}

fn measure() -> Result<Vec<Row>, Broken> {
    let (nothing, events) = (records("negatives.jsonl")?, records("lines.jsonl")?);
    let rounds = scale(60, 5);
    let mut rows = Vec::new();
    for (name, lines, target) in [
        ("storage records that match nothing, a core", &nothing, TARGETS.0),
        ("storage records that match, to a CloudEvents line, a core", &events, TARGETS.1),
    ] {
        let measured = Rounds::of(rounds, || scan(lines))?;
        rows.push(Row::at_least(name, Unit::Rate, target, rate(measured.quiet())).under(format!(
            "best twentieth of {rounds} rounds of {LINES}, median {}",
            Unit::Rate.show(rate(measured.median()))
        )));
    }
    let set = regex_set()?;
    for (name, lines) in [
        ("storage records by a set of regular expressions: nothing", &nothing),
        ("storage records by a set of regular expressions: events", &events),
    ] {
        let measured = Rounds::of(rounds.min(5), || scan_by_regex(&set, lines))?;
        let under = format!("{} expressions, which only say that one matches", set.len());
        rows.push(Row::told(name, Unit::Rate.show(rate(measured.quiet()))).under(under));
    }
    Ok(rows)
}

fn rate(round: Duration) -> f64 {
    LINES as f64 / round.as_secs_f64().max(1e-12)
}

/// The samples, over and over.
fn records(file: &str) -> Result<Vec<Vec<u8>>, Broken> {
    let path = [env!("CARGO_MANIFEST_DIR"), "/tests/data/storage/", file].concat();
    let text = fs::read_to_string(path)?;
    let mut records = Vec::new();
    for line in text.lines() {
        let sample: serde_json::Value = serde_json::from_str(line)?;
        let record = sample["record"].as_str().ok_or("no record")?;
        // The kernel's own: others are not even looked at.
        if record.as_bytes().get(1) == Some(&b',') {
            records.push(record.as_bytes().to_vec());
        }
    }
    Ok(records.iter().cycle().take(LINES).cloned().collect())
}

fn scan(records: &[Vec<u8>]) -> Result<(), Broken> {
    let mut parsers = Parsers::default();
    let mut writer = Writer::new("box", false, [7; 16]);
    let (mut found, mut event) = (Found::default(), Event::default());
    let (mut scratch, mut line, mut times) = (Vec::new(), Vec::new(), TimeText::default());
    let mut device = Device::default();
    for raw in records {
        let record = read_record(raw, &mut scratch)?;
        if record.facility() == 0 && parsers.read(&record, &mut found) {
            device.name.clear();
            device.name.push_str(&found.device);
            let time = UnixNanos(record.micros.unwrap_or(0) as i64 * 1000);
            writer.write(
                &found,
                &device,
                (Identity::Record("0a1b2c3d", record.sequence), 1),
                time,
                &mut event,
            );
            line.clear();
            event.write_line(&mut times, &mut line);
            black_box(&line);
        }
    }
    Ok(())
}

/// What one would write without tables: one expression for each kind of sample text.
fn regex_set() -> Result<regex::bytes::RegexSet, Broken> {
    let path = [env!("CARGO_MANIFEST_DIR"), "/tests/data/storage/lines.jsonl"].concat();
    let mut expressions = std::collections::BTreeSet::new();
    for line in fs::read_to_string(path)?.lines() {
        let sample: serde_json::Value = serde_json::from_str(line)?;
        let text = sample["text"].as_str().ok_or("no text")?;
        let words = text.split(' ').map(|word| {
            if word.bytes().any(|byte| byte.is_ascii_digit()) {
                r"\S+".to_owned()
            } else {
                regex::escape(word)
            }
        });
        expressions.insert(format!("^{}", words.collect::<Vec<_>>().join(" ")));
    }
    Ok(regex::bytes::RegexSetBuilder::new(&expressions)
        .size_limit(1 << 28)
        .dfa_size_limit(1 << 28)
        .build()?)
}

fn scan_by_regex(set: &regex::bytes::RegexSet, records: &[Vec<u8>]) -> Result<(), Broken> {
    let mut scratch = Vec::new();
    for raw in records {
        let record = read_record(raw, &mut scratch)?;
        black_box(set.matches(record.text).iter().next());
    }
    Ok(())
}
