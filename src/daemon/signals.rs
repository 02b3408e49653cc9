//! Signals: the orderly end, and reading the configuration again.

use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::{SigSet, Signal};

use super::taps::Taps;
use super::{Failure, Request, plan};
use crate::janitor::Shared;
use crate::sys::mounts::MountEntry;
use crate::sys::{background, mounts};

/// Signals that one thread takes for the whole process.
pub(super) const HANDLED: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The mount that this process made.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    pub(super) point: PathBuf,
    pub(super) id: u64,
    /// The system gives a free `id` to the next mount, whosever that is; this one not while we live.
    pub(super) device: u64,
}

impl Ours {
    /// Detaches the mount if it is still there and on top: never a stranger's.
    pub(super) fn detach(&self) {
        let Ok(all) = mounts::list() else { return };
        let is_ours = |mount: &&MountEntry| mount.id == self.id && mount.device == self.device;
        let point = match all.iter().find(is_ours) {
            // It may have been moved.
            Some(mount) => mount.point.clone(),
            None => return,
        };
        let top = all.iter().rev().find(|mount| mount.point == point);
        if top.is_none_or(|mount| !is_ours(&mount)) {
            log::warn!("{}: something else is mounted on top; left alone", self.point.display());
            return;
        }
        if let Err(error) = mounts::detach(&point) {
            log::error!("{}: {error}", point.display());
        }
    }
}

/// Starts the thread that acts on signals.
pub(super) fn handle(
    set: SigSet,
    ours: Ours,
    request: Request,
    shared: Arc<Shared>,
    taps: Arc<Taps>,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        loop {
            match background::next_signal(&set) {
                Signal::SIGHUP => reload(&request, &shared, &taps),
                _ => {
                    // They write their last words into the mount.
                    taps.stop();
                    let _resting = shared.herald().rest();
                    // Closing the device with the process ends what is still open.
                    ours.detach();
                    std::process::exit(0);
                }
            }
        }
    })?;
    Ok(())
}

/// Reads the configuration again. A bad one changes nothing.
fn reload(request: &Request, shared: &Shared, taps: &Taps) {
    match plan(request) {
        Ok(plan) => {
            let settings = plan.settings();
            let tables = plan.config.taps;
            drop(shared.with(move |tree, _| {
                tree.set_settings(settings);
                tree.set_quotas(plan.config.quotas);
            }));
            taps.apply(&tables);
            log::info!("configuration read again");
        }
        Err(Failure::Usage(why) | Failure::Failed(why)) => {
            log::error!("{why}; the old settings stay");
        }
    }
}
