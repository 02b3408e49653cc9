//! The fuzz targets without a fuzzer: every property over its seeds and over seeds that were damaged, a
//! little of each. `make fuzz` looks for longer, with coverage to guide it.

#[path = "model/play/mod.rs"]
mod play;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Damaged inputs for each property, at most, and how long is spent on it, at most.
const INPUTS: u32 = 3_000;
const TIME: Duration = Duration::from_millis(600);

/// Longest input.
const BYTES_MAX: usize = 16 << 10;

type Property = fn(&[u8]);

/// By the name of the target.
fn properties() -> BTreeMap<&'static str, Property> {
    use eventfs::decode::{beegfs, gluster, hestia, storage};
    use eventfs::{config, export, wire};
    BTreeMap::<&str, Property>::from([
        ("beegfs_packet", beegfs::check::packet as Property),
        ("beegfs_session", beegfs::check::session),
        ("config_ini", config::check::ini),
        ("config_toml", config::check::toml),
        ("export_lines", export::property::output_is_read_back),
        ("gluster_message", gluster::property::message_becomes_one_event),
        ("gluster_webhook", gluster::property::webhook_becomes_one_event),
        ("hestia_feed", hestia::property::pieces_make_no_difference),
        ("model_operations", play::bytes::operations),
        ("mount_options", config::check::options),
        ("quota_file", config::check::quota_file),
        ("storage_config", storage::check::config),
        ("storage_datagram", storage::check::datagram),
        ("storage_record", |bytes| {
            storage::check::record(bytes);
            storage::check::stream(bytes, 7);
        }),
        ("storage_uevent", storage::check::uevent),
        ("wire", wire::check::any),
    ])
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(fuzz().join("seeds").join(target));
    let files = files.unwrap_or_else(|error| panic!("seeds of {target}: {error}"));
    files.map(|file| fs::read(file.expect("entry").path()).expect("seed")).collect()
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// A seed with some damage.
    fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => {
                    bytes[at] = [0, 0xff, b'\n', b'"', b'\\', b'-'][self.below(6)]
                }
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.below(256) as u8),
                4 => {
                    let end = at + self.below(bytes.len() - at + 1);
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }
}

#[test]
fn every_target_has_its_property_here_and_its_seeds() {
    let stem = |path: PathBuf| path.file_stem().expect("name").to_string_lossy().into_owned();
    let files = fs::read_dir(fuzz().join("fuzz_targets")).expect("targets");
    let targets: BTreeSet<String> = files.map(|file| stem(file.expect("entry").path())).collect();
    let here: BTreeSet<String> = properties().into_keys().map(str::to_owned).collect();
    assert_eq!(targets, here);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("manifest");
    for target in targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not built");
        assert!(!seeds(&target).is_empty(), "{target} has no seed");
    }
}

#[test]
fn the_properties_hold_for_seeds_whole_and_damaged() {
    for (target, property) in properties() {
        let seeds = seeds(target);
        for seed in &seeds {
            property(seed);
        }
        let (mut random, start) = (Random(0x9e37_79b9_7f4a_7c15), Instant::now());
        for number in 0..INPUTS {
            let bytes = random.damaged(&seeds);
            let held = std::panic::catch_unwind(|| property(&bytes));
            assert!(held.is_ok(), "{target}, input {number}: {}", bytes.escape_ascii());
            if start.elapsed() > TIME {
                break;
            }
        }
    }
}
