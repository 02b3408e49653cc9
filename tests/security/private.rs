//! A queue of mode 0750 with an event of mode 0640, both of the owner and the group.

use std::fs::{self, File};
use std::os::unix::fs::chown;

use crate::cells::{EACCES, EPERM, OWNER, STRANGER, Stage, TEAM, Who, YES, mode};
use crate::help::try_put;

fn stage(who: Who) -> Stage {
    Stage::new(who, 0o750).event("e", OWNER, TEAM, 0o640).event("f", OWNER, TEAM, 0o640)
}

cells! {
    stage;
    list: [YES, YES, EACCES, YES], |s| fs::read_dir(&s.queue).map(drop);
    read_an_event: [YES, YES, EACCES, YES], |s| fs::read(s.queue.join("head")).map(drop);
    stat_an_event: [YES, YES, EACCES, YES], |s| fs::metadata(s.queue.join("e")).map(drop);
    put: [YES, EACCES, EACCES, YES], |s| try_put(s.queue.join("new"), "x");
    stage_a_file: [YES, EACCES, EACCES, YES], |s| try_put(s.queue.join(".new"), "x");
    write_to_an_event: [YES, EACCES, EACCES, YES],
        |s| File::options().append(true).open(s.queue.join("e")).map(drop);
    truncate_an_event: [YES, EACCES, EACCES, YES],
        |s| File::options().write(true).truncate(true).open(s.queue.join("e")).map(drop);
    remove_through_head: [YES, EACCES, EACCES, YES], |s| fs::remove_file(s.queue.join("head"));
    remove_by_name: [YES, EACCES, EACCES, YES], |s| fs::remove_file(s.queue.join("f"));
    pop: [YES, EACCES, EACCES, YES], |s| s.pop();
    rename_an_event: [YES, EACCES, EACCES, YES],
        |s| fs::rename(s.queue.join("e"), s.queue.join("g"));
    claim_into_ones_own_queue: [YES, EACCES, EACCES, YES],
        |s| fs::rename(s.queue.join("e"), s.own.join("e"));
    move_ones_own_event_in: [YES, EACCES, EACCES, YES], |s| {
        try_put(s.own.join("mine"), "x")?;
        fs::rename(s.own.join("mine"), s.queue.join("mine"))
    };
    link_ones_own_event_in: [YES, EACCES, EACCES, YES], |s| {
        try_put(s.own.join("mine"), "x")?;
        fs::hard_link(s.own.join("mine"), s.queue.join("mine"))
    };
    chmod_an_event: [YES, EPERM, EACCES, YES], |s| mode(&s.queue.join("e"), 0o644);
    chown_an_event: [EPERM, EPERM, EACCES, YES],
        |s| chown(s.queue.join("e"), Some(STRANGER), None);
    set_an_attribute_of_an_event: [YES, EACCES, EACCES, YES],
        |s| crate::common::set(&s.queue.join("e"), "user.note", "x");
    read_an_attribute_of_an_event: [YES, YES, EACCES, YES],
        |s| xattr::get(s.queue.join("e"), "user.eventfs_seq").map(drop);
    set_the_number_of_an_event: [EPERM, EACCES, EACCES, EPERM],
        |s| crate::common::set(&s.queue.join("e"), "user.eventfs_seq", "1");
    chmod_the_queue: [YES, EPERM, EPERM, YES], |s| mode(&s.queue, 0o777);
    chown_the_queue: [EPERM, EPERM, EPERM, YES], |s| chown(&s.queue, Some(STRANGER), None);
}
