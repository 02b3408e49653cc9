//! Running what contrib/ holds.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::common::{self, EVENTFS, get, spawn, wait_until};

/// Longest time of a program that a test starts; it only matters when something is broken.
const SECONDS_MAX: &str = "120";

/// The project's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Path of a file in contrib/.
pub(crate) fn contrib(name: &str) -> PathBuf {
    root().join("contrib").join(name)
}

/// Path of an example, as text for scripts.
pub(crate) fn example(name: &str) -> String {
    contrib("examples").join(name).into_os_string().into_string().expect("UTF-8")
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The directory that cargo builds into.
pub(crate) fn target_dir() -> &'static Path {
    Path::new(EVENTFS).ancestors().nth(2).expect("target/PROFILE/eventfs")
}

/// Where a program is, in the path of this process.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").expect("PATH");
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Says that a test does not run; where everything must be there it is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "with CI set this may not be missing: {why}");
    common::skip(why);
}

/// Whether a program is there; if not, says that the test does not run.
pub(crate) fn have(program: &str) -> bool {
    let found = find(program).is_some();
    if !found {
        skip(&format!("no {program}"));
    }
    found
}

/// A program that is ended if it takes too long, with the program under test first in its path.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", SECONDS_MAX, program]).stdin(Stdio::null()).env("EVENTFS", EVENTFS);
    let own = Path::new(EVENTFS).parent().expect("a directory").display();
    let path = std::env::var("PATH").expect("PATH");
    command.env("PATH", format!("{own}:{path}"));
    // A `make` that runs these tests is not the parent of those that they run.
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
    command
}

/// Runs a command; its output is read to the end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(command).wait_with_output().expect("output")
}

/// Runs a command, demands success, returns its standard output.
pub(crate) fn ok(command: &mut Command) -> String {
    let output = output(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A command in the background with all its children; its output goes to files.
pub(crate) struct Background {
    child: Child,
    out: File,
    err: File,
}

impl Background {
    pub(crate) fn start(command: &mut Command) -> Self {
        let (out, err) = (tempfile::tempfile().expect("file"), tempfile::tempfile().expect("file"));
        command.stdout(out.try_clone().expect("dup")).stderr(err.try_clone().expect("dup"));
        Self { child: spawn(command.process_group(0)), out, err }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Waits for its end; returns the exit status, or 128 and the number of the signal.
    pub(crate) fn finish(&mut self) -> i32 {
        wait_until("the end of a program", || !self.is_running());
        let status = self.child.wait().expect("wait");
        status.code().unwrap_or_else(|| 128 + status.signal().expect("a signal"))
    }

    /// Kills it and its children without warning.
    pub(crate) fn kill(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        self.child.wait().expect("wait");
    }

    /// The lines that it has printed so far.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        written(&self.out).lines().map(str::to_owned).collect()
    }
}

/// Everything in a file, whose offset another process writes at.
fn written(file: &File) -> String {
    let mut text = String::new();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(path).expect("reopen").read_to_string(&mut text).expect("UTF-8");
    text
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill();
        }
        if std::thread::panicking() {
            eprint!("{}", written(&self.err));
        }
    }
}

/// Publishes an event in one step.
pub(crate) fn put(queue: &Path, name: &str, content: &str) {
    let staged = queue.join(format!(".put-{name}"));
    fs::write(&staged, content).expect("write");
    fs::rename(&staged, queue.join(name)).expect("rename");
}

/// Publishes events `PREFIX-0000` onwards, each with its name as its one line; returns the names.
pub(crate) fn fill(queue: &Path, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("{prefix}-{number:04}")).collect();
    for name in &names {
        put(queue, name, &format!("{name}\n"));
    }
    names
}

/// A counter of a queue.
pub(crate) fn counter(queue: &Path, name: &str) -> u64 {
    let value = get(queue, &format!("user.eventfs_{name}"));
    value.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
}

/// All lines of several programs, sorted.
pub(crate) fn all_lines(programs: &mut [Background]) -> Vec<String> {
    let mut lines: Vec<String> = programs.iter_mut().flat_map(Background::lines).collect();
    lines.sort();
    lines
}
