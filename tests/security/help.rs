//! Short words for what these tests do again and again.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::common::{get, names, no_forks};

/// Puts one finished event (or staged file): creates, writes, closes for the last time.
pub(crate) fn put(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    try_put(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// As [`put`], but may fail.
pub(crate) fn try_put(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let _guard = no_forks();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content.as_ref())
}

/// The listing of a queue without `head` and `tail`.
pub(crate) fn files(queue: &Path) -> Vec<String> {
    names(queue).into_iter().filter(|name| name != "head" && name != "tail").collect()
}

/// How many events the queue has had.
pub(crate) fn published(queue: &Path) -> u64 {
    get(queue, "user.eventfs_published").expect("a counter").parse().expect("a number")
}
