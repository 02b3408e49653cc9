//! The root directory of a mount with `root_mode=1777`, and in it an empty queue of the owner.

use std::fs;

use crate::cells::{EINVAL, EPERM, Stage, Who, YES};
use crate::help::try_put;

fn stage(who: Who) -> Stage {
    Stage::new(who, 0o777)
}

cells! {
    stage;
    make_a_queue: [YES, YES, YES, YES], |s| fs::create_dir(s.mount.path("new"));
    remove_anothers_queue: [YES, EPERM, EPERM, YES], |s| fs::remove_dir(&s.queue);
    rename_anothers_queue: [YES, EPERM, EPERM, YES],
        |s| fs::rename(&s.queue, s.mount.path("new"));
    replace_anothers_queue: [YES, EPERM, EPERM, YES], |s| fs::rename(&s.own, &s.queue);
    remove_ones_own_queue: [YES, YES, YES, YES], |s| fs::remove_dir(&s.own);
    make_a_file: [EPERM, EPERM, EPERM, EPERM], |s| try_put(s.mount.path("file"), "x");
    make_a_symbolic_link: [EPERM, EPERM, EPERM, EPERM],
        |s| std::os::unix::fs::symlink("/etc/shadow", s.mount.path("link"));
    chmod_the_root: [EPERM, EPERM, EPERM, YES],
        |s| crate::cells::mode(&s.mount.point, 0o777);
    set_a_control_name_on_the_root: [EPERM, EPERM, EPERM, EINVAL],
        |s| crate::common::set(&s.mount.point, "user.eventfs_sticky", "1");
}
