//! Sockets in the file system: made with care, and taken away again.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use nix::unistd::{Gid, Group};

use super::source::Failure;

/// Longest path of a socket: `sun_path` of unix(7) less its closing zero.
pub const PATH_BYTES_MAX: usize = 107;

/// Connections that may wait to be accepted.
const WAITING_MAX: i32 = 128;

/// A socket that is bound to a path, removed with it.
#[derive(Debug)]
pub struct BoundSocket {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode: another one's socket under the path is not removed.
    identity: (u64, u64),
}

/// How a socket is made.
#[derive(Clone, Debug)]
pub struct Binding<'a> {
    /// Where.
    pub path: &'a Path,
    /// Stream, datagram or sequenced packet; the first and the last listen.
    pub kind: SockType,
    /// Permission bits.
    pub mode: u32,
    /// Name or number.
    pub group: Option<&'a str>,
}

/// Binds a socket that does not block.
///
/// # Errors
/// One line with the path: too long, no directory, not ours to make, somebody listens there already,
/// something else has the name. A socket that nobody serves any more is replaced.
pub fn bind_at(binding: &Binding<'_>) -> Result<BoundSocket, Failure> {
    let path = binding.path;
    let fail = |error: io::Error| Failure::io(path.display(), &error);
    let length = path.as_os_str().len();
    if length > PATH_BYTES_MAX {
        let why = format!("a socket's path has at most {PATH_BYTES_MAX} bytes, this one {length}");
        return Err(Failure(format!("{}: {why}", path.display())));
    }
    let group = binding.group.map(group_of).transpose()?;
    let address = UnixAddr::new(path).map_err(|error| fail(error.into()))?;
    make_way(path, binding.kind, &address)?;
    let new = || {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, binding.kind, flags, None)?;
        bind(socket.as_raw_fd(), &address)?;
        Ok(socket)
    };
    let socket = new().map_err(|error: Errno| fail(error.into()))?;
    let metadata = fs::symlink_metadata(path).map_err(fail)?;
    let bound =
        BoundSocket { socket, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
    // Nobody can connect before it listens, so nobody slips in before the mode is set.
    if let Some(group) = group {
        std::os::unix::fs::lchown(path, None, Some(group.as_raw())).map_err(fail)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(binding.mode)).map_err(fail)?;
    if binding.kind != SockType::Datagram {
        let backlog = Backlog::new(WAITING_MAX).map_err(|error| fail(error.into()))?;
        listen(&bound.socket, backlog).map_err(|error| fail(error.into()))?;
    }
    Ok(bound)
}

/// Takes away a socket that nobody serves.
fn make_way(path: &Path, kind: SockType, address: &UnixAddr) -> Result<(), Failure> {
    let fail = |why: &str| Err(Failure(format!("{}: {why}", path.display())));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io(path.display(), &error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return fail("exists and is no socket");
        }
        Ok(_) => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, kind, flags, None)
        .map_err(|error| Failure::io(path.display(), &error.into()))?;
    match connect(probe.as_raw_fd(), address) {
        Err(Errno::ECONNREFUSED) => {
            fs::remove_file(path).map_err(|error| Failure::io(path.display(), &error))
        }
        Err(Errno::ENOENT) => Ok(()),
        // A full queue of connections or another kind of socket: alive both.
        Ok(()) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => fail("somebody listens there already"),
        Err(error) => Err(Failure::io(path.display(), &error.into())),
    }
}

fn group_of(text: &str) -> Result<Gid, Failure> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(Failure(format!("{text}: no such group"))),
    }
}

impl BoundSocket {
    /// Where it is bound.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours {
            // Nothing depends on it: the next one replaces a stale socket.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind_seqpacket(path: &Path) -> Result<BoundSocket, Failure> {
        bind_at(&Binding { path, kind: SockType::SeqPacket, mode: 0o640, group: None })
    }

    #[test]
    fn a_live_socket_is_refused_a_stale_one_replaced_and_ours_removed() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("socket");
        let first = bind_seqpacket(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let line = bind_seqpacket(&path).unwrap_err().to_string();
        assert!(line.ends_with("somebody listens there already"), "{line}");
        assert!(path.exists(), "never taken from a live one");
        // What a killed process leaves.
        let stale = dir.path().join("stale");
        fs::hard_link(&path, &stale).unwrap();
        drop(first);
        assert!(!path.exists());
        fs::rename(&stale, &path).unwrap();
        let second = bind_seqpacket(&path).unwrap();
        // A stranger's under our name stays.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        drop(second);
        assert!(path.exists());
        let line = bind_seqpacket(&path).unwrap_err().to_string();
        assert!(line.ends_with("exists and is no socket"), "{line}");
    }

    #[test]
    fn paths_that_cannot_be_are_named() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(103)));
        let line = bind_seqpacket(&long).unwrap_err().to_string();
        assert!(line.contains("at most 107 bytes, this one 108"), "{line}");
        let line = bind_seqpacket(Path::new("/nonexistent/socket")).unwrap_err().to_string();
        assert_eq!(line, "/nonexistent/socket: No such file or directory");
        let path = Path::new("/tmp/never");
        let binding =
            Binding { path, kind: SockType::Stream, mode: 0o600, group: Some("no-such-group") };
        let line = bind_at(&binding).unwrap_err().to_string();
        assert_eq!(line, "no-such-group: no such group");
    }
}
