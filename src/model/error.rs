//! Why an operation was refused: reasons, never numbers.
//!
//! `fuse/errno.rs` turns them into error numbers in one exhaustive match.

/// The reason for a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The operation dropped as much as one step may and wants to be called again at once.
    Again,
    /// The handle is not open, or not in the way that the operation needs.
    BadHandle,
    /// The name is taken.
    Exists,
    /// The value or flag has no meaning here.
    Invalid,
    /// The caller lacks a permission.
    Denied,
    /// A directory where a file is needed.
    IsDirectory,
    /// The name is longer than [`super::limits::NAME_BYTES_MAX`].
    NameTooLong,
    /// The extended attribute does not exist.
    NoAttribute,
    /// No descriptor is left to watch the owner of one more queue.
    NoDescriptor,
    /// No such live process, as the caller sees processes.
    NoProcess,
    /// The mount is full: `size=`, `nr_events=` or `nr_queues=`.
    NoSpace,
    /// A file where a directory is needed.
    NotDirectory,
    /// The queue holds events or staged files.
    NotEmpty,
    /// No such name, or the thing is gone.
    NotFound,
    /// The filesystem does not allow it, or not for this caller.
    NotPermitted,
    /// Only extended attributes of the `user.` namespace are kept.
    NotSupported,
    /// A limit of the queue, of its owner, or of the user or group.
    OverQuota,
    /// Larger than `max_event=`.
    TooBig,
    /// More links than [`super::limits::LINKS_MAX`].
    TooManyLinks,
}

/// What an operation of the model returns.
pub type Outcome<T> = Result<T, Reason>;
