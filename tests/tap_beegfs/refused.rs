//! What a tap refuses to start with: one line, the right status, nothing left behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::common::{is_root, skip, spawn};
use crate::help::{Site, Tap, listens_now, wait_for_events};
use crate::metadata_server::{Identity, MetadataServer};

/// Status and the one line of a tap that does not start.
fn refused(site: &Site, queue: &Path, words: &[&str]) -> (i32, String) {
    refused_on(site, &site.socket(), queue, words)
}

fn refused_on(site: &Site, socket: &Path, queue: &Path, words: &[&str]) -> (i32, String) {
    let child = spawn(&mut site.command_on(socket, queue, words));
    let output = child.wait_with_output().expect("wait");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    (output.status.code().expect("a status"), stderr)
}

fn one_line(site: &Site, queue: &Path, words: &[&str], why: &str) {
    let (status, stderr) = refused(site, queue, words);
    assert_eq!(status, 1, "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("eventfs: ") && stderr.contains(why), "{stderr}");
}

#[test]
fn sockets_that_cannot_be() {
    let site = Site::new();
    let queue = site.path("q");
    let file = site.path("file");
    fs::write(&file, "").unwrap();
    for (socket, why) in [
        (site.path("none/socket"), "none/socket: No such file or directory"),
        (site.path(&"x".repeat(110)), "at most 107 bytes"),
        (file.clone(), "exists and is no socket"),
    ] {
        let (status, stderr) = refused_on(&site, &socket, &queue, &[]);
        assert_eq!((status, stderr.lines().count()), (1, 1), "{stderr}");
        assert!(stderr.starts_with("eventfs: ") && stderr.contains(why), "{stderr}");
    }
    assert!(file.exists());
    one_line(&site, &queue, &["--socket-group", "no-such-group"], "no-such-group: no such group");
}

#[test]
fn a_live_socket_is_refused_and_a_stale_one_replaced() {
    let site = Site::new();
    let queue = site.path("q");
    let first = site.tap(&queue, &["--socket-mode", "0600"]);
    let mode = fs::metadata(site.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    one_line(&site, &site.path("q2"), &[], "somebody listens there already");
    assert!(listens_now(&site.socket()), "the first one is still served");
    first.kill9();
    assert!(site.socket().exists(), "a killed tap leaves it");
    let second = site.tap(&queue, &[]);
    let _server = MetadataServer::with_events(&site.socket(), Identity::node(12), 1);
    wait_for_events(&queue, 1);
    second.end();
}

#[test]
fn queues_and_states_that_cannot_be() {
    let site = Site::new();
    one_line(&site, &site.path("a/b"), &[], "a/b: No such file or directory");
    let file = site.path("file");
    fs::write(&file, "no directory").unwrap();
    one_line(&site, &file, &[], "file: Not a directory");
    let state = site.path("state");
    fs::write(&state, "{}").unwrap();
    let words = ["--state", state.to_str().unwrap()];
    one_line(&site, &site.path("q"), &words, state.to_str().unwrap());
    fs::remove_file(&state).unwrap();
    symlink("/etc/passwd", &state).unwrap();
    one_line(&site, &site.path("q"), &words, "is a symbolic link");
    assert!(!site.socket().exists(), "nothing is left behind");
}

#[test]
fn usage_is_status_2() {
    let site = Site::new();
    let queue = site.path("q");
    for words in [
        &["--batch", "0"][..],
        &["--filter", "["],
        &["--route", "x"],
        &["--no-such-word"],
        &["--from", "middle"],
        &["--socket-mode", "9"],
        &["--backlog-bytes", "many"],
        &["--name", "a b"],
    ] {
        let (status, stderr) = refused(&site, &queue, words);
        assert_eq!(status, 2, "{words:?}: {stderr}");
        assert!(!stderr.is_empty());
    }
    assert!(!queue.exists());
}

#[test]
fn a_queue_of_another_user_needs_a_word() {
    if !is_root() {
        return skip("only root can give directories away");
    }
    let site = Site::new();
    let queue = site.path("q");
    fs::create_dir(&queue).unwrap();
    std::os::unix::fs::chown(&queue, Some(1), Some(1)).unwrap();
    one_line(&site, &queue, &[], "belongs to user 1, not to 0; see --shared");
    let tap: Tap = site.tap(&queue, &["--shared"]);
    tap.end();
}
