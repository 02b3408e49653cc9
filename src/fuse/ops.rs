//! The operations: translate, call, answer.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags,
    PollNotifier, RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::answers::{GENERATION, reply_attr, reply_empty, reply_entry, reply_xattr};
use super::consume::Question;
use super::convert::{
    NEVER, attributes, caller, file_type, ino, mode_bits, number, open_mode, time_or_now,
};
use super::errno::errno;
use super::state::{Ops, is_door};
use crate::model::xattr::{Control, Meaning, meaning};
use crate::model::{HandleId, SetAttr, XattrFlags};

/// Bytes of data in one WRITE request. More would only enlarge fuser's buffer.
const WRITE_BYTES_MAX: u32 = 1 << 20;

/// Requests that the kernel may hold back. RELEASE is one of them, and a RELEASE that is held back
/// would be overtaken by what the same process asks next: so as many as the protocol can say.
const BACKGROUND_MAX: u16 = u16::MAX;

/// Unit of `statfs`, bytes.
const STATFS_UNIT_BYTES: u32 = 4_096;

/// For files that are written: the kernel keeps nothing and asks less.
const UNCACHED: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_NOFLUSH);

fn handle(fh: FileHandle) -> HandleId {
    HandleId(fh.0)
}

impl Filesystem for Ops {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for wanted in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_HAS_IOCTL_DIR,
        ] {
            if config.add_capabilities(wanted).is_err() {
                log::debug!("the kernel does not offer {wanted:?}");
            }
        }
        // Both calls fail only for 0.
        let _ = config.set_max_background(BACKGROUND_MAX);
        let _ = config.set_max_write(WRITE_BYTES_MAX);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (parent, name) = (ino(parent), name.as_bytes());
        if self.is_herald(request)
            && let Some(found) = self.shared.look_up_ghost(parent, name)
        {
            match found {
                Ok(attr) => reply.entry(&NEVER, &attributes(&attr), GENERATION),
                Err(reason) => reply.error(errno(reason)),
            }
            return;
        }
        if let Some(attr) = self.consumers.permit(parent, name, caller(request)) {
            return reply.entry(&NEVER, &attributes(&attr), GENERATION);
        }
        let (found, _after) = self.with(|tree, _| tree.lookup(parent, name));
        reply_entry(reply, found);
    }

    fn forget(&self, _request: &Request, number: INodeNo, count: u64) {
        let (_, _after) = self.shared.with(|tree, _| tree.forget(ino(number), count));
    }

    fn getattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _fh: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let (found, _after) = self.with(|tree, _| tree.getattr(ino(number)));
        reply_attr(reply, found);
    }

    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (number, caller) = (ino(number), caller(request));
        if self.is_herald(request) {
            let (found, _after) = self.with(|tree, _| tree.getattr(number));
            return reply_attr(reply, found);
        }
        let (set, _after) = self.with(|tree, now| {
            let set = SetAttr {
                mode: mode.map(mode_bits),
                uid,
                gid,
                size,
                atime: atime.map(|time| time_or_now(time, now)),
                mtime: mtime.map(|time| time_or_now(time, now)),
                ctime: ctime.map(|time| time_or_now(TimeOrNow::SpecificTime(time), now)),
            };
            tree.setattr(number, set, caller, now)
        });
        reply_attr(reply, set);
    }

    fn readlink(&self, _request: &Request, number: INodeNo, reply: ReplyData) {
        let (target, _after) = self.with(|tree, _| tree.readlink(ino(number)));
        match target {
            Ok(target) => reply.data(&target),
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        if mode & libc::S_IFMT != libc::S_IFREG {
            return reply.error(Errno::EPERM);
        }
        let (parent, name, caller) = (ino(parent), name.as_bytes(), caller(request));
        let (made, _after) =
            self.with(|tree, now| tree.mknod(parent, name, mode_bits(mode), caller, now));
        reply_entry(reply, made);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        match self.make_queue(request, ino(parent), name.as_bytes(), mode_bits(mode)) {
            Ok((attr, _after)) => reply_entry(reply, Ok(attr)),
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (parent, name) = (ino(parent), name.as_bytes());
        if self.is_herald(request) {
            return self.remove_ghost(parent, name, reply);
        }
        if self.consumers.grant(parent, name, caller(request)) {
            // Nothing is removed and inotify tells nothing.
            return reply.error(Errno::EALREADY);
        }
        let (removed, _after) = self.with(|tree, now| tree.unlink(parent, name, now));
        reply_empty(reply, removed);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (parent, name) = (ino(parent), name.as_bytes());
        if self.is_herald(request) {
            return self.remove_ghost(parent, name, reply);
        }
        let (removed, _after) = self.with(|tree, now| tree.rmdir(parent, name, now));
        reply_empty(reply, removed);
    }

    fn symlink(
        &self,
        _request: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _target: &Path,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let from = (ino(parent), name.as_bytes());
        let to = (ino(new_parent), new_name.as_bytes());
        let no_replace = flags.contains(RenameFlags::RENAME_NOREPLACE);
        let caller = caller(request);
        let (renamed, _after) =
            self.with(|tree, now| tree.rename(from, to, no_replace, caller, now));
        reply_empty(reply, renamed);
    }

    fn link(
        &self,
        request: &Request,
        number: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        let (parent, name, caller) = (ino(new_parent), new_name.as_bytes(), caller(request));
        let (linked, _after) =
            self.with(|tree, now| tree.link_file(ino(number), parent, name, caller, now));
        reply_entry(reply, linked);
    }

    fn open(&self, _request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let how = open_mode(flags);
        if is_door(number) && !how.writes && !how.truncates {
            return self.open_queue(number, FopenFlags::FOPEN_DIRECT_IO, reply);
        }
        let (opened, _after) = self.with(|tree, now| tree.open(ino(number), how, now));
        let cache = if how.writes { UNCACHED } else { FopenFlags::FOPEN_NOFLUSH };
        match opened {
            Ok(id) => reply.opened(FileHandle(id.0), cache),
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if is_door(number) {
            return reply.data(&[]);
        }
        let (data, _after) = self.with(|tree, _| tree.read(handle(fh), offset, size as usize));
        match data {
            Ok(data) => reply.data(&data),
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn write(
        &self,
        request: &Request,
        _number: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let caller = caller(request);
        let (written, _after) =
            self.with(|tree, now| tree.write(handle(fh), offset, data, caller, now));
        match written {
            // At most WRITE_BYTES_MAX.
            Ok(()) => reply.written(data.len() as u32),
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _number: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn release(
        &self,
        _request: &Request,
        number: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if is_door(number) {
            self.consumers.close(handle(fh));
            let ((), _after) = self.shared.with(|tree, now| tree.releasedir(handle(fh), now));
            return reply.ok();
        }
        let ((), _after) = self.shared.with(|tree, now| tree.release(handle(fh), now));
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        _number: INodeNo,
        _fh: FileHandle,
        _data: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn opendir(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.open_queue(number, FopenFlags::empty(), reply);
    }

    fn readdir(
        &self,
        _request: &Request,
        _number: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let (listed, _after) = self.with(|tree, _| {
            tree.readdir(handle(fh), offset, &mut |line| {
                let name = OsStr::from_bytes(line.name);
                reply.add(number(line.ino), line.offset, file_type(line.kind), name)
            })
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn releasedir(
        &self,
        _request: &Request,
        _number: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.consumers.close(handle(fh));
        let ((), _after) = self.shared.with(|tree, now| tree.releasedir(handle(fh), now));
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        _number: INodeNo,
        _fh: FileHandle,
        _data: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        let (space, _after) = self.shared.with(|tree, _| tree.space());
        let unit = u64::from(STATFS_UNIT_BYTES);
        let blocks = space.bytes_total / unit;
        let used = space.bytes_used.div_ceil(unit);
        let free = blocks.saturating_sub(used);
        let files_free = space.events_total.saturating_sub(space.events_used);
        reply.statfs(
            blocks,
            free,
            free,
            space.events_total,
            files_free,
            STATFS_UNIT_BYTES,
            crate::model::limits::NAME_BYTES_MAX as u32,
            STATFS_UNIT_BYTES,
        );
    }

    fn setxattr(
        &self,
        request: &Request,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let (number, name, caller) = (ino(number), name.as_bytes(), caller(request));
        let flags = XattrFlags {
            create: flags & libc::XATTR_CREATE != 0,
            replace: flags & libc::XATTR_REPLACE != 0,
        };
        if meaning(name) == Meaning::Control(Control::Owner) {
            return reply_empty(reply, self.set_owner(request, number, value, flags));
        }
        let (set, _after) =
            self.with(|tree, now| tree.setxattr(number, name, value, flags, caller, now));
        reply_empty(reply, set);
    }

    fn getxattr(
        &self,
        request: &Request,
        number: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        let (number, name) = (ino(number), name.as_bytes());
        if meaning(name) == Meaning::Control(Control::Owner) {
            return reply_xattr(reply, size, self.owner_seen(request, number));
        }
        let (value, _after) = self.with(|tree, _| tree.getxattr(number, name));
        reply_xattr(reply, size, value);
    }

    fn listxattr(&self, _request: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let (names, _after) = self.with(|tree, _| tree.listxattr(ino(number)));
        let joined = names.map(|names| {
            let mut all = Vec::new();
            for name in names {
                all.extend_from_slice(&name);
                all.push(0);
            }
            all
        });
        reply_xattr(reply, size, joined);
    }

    fn removexattr(&self, request: &Request, number: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (number, name, caller) = (ino(number), name.as_bytes(), caller(request));
        let (removed, _after) = self.with(|tree, now| tree.removexattr(number, name, caller, now));
        reply_empty(reply, removed);
    }

    fn access(&self, _request: &Request, _number: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // Never asked: the kernel checks permissions itself (default_permissions).
        reply.ok();
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (parent, name, caller) = (ino(parent), name.as_bytes(), caller(request));
        let how = open_mode(OpenFlags(flags));
        let (created, _after) =
            self.with(|tree, now| tree.create(parent, name, mode_bits(mode), how, caller, now));
        match created {
            Ok((attr, id)) => {
                let fh = FileHandle(id.0);
                reply.created(&NEVER, &attributes(&attr), GENERATION, fh, UNCACHED);
            }
            Err(reason) => reply.error(errno(reason)),
        }
    }

    fn fallocate(
        &self,
        request: &Request,
        _number: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let caller = caller(request);
        let end = offset.saturating_add(length);
        let (done, _after) = self.with(|tree, now| tree.allocate(handle(fh), end, caller, now));
        reply_empty(reply, done);
    }

    fn ioctl(
        &self,
        request: &Request,
        number: INodeNo,
        fh: FileHandle,
        _flags: IoctlFlags,
        command: u32,
        data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        let question = Question {
            number: ino(number),
            handle: handle(fh),
            caller: caller(request),
            thread: Some(request.pid()).filter(|pid| *pid > 0 && self.proc_is_ours),
            command,
            data,
        };
        match self.consumers.ioctl(&self.shared, &question) {
            Some(Ok(answer)) => reply.ioctl(0, &answer),
            Some(Err(reason)) => reply.error(errno(reason)),
            None => reply.error(Errno::ENOTTY),
        }
    }

    // What follows is answered with "not implemented" on purpose: the kernel then does the work
    // itself and does not ask again. fuser's own defaults would log a warning each time.

    fn poll(
        &self,
        _request: &Request,
        _number: INodeNo,
        _fh: FileHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn bmap(
        &self,
        _request: &Request,
        _number: INodeNo,
        _block_bytes: u32,
        _index: u64,
        reply: ReplyBmap,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn lseek(
        &self,
        _request: &Request,
        _number: INodeNo,
        _fh: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        _ino_in: INodeNo,
        _fh_in: FileHandle,
        _offset_in: u64,
        _ino_out: INodeNo,
        _fh_out: FileHandle,
        _offset_out: u64,
        _length: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::ENOSYS);
    }
}
