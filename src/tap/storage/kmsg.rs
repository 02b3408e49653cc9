//! The kernel log: the device, or a file or pipe of its records.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::stream::{Got, Kind, Stream};
use crate::decode::storage::Framer;
use crate::tap::source::Wait;

/// Room for a record of the device: the text is at most 1024 bytes, each at most four with escapes, and
/// the keys some hundred more. With less the kernel says EINVAL.
const RECORD_ROOM: usize = 16_384;

/// Bytes read from a file or pipe at once.
const CHUNK: usize = 65_536;

/// A record in a pipe is whole when nothing more of it has come for so long.
const WHOLE_AFTER: Duration = Duration::from_millis(100);

/// What the kernel log has.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// A record is in the buffer; the number of its line, 0 for the device.
    Record(u64),
    /// None for the time being.
    Nothing,
    /// None any more.
    End,
}

/// The kernel log.
#[derive(Debug)]
pub(super) struct Kmsg {
    path: PathBuf,
    stream: Stream,
    /// For anything but the device.
    framer: Framer,
    buffer: Vec<u8>,
    /// The stream has ended; what is framed is still to come.
    ended: bool,
    /// Since when nothing has come.
    idle_since: Option<Instant>,
}

impl Kmsg {
    /// Opens it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path, follow: bool) -> io::Result<Self> {
        let stream = Stream::open(path, follow)?;
        let room = if stream.kind() == Kind::Device { RECORD_ROOM } else { CHUNK };
        Ok(Self {
            path: path.to_owned(),
            stream,
            framer: Framer::default(),
            buffer: vec![0; room],
            ended: false,
            idle_since: None,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the device or some other one.
    pub(super) fn is_device(&self) -> bool {
        self.stream.kind() == Kind::Device
    }

    /// Whether it is a regular file.
    pub(super) fn is_file(&self) -> bool {
        self.stream.kind() == Kind::File
    }

    /// The file itself.
    pub(super) fn file(&self) -> &std::fs::File {
        self.stream.file()
    }

    /// To the oldest record, or behind the newest; false if that cannot be.
    pub(super) fn seek(&mut self, newest: bool) -> bool {
        self.framer = Framer::default();
        self.ended = false;
        self.stream.seek(newest)
    }

    /// Takes the next record into `record`.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn next(&mut self, record: &mut Vec<u8>, now: Instant) -> io::Result<Next> {
        if self.is_device() {
            self.next_of_device(record)
        } else {
            self.next_of_stream(record, now)
        }
    }

    fn next_of_device(&mut self, record: &mut Vec<u8>) -> io::Result<Next> {
        loop {
            match self.stream.read(&mut self.buffer) {
                Ok(Got::Bytes(count)) => {
                    record.clear();
                    record.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
                    return Ok(Next::Record(0));
                }
                Ok(Got::Nothing) => return Ok(Next::Nothing),
                Ok(Got::End) => return Ok(Next::End),
                // Records were overwritten before they were read: said once, then comes the oldest there
                // is. Their number tells how many are missing.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn next_of_stream(&mut self, record: &mut Vec<u8>, now: Instant) -> io::Result<Next> {
        loop {
            let is_late = self
                .idle_since
                .is_some_and(|since| now.saturating_duration_since(since) >= WHOLE_AFTER);
            let last = self.ended || (is_late && self.framer.is_whole());
            if let Some((bytes, line)) = self.framer.next(last) {
                record.clear();
                record.extend_from_slice(bytes);
                return Ok(Next::Record(line));
            }
            if self.ended {
                return Ok(Next::End);
            }
            match self.stream.read(&mut self.buffer)? {
                Got::Bytes(count) => {
                    self.idle_since = None;
                    self.framer.push(self.buffer.get(..count).unwrap_or_default());
                }
                Got::Nothing => {
                    self.idle_since.get_or_insert(now);
                    return Ok(Next::Nothing);
                }
                Got::End => self.ended = true,
            }
        }
    }

    /// What to wait for.
    pub(super) fn wait<'a>(&'a self, wait: &mut Wait<'a>, now: Instant) {
        let (fd, every) = self.stream.wait();
        wait.on.extend(fd.map(|fd| (fd, nix::poll::PollFlags::POLLIN)));
        let whole =
            self.idle_since.filter(|_| self.framer.is_whole()).map(|since| since + WHOLE_AFTER);
        let until = [every.map(|every| now + every), whole].into_iter().flatten();
        wait.until = wait.until.into_iter().chain(until).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn next(kmsg: &mut Kmsg, now: Instant) -> (Next, String) {
        let mut record = Vec::new();
        let next = kmsg.next(&mut record, now).unwrap();
        (next, String::from_utf8(record).unwrap())
    }

    #[test]
    fn a_file_is_read_to_its_last_record() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "6,1,2,-;a\n A=b\n6,2,3,-;last").unwrap();
        let mut kmsg = Kmsg::open(&path, false).unwrap();
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(next(&mut kmsg, now), (Next::Record(1), "6,1,2,-;a\n A=b".into()));
            assert_eq!(next(&mut kmsg, now), (Next::Record(3), "6,2,3,-;last".into()));
            assert_eq!(next(&mut kmsg, now).0, Next::End);
            assert!(kmsg.seek(false) && kmsg.is_file());
        }
        assert!(kmsg.seek(true));
        assert_eq!(next(&mut kmsg, now).0, Next::End);
    }

    #[test]
    fn a_record_in_a_pipe_is_whole_after_a_while() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("p");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut kmsg = Kmsg::open(&path, false).unwrap();
        let mut writer = std::fs::File::options().write(true).open(&path).unwrap();
        writer.write_all(b"6,1,2,-;a\n").unwrap();
        let now = Instant::now();
        assert_eq!(next(&mut kmsg, now).0, Next::Nothing);
        let mut wait = Wait::default();
        kmsg.wait(&mut wait, now);
        assert_eq!((wait.on.len(), wait.until), (1, Some(now + WHOLE_AFTER)));
        assert_eq!(next(&mut kmsg, now + WHOLE_AFTER), (Next::Record(1), "6,1,2,-;a".into()));
        writer.write_all(b"6,2,2,-;half").unwrap();
        assert_eq!(next(&mut kmsg, now).0, Next::Nothing);
        assert_eq!(next(&mut kmsg, now + 9 * WHOLE_AFTER).0, Next::Nothing, "a half line waits");
        drop(writer);
        assert_eq!(next(&mut kmsg, now), (Next::Record(2), "6,2,2,-;half".into()));
        assert_eq!(next(&mut kmsg, now).0, Next::End);
    }
}
