//! The rules against deadlock, one by one (docs/ARCHITECTURE.md, "Deadlocks"): each of these calls makes
//! the filesystem tell the kernel of a name in the very directory whose lock the call holds until it is
//! answered. Sent by the handler, or waited for by it, that would never end, and SIGKILL would not help;
//! [`Mounted`] then aborts the connection.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{Mounted, names, set, wait_until, write};

/// A call takes milliseconds.
const BOUND: Duration = Duration::from_secs(20);

/// How often each is done: what is announced meets the next call's lock as well.
const TURNS: usize = 200;

struct Scene {
    mounted: Mounted,
    queue: PathBuf,
    other: PathBuf,
}

impl Scene {
    fn new(options: &str) -> Self {
        let mounted = Mounted::with(options);
        let (queue, other) = (mounted.queue("q"), mounted.queue("other"));
        Self { mounted, queue, other }
    }

    /// Does something again and again and demands that it comes to an end, and what it announced too:
    /// a queue is made and removed afterwards, and the two are emptied.
    fn turns(&self, mut work: impl FnMut(&Path, &Path, usize) -> io::Result<()> + Send + 'static) {
        let (queue, other) = (self.queue.clone(), self.other.clone());
        let last = self.mounted.path("last");
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            for turn in 0..TURNS {
                let _ = done.send(work(&queue, &other, turn));
            }
            let outcome = fs::create_dir(&last).and_then(|()| fs::remove_dir(&last));
            let _ = done.send(outcome.and_then(|()| empty(&queue)).and_then(|()| empty(&other)));
        });
        for turn in 0..=TURNS {
            match ended.recv_timeout(BOUND) {
                Ok(outcome) => outcome.expect("an answer"),
                Err(_) => panic!("turn {turn} does not end"),
            }
        }
    }
}

/// Puts an event.
fn put(path: impl AsRef<Path>) -> io::Result<()> {
    write(path, "x")
}

fn empty(queue: &Path) -> io::Result<()> {
    let names = names(queue).into_iter().filter(|name| name != "head" && name != "tail");
    for name in names {
        match fs::remove_file(queue.join(name)) {
            // Dropped or spoiled meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// With every kind of report, and with the caches alone.
fn with_both(work: impl Fn(&Scene)) {
    for notify in ["full", "off"] {
        work(&Scene::new(&format!("allow_other,grace=0,notify={notify}")));
    }
}

#[test]
fn a_pop_of_an_open_event_ends() {
    // UNLINK of `head` has the name of an open event forgotten.
    with_both(|scene| {
        scene.turns(|queue, _, turn| {
            let path = queue.join(turn.to_string());
            put(&path)?;
            let open = File::open(&path)?;
            fs::remove_file(queue.join("head"))?;
            drop(open);
            Ok(())
        });
    });
}

#[test]
fn a_put_that_drops_the_oldest_ends() {
    // CREATE or RELEASE reports what it drops.
    with_both(|scene| {
        set(&scene.queue, "user.eventfs_max_events", "2").expect("limit");
        set(&scene.queue, "user.eventfs_overflow", "drop-oldest").expect("overflow");
        scene.turns(|queue, _, turn| put(queue.join(turn.to_string())));
    });
}

#[test]
fn a_link_and_a_move_that_drop_the_oldest_end() {
    with_both(|scene| {
        set(&scene.other, "user.eventfs_max_events", "1").expect("limit");
        set(&scene.other, "user.eventfs_overflow", "drop-oldest").expect("overflow");
        scene.turns(|queue, other, turn| {
            let (path, name) = (queue.join("e"), turn.to_string());
            put(&path)?;
            fs::hard_link(&path, other.join(format!("l{name}")))?;
            // The link may be dropped first: then this is a rename to itself and the name stays.
            fs::rename(&path, other.join(format!("m{name}")))?;
            let _ = fs::remove_file(&path);
            Ok(())
        });
    });
}

#[test]
fn a_refused_write_whose_file_goes_at_its_close_ends() {
    with_both(|scene| {
        set(&scene.queue, "user.eventfs_max_bytes", "10").expect("limit");
        scene.turns(|queue, _, turn| {
            let refused = write(queue.join(turn.to_string()), [0; 100]);
            let error = refused.expect_err("no room");
            if error.raw_os_error() == Some(libc::EDQUOT) { Ok(()) } else { Err(error) }
        });
    });
}

#[test]
fn a_change_of_the_links_owner_ends() {
    if !crate::common::is_root() {
        return crate::common::skip("chown needs root");
    }
    // SETATTR of the queue has `head` and `tail` forgotten.
    with_both(|scene| {
        put(scene.queue.join("e")).expect("write");
        scene.turns(|queue, _, turn| {
            chown(queue, Some(turn as u32), None)?;
            fs::symlink_metadata(queue.join("head"))?;
            fs::symlink_metadata(queue.join("tail")).map(drop)
        });
    });
}

#[test]
fn queues_that_end_under_the_lock_of_the_root_end() {
    // The end of an owner is shown by rmdir in the root while others make and remove queues there.
    with_both(|scene| {
        let point = scene.mounted.point.clone();
        scene.turns(move |_, _, turn| {
            let made = point.join(format!("own{}", turn % 3));
            // The process that makes it is gone when this returns.
            let dir = made.clone();
            let _ = crate::common::as_user(0, 0, || fs::create_dir(&dir));
            let _ = write(made.join("e"), "x");
            let _ = fs::create_dir(point.join("mine"));
            let _ = fs::remove_dir(point.join("mine"));
            Ok(())
        });
        wait_until("the queues to end", || {
            (0..3).all(|number| !scene.mounted.path(format!("own{number}")).exists())
        });
    });
}

#[test]
fn remnants_are_given_back_between_the_calls_of_a_crowd() {
    // The kernel is told of popped events while others hold the lock of their directory.
    let scene = Scene::new("allow_other,notify=lazy");
    for _ in 0..3 {
        for number in 0..500 {
            put(scene.queue.join(number.to_string())).expect("put");
        }
        for _ in 0..500 {
            fs::remove_file(scene.queue.join("head")).expect("pop");
        }
        // Nothing is popped from here on, but the directory is never quiet.
        let start = std::time::Instant::now();
        scene.turns(move |queue, _, turn| {
            let path = queue.join(format!("again{}", turn % 7));
            while start.elapsed() < Duration::from_millis(400) {
                put(&path)?;
                fs::remove_file(&path)?;
            }
            put(&path)?;
            fs::remove_file(&path)
        });
    }
}

/// One client that pops open events and changes the links' owner until the mount is dead.
fn pop_until_dead(queue: &Path, number: usize) {
    for turn in 0_u32.. {
        let path = queue.join(format!("{number}-{}", turn % 5));
        let popped = put(&path)
            .and_then(|()| File::open(&path))
            .and_then(|open| fs::remove_file(queue.join("head")).map(|()| open));
        let changed = chown(queue, Some(turn % 3), None);
        let dead = [libc::ENOTCONN, libc::ECONNABORTED, libc::EIO];
        let is_dead = |error: &io::Error| dead.contains(&error.raw_os_error().unwrap_or(0));
        if popped.as_ref().is_err_and(is_dead) || changed.as_ref().is_err_and(is_dead) {
            return;
        }
    }
}

/// What the daemon tells the kernel may wait for a lock that a client holds who waits for the daemon. If
/// it is killed just then, nothing of it may keep the device open: that would hold both for ever.
#[test]
fn a_daemon_killed_in_a_crowd_is_gone_and_so_are_its_clients_calls() {
    if !crate::common::is_root() {
        return crate::common::skip("chown needs root");
    }
    for turn in 0..10 {
        let notify = ["off", "full"][turn % 2];
        let mut scene = Scene::new(&format!("allow_other,grace=0,notify={notify}"));
        let (done, ended) = mpsc::channel();
        for number in 0..8 {
            let (queue, done) = (scene.queue.clone(), done.clone());
            std::thread::spawn(move || {
                pop_until_dead(&queue, number);
                let _ = done.send(());
            });
        }
        std::thread::sleep(Duration::from_millis(100));
        scene.mounted.signal(nix::sys::signal::Signal::SIGKILL);
        let all = (0..8).all(|_| ended.recv_timeout(BOUND).is_ok());
        if !all {
            // Frees them.
            let _ = nix::mount::umount2(&scene.mounted.point, nix::mount::MntFlags::MNT_FORCE);
        }
        scene.mounted.kill9();
        assert!(all, "turn {turn}: calls of clients outlive the daemon");
    }
}
