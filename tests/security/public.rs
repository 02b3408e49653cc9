//! A queue of mode 0777 with an event of mode 0600 of the owner: everybody puts and removes, as in any
//! directory without the sticky bit, but reads only what he may read.

use std::fs;

use crate::cells::{EACCES, EPERM, OWNER, Stage, TEAM, Who, YES, mode};
use crate::help::try_put;

fn stage(who: Who) -> Stage {
    Stage::new(who, 0o777).event("e", OWNER, TEAM, 0o600)
}

cells! {
    stage;
    put: [YES, YES, YES, YES], |s| try_put(s.queue.join("new"), "x");
    read_an_event: [YES, EACCES, EACCES, YES], |s| fs::read(s.queue.join("head")).map(drop);
    remove_through_head: [YES, YES, YES, YES], |s| fs::remove_file(s.queue.join("head"));
    pop: [YES, EACCES, EACCES, YES], |s| s.pop();
    read_after_a_claim: [YES, EACCES, EACCES, YES], |s| {
        fs::rename(s.queue.join("e"), s.own.join("e"))?;
        fs::read(s.own.join("e")).map(drop)
    };
    read_after_a_link: [YES, EPERM, EPERM, YES], |s| {
        // fs.protected_hardlinks; without it the mode of the event decides, as for `read_an_event`.
        let linked = fs::hard_link(s.queue.join("e"), s.own.join("e"));
        let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks")?;
        match linked.and_then(|()| fs::read(s.own.join("e")).map(drop)) {
            Err(error) if error.raw_os_error() == Some(EACCES) && protected.trim() == "0" => {
                Err(std::io::Error::from_raw_os_error(EPERM))
            }
            other => other,
        }
    };
    chmod_an_event: [YES, EPERM, EPERM, YES], |s| mode(&s.queue.join("e"), 0o666);
    make_a_symbolic_link: [EPERM, EPERM, EPERM, EPERM],
        |s| std::os::unix::fs::symlink("/etc/shadow", s.queue.join("link"));
    make_a_fifo: [EPERM, EPERM, EPERM, EPERM], |s| {
        let bits = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&s.queue.join("fifo"), bits).map_err(Into::into)
    };
    make_a_device: [EPERM, EPERM, EPERM, EPERM], |s| {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(&s.queue.join("null"), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3))
            .map_err(Into::into)
    };
    make_a_directory: [EPERM, EPERM, EPERM, EPERM], |s| fs::create_dir(s.queue.join("dir"));
    replace_head: [EPERM, EPERM, EPERM, EPERM],
        |s| fs::rename(s.queue.join("e"), s.queue.join("head"));
}
