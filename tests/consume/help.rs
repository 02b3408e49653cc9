//! Running the commands.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{EVENTFS, wait_until};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Told {
    fn of(output: std::process::Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("UTF-8");
        Self { code: output.status.code().unwrap_or(-1), out: output.stdout, err }
    }

    /// Standard output as text; demands exit status 0.
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""));
        String::from_utf8(self.out).expect("UTF-8")
    }

    /// Demands this exit status and one line on standard error alone, which it returns.
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_slice()), (code, &b""[..]), "{}", self.err);
        self.line()
    }

    /// The one line on standard error.
    pub(crate) fn line(self) -> String {
        assert!(self.err.starts_with("eventfs: "), "{:?}", self.err);
        assert_eq!(self.err.matches('\n').count(), 1, "{:?}", self.err);
        self.err.trim_end().to_owned()
    }
}

/// A call of the program.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(EVENTFS);
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Told {
    Told::of(command(args).output().expect("eventfs"))
}

/// `eventfs pop QUEUE ...`.
pub(crate) fn pop(queue: &Path, options: &[&str]) -> Told {
    Told::of(command(&["pop"]).arg(queue).args(options).output().expect("eventfs"))
}

/// `eventfs push QUEUE ...` with this on standard input.
pub(crate) fn push(queue: &Path, options: &[&str], input: &[u8]) -> Told {
    let mut command = command(&["push"]);
    command.arg(queue).args(options).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("eventfs");
    // It may refuse without reading.
    let _ = child.stdin.take().expect("piped").write_all(input);
    Told::of(child.wait_with_output().expect("eventfs"))
}

/// Options of setpriv(1) for another user.
pub(crate) fn user(id: u32) -> Vec<String> {
    [format!("--reuid={id}"), format!("--regid={id}"), "--clear-groups".into()].into()
}

/// A call of the program under options of setpriv(1).
pub(crate) fn as_somebody<S: AsRef<OsStr>>(who: &[String], args: &[S]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(who).arg(reachable()).args(args).stdin(Stdio::null());
    command
}

pub(crate) fn pop_as(who: &[String], queue: &Path, options: &[&str]) -> Told {
    Told::of(as_somebody(who, &["pop"]).arg(queue).args(options).output().expect("setpriv"))
}

/// The program where every user can reach it.
fn reachable() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let open = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 1 == 1);
        if Path::new(EVENTFS).ancestors().all(open) {
            return EVENTFS.into();
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).ancestors().all(open);
        let dir = if dir { env!("CARGO_TARGET_TMPDIR").into() } else { std::env::temp_dir() };
        let place = dir.join("eventfs-for-everybody");
        // Never written while somebody runs it.
        let fresh = dir.join(format!("eventfs-{}", std::process::id()));
        fs::copy(EVENTFS, &fresh).expect("copy");
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::rename(fresh, &place).expect("rename");
        place
    })
}

/// A command in the background; killed at the end of the test.
pub(crate) struct Background {
    child: Child,
    out: File,
    err: File,
}

impl Background {
    pub(crate) fn start(mut command: Command) -> Self {
        let (out, err) = (tempfile::tempfile().expect("file"), tempfile::tempfile().expect("file"));
        command.stdout(out.try_clone().expect("dup")).stderr(err.try_clone().expect("dup"));
        Self { child: command.spawn().expect("eventfs"), out, err }
    }

    pub(crate) fn pop(queue: &Path, options: &[&str]) -> Self {
        let mut pop = command(&["pop"]);
        pop.arg(queue).args(options);
        Self::start(pop)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("kill");
    }

    /// Waits until it sleeps in a system call with this in its name, such as `poll`.
    pub(crate) fn wait_until_it_waits(&self) {
        let path = format!("/proc/{}/syscall", self.child.id());
        let waits = [libc::SYS_poll, libc::SYS_ppoll, libc::SYS_clock_nanosleep];
        wait_until("a command that waits", || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let number = text.split(' ').next().and_then(|word| word.parse().ok());
            number.is_some_and(|number| waits.contains(&number))
        });
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    pub(crate) fn out(&mut self) -> Vec<u8> {
        read(&mut self.out)
    }

    pub(crate) fn lines(&mut self) -> Vec<String> {
        let mut text = String::from_utf8(self.out()).expect("UTF-8");
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Waits for its end.
    pub(crate) fn finish(&mut self) -> Told {
        wait_until("the end of a command", || !self.is_running());
        let code = self.child.wait().expect("wait").code().unwrap_or(-1);
        let err = String::from_utf8(read(&mut self.err)).expect("UTF-8");
        Told { code, out: self.out(), err }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything in the file that a child writes through a descriptor that shares our offset.
fn read(file: &mut File) -> Vec<u8> {
    let mut again = File::open(format!("/proc/self/fd/{}", fd(file))).expect("reopen");
    again.seek(SeekFrom::Start(0)).expect("seek");
    let mut all = Vec::new();
    again.read_to_end(&mut all).expect("read");
    all
}

fn fd(file: &File) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd()
}

/// Publishes an event at once. A file that is just written and closed is published a little later
/// if another thread forks at that moment: the child has it open too until it runs its program.
pub(crate) fn put(event: &Path, content: impl AsRef<[u8]>) {
    let staged = event.with_file_name(format!(".put-{:?}", std::thread::current().id()));
    fs::write(&staged, content).expect("write");
    fs::rename(&staged, event).expect("rename");
}

/// Writes events named and filled `PREFIX-00000` onwards, one a line.
pub(crate) fn fill(queue: &Path, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("{prefix}-{number:05}")).collect();
    for name in &names {
        put(&queue.join(name), format!("{name}\n"));
    }
    names
}

/// The names of the events in their order.
pub(crate) fn events(queue: &Path) -> Vec<String> {
    let names = crate::common::names(queue);
    names.into_iter().filter(|name| name != "head" && name != "tail").collect()
}

pub(crate) fn depth(queue: &Path) -> usize {
    crate::common::get(queue, "user.eventfs_depth").expect("depth").parse().expect("a number")
}

pub(crate) fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("chmod");
}

/// JSON lines.
pub(crate) fn json(text: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
