//! Properties that hold for any bytes at all: what the fuzz targets and the random tests call.

use std::path::Path;

use super::error::ConfigError;
use super::limits::Limits;
use super::names::{Kind, Names};
use super::options::MountOptions;
use super::{ini, quotafile, toml};

/// A user database in which every short name is somebody.
struct Everybody;

impl Names for Everybody {
    fn id(&self, _: Kind, name: &str) -> Result<Option<u32>, String> {
        Ok((name.len() < 8).then(|| name.bytes().map(u32::from).sum()))
    }
}

/// Every complaint is one line that a terminal can bear.
fn is_one_line(error: &str) {
    assert!(!error.is_empty() && !error.chars().any(char::is_control), "{error:?}");
}

/// A TOML configuration is read or refused in one line; what is read can be applied.
///
/// # Panics
/// If it does not hold.
pub fn toml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = Path::new("f.toml");
    match toml::read(text, file, &mut Limits::new(&Everybody)) {
        Err(fault) => is_one_line(&ConfigError::at(file, fault).to_string()),
        Ok(document) => {
            let mut options = MountOptions::default();
            for (name, value) in &document.mount {
                let applied = options.set(name, (!value.is_empty()).then_some(value));
                assert!(applied.is_ok(), "{name}={value}: {applied:?}");
            }
            for tap in &document.taps {
                assert!(!tap.arguments(str::to_owned).is_empty() && !tap.queues.is_empty());
            }
        }
    }
}

/// The original's INI is read or refused in one line.
///
/// # Panics
/// If it does not hold.
pub fn ini(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(fault) = ini::read(text, &mut Limits::new(&Everybody)) {
        is_one_line(&ConfigError::at(Path::new("f"), fault).to_string());
    }
}

/// A quota file is read or refused in one line.
///
/// # Panics
/// If it does not hold.
pub fn quota_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = quotafile::read(text, Path::new("f"), &mut Limits::new(&Everybody)) {
        is_one_line(&error.to_string());
    }
}

/// A list of mount options is applied or refused in one line, and twice is as once.
///
/// # Panics
/// If it does not hold.
pub fn options(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut once = MountOptions::default();
    match once.apply_list(text) {
        Err(error) => is_one_line(&error.to_string()),
        Ok(()) => {
            let mut twice = once.clone();
            assert!(twice.apply_list(text).is_ok());
            assert_eq!(once, twice);
        }
    }
}
