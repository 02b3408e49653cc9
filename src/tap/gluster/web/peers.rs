//! Who else there is: for `GET /v1/peers`.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::Serialize;

/// Nodes remembered because they posted something; more are not real.
const SEEN_MAX: usize = 1_000;

/// Nodes of the cluster.
#[derive(Debug)]
pub(in crate::tap::gluster) struct Peers {
    /// The management daemon's directory: `/var/lib/glusterd`.
    glusterd: PathBuf,
    seen: Mutex<BTreeMap<String, IpAddr>>,
}

/// One node in the answer.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(super) struct Peer {
    uuid: String,
    hostname: String,
    /// Whether it has posted an event to this tap.
    posts: bool,
}

impl Peers {
    /// With the management daemon's directory.
    pub(in crate::tap::gluster) fn new(glusterd: PathBuf) -> Self {
        Self { glusterd, seen: Mutex::default() }
    }

    /// Remembers where a node posts from.
    pub(in crate::tap::gluster) fn saw(&self, nodeid: &str, from: IpAddr) {
        let mut seen = self.seen.lock();
        if seen.len() < SEEN_MAX || seen.contains_key(nodeid) {
            seen.insert(nodeid.to_owned(), from);
        }
    }

    /// This node if it is one, those that the management daemon knows, those that have posted.
    pub(super) fn list(&self) -> Vec<Peer> {
        let seen = self.seen.lock().clone();
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        if let Some(uuid) = value(&self.glusterd.join("glusterd.info"), "UUID") {
            found.insert(uuid, "localhost".to_owned());
        }
        for entry in fs::read_dir(self.glusterd.join("peers")).into_iter().flatten().flatten() {
            let path = entry.path();
            if let (Some(uuid), Some(hostname)) = (value(&path, "uuid"), value(&path, "hostname1"))
            {
                found.insert(uuid, hostname);
            }
        }
        for (uuid, from) in &seen {
            found.entry(uuid.clone()).or_insert_with(|| from.to_string());
        }
        found
            .into_iter()
            .map(|(uuid, hostname)| Peer { posts: seen.contains_key(&uuid), uuid, hostname })
            .collect()
    }
}

/// The value of a `key=value` line in one of the management daemon's files.
fn value(file: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(name, _)| *name == key).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_those_known_and_those_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("peers")).unwrap();
        fs::write(dir.path().join("glusterd.info"), "UUID=a\noperating-version=1\n").unwrap();
        fs::write(dir.path().join("peers/b"), "uuid=b\nstate=3\nhostname1=node2\n").unwrap();
        fs::write(dir.path().join("peers/junk"), "x").unwrap();
        let peers = Peers::new(dir.path().to_owned());
        peers.saw("b", [10, 0, 0, 2].into());
        peers.saw("c", [10, 0, 0, 3].into());
        let list = serde_json::to_value(peers.list()).unwrap();
        let expected = serde_json::json!([
            {"uuid": "a", "hostname": "localhost", "posts": false},
            {"uuid": "b", "hostname": "node2", "posts": true},
            {"uuid": "c", "hostname": "10.0.0.3", "posts": true},
        ]);
        assert_eq!(list, expected);
    }

    #[test]
    fn nodes_that_post_are_bounded() {
        let peers = Peers::new("/nonexistent".into());
        for node in 0..2 * SEEN_MAX {
            peers.saw(&node.to_string(), [10, 0, 0, 2].into());
        }
        assert_eq!(peers.list().len(), SEEN_MAX);
    }
}
