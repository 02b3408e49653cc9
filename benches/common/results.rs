//! What a benchmark leaves for the report of all of them.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::row::Row;
use super::{Broken, is_quick};

/// The rows of one benchmark and how they came about.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    /// Its name, as cargo knows it.
    pub(crate) bench: String,
    /// From a run with small numbers.
    pub(crate) is_quick: bool,
    /// When it began.
    pub(crate) began: String,
    /// Load averages of the machine before it began.
    pub(crate) load: String,
    /// What it measured.
    pub(crate) rows: Vec<Row>,
}

impl Results {
    /// Of a benchmark that begins now.
    pub(crate) fn begin(bench: &str) -> Self {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let averages: Vec<&str> = load.split(' ').take(3).collect();
        Self {
            bench: bench.to_owned(),
            is_quick: is_quick(),
            began: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            load: averages.join(" "),
            rows: Vec::new(),
        }
    }

    /// Leaves them in [`directory`].
    pub(crate) fn keep(&self) -> Result<(), Broken> {
        fs::create_dir_all(directory())?;
        Ok(fs::write(path(&self.bench), serde_json::to_vec_pretty(self)?)?)
    }

    /// What a benchmark left; `None` if it did not.
    pub(crate) fn of(bench: &str) -> Result<Option<Self>, Broken> {
        match fs::read(path(bench)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where results are: `tmp/bench` in cargo's target directory.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench")
}

fn path(bench: &str) -> PathBuf {
    directory().join(bench).with_extension("json")
}
