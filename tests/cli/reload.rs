//! SIGHUP: configuration and quotas are read again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::Signal;

use crate::common::{EVENTFS, as_user, errno, is_mounted, sh_ok, spawn, wait_until, write};
use crate::place::Place;

const USER: u32 = 1000;

struct Served {
    place: Place,
    file: PathBuf,
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Served {
    fn start(name: &str, config: &str) -> Self {
        let place = Place::new();
        let file = place.dir().join(name);
        fs::write(&file, config).expect("write");
        let mut command = Command::new(EVENTFS);
        command.args(["-f", "-o", "allow_other,root_mode=0777", "-c"]).arg(&file);
        command.arg(&place.point).stderr(Stdio::piped());
        command.env_remove("RUST_LOG").env_remove("EVENTFS_LOG");
        let mut child = spawn(&mut command);
        let log = BufReader::new(child.stderr.take().expect("stderr"));
        wait_until("the mount", || is_mounted(&place.point));
        Self { place, file, child, log }
    }

    /// Writes the file, has it read, returns what the daemon says.
    fn reload(&mut self, config: &str) -> String {
        fs::write(&self.file, config).expect("write");
        self.place.signal(Signal::SIGHUP);
        let mut line = String::new();
        self.log.read_line(&mut line).expect("a line");
        line
    }

    /// How many queues a user without any gets.
    fn queues_of_user(&self) -> usize {
        for i in 0..20 {
            let queue = self.place.path(&format!("q{i}"));
            match as_user(USER, USER, || fs::create_dir(&queue)) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EDQUOT));
                    self.clear();
                    return i;
                }
            }
        }
        self.clear();
        20
    }

    fn clear(&self) {
        sh_ok(&self.place.point, "rmdir q* 2>/dev/null; :");
        wait_until("an empty mount", || crate::common::names(&self.place.point).is_empty());
    }

    fn end(mut self) {
        self.place.signal(Signal::SIGTERM);
        assert!(self.child.wait().expect("wait").success());
    }
}

#[test]
fn limits_are_read_again() {
    let mut served = Served::start("c.toml", "[limits]\nmax_dirs = 1\n");
    assert_eq!(served.queues_of_user(), 1);
    let said = served.reload("[limits]\nmax_dirs = 3\n");
    assert!(said.contains("read again"), "{said}");
    assert_eq!(served.queues_of_user(), 3);
    served.reload("[limits]\nmax_dirs = 3\n[limits.user.1000]\nmax_dirs = 2\n");
    served.reload("");
    assert_eq!(served.queues_of_user(), 20);
    served.end();
}

#[test]
fn a_bad_file_is_reported_and_the_old_settings_stay() {
    let mut served = Served::start("c.toml", "[limits]\nmax_dirs = 2\n");
    for bad in ["[limits]\nmax_dirs = \"x\"\n", "nonsense", "[limits]\nno_such_key = 1\n"] {
        let said = served.reload(bad);
        assert!(said.contains("c.toml"), "{said}");
        assert!(said.contains("old settings stay"), "{said}");
        assert_eq!(served.queues_of_user(), 2, "{bad}");
    }
    fs::remove_file(&served.file).expect("remove");
    served.place.signal(Signal::SIGHUP);
    let mut said = String::new();
    served.log.read_line(&mut said).expect("a line");
    assert!(said.contains("c.toml"), "{said}");
    assert_eq!(served.queues_of_user(), 2);
    served.reload("[limits]\nmax_dirs = 4\n");
    assert_eq!(served.queues_of_user(), 4, "a good one helps again");
    served.end();
}

#[test]
fn quota_files_of_the_original_are_read_again() {
    let config = "[eventfs-config]\nquotas=quotas.d\n";
    let mut served = Served::start_with_quotas(config, 1);
    assert_eq!(served.queues_of_user(), 1);
    write_quota(served.file.parent().expect("directory"), 2);
    served.reload(config);
    assert_eq!(served.queues_of_user(), 2);
    served.end();
}

/// Somebody with a name and not root, for quota files.
fn name_of_user() -> String {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(USER))
        .ok()
        .flatten()
        .map_or_else(|| USER.to_string(), |user| user.name)
}

fn write_quota(dir: &Path, most: u32) {
    let quotas = dir.join("quotas.d");
    fs::create_dir_all(&quotas).expect("mkdir");
    let content = format!("[eventfs-quota]\nuser={}\nmax_dirs={most}\n", name_of_user());
    fs::write(quotas.join("user"), content).expect("write");
}

impl Served {
    fn start_with_quotas(config: &str, most: u32) -> Self {
        // The quotas lie beside the file, whose directory is known after the start only: so the
        // first configuration has none.
        let mut served = Self::start("c.conf", "[eventfs-config]\n");
        write_quota(served.file.parent().expect("directory"), most);
        served.reload(config);
        served
    }
}

#[test]
fn limits_of_the_mount_are_read_again() {
    let mut served = Served::start("c.toml", "[mount]\nnr_queues = 1\n");
    let (a, b) = (served.place.path("a"), served.place.path("b"));
    fs::create_dir(&a).expect("mkdir");
    assert_eq!(errno(fs::create_dir(&b)), libc::ENOSPC);
    served.reload("[mount]\nnr_queues = 2\n");
    fs::create_dir(&b).expect("mkdir");
    served.end();
}

#[test]
fn in_the_background_a_relative_file_is_found_again() {
    let place = Place::new();
    fs::write(place.dir().join("c.toml"), "[mount]\nnr_queues = 1\n").expect("write");
    sh_ok(place.dir(), &format!("{EVENTFS} -c c.toml {}", place.point.display()));
    fs::create_dir(place.path("a")).expect("mkdir");
    assert_eq!(errno(fs::create_dir(place.path("b"))), libc::ENOSPC);
    fs::write(place.dir().join("c.toml"), "[mount]\nnr_queues = 2\n").expect("write");
    place.signal(Signal::SIGHUP);
    wait_until("the new limit", || fs::create_dir(place.path("b")).is_ok());
}

#[test]
fn queues_and_events_survive_a_reload() {
    let mut served = Served::start("c.toml", "");
    let queue = served.place.path("q");
    fs::create_dir(&queue).expect("mkdir");
    write(queue.join("e"), "x").expect("write");
    served.reload("[limits]\nmax_files = 1\n");
    assert_eq!(fs::read_to_string(queue.join("head")).expect("read"), "x");
    served.end();
}
