//! The README, followed to the letter in one shell on a terminal of its own: what it shows is what
//! appears.

#[path = "readme/blocks.rs"]
mod blocks;
mod common;
#[path = "readme/terminal.rs"]
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use blocks::{Block, Step};
use terminal::Terminal;

/// Where the README mounts, below the directory that it is followed in.
const MOUNTPOINT: &str = "events";

fn readme() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    blocks::parse(&fs::read_to_string(path).expect("README.md"))
}

/// Unmounts whatever the test did.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temporary directory") }
    }

    fn mountpoint(&self) -> PathBuf {
        self.dir.path().join(MOUNTPOINT)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let point = self.mountpoint();
        if common::is_listed(&point) {
            let _ = Command::new("fusermount3").args(["-u", "-z", "--"]).arg(&point).status();
        }
    }
}

/// Whether this process can mount at all; says why if it cannot.
fn can_mount() -> bool {
    let place = Place::new();
    fs::create_dir(place.mountpoint()).expect("mkdir");
    let output = Command::new(common::EVENTFS)
        .arg(place.mountpoint())
        .stdin(Stdio::null())
        .output()
        .expect("eventfs starts");
    if output.status.success() {
        return true;
    }
    assert!(!common::is_root(), "{}", String::from_utf8_lossy(&output.stderr));
    common::skip(&format!("no mount: {}", String::from_utf8_lossy(&output.stderr).trim()));
    false
}

fn write_file(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::write(&path, text).expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
}

/// A command with what the README shows of it. One that can be repeated is, for a while: the reader
/// is slower than the machine.
fn follow(terminal: &mut Terminal, step: &Step) {
    let expected = blocks::normalised(&step.output);
    let repeatable = ["ls ", "cat ", "fusermount3 -u ", "getfattr "]
        .iter()
        .any(|word| step.command.starts_with(word));
    let start = Instant::now();
    loop {
        let output = match &step.interrupt_after {
            Some(sign) => terminal.run_and_interrupt(&step.command, sign),
            None => terminal.run(&step.command),
        };
        let found = blocks::normalised(&output);
        if found == expected {
            return;
        }
        assert!(
            repeatable && start.elapsed() < common::BOUND,
            "$ {}\nREADME:\n{expected}\nfound:\n{found}",
            step.command
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_the_readme_shows_is_what_appears() {
    if !can_mount() {
        return;
    }
    let place = Place::new();
    // Its reader stands in the source tree.
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib");
    std::os::unix::fs::symlink(contrib, place.dir.path().join("contrib")).expect("symlink");
    let mut terminal = Terminal::open(place.dir.path());
    let mut steps = 0;
    for block in readme() {
        match block {
            Block::File { name, text } => write_file(place.dir.path(), &name, &text),
            Block::Session(session) => {
                for step in &session {
                    follow(&mut terminal, step);
                    steps += 1;
                }
            }
            Block::Script(lines) => {
                for line in lines {
                    let output = terminal.run(&line);
                    let status = terminal.run("echo $?");
                    assert_eq!(status.trim(), "0", "exit status of: {line}\n{output}");
                    steps += 1;
                }
            }
            Block::Untested(_) | Block::Other => {}
        }
    }
    assert!(steps > 40, "only {steps} commands found: has the form of the README changed?");
    assert!(!common::is_listed(&place.mountpoint()), "the README leaves a mount behind");
}

#[test]
fn only_making_and_installing_is_not_replayed() {
    let allowed = ["make", "sudo make", "export PATH=", "sudo systemctl enable"];
    for block in readme() {
        let Block::Untested(lines) = block else { continue };
        for line in lines {
            assert!(allowed.iter().any(|start| line.starts_with(start)), "not replayed: {line}");
        }
    }
}

#[test]
fn every_link_of_the_readme_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("README.md")).expect("README.md");
    let links: Vec<&str> =
        text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() >= 4, "links found: {links:?}");
    for link in links.into_iter().filter(|link| !link.contains("://")) {
        assert!(root.join(link).exists(), "{link}");
    }
}
