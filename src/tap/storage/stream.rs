//! A file or a pipe in place of a device.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often a file that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a read brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Got {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for the time being.
    Nothing,
    /// Nothing any more.
    End,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A regular file: read to its end, and with `--follow` beyond.
    File,
    /// A pipe: read until its writers are gone.
    Pipe,
    /// A character device, with its own ways.
    Device,
}

/// An open file or pipe.
#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    kind: Kind,
    follow: bool,
}

impl Stream {
    /// Opens a path; what it is decides how it is read.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path, follow: bool) -> io::Result<Self> {
        let kind = match std::fs::metadata(path)?.file_type() {
            kind if kind.is_dir() => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
            kind if kind.is_fifo() => Kind::Pipe,
            kind if kind.is_char_device() => Kind::Device,
            _ => Kind::File,
        };
        let mut options = File::options();
        // A pipe that is followed has a writer for ever: ourselves.
        options
            .read(true)
            .write(kind == Kind::Pipe && follow)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        Ok(Self { file: options.open(path)?, kind, follow })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// What the system says; `Interrupted` and `WouldBlock` are none.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        match self.file.read(buffer) {
            Ok(0) if self.is_over() => Ok(Got::End),
            Ok(0) => Ok(Got::Nothing),
            Ok(count) => Ok(Got::Bytes(count)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(Got::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether an end is for good. A pipe that nobody has opened for writing yet has not begun.
    fn is_over(&self) -> bool {
        match self.kind {
            Kind::File => !self.follow,
            Kind::Device => true,
            Kind::Pipe => {
                let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::ZERO).is_ok()
                    && fds.iter().any(|fd| {
                        fd.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
                    })
            }
        }
    }

    /// To the first byte, or with `end` behind the last one; false if that cannot be.
    pub(super) fn seek(&mut self, end: bool) -> bool {
        let place = if end { SeekFrom::End(0) } else { SeekFrom::Start(0) };
        self.kind != Kind::Pipe && self.file.seek(place).is_ok()
    }

    /// What to wait for; a regular file is always readable, so the time is what is waited for.
    pub(super) fn wait(&self) -> (Option<BorrowedFd<'_>>, Option<Duration>) {
        match self.kind {
            Kind::File => (None, Some(LOOK_EVERY)),
            _ => (Some(self.file.as_fd()), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(stream: &mut Stream) -> Got {
        stream.read(&mut [0; 64]).unwrap()
    }

    #[test]
    fn a_file_ends_unless_it_is_followed() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        let mut stream = Stream::open(&path, false).unwrap();
        assert_eq!((read(&mut stream), read(&mut stream)), (Got::Bytes(3), Got::End));
        assert!(stream.seek(false));
        assert_eq!(read(&mut stream), Got::Bytes(3));
        let mut followed = Stream::open(&path, true).unwrap();
        assert!(followed.seek(true));
        assert_eq!(read(&mut followed), Got::Nothing);
        File::options().append(true).open(&path).unwrap().write_all(b"d").unwrap();
        assert_eq!(read(&mut followed), Got::Bytes(1));
        assert!(Stream::open(dir.path(), false).is_err());
    }

    #[test]
    fn a_pipe_begins_with_its_first_writer_and_ends_with_its_last() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("p");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut stream = Stream::open(&path, false).unwrap();
        assert_eq!((stream.kind(), read(&mut stream)), (Kind::Pipe, Got::Nothing));
        let mut writer = File::options().write(true).open(&path).unwrap();
        assert_eq!(read(&mut stream), Got::Nothing);
        writer.write_all(b"ab").unwrap();
        assert_eq!(read(&mut stream), Got::Bytes(2));
        drop(writer);
        assert_eq!(read(&mut stream), Got::End);
        assert!(!stream.seek(false));
        let mut followed = Stream::open(&path, true).unwrap();
        drop(File::options().write(true).open(&path).unwrap());
        assert_eq!(read(&mut followed), Got::Nothing);
    }
}
