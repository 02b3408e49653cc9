//! Taps as their users run them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::net::UnixDatagram;

use super::{Broken, EVENTFS, cpu};

/// Longest wait for a tap to be ready.
const BOUND: Duration = Duration::from_secs(60);

/// A tap that is killed with this value if it was not ended before.
pub(crate) struct Tap {
    child: Child,
    _dir: tempfile::TempDir,
}

/// How a tap ended.
pub(crate) struct Ended {
    /// Its standard error: at the end its counters.
    pub(crate) stderr: String,
    /// Processor time from its start to its end.
    pub(crate) processor: Duration,
}

impl Tap {
    /// Starts `eventfs tap SOURCE ... --queue QUEUE`; returns when it says that it is ready.
    pub(crate) fn start(source: &[&str], queue: &Path, words: &[&str]) -> Result<Self, Broken> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("notify");
        let notify = UnixDatagram::bind(&path)?;
        notify.set_read_timeout(Some(BOUND))?;
        let child = Command::new(EVENTFS)
            .arg("tap")
            .args(source)
            .arg("--queue")
            .arg(queue)
            .args(words)
            .env("NOTIFY_SOCKET", &path)
            .env("EVENTFS_WEBHOOK_DIR", dir.path().join("hooks"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let tap = Self { child, _dir: dir };
        notify.recv(&mut [0; 64])?;
        Ok(tap)
    }

    /// Ends it in order.
    pub(crate) fn end(mut self) -> Result<Ended, Broken> {
        let before = cpu::time_of_children()?;
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let stderr = self.child.stderr.take().map(std::io::read_to_string).transpose()?;
        let stderr = stderr.unwrap_or_default();
        if !self.child.wait()?.success() {
            return Err(format!("the tap failed: {stderr}").into());
        }
        let processor = cpu::time_of_children()?.saturating_sub(before);
        Ok(Ended { stderr, processor })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // After an orderly end there is nobody to kill, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
