//! The attributes of a queue of mode 0770: the kernel lets the group write there, eventfs lets only
//! the owner and root control.

use std::io;
use std::path::Path;

use crate::cells::{EACCES, EINVAL, EOPNOTSUPP, EPERM, STRANGER, Stage, Who, YES};
use crate::common;

fn stage(who: Who) -> Stage {
    Stage::new(who, 0o770)
}

fn set(queue: &Path, name: &str, value: &str) -> io::Result<()> {
    common::set(queue, &format!("user.eventfs_{name}"), value)
}

/// A process of this user that lives until the end of the test.
struct Living(std::process::Child);

impl Living {
    fn of(uid: u32) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut sleep = std::process::Command::new("sleep");
        sleep.arg("60");
        if nix::unistd::geteuid().is_root() {
            sleep.uid(uid).gid(uid);
        }
        sleep.spawn().map(Self)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

cells! {
    stage;
    set_a_limit: [YES, EPERM, EACCES, YES], |s| set(&s.queue, "max_events", "3");
    set_a_limit_in_bytes: [YES, EPERM, EACCES, YES], |s| set(&s.queue, "max_bytes", "3");
    set_the_overflow_rule: [YES, EPERM, EACCES, YES],
        |s| set(&s.queue, "overflow", "drop-oldest");
    set_the_time_to_live: [YES, EPERM, EACCES, YES], |s| set(&s.queue, "ttl", "3");
    remove_a_limit: [YES, EPERM, EACCES, YES],
        |s| xattr::remove(&s.queue, "user.eventfs_max_events");
    make_it_sticky: [YES, EPERM, EACCES, YES], |s| set(&s.queue, "sticky", "1");
    remove_the_sticky_mark: [YES, EPERM, EACCES, YES],
        |s| xattr::remove(&s.queue, "user.eventfs_sticky");
    name_oneself_the_owner: [YES, EPERM, EACCES, YES],
        |s| set(&s.queue, "owner", &std::process::id().to_string());
    name_a_process_of_ones_own: [YES, EPERM, EACCES, YES], |s| {
        let living = Living::of(s.who.uid())?;
        set(&s.queue, "owner", &living.pid())
    };
    name_process_1: [EPERM, EPERM, EACCES, YES], |s| set(&s.queue, "owner", "1");
    read_a_counter: [YES, YES, EACCES, YES],
        |s| xattr::get(&s.queue, "user.eventfs_depth").map(drop);
    set_a_counter: [EPERM, EPERM, EACCES, EPERM], |s| set(&s.queue, "depth", "0");
    remove_a_counter: [EPERM, EPERM, EACCES, EPERM],
        |s| xattr::remove(&s.queue, "user.eventfs_dropped");
    set_an_unknown_name: [EINVAL, EPERM, EACCES, EINVAL], |s| set(&s.queue, "colour", "red");
    set_a_name_of_ones_own: [YES, YES, EACCES, YES],
        |s| common::set(&s.queue, "user.note", "x");
    set_a_trusted_name: [EPERM, EPERM, EPERM, EOPNOTSUPP],
        |s| common::set(&s.queue, "trusted.note", "x");
    set_a_security_name: [EPERM, EPERM, EPERM, EOPNOTSUPP],
        |s| common::set(&s.queue, "security.note", "x");
}

#[test]
fn the_owner_of_a_queue_cannot_tie_it_to_the_process_of_another_user() {
    if !common::is_root() {
        return common::skip("other users need root");
    }
    let stage = stage(Who::Owner);
    let living = Living::of(STRANGER).expect("a process");
    assert_eq!(stage.answers(|s| set(&s.queue, "owner", &living.pid())), EPERM);
}
