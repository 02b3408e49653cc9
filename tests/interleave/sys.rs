//! `src/sys` as far as the janitor uses it, on the kernel of the schedule.

pub mod background {
    pub fn leave_descriptors() -> std::io::Result<()> {
        Ok(())
    }

    pub fn descriptor_limit() -> u64 {
        1 << 20
    }
}

pub mod clock {
    use crate::world::World;

    pub fn wall_ns() -> i64 {
        World::current().now_ns()
    }

    pub fn boot_ns() -> i64 {
        World::current().now_ns()
    }
}

pub mod memory {
    pub fn trim() {}
}

pub mod mounts {
    use std::path::PathBuf;

    pub struct MountEntry {
        pub device: u64,
        pub root: PathBuf,
        pub point: PathBuf,
    }

    pub fn list() -> std::io::Result<Vec<MountEntry>> {
        Ok(Vec::new())
    }
}

pub mod dir {
    use std::io;
    use std::path::Path;

    use crate::kernel::{Ask, DEVICE, HERALD};
    use crate::model::Ino;
    use crate::world::World;

    /// Only the herald has any.
    pub struct Dir(Ino);

    pub struct Identity {
        pub device: u64,
        pub ino: u64,
    }

    impl Dir {
        pub fn open(_path: &Path) -> nix::Result<Self> {
            Ok(Self(Ino::ROOT))
        }

        pub fn open_in(&self, name: &[u8]) -> nix::Result<Self> {
            let world = World::current();
            let ask = Ask::Lookup(self.0, name.into());
            world.kernel.locked(self.0, || world.kernel.ask(HERALD, ask)).map(|ino| Self(Ino(ino)))
        }

        pub fn identity(&self) -> io::Result<Identity> {
            Ok(Identity { device: DEVICE, ino: self.0.0 })
        }

        pub fn touch(&self) -> nix::Result<()> {
            let world = World::current();
            world.kernel.locked(self.0, || world.kernel.ask(HERALD, Ask::SetAttr(self.0)))?;
            world.kernel.tell(crate::kernel::Told::Attrib(self.0));
            Ok(())
        }

        pub fn unlink(&self, name: &[u8]) -> nix::Result<()> {
            let ask = Ask::Unlink(self.0, name.into());
            World::current().kernel.remove(HERALD, self.0, name, ask)
        }

        pub fn rmdir(&self, name: &[u8]) -> nix::Result<()> {
            World::current().kernel.remove(HERALD, self.0, name, Ask::Rmdir(name.into()))
        }
    }
}

pub mod process {
    use std::io;
    use std::os::fd::{AsRawFd, RawFd};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::errno::Errno;

    use crate::world::{Process, World, step};

    pub struct Pidfd {
        pub(super) process: Arc<Process>,
        pub(super) open: Arc<AtomicBool>,
    }

    pub fn pidfd_open(pid: u32) -> io::Result<Pidfd> {
        let process = World::current().process(pid).ok_or(Errno::ESRCH)?;
        process.hold();
        Ok(Pidfd { process, open: Arc::new(AtomicBool::new(true)) })
    }

    impl Pidfd {
        pub fn has_ended(&self) -> bool {
            step();
            self.process.has_ended()
        }
    }

    impl AsRawFd for Pidfd {
        fn as_raw_fd(&self) -> RawFd {
            3
        }
    }

    impl Drop for Pidfd {
        fn drop(&mut self) {
            self.open.store(false, Ordering::Relaxed);
            self.process.let_go();
            World::current().changed();
        }
    }

    pub struct Info {
        pub pid: u32,
        pub parent: u32,
        pub uid: u32,
        pub pids_by_namespace: Vec<u32>,
    }

    pub fn info(id: u32) -> io::Result<Info> {
        let process = World::current().process(id).ok_or(Errno::ESRCH)?;
        Ok(Info { pid: process.pid, parent: 0, uid: 0, pids_by_namespace: vec![process.pid] })
    }

    pub fn session(_id: u32) -> io::Result<u32> {
        Err(Errno::ESRCH.into())
    }

    pub fn all() -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    pub fn pid_namespace(_id: u32, _up: usize) -> io::Result<u64> {
        Ok(1)
    }

    /// Only the herald asks.
    pub fn thread_id() -> u32 {
        crate::kernel::HERALD
    }
}

pub mod poller {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard};

    use super::process::Pidfd;
    use crate::world::{Process, Sleeper, World, step};

    #[derive(Default)]
    pub struct Poller(Mutex<State>);

    #[derive(Default)]
    struct State {
        watched: Vec<Watch>,
        rung: bool,
    }

    /// Lasts as long as the descriptor is open.
    struct Watch {
        process: Arc<Process>,
        open: Arc<AtomicBool>,
        key: u64,
    }

    impl Poller {
        pub fn new() -> io::Result<Self> {
            Ok(Self::default())
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().expect("nobody panicked with it")
        }

        pub fn add(&self, pidfd: &Pidfd, key: u64) -> io::Result<()> {
            step();
            let (process, open) = (Arc::clone(&pidfd.process), Arc::clone(&pidfd.open));
            let ended = process.has_ended();
            self.state().watched.push(Watch { process, open, key });
            if ended {
                World::current().kernel.wake_pollers();
            }
            Ok(())
        }

        pub fn delete(&self, pidfd: &Pidfd) {
            step();
            self.state().watched.retain(|watch| !Arc::ptr_eq(&watch.open, &pidfd.open));
        }

        pub fn wake(&self) {
            step();
            self.state().rung = true;
            World::current().kernel.wake_pollers();
        }

        pub fn wait(&self, deadline: Option<i64>) -> io::Result<Vec<u64>> {
            step();
            let world = World::current();
            loop {
                let sleeper = Sleeper::new();
                world.kernel.polls(Some(Arc::clone(&sleeper)));
                let (rung, ended) = {
                    let mut state = self.state();
                    state.watched.retain(|watch| watch.open.load(Ordering::Relaxed));
                    let ended = state.watched.iter().filter(|watch| watch.process.has_ended());
                    let ended: Vec<u64> = ended.map(|watch| watch.key).collect();
                    (std::mem::take(&mut state.rung), ended)
                };
                let late = deadline.is_some_and(|at| at <= world.now_ns());
                if rung || late || !ended.is_empty() {
                    world.kernel.polls(None);
                    return Ok(ended);
                }
                let _woken = sleeper.sleep(deadline);
            }
        }
    }
}
