//! The serving process.

use std::path::Path;
use std::sync::Arc;

use super::signals::{self, Ours};
use super::taps::Taps;
use super::{Failure, Plan, Request};
use crate::janitor::{self, MountIdentity, Shared};
use crate::model::{Now, Tree};
use crate::sys::{background, clock, fusemount, mounts};

/// Mounts, serves, and returns when the last mount of the file system is gone.
pub(super) fn run(
    request: &Request,
    plan: &Plan,
    point: &Path,
    ready: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    background::raise_descriptor_limit();
    let signals = background::block_signals(&signals::HANDLED)
        .map_err(|error| Failure::of("signals", &error))?;
    let what = request.point.display();
    let descriptor = fusemount::mount_fuse(point, &plan.mount(request))
        .map_err(|error| Failure::of(&what, &error))?;
    let mounted = mounts::top_at(point).ok().flatten();
    let mounted = mounted.filter(|mount| mount.fs_type == fusemount::FS_TYPE);
    let Some(mounted) = mounted else {
        return Err(Failure::Failed(format!("{what}: the mount vanished at once")));
    };
    let ours = Ours { point: point.to_owned(), id: mounted.id, device: mounted.device };
    let started = start(plan, point, mounted.device, descriptor);
    let (shared, session) = match started {
        Ok(started) => started,
        Err(error) => {
            ours.detach();
            return Err(Failure::of(&what, &error));
        }
    };
    let taps = Arc::new(Taps::new(point));
    signals::handle(signals, ours.clone(), request.clone(), Arc::clone(&shared), Arc::clone(&taps))
        .map_err(|error| Failure::of("signals", &error))?;
    if let Err(failure) = ready() {
        ours.detach();
        return Err(failure);
    }
    taps.apply(&plan.config.taps);
    let ended = session.join();
    taps.stop();
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::of(&what, &error)),
        Err(_) => Err(Failure::Failed(format!("{what}: the session thread panicked"))),
    }
}

type Session = std::thread::JoinHandle<std::io::Result<()>>;

fn start(
    plan: &Plan,
    point: &Path,
    device: u64,
    descriptor: std::os::fd::OwnedFd,
) -> std::io::Result<(Arc<Shared>, Session)> {
    let now = Now { wall_ns: clock::wall_ns(), boot_ns: clock::boot_ns() };
    let tree = Tree::new(plan.settings(), plan.config.quotas.clone(), now);
    let shared = Shared::new(tree, plan.policy())?;
    let serving = crate::fuse::serve(descriptor, Arc::clone(&shared), plan.edge())?;
    let identity = MountIdentity { point: point.to_owned(), device };
    janitor::start(&shared, serving.notify, identity)?;
    Ok((shared, serving.thread))
}

/// Tells a service manager, if there is one, that the mount serves.
pub(super) fn announce_to_manager() -> Result<(), Failure> {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        log::warn!("$NOTIFY_SOCKET: {error}");
    }
    Ok(())
}
