//! Which node this is: what stands in `glusterd.info`, a file that does not exist before the first
//! management operation.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the file is looked for while it is not there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The node's UUID.
#[derive(Debug)]
pub(super) struct Node {
    id: Option<String>,
    file: PathBuf,
    look: Instant,
}

impl Node {
    /// With an id that is given, or to be read from the management daemon's directory.
    pub(super) fn new(id: Option<String>, glusterd: &std::path::Path) -> Self {
        Self { id, file: glusterd.join("glusterd.info"), look: Instant::now() }
    }

    /// The id, if there is one by now.
    pub(super) fn id(&mut self) -> Option<&str> {
        if self.id.is_none() && Instant::now() >= self.look {
            self.look = Instant::now() + LOOK_EVERY;
            let text = fs::read_to_string(&self.file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("UUID="));
            self.id = line.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        }
        self.id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_given_or_found_when_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Node::new(Some("given".into()), dir.path()).id(), Some("given"));
        let mut node = Node::new(None, dir.path());
        assert_eq!(node.id(), None);
        fs::write(dir.path().join("glusterd.info"), "UUID=abc\noperating-version=1\n").unwrap();
        assert_eq!(node.id(), None, "not looked for with every message");
        node.look = Instant::now();
        assert_eq!(node.id(), Some("abc"));
    }
}
