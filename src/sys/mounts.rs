//! What is mounted where, from `/proc/self/mountinfo`. Never touches the mounts themselves.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

/// One line of mountinfo.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountEntry {
    /// Number of the mount, unique while it exists.
    pub id: u64,
    /// Device number as `st_dev` shows it.
    pub device: u64,
    /// Which directory of the filesystem is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Type, for example `fuse.eventfs`.
    pub fs_type: String,
    /// Source, for example `none`.
    pub source: OsString,
}

/// All mounts that this process sees, in the order in which they were made.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn list() -> io::Result<Vec<MountEntry>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    Ok(text.split(|b| *b == b'\n').filter_map(parse).collect())
}

fn parse(line: &[u8]) -> Option<MountEntry> {
    let mut words = line.split(|b| *b == b' ');
    let id = text(words.next()?)?.parse().ok()?;
    let mut words = words.skip(1);
    let (major, minor) = text(words.next()?)?.split_once(':')?;
    let device = nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?);
    let root = PathBuf::from(unescape(words.next()?));
    let point = PathBuf::from(unescape(words.next()?));
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    let fs_type = text(words.next()?)?.to_owned();
    let source = unescape(words.next()?);
    Some(MountEntry { id, device, root, point, fs_type, source })
}

fn text(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// Blanks, line breaks and backslashes are written in octal.
fn unescape(word: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| byte == b'\\').and_then(text);
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) => {
                out.push(value);
                rest = &tail[3..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    OsString::from_vec(out)
}

/// The topmost mount at a path that is already resolved.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn top_at(point: &Path) -> io::Result<Option<MountEntry>> {
    Ok(list()?.into_iter().rev().find(|mount| mount.point == point))
}

/// Resolves a path whose last part may be a dead mount that nobody can look into.
///
/// # Errors
/// When the parent does not exist or the last part is `..`.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {}
        other => return other,
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Ok(parent.canonicalize()?.join(name))
}

/// Detaches the topmost mount at a path; as an ordinary user through `fusermount3`.
///
/// # Errors
/// What the system or the helper says.
pub fn detach(point: &Path) -> io::Result<()> {
    match umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(nix::errno::Errno::EPERM) => {}
        other => return other.map_err(io::Error::from),
    }
    let args = [OsStr::new("-u"), OsStr::new("-q"), OsStr::new("-z"), OsStr::new("--")];
    let output = std::process::Command::new("fusermount3").args(args).arg(point).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Whether `umount` of this path would hit the mount with this device number.
pub fn is_on_top(point: &Path, device: u64) -> bool {
    top_at(point).ok().flatten().is_some_and(|mount| mount.device == device)
}

/// Escapes commas and backslashes in a value for `fusermount3 -o`.
pub fn escape_option(value: &OsStr) -> OsString {
    let mut out = Vec::with_capacity(value.len());
    for &byte in value.as_bytes() {
        if matches!(byte, b',' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_are_taken_apart() {
        let line =
            b"36 35 0:45 / /mnt/a\\040b rw,relatime shared:1 - fuse.eventfs no\\134ne rw,user_id=0";
        let mount = parse(line).expect("a line");
        assert_eq!(mount.point, Path::new("/mnt/a b"));
        assert_eq!(mount.source, "no\\ne");
        assert_eq!(mount.fs_type, "fuse.eventfs");
        assert_eq!(mount.id, 36);
        assert_eq!(mount.device, nix::sys::stat::makedev(0, 45));
        for cut in 0..line.len() - 20 {
            let _ = parse(&line[..cut]);
        }
    }

    #[test]
    fn the_root_is_mounted() {
        assert!(top_at(Path::new("/")).expect("mountinfo").is_some());
    }

    #[test]
    fn a_relative_path_resolves_too() {
        assert_eq!(resolve(Path::new(".")).expect("here"), std::env::current_dir().expect("here"));
        assert!(resolve(Path::new("no/such/place")).is_err());
    }
}
