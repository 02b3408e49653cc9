//! All rows of section 11 of the contract in one table, from what the benchmarks left.
//!
//! `make bench` runs them all and then this. The exit status is 1 when a row was not measured; a missed
//! target is marked. The same as Markdown, for the README, is left beside the results.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode};

use common::results::{self, Results};
use common::row::Row;
use common::{Broken, row};

/// A benchmark and the rows of it that are promised.
type Promised = (&'static str, &'static [&'static str]);

/// What must have been measured, in the order of the contract.
const PROMISED: [Promised; 6] = [
    (
        "filesystem",
        &[
            "requests of a put (open, write, close)",
            "requests of a pop (open head, read, close, unlink head)",
            "put, in round trips of the same mount",
            "pop through head, in round trips of the same mount",
            "put, beside tmpfs",
            "pop, beside tmpfs",
            "put at a depth of 1 000 000, beside 1 000",
            "pop through head at a depth of 1 000 000, beside 1 000",
            "readlink head at a depth of 1 000 000, beside 1 000",
            "unlink by name at a depth of 1 000 000, beside 1 000",
            "put among 10 000 queues, beside 10",
            "pop through head among 10 000 queues, beside 10",
            "mkdir + rmdir among 10 000 queues, beside 10",
            "eventfs status, a queue, among 10 000 queues, beside 1 000",
            "memory of a queued 200-byte event with a 13-byte name",
            "memory kept after 1 000 000 events were drained",
            "inodes that the kernel keeps of 1 000 000 drained events",
            "end of an owner to queue gone and inotify told",
            "end of an owner of 1 000 queues to all gone and told",
        ],
    ),
    (
        "tap_beegfs",
        &[
            "BeeGFS packet to CloudEvents line, a core",
            "BeeGFS tap, socket to files, --batch 1000",
            "BeeGFS tap, --batch 1000, events a second of its processor time",
            "BeeGFS tap, one event a file, beside a compiled loop that writes the same files",
        ],
    ),
    (
        "tap_gluster",
        &[
            "Gluster, 20 000 datagrams a second, one event a file",
            "Gluster, 20 000 datagrams a second, --batch 1000",
            "Gluster, bursts of 50 000 datagrams, one event a file",
            "Gluster, bursts of 50 000 datagrams, --batch 1000",
        ],
    ),
    (
        "tap_storage",
        &[
            "storage records that match nothing, a core",
            "storage records that match, to a CloudEvents line, a core",
        ],
    ),
    ("tap_hestia", &["Hestia documents, a core", "memory that 1 GB of Hestia documents takes"]),
    ("consume", &["eventfs pop --all, beside a compiled loop through head"]),
];

fn main() -> ExitCode {
    if !std::env::args().any(|word| word == "--bench") {
        println!("nothing reported: make bench");
        return ExitCode::SUCCESS;
    }
    match report() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("not everything was measured");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("broken: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints everything; whether all was measured.
fn report() -> Result<bool, Broken> {
    let (mut rows, mut others, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut runs = Vec::new();
    for (bench, names) in PROMISED {
        let results = Results::of(bench)?;
        let measured = results.as_ref().map_or(&[][..], |results| &results.rows);
        for name in names {
            match measured.iter().find(|row| row.name == *name) {
                Some(row) => rows.push(row.clone()),
                None => missing.push(format!("{bench}: {name}")),
            }
        }
        let told = measured.iter().filter(|row| !names.contains(&row.name.as_str()));
        others.extend(told.cloned());
        runs.extend(results);
    }
    println!("\n{}\n", conditions(&runs));
    println!("Promised:\n");
    row::print(&rows);
    println!("\nBeside them:\n");
    row::print(&others);
    for name in &missing {
        println!("NOT MEASURED: {name}");
    }
    let path = results::directory().join("figures.md");
    fs::create_dir_all(results::directory())?;
    fs::write(&path, markdown(&rows, &conditions(&runs)))?;
    println!("\nAs Markdown: {}", path.display());
    Ok(missing.is_empty())
}

/// Where and when all of it was measured.
fn conditions(runs: &[Results]) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let commit = said_by("git", &["describe", "--always", "--dirty"]);
    let mut text = format!(
        "{cores} processors ({}), kernel {}, commit {}",
        processor(),
        kernel.trim(),
        commit.as_deref().unwrap_or("unknown")
    );
    if let Some(first) = runs.iter().min_by_key(|run| &run.began) {
        let _ = write!(text, ", begun {}", first.began);
    }
    for run in runs {
        let mark = if run.is_quick { ", quick" } else { "" };
        let _ = write!(text, "\nload before {}: {}{mark}", run.bench, run.load);
    }
    text
}

/// The processor's own name.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": ")).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// What a command prints; `None` if it cannot.
fn said_by(command: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(command).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The short table, with the conditions as a comment.
fn markdown(rows: &[Row], conditions: &str) -> String {
    let mut text = format!("<!-- {conditions} -->\n| what | target | measured |\n|---|---|---|\n");
    for row in rows {
        let mark = if row.holds == Some(false) { " (missed)" } else { "" };
        let target = if row.target == "-" { "reported" } else { &row.target };
        // Writing into a text cannot fail.
        let _ = writeln!(text, "| {} | {target} | {}{mark} |", row.name, row.measured);
    }
    text
}
