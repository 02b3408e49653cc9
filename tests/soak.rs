//! The loss checker: producers, consumers, linkers and owners on a real mount, killed at random, as is
//! the daemon; afterwards nothing may be lost, doubled, out of order or left behind. See docs/SOAK.md.
//!
//! `cargo test --test soak`; EVENTFS_SOAK_SECONDS (20) is how long, EVENTFS_SOAK_SEED repeats a run as
//! far as the scheduler lets it, EVENTFS_SOAK_PART=queues or =taps does one half of it, and the name of
//! a tap's source that alone.

#[path = "soak/beegfs.rs"]
mod beegfs;
mod common;
#[path = "soak/daemon.rs"]
mod daemon;
#[path = "soak/event.rs"]
mod event;
#[cfg(feature = "web")]
#[path = "soak/gluster.rs"]
mod gluster;
#[path = "soak/hestia.rs"]
mod hestia;
#[path = "soak/journal.rs"]
mod journal;
#[path = "soak/ledger.rs"]
mod ledger;
#[path = "soak/life.rs"]
mod life;
#[path = "common/metadata_server.rs"]
mod metadata_server;
#[path = "soak/plan.rs"]
mod plan;
#[path = "soak/rng.rs"]
mod rng;
#[path = "soak/roles.rs"]
mod roles;
#[path = "soak/scene.rs"]
mod scene;
#[path = "soak/seen.rs"]
mod seen;
#[path = "soak/slot.rs"]
mod slot;
#[path = "soak/tally.rs"]
mod tally;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use life::Life;
use rng::Rng;
use slot::Places;
use tally::Tally;

/// Longest storm before everything is reckoned up.
const STORM_MAX: Duration = Duration::from_secs(30);

/// A life of a tap: places, a seed, how long its storm takes.
type TapLife = fn(&Places, u64, Duration, &mut Tally) -> Result<(), String>;

/// Those that there are, by their sources.
const TAPS: &[(&str, TapLife)] = &[
    ("beegfs", beegfs::run),
    ("hestia", hestia::run),
    #[cfg(feature = "web")]
    ("gluster", gluster::run),
];

/// Findings that are shown.
const SHOWN: usize = 40;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == roles::ROLE) {
        return ExitCode::from(u8::try_from(roles::run(&words[1..])).unwrap_or(1));
    }
    if !is_meant(&words) {
        return ExitCode::SUCCESS;
    }
    if !common::is_root() || !std::path::Path::new("/dev/fuse").exists() {
        common::skip("the soak needs root and /dev/fuse");
        return ExitCode::SUCCESS;
    }
    soak()
}

/// Whether these words of `cargo test`, which selects tests by parts of their names, select the soak.
fn is_meant(words: &[String]) -> bool {
    const WITH_VALUE: [&str; 6] =
        ["--test-threads", "--color", "--format", "--logfile", "--skip", "-Z"];
    let mut names = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            rest.next();
        } else if !word.starts_with('-') {
            names.push(word);
        }
    }
    let is_named = names.is_empty() || names.iter().any(|name| "soak".contains(name.as_str()));
    is_named && !words.iter().any(|word| word == "--list")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn soak() -> ExitCode {
    let length = Duration::from_secs(number("EVENTFS_SOAK_SECONDS").unwrap_or(20));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = number("EVENTFS_SOAK_SEED").unwrap_or(now.as_nanos() as u64 % 1_000_000_000);
    println!("soak: seed {seed}, {} s", length.as_secs());
    let mut tally = Tally::default();
    let start = Instant::now();
    if let Err(error) = run(length, seed, &mut tally) {
        tally.findings.insert(0, format!("broken off: {error}"));
    }
    for finding in tally.findings.iter().take(SHOWN) {
        println!("FINDING {finding}");
    }
    tally.print(seed, start.elapsed());
    if tally.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(length: Duration, seed: u64, tally: &mut Tally) -> Result<(), String> {
    // Whoever loses its parent becomes our child, so that nobody is left unnoticed.
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| error.to_string())?;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let places = places(dir.path()).map_err(|error| error.to_string())?;
    let end = Instant::now() + length;
    let mut rng = Rng::new(seed);
    let storm = (length / 6).clamp(Duration::from_secs(1), STORM_MAX);
    let part = std::env::var("EVENTFS_SOAK_PART").unwrap_or_default();
    let has_queues = ["", "queues"].contains(&&*part);
    let is_meant = |name: &str| ["", "taps", name].contains(&&*part);
    let taps: Vec<_> = TAPS.iter().filter(|(name, _)| is_meant(name)).collect();
    if !has_queues && taps.is_empty() {
        return Err(format!("EVENTFS_SOAK_PART: there is no {part}"));
    }
    // Several share the time of somewhat more than one.
    let tap_storm = if taps.len() > 1 { storm * 2 / 5 } else { storm };
    loop {
        if has_queues {
            let mut life = Life::begin(&places, rng.next(), tally)?;
            life.round(storm)?;
            life.round(storm / 2)?;
            life.end();
        }
        for (_, run) in &taps {
            run(&places, rng.next(), tap_storm, tally)?;
        }
        if Instant::now() + storm / 2 > end {
            break;
        }
        if has_queues {
            Life::begin(&places, rng.next(), tally)?.die(storm / 2)?;
        }
    }
    orphans(tally);
    Ok(())
}

fn places(dir: &std::path::Path) -> std::io::Result<Places> {
    let (point, work) = (dir.join("mnt"), dir.join("work"));
    fs::create_dir(&point)?;
    fs::create_dir(&work)?;
    for open in [dir, &work] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755))?;
    }
    Ok(Places { point, stop: work.join("stop"), work })
}

/// Nobody may be left: every process of ours has been waited for by now.
fn orphans(tally: &mut Tally) {
    use nix::errno::Errno;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    let left = daemon::wait_for(|| {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => break true,
                Ok(WaitStatus::StillAlive) | Err(_) => break false,
                Ok(_) => {}
            }
        }
    });
    if !left {
        tally.findings.push("processes are left".to_owned());
    }
}
