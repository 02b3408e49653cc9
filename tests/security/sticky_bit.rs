//! A queue of mode 1777 of the owner; its oldest event belongs to a bystander, the next to who tries.
//! Everybody removes his own; through the links, which are the owner's, only the owner and root pop.

use std::fs;

use crate::cells::{BYSTANDER, EPERM, Stage, Who, YES};

fn stage(who: Who) -> Stage {
    let stage = Stage::new(who, 0o1777).event("theirs", BYSTANDER, BYSTANDER, 0o666);
    stage.event("mine", who.uid(), who.uid(), 0o666)
}

cells! {
    stage;
    remove_ones_own_by_name: [YES, YES, YES, YES], |s| fs::remove_file(s.queue.join("mine"));
    remove_anothers_by_name: [YES, EPERM, EPERM, YES],
        |s| fs::remove_file(s.queue.join("theirs"));
    remove_anothers_through_head: [YES, EPERM, EPERM, YES],
        |s| fs::remove_file(s.queue.join("head"));
    remove_ones_own_through_tail: [YES, EPERM, EPERM, YES],
        |s| fs::remove_file(s.queue.join("tail"));
    remove_through_head_after_a_look: [YES, EPERM, EPERM, YES], |s| {
        // What the kernel remembers of the link must not help: its own event went first.
        fs::symlink_metadata(s.queue.join("head"))?;
        fs::symlink_metadata(s.queue.join("tail"))?;
        fs::remove_file(s.queue.join("mine"))?;
        fs::remove_file(s.queue.join("tail"))
    };
    pop_anothers: [YES, EPERM, EPERM, YES], |s| s.pop();
    rename_anothers: [YES, EPERM, EPERM, YES],
        |s| fs::rename(s.queue.join("theirs"), s.queue.join(".theirs"));
    claim_anothers: [YES, EPERM, EPERM, YES],
        |s| fs::rename(s.queue.join("theirs"), s.own.join("theirs"));
    replace_anothers: [YES, EPERM, EPERM, YES],
        |s| fs::rename(s.queue.join("mine"), s.queue.join("theirs"));
    read_anothers: [YES, YES, YES, YES], |s| fs::read(s.queue.join("head")).map(drop);
}
