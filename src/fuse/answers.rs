//! Answers: outcomes of the model to replies of `fuser`, with the kernel's caching rules.

use fuser::{Errno, Generation, ReplyAttr, ReplyEmpty, ReplyEntry, ReplyXattr};

use super::convert::{LONG, NEVER, SHORT, attributes};
use super::errno::errno;
use crate::model::{Attr, Ino, Kind, Outcome};

/// Inode numbers are never reused, so there is one generation.
pub(super) const GENERATION: Generation = Generation(0);

pub(super) fn reply_empty(reply: ReplyEmpty, outcome: Outcome<()>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(reason) => reply.error(errno(reason)),
    }
}

/// A name whose cache rules depend on what it is: queues are kept long (we tell when one goes), the
/// links' names too, as every use of a link asks us; events never, because popping through a link
/// removes a name that the kernel does not know of.
pub(super) fn reply_entry(reply: ReplyEntry, outcome: Outcome<Attr>) {
    match outcome {
        Ok(attr) => {
            let (attr_ttl, entry_ttl) = match attr.kind {
                Kind::Directory => (LONG, LONG),
                Kind::Link => (NEVER, LONG),
                Kind::File => (LONG, NEVER),
            };
            reply.entry_with_ttls(&attr_ttl, &entry_ttl, &attributes(&attr), GENERATION);
        }
        Err(reason) => reply.error(errno(reason)),
    }
}

pub(super) fn reply_attr(reply: ReplyAttr, outcome: Outcome<Attr>) {
    match outcome {
        Ok(attr) => {
            let ttl = match attr.kind {
                _ if attr.ino == Ino::ROOT => SHORT,
                Kind::Link => NEVER,
                Kind::Directory | Kind::File => LONG,
            };
            reply.attr(&ttl, &attributes(&attr));
        }
        Err(reason) => reply.error(errno(reason)),
    }
}

pub(super) fn reply_xattr(reply: ReplyXattr, size: u32, outcome: Outcome<Vec<u8>>) {
    match outcome {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(reason) => reply.error(errno(reason)),
    }
}
