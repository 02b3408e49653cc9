//! Contract section 6: everything is given back on every way an event or queue can end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use crate::common::{Mounted, errno, set, sh_ok, wait_until};
use crate::help::{ConfigFile, SHARED, begin, put_as, try_put, user};

const ANN: u32 = 5001;

const LIMITS: &str = "[limits.user.5001]\nmax_files = 2\nmax_bytes = 100\n\
                      max_files_per_dir = 4\nmax_dirs = 2\n";

/// A mount and a queue of root in which ANN has two events, `a` and `b`, and not a byte left.
struct Full {
    mount: Mounted,
    queue: PathBuf,
}

impl Full {
    fn new() -> Self {
        Self::with(SHARED)
    }

    fn with(options: &str) -> Self {
        let mount = ConfigFile::new("limits.toml", LIMITS).mount_with(options);
        let queue = mount.queue("q");
        sh_ok(&queue, "chmod 777 .");
        let full = Self { mount, queue };
        full.fill("a", "b");
        full
    }

    /// Puts two events of 50 bytes each: exactly what fits.
    fn fill(&self, first: &str, second: &str) {
        put_as(ANN, &self.queue.join(first), [1; 50]).unwrap();
        put_as(ANN, &self.queue.join(second), [1; 50]).unwrap();
        self.takes_no_more(second);
    }

    /// ANN can neither put another file nor another byte on this one.
    fn takes_no_more(&self, name: &str) {
        self.takes_no_file();
        let more = || set(&self.queue.join(name), "user.x", "x");
        assert_eq!(errno(user(ANN, more)), libc::EDQUOT);
    }

    fn takes_no_file(&self) {
        assert_eq!(errno(put_as(ANN, &self.queue.join("x"), "")), libc::EDQUOT);
    }

    /// One event of 50 bytes fits again, and not a byte more.
    fn one_fits(&self) {
        put_as(ANN, &self.queue.join("c"), [1; 50]).unwrap();
        self.takes_no_more("c");
    }

    fn one_fits_at_last(&self) {
        wait_until("room", || put_as(ANN, &self.queue.join(".probe"), [1; 50]).is_ok());
        fs::remove_file(self.queue.join(".probe")).unwrap();
        self.one_fits();
    }
}

fn limit(queue: &Path, name: &str, value: &str) {
    set(queue, &format!("user.eventfs_{name}"), value).unwrap();
}

#[test]
fn unlink_by_name_gives_back() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    full.one_fits();
}

#[test]
fn unlink_head_gives_back() {
    let full = Full::new();
    fs::remove_file(full.queue.join("head")).unwrap();
    full.one_fits();
}

#[test]
fn unlink_tail_gives_back() {
    let full = Full::new();
    fs::remove_file(full.queue.join("tail")).unwrap();
    full.one_fits();
}

#[test]
fn rename_over_gives_back() {
    let full = Full::new();
    fs::rename(full.queue.join("b"), full.queue.join("a")).unwrap();
    full.one_fits();
}

#[test]
fn rename_over_from_another_queue_gives_back() {
    let full = Full::new();
    let other = full.mount.queue("other");
    fs::rename(full.queue.join("b"), other.join("b")).unwrap();
    full.takes_no_file();
    fs::rename(full.queue.join("a"), other.join("b")).unwrap();
    full.one_fits();
}

#[test]
fn expiry_gives_back() {
    let full = Full::new();
    limit(&full.queue, "ttl", "1");
    wait_until("expiry", || crate::help::head(&full.queue).is_none());
    limit(&full.queue, "ttl", "0");
    full.fill("c", "d");
}

#[test]
fn a_drop_gives_back() {
    let full = Full::new();
    limit(&full.queue, "max_events", "2");
    limit(&full.queue, "overflow", "drop-oldest");
    crate::help::put(full.queue.join("roots"), "");
    // `a` is gone; `b` would be next, so root's goes first.
    fs::remove_file(full.queue.join("roots")).unwrap();
    full.one_fits();
}

#[test]
fn rmdir_gives_back_the_queue_and_its_attributes() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    for _ in 0..3 {
        let queue = full.mount.path("anns");
        user(ANN, || {
            fs::create_dir(&queue)?;
            set(&queue, "user.eventfs_sticky", "1")?;
            set(&queue, "user.x", &"x".repeat(50))?;
            fs::create_dir(full.mount.path("second"))
        })
        .unwrap();
        assert_eq!(errno(user(ANN, || fs::create_dir(full.mount.path("third")))), libc::EDQUOT);
        assert_eq!(errno(put_as(ANN, &full.queue.join("c"), "1")), libc::EDQUOT);
        fs::remove_dir(&queue).unwrap();
        let _ = fs::remove_dir(full.mount.path("second"));
    }
    full.one_fits();
}

#[test]
fn rename_of_a_queue_over_another_gives_back() {
    let full = Full::new();
    for name in ["one", "two"] {
        let path = full.mount.path(name);
        user(ANN, || fs::create_dir(&path).and_then(|()| set(&path, "user.eventfs_sticky", "1")))
            .unwrap();
    }
    fs::rename(full.mount.path("one"), full.mount.path("two")).unwrap();
    user(ANN, || fs::create_dir(full.mount.path("three"))).unwrap();
    assert_eq!(errno(user(ANN, || fs::create_dir(full.mount.path("four")))), libc::EDQUOT);
}

#[test]
fn the_death_of_an_owner_gives_back_queue_events_staged_files_and_attributes() {
    let mount =
        ConfigFile::new("limits.toml", LIMITS).mount_with("allow_other,root_mode=1777,grace=0");
    let fill = || {
        for name in ["one", "two"] {
            fs::create_dir(mount.path(name))?;
        }
        set(&mount.path("one"), "user.x", &"x".repeat(20))?;
        try_put(mount.path("one/a"), [1; 40])?;
        try_put(mount.path("two/.b"), [1; 40])
    };
    for _ in 0..5 {
        // The child that owns the queues is dead when this returns.
        wait_until("room for all of it", || user(ANN, fill).is_ok());
    }
}

#[test]
fn a_queue_that_dies_leaves_links_charged_elsewhere() {
    let full = Full::with("allow_other,root_mode=1777,grace=0");
    fs::remove_file(full.queue.join("a")).unwrap();
    let own = full.mount.path("own");
    let multicast = || {
        fs::create_dir(&own)?;
        try_put(own.join("e"), [1; 50])?;
        fs::hard_link(own.join("e"), full.queue.join("e"))
    };
    user(ANN, multicast).unwrap();
    wait_until("the end of the queue", || crate::help::is_absent(&own));
    full.takes_no_more("b");
    fs::remove_file(full.queue.join("e")).unwrap();
    full.one_fits();
}

#[test]
fn a_failed_write_gives_back() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    for _ in 0..5 {
        assert_eq!(errno(put_as(ANN, &full.queue.join("c"), [1; 51])), libc::EDQUOT);
        assert!(crate::help::is_absent(&full.queue.join("c")));
    }
    full.one_fits();
}

#[test]
fn a_create_that_is_refused_gives_back() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    limit(&full.queue, "max_events", "1");
    for _ in 0..5 {
        assert_eq!(errno(put_as(ANN, &full.queue.join("c"), "")), libc::EDQUOT);
    }
    limit(&full.queue, "max_events", "0");
    full.one_fits();
}

#[test]
fn the_last_close_of_a_removed_event_gives_back() {
    let full = Full::new();
    let held = || {
        let mut file = File::open(full.queue.join("a"))?;
        fs::remove_file(full.queue.join("a"))?;
        if try_put(full.queue.join("x"), "").is_ok() {
            return Err(std::io::Error::from_raw_os_error(libc::EBADMSG));
        }
        file.read_to_end(&mut Vec::new()).map(drop)
    };
    user(ANN, held).unwrap();
    full.one_fits();
}

#[test]
fn a_new_file_removed_before_its_close_gives_back() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    let work = || {
        let mut file = begin(full.queue.join("c"));
        file.write_all(&[1; 20])?;
        fs::remove_file(full.queue.join("c"))?;
        file.write_all(&[1; 30])
    };
    user(ANN, work).unwrap();
    full.one_fits();
}

#[test]
fn truncating_gives_back_bytes() {
    let full = Full::new();
    let cut = || {
        File::options().write(true).open(full.queue.join("a"))?.set_len(10)?;
        set(&full.queue.join("b"), "user.x", &"x".repeat(40))
    };
    user(ANN, cut).unwrap();
    full.takes_no_file();
    let empty = || File::create(full.queue.join("a")).map(drop);
    user(ANN, empty).unwrap();
    user(ANN, || set(&full.queue.join("a"), "user.x", &"x".repeat(10))).unwrap();
    assert_eq!(errno(user(ANN, || set(&full.queue.join("a"), "user.y", "x"))), libc::EDQUOT);
}

#[test]
fn attributes_go_with_their_event() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    put_as(ANN, &full.queue.join("a"), [1; 20]).unwrap();
    user(ANN, || set(&full.queue.join("a"), "user.x", &"x".repeat(30))).unwrap();
    full.takes_no_more("b");
    fs::remove_file(full.queue.join("a")).unwrap();
    full.one_fits();
}

#[test]
fn a_withdrawn_event_is_charged_until_it_is_removed() {
    let full = Full::new();
    fs::rename(full.queue.join("a"), full.queue.join(".a")).unwrap();
    full.takes_no_more("b");
    fs::remove_file(full.queue.join(".a")).unwrap();
    full.one_fits();
}

#[test]
fn chown_gives_back() {
    let full = Full::new();
    chown(full.queue.join("a"), Some(0), None).unwrap();
    full.one_fits();
}

#[test]
fn a_killed_producers_file_is_charged_until_it_is_removed() {
    let full = Full::new();
    fs::remove_file(full.queue.join("a")).unwrap();
    let killed = || {
        let mut file = begin(full.queue.join("c"));
        file.write_all(&[1; 50])?;
        // Not closed: the process ends with it open.
        std::mem::forget(file);
        Ok(())
    };
    user(ANN, killed).unwrap();
    full.takes_no_more("b");
    fs::remove_file(full.queue.join("c")).unwrap();
    full.one_fits_at_last();
}

#[test]
fn a_thousand_events_of_every_fate_leave_nothing_charged() {
    let full = Full::new();
    let other = full.mount.queue("other");
    sh_ok(&other, "chmod 777 .");
    fs::remove_file(full.queue.join("a")).unwrap();
    let work = || {
        for round in 0..1_000 {
            let (from, to) = (full.queue.join("c"), other.join("c"));
            try_put(&from, [1; 50])?;
            match round % 5 {
                0 => fs::remove_file(from)?,
                1 => fs::rename(from, &to).and_then(|()| fs::remove_file(other.join("head")))?,
                2 => {
                    fs::hard_link(&from, &to)?;
                    fs::remove_file(from)?;
                    fs::remove_file(to)?;
                }
                3 => {
                    fs::rename(from, full.queue.join(".c"))?;
                    fs::remove_file(full.queue.join(".c"))?;
                }
                _ => fs::remove_file(full.queue.join("tail"))?,
            }
        }
        Ok(())
    };
    user(ANN, work).unwrap();
    full.one_fits();
}
