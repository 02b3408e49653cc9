//! File handles: names of inodes that outlive their paths.

use std::ffi::CString;
use std::io;
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of a handle at most: `MAX_HANDLE_SZ` of name_to_handle_at(2).
const HANDLE_BYTES_MAX: usize = 128;

/// The kernel's `struct file_handle` with all the room that it can want.
#[repr(C)]
struct Room {
    header: libc::file_handle,
    bytes: [u8; HANDLE_BYTES_MAX],
}

/// Type and bytes of the handle of what lies at a path; of a symbolic link its own.
///
/// # Errors
/// What the system says: `EOPNOTSUPP` where the file system has none.
pub fn handle_of(path: &Path) -> io::Result<(i32, Vec<u8>)> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: numbers and bytes, for which zero is a value.
    let mut room: Room = unsafe { std::mem::zeroed() };
    room.header.handle_bytes = HANDLE_BYTES_MAX as libc::c_uint;
    let mut mount = 0;
    let start: *mut Room = &raw mut room;
    // SAFETY: the path ends with a zero; the room has the bytes that its header promises; both and
    // `mount` live until the call returns.
    let got = unsafe {
        libc::name_to_handle_at(libc::AT_FDCWD, path.as_ptr(), start.cast(), &raw mut mount, 0)
    };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    let length = (room.header.handle_bytes as usize).min(HANDLE_BYTES_MAX);
    let from = offset_of!(libc::file_handle, f_handle);
    // SAFETY: the kernel wrote `length` bytes behind the header, inside of the room.
    let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>().add(from), length) };
    Ok((room.header.handle_type, bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_stays_when_its_file_moves() {
        let dir = tempfile::TempDir::new().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::write(&old, "x").unwrap();
        match handle_of(&old) {
            Ok(handle) => {
                std::fs::rename(&old, &new).unwrap();
                assert_eq!(handle_of(&new).unwrap(), handle);
                assert_ne!(handle_of(dir.path()).unwrap(), handle);
                assert!(!handle.1.is_empty() && handle.1.len() <= HANDLE_BYTES_MAX);
            }
            Err(error) => eprintln!("SKIPPED: no file handles here: {error}"),
        }
        assert_eq!(handle_of(&old.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
