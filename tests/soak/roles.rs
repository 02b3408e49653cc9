//! The processes of the soak. Each does one thing again and again, writes down what, and ends when the
//! file `stop` is there or the daemon is gone; or it is killed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::EVENTFS;
use crate::event;
use crate::journal::{Journal, Word};
use crate::ledger::Id;
use crate::rng::Rng;

/// First word of the command line of such a process.
pub(crate) const ROLE: &str = "role";

/// Events that an owner keeps in its own queue.
const KEPT: u32 = 20;

/// What a process needs to know.
struct Job {
    id: u32,
    rng: Rng,
    /// Longest pause between two steps, microseconds.
    pause_us: u64,
    stop: PathBuf,
    journal: Journal,
    queue: PathBuf,
    /// A second queue, where one is needed.
    other: PathBuf,
}

/// The command line of a process; `run` reads it.
pub(crate) struct Order<'a> {
    pub(crate) role: &'a str,
    pub(crate) id: u32,
    pub(crate) seed: u64,
    pub(crate) pause_us: u64,
    pub(crate) stop: &'a Path,
    pub(crate) journal: &'a Path,
    pub(crate) queue: &'a Path,
    pub(crate) other: &'a Path,
    /// Becomes this user; 0 stays.
    pub(crate) uid: u32,
}

impl Order<'_> {
    pub(crate) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).arg(self.role);
        command.args([self.id.to_string(), self.seed.to_string(), self.pause_us.to_string()]);
        command.args([self.stop, self.journal, self.queue, self.other]);
        command.arg(self.uid.to_string());
        command.stdin(Stdio::null());
        Ok(command)
    }
}

/// Runs a process by the words after [`ROLE`]. The exit status is 0 if all that happened may happen.
pub(crate) fn run(words: &[String]) -> i32 {
    let [role, id, seed, pause_us, stop, journal, queue, other, uid] = words else { return 2 };
    let (Ok(id), Ok(seed), Ok(pause_us)) = (id.parse(), seed.parse(), pause_us.parse()) else {
        return 2;
    };
    let Ok(journal) = Journal::open(Path::new(journal)) else { return 2 };
    if !uid.parse().is_ok_and(become_user) {
        return 2;
    }
    // Nobody survives the driver.
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    let (stop, queue, other) = (stop.into(), queue.into(), other.into());
    let mut job = Job { id, rng: Rng::new(seed), pause_us, stop, journal, queue, other };
    let result = match role.as_str() {
        "produce" => produce(&mut job, true),
        "produce-limited" => produce(&mut job, false),
        "remove" => remove(&mut job),
        "claim" => claim(&mut job),
        "move" => move_away(&mut job),
        "link" => link(&mut job),
        "own" => own(&mut job),
        "fill" => return fill(&mut job),
        _ => return 2,
    };
    match result {
        Ok(()) => 0,
        Err(error) if is_gone(&error) => 0,
        Err(error) => {
            let _ = job.journal.complain(&format!("{role} {id}: {error}"));
            1
        }
    }
}

fn become_user(number: u32) -> bool {
    use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
    let (uid, gid) = (Uid::from_raw(number), Gid::from_raw(number));
    number == 0
        || setgroups(&[])
            .and_then(|()| setresgid(gid, gid, gid))
            .and_then(|()| setresuid(uid, uid, uid))
            .is_ok()
}

/// Whether nobody serves the mount any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::ECONNABORTED))
}

/// Whether a limit was reached.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EDQUOT | libc::ENOSPC))
}

impl Job {
    fn must_stop(&self) -> bool {
        self.stop.exists()
    }

    fn pause(&mut self) {
        let pause = self.rng.below(self.pause_us.max(1));
        std::thread::sleep(Duration::from_micros(pause));
    }

    /// The name of the oldest event; `None` in an empty queue.
    fn link_name(&self, link: &str) -> io::Result<Option<String>> {
        match fs::read_link(self.queue.join(link)) {
            Ok(name) => Ok(Some(name.to_string_lossy().into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn id_of(&self, name: &str) -> io::Result<Id> {
        event::id_of(name).ok_or_else(|| io::Error::other(format!("a stranger: {name}")))
    }

    /// What is in an event must be its own.
    fn check(&mut self, id: Id, content: &[u8]) -> io::Result<()> {
        match event::read(content) {
            Some(found) if found == id => Ok(()),
            None if content.is_empty() => self.journal.say(Word::Empty, id),
            _ => Err(io::Error::other(format!("{id} has the content of something else"))),
        }
    }
}

// ----------------------------------------------------------------------------------------- producers

fn produce(job: &mut Job, may_push: bool) -> io::Result<()> {
    for number in 0.. {
        let id = Id { producer: job.id, number };
        loop {
            if job.must_stop() {
                return Ok(());
            }
            job.journal.say(Word::Try, id)?;
            match publish(job, id, may_push) {
                Ok(()) => break,
                Err(error) if is_refused(&error) => job.journal.say(Word::Not, id)?,
                Err(error) => return Err(error),
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        job.journal.say(Word::Done, id)?;
        job.pause();
    }
    Ok(())
}

/// In one of the ways to publish.
fn publish(job: &mut Job, id: Id, may_push: bool) -> io::Result<()> {
    let plain = job.queue.join(event::name(id));
    let staged = job.queue.join(format!("{}{id}", event::STAGED));
    match job.rng.below(100) {
        0 if may_push => push(job, id),
        1..60 => write(&plain, id),
        60..80 => {
            write(&staged, id)?;
            fs::rename(&staged, &plain).or_else(|error| withdraw(&staged, error))
        }
        _ => {
            write(&staged, id)?;
            fs::hard_link(&staged, &plain).or_else(|error| withdraw(&staged, error))?;
            fs::remove_file(&staged)
        }
    }
}

fn write(path: &Path, id: Id) -> io::Result<()> {
    let content = event::content(id);
    let written = File::options().write(true).create_new(true).open(path)?.write(&content)?;
    // What was cut short is removed at its close.
    if written < content.len() { Err(io::Error::from_raw_os_error(libc::ENOSPC)) } else { Ok(()) }
}

fn withdraw(staged: &Path, error: io::Error) -> io::Result<()> {
    fs::remove_file(staged)?;
    Err(error)
}

fn push(job: &Job, id: Id) -> io::Result<()> {
    let mut command = Command::new(EVENTFS);
    command.arg("push").arg(&job.queue).arg(event::name(id));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let told = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(&event::content(id)));
    let status = child.wait()?;
    match (told, status.success()) {
        (Ok(()), true) => Ok(()),
        // The mount may be gone: then the next call says so.
        _ => {
            nix::sys::statvfs::statvfs(&job.queue)?;
            Err(io::Error::other("push failed"))
        }
    }
}

/// Links the newest event of one queue into another, under names of its own.
fn link(job: &mut Job) -> io::Result<()> {
    let mut number = 0;
    while !job.must_stop() {
        if let Some(name) = job.link_name("tail")? {
            let id = Id { producer: job.id, number };
            let to = job.other.join(event::name(id));
            job.journal.say(Word::Try, id)?;
            match fs::hard_link(job.queue.join(name), to) {
                Ok(()) => {
                    job.journal.say(Word::Done, id)?;
                    number += 1;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    job.journal.say(Word::Not, id)?;
                }
                Err(error) => return Err(error),
            }
        }
        job.pause();
    }
    Ok(())
}

/// Has a queue that ends with it, and links what it puts there into another that does not.
fn own(job: &mut Job) -> io::Result<()> {
    fs::create_dir(&job.queue)?;
    for number in 0.. {
        if job.must_stop() {
            break;
        }
        let id = Id { producer: job.id, number };
        let (mine, other) = (job.queue.join(event::name(id)), job.other.join(event::name(id)));
        write(&mine, id)?;
        job.journal.say(Word::Try, id)?;
        fs::hard_link(&mine, other)?;
        job.journal.say(Word::Done, id)?;
        if number >= KEPT {
            fs::remove_file(job.queue.join("head"))?;
        }
        job.pause();
    }
    Ok(())
}

/// How many events of a user fit into a queue: the exit status, 255 where something else is wrong.
fn fill(job: &mut Job) -> i32 {
    let path = |number: i32| job.queue.join(format!("fill-{number}"));
    let mut count = 0;
    let refused = loop {
        match File::options().write(true).create_new(true).open(path(count)) {
            Ok(_) if count < 250 => count += 1,
            Ok(_) => break false,
            Err(error) => break is_refused(&error),
        }
    };
    let removed = (0..count).all(|number| fs::remove_file(path(number)).is_ok());
    if refused && removed { count } else { 255 }
}

// ----------------------------------------------------------------------------------------- consumers

/// The only consumer of its queue: reads through head, then removes head.
fn remove(job: &mut Job) -> io::Result<()> {
    while !job.must_stop() {
        if let Some(name) = job.link_name("head")? {
            let id = job.id_of(&name)?;
            job.journal.say(Word::Try, id)?;
            let content = fs::read(job.queue.join("head"))?;
            job.check(id, &content)?;
            fs::remove_file(job.queue.join("head"))?;
            job.journal.say(Word::Done, id)?;
        }
        job.pause();
    }
    Ok(())
}

/// One of several: renames to a name of its own, reads, removes.
fn claim(job: &mut Job) -> io::Result<()> {
    while !job.must_stop() {
        if let Some(name) = job.link_name("head")? {
            let mine = job.queue.join(format!("{}{}-{name}", event::CLAIMED, job.id));
            take_to(job, &name, &mine)?;
        }
        job.pause();
    }
    Ok(())
}

/// One of several, with a queue of its own into which it moves what it takes.
fn move_away(job: &mut Job) -> io::Result<()> {
    fs::create_dir(&job.other)?;
    while !job.must_stop() {
        if let Some(name) = job.link_name("head")? {
            let mine = job.other.join(&name);
            take_to(job, &name, &mine)?;
        }
        job.pause();
    }
    Ok(())
}

fn take_to(job: &mut Job, name: &str, mine: &Path) -> io::Result<()> {
    let id = job.id_of(name)?;
    job.journal.say(Word::Try, id)?;
    match fs::rename(job.queue.join(name), mine) {
        Err(error) if error.kind() == ErrorKind::NotFound => return job.journal.say(Word::Not, id),
        renamed => renamed?,
    }
    let content = fs::read(mine)?;
    job.check(id, &content)?;
    job.journal.say(Word::Done, id)?;
    fs::remove_file(mine)
}
