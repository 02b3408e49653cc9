//! Short words for what the tests of this directory do again and again.

use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) use crate::common::close;
use crate::common::{as_user, get, names, no_forks};

/// Root inside a mount that everybody may use.
pub(crate) const SHARED: &str = "allow_other,root_mode=1777";

/// Puts one finished event (or staged file): creates, writes, closes for the last time.
pub(crate) fn put(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    try_put(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// As [`put`], but may fail.
pub(crate) fn try_put(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let _guard = no_forks();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content.as_ref())
}

/// Creates a file and keeps it open: it is unfinished until [`close`].
pub(crate) fn begin(path: impl AsRef<Path>) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("create")
}

/// What `head` or `tail` of a queue points to; `None` where there is no such link.
pub(crate) fn target(queue: &Path, link: &str) -> Option<String> {
    match fs::read_link(queue.join(link)) {
        Ok(name) => Some(name.into_os_string().into_string().expect("UTF-8")),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
        Err(error) => panic!("readlink {link}: {error}"),
    }
}

/// What `head` points to.
pub(crate) fn head(queue: &Path) -> Option<String> {
    target(queue, "head")
}

/// What `tail` points to.
pub(crate) fn tail(queue: &Path) -> Option<String> {
    target(queue, "tail")
}

/// The listing of a queue without `head` and `tail`.
pub(crate) fn files(queue: &Path) -> Vec<String> {
    names(queue).into_iter().filter(|name| name != "head" && name != "tail").collect()
}

/// A `user.eventfs_*` attribute as a number.
pub(crate) fn count(path: &Path, name: &str) -> u64 {
    let value = get(path, &format!("user.eventfs_{name}"));
    value.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
}

/// Content as text.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("read")
}

/// Whether a name is not there, for every way to ask.
pub(crate) fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT))
}

/// Runs as a user with the group of the same number.
pub(crate) fn user(uid: u32, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    as_user(uid, uid, work)
}

/// Puts an event as a user.
pub(crate) fn put_as(uid: u32, path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    user(uid, || try_put(path, content))
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no zero byte")
}

/// `renameat2` with flags.
pub(crate) fn rename_with(from: &Path, to: &Path, flags: u32) -> io::Result<()> {
    let (from, to) = (c_path(from), c_path(to));
    #[allow(unsafe_code)]
    // SAFETY: both are strings that end in zero and live through the call.
    let result = unsafe {
        libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One `getdents64` with a buffer of so many bytes: names with their types; nothing at the end.
pub(crate) fn getdents(dir: &File, buffer_bytes: usize) -> Vec<(OsString, u8)> {
    use std::os::fd::AsRawFd;
    let mut buffer = vec![0_u8; buffer_bytes];
    #[allow(unsafe_code)]
    // SAFETY: the buffer is writable for the length that is told.
    let got = unsafe {
        libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
    };
    assert!(got >= 0, "getdents64: {}", io::Error::last_os_error());
    let mut left = &buffer[..usize::try_from(got).expect("length")];
    let mut found = Vec::new();
    while !left.is_empty() {
        let length = usize::from(u16::from_ne_bytes([left[16], left[17]]));
        let name = left[19..length].split(|byte| *byte == 0).next().unwrap_or_default();
        found.push((std::ffi::OsStr::from_bytes(name).to_owned(), left[18]));
        left = &left[length..];
    }
    found
}

/// The whole listing as the kernel tells it, `.` and `..` included, in steps of a small buffer.
pub(crate) fn raw_names(dir: &Path, buffer_bytes: usize) -> Vec<String> {
    let dir = File::open(dir).expect("open directory");
    let mut all = Vec::new();
    loop {
        let some = getdents(&dir, buffer_bytes);
        if some.is_empty() {
            return all;
        }
        all.extend(some.into_iter().map(|(name, _)| name.into_string().expect("UTF-8")));
    }
}

/// A configuration file in a directory that lives as long as the answer.
pub(crate) struct ConfigFile {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl ConfigFile {
    /// Writes `NAME` with this text; more files with [`ConfigFile::add`].
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join(name);
        fs::write(&path, text).expect("configuration");
        Self { dir, path }
    }

    /// Adds a file below the same directory.
    pub(crate) fn add(&self, name: &str, text: &str) -> &Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(path, text).expect("file");
        self
    }

    /// Mounts with it, open to all users.
    pub(crate) fn mount(&self) -> crate::common::Mounted {
        self.mount_with(SHARED)
    }

    /// Mounts with it and these options.
    pub(crate) fn mount_with(&self, options: &str) -> crate::common::Mounted {
        let path = self.path.to_str().expect("UTF-8");
        crate::common::Mounted::start(&["-o", options, "-c", path])
    }
}

/// Mounts with limits in TOML: the lines below `[limits]`.
pub(crate) fn with_limits(lines: &str) -> crate::common::Mounted {
    ConfigFile::new("limits.toml", &format!("[limits]\n{lines}\n")).mount()
}
