//! Reasons of the model to error numbers, in one place.

use fuser::Errno;

use crate::model::Reason;

/// The error number for a reason.
pub(super) fn errno(reason: Reason) -> Errno {
    match reason {
        // The edge repeats the call itself; nobody else sees this.
        Reason::Again => Errno::EAGAIN,
        Reason::BadHandle => Errno::EBADF,
        Reason::Denied => Errno::EACCES,
        Reason::Exists => Errno::EEXIST,
        Reason::Invalid => Errno::EINVAL,
        Reason::IsDirectory => Errno::EISDIR,
        Reason::NameTooLong => Errno::ENAMETOOLONG,
        Reason::NoAttribute => Errno::ENODATA,
        // The caller's own table is not full, so EMFILE would mislead; ENFILE says "the system's".
        Reason::NoDescriptor => Errno::ENFILE,
        Reason::NoProcess => Errno::ESRCH,
        Reason::NoSpace => Errno::ENOSPC,
        Reason::NotDirectory => Errno::ENOTDIR,
        Reason::NotEmpty => Errno::ENOTEMPTY,
        Reason::NotFound => Errno::ENOENT,
        Reason::NotPermitted => Errno::EPERM,
        Reason::NotSupported => Errno::EOPNOTSUPP,
        Reason::OverQuota => Errno::EDQUOT,
        Reason::TooBig => Errno::EFBIG,
        Reason::TooManyLinks => Errno::EMLINK,
    }
}
