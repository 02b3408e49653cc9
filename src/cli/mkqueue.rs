//! `eventfs mkqueue`: make queues with an owner that lives.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::args::{MkqueueArgs, OverflowArg};
use super::exit::{Failed, Status};
use super::mounted;

pub(super) fn run(args: &MkqueueArgs) -> Result<Status, Failed> {
    for queue in &args.queues {
        make(args, queue)?;
    }
    Ok(Status::Done)
}

fn make(args: &MkqueueArgs, queue: &Path) -> Result<(), Failed> {
    let parent = match queue.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    mounted::demand(parent)?;
    fs::create_dir(queue).map_err(|error| Failed::io(queue.display(), &error))?;
    if let Err((what, error)) = furnish(args, queue) {
        // It is ours and empty; without its settings nobody should find it.
        let _ = fs::remove_dir(queue);
        return Err(Failed::io(format!("{}: {what}", queue.display()), &error));
    }
    Ok(())
}

fn furnish(args: &MkqueueArgs, queue: &Path) -> Result<(), (&'static str, io::Error)> {
    let set = |what: &'static str, value: &str| {
        xattr::set(queue, format!("user.eventfs_{what}"), value.as_bytes())
            .map_err(|error| (what, error))
    };
    match (&args.owner, args.sticky) {
        (Some(owner), _) => set("owner", owner)?,
        (None, false) => set("owner", "parent")?,
        (None, true) => {}
    }
    if args.sticky {
        set("sticky", "1")?;
    }
    if let Some(max) = args.max_events {
        set("max_events", &max.to_string())?;
    }
    if let Some(max) = args.max_bytes {
        set("max_bytes", &max.to_string())?;
    }
    match args.overflow {
        Some(OverflowArg::Reject) => set("overflow", "reject")?,
        Some(OverflowArg::DropOldest) => set("overflow", "drop-oldest")?,
        None => {}
    }
    if let Some(ttl) = args.ttl {
        set("ttl", &ttl.to_string())?;
    }
    if let Some(mode) = args.mode {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(queue, mode).map_err(|error| ("mode", error))?;
    }
    Ok(())
}
