//! Kernel records and uevents of real machines, and the events that they are.

mod random;
mod samples;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A file of the samples.
pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/storage").join(name)
}

/// The values of a file with one a line.
pub(crate) fn lines(name: &str) -> Vec<Value> {
    let path = data(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
