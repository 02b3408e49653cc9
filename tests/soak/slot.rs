//! A place for one process of the crew after the other, and what each of them has left in writing.

use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use serde_json::Value;

use crate::common::EVENTFS;
use crate::daemon::wait_for;
use crate::event;
use crate::journal::Page;
use crate::ledger::{Made, Taken};
use crate::plan::{Crew, NOBODY, USERS, Work};
use crate::rng::Rng;
use crate::roles::Order;

/// So long, microseconds, `eventfs pop` takes to start and to print what is there.
const YOUTH_US: u64 = 12_000;

/// Room of a pipe that a batch does not fit.
const PIPE_BYTES: i32 = 4_096;

/// Where things are.
pub(crate) struct Places {
    pub(crate) point: PathBuf,
    pub(crate) work: PathBuf,
    /// While this file is there, processes end.
    pub(crate) stop: PathBuf,
}

impl Places {
    fn journal(&self, id: u32) -> PathBuf {
        self.work.join(format!("journal-{id}"))
    }

    fn output(&self, id: u32) -> PathBuf {
        self.work.join(format!("output-{id}"))
    }

    fn errors(&self, id: u32) -> PathBuf {
        self.work.join(format!("errors-{id}"))
    }

    /// The queue that belongs to a process.
    pub(crate) fn own(&self, id: u32) -> PathBuf {
        self.point.join(format!("own-{id}"))
    }
}

/// What a process has done.
pub(crate) enum Deed {
    Made(Made),
    Taken(Taken),
}

/// What is known of a process that has ended.
pub(crate) struct Report {
    pub(crate) queue: &'static str,
    pub(crate) deed: Deed,
    pub(crate) complaints: Vec<String>,
}

struct Running {
    id: u32,
    child: Child,
    killed: bool,
    /// Where its output is not a file.
    pipe: Option<PipeReader>,
}

pub(crate) struct Slot {
    crew: Crew,
    running: Option<Running>,
    again: Instant,
}

impl Slot {
    pub(crate) fn new(crew: Crew) -> Self {
        Self { crew, running: None, again: Instant::now() }
    }

    pub(crate) fn is_mortal(&self) -> bool {
        self.crew.mortal && self.running.is_some()
    }

    /// Starts the next process, if it is time and there is none.
    ///
    /// # Errors
    /// No process can be started.
    pub(crate) fn start(
        &mut self,
        places: &Places,
        id: &mut u32,
        rng: &mut Rng,
    ) -> Result<bool, String> {
        if self.running.is_some() || Instant::now() < self.again {
            return Ok(false);
        }
        *id += 1;
        let mut command = self.command(places, *id, rng).map_err(|error| error.to_string())?;
        let mut pipe = None;
        if self.is_mortal_pop() && rng.once_in(3) {
            let (reader, writer) = narrow_pipe().map_err(|error| error.to_string())?;
            command.stdout(writer);
            pipe = Some(reader);
        }
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        self.running = Some(Running { id: *id, child, killed: false, pipe });
        Ok(true)
    }

    /// `eventfs pop` soon has nothing in hand any more: it has to be killed while it is young to be
    /// met with something. One whose output nobody reads waits with its hands full until then.
    pub(crate) fn dies_young(&self, rng: &mut Rng) -> Option<Duration> {
        let running = self.running.as_ref().filter(|_| self.is_mortal_pop())?;
        (running.pipe.is_some() || rng.once_in(3))
            .then(|| Duration::from_micros(rng.below(YOUTH_US)))
    }

    fn is_mortal_pop(&self) -> bool {
        self.crew.mortal && matches!(self.crew.work, Work::Pop | Work::PopOne | Work::PopAll)
    }

    fn command(&self, places: &Places, id: u32, rng: &mut Rng) -> io::Result<Command> {
        let queue = places.point.join(self.crew.queue);
        let (own, other) = (places.own(id), places.point.join(self.crew.other));
        let (role, queue, other) = match self.crew.work {
            Work::Produce => ("produce", queue, other),
            Work::ProduceLimited => ("produce-limited", queue, other),
            Work::Link => ("link", queue, other),
            Work::Own => ("own", own, queue),
            Work::Remove => ("remove", queue, other),
            Work::Claim => ("claim", queue, other),
            Work::Move => ("move", queue, own),
            Work::Pop | Work::PopOne | Work::PopAll => return self.pop(places, id, rng),
        };
        let order = Order {
            role,
            id,
            seed: rng.next(),
            pause_us: self.crew.pause_us,
            stop: &places.stop,
            journal: &places.journal(id),
            queue: &queue,
            other: &other,
            uid: if self.crew.queue == USERS { NOBODY } else { 0 },
        };
        order.command()
    }

    fn pop(&self, places: &Places, id: u32, rng: &mut Rng) -> io::Result<Command> {
        let mut command = Command::new(EVENTFS);
        command.args(["pop", "--wait=0.3"]);
        if self.crew.work != Work::Pop {
            command.arg("--json");
        }
        if self.crew.work == Work::PopOne {
            command.args(["-n", "1"]);
        } else if rng.once_in(2) {
            command.arg("--all");
        } else {
            command.args(["-n", &(1 + rng.below(50)).to_string()]);
        }
        command.arg(places.point.join(self.crew.queue)).stdin(Stdio::null());
        command.stdout(File::create(places.output(id))?);
        command.stderr(File::create(places.errors(id))?);
        Ok(command)
    }

    /// Kills its process; the time until the process's own queue was gone, if it had one.
    pub(crate) fn kill(&mut self, places: &Places) -> Option<Result<Duration, String>> {
        let running = self.running.as_mut()?;
        running.killed = true;
        let own = places.own(running.id);
        let had_own = own.exists();
        let start = Instant::now();
        let _ = running.child.kill();
        if !had_own {
            return None;
        }
        let gone = wait_for(|| !own.exists());
        let late = || format!("{} outlived its owner", own.display());
        Some(if gone { Ok(start.elapsed()) } else { Err(late()) })
    }

    /// The report of a process that has ended; `wait` waits for that.
    pub(crate) fn reap(
        &mut self,
        places: &Places,
        wait: bool,
        is_gone: bool,
    ) -> Option<Result<Report, String>> {
        let running = self.running.as_mut()?;
        let mut status = running.child.try_wait().ok().flatten();
        if status.is_none() && (wait || running.killed) {
            wait_for(|| {
                status = running.child.try_wait().ok().flatten();
                status.is_some()
            });
            if status.is_none() {
                let _ = running.child.kill();
                return Some(Err(format!("process {} hangs: {:?}", running.id, self.crew)));
            }
        }
        let status = status?;
        let mut running = self.running.take()?;
        self.again = Instant::now() + Duration::from_micros(self.crew.pause_us);
        Some(Ok(self.report(places, &mut running, status, is_gone)))
    }

    fn report(
        &self,
        places: &Places,
        running: &mut Running,
        status: ExitStatus,
        is_gone: bool,
    ) -> Report {
        let id = running.id;
        let killed = std::os::unix::process::ExitStatusExt::signal(&status).is_some();
        let (queue, mut complaints) = (self.crew.queue, Vec::new());
        let deed = match self.crew.work {
            Work::Pop | Work::PopOne | Work::PopAll => {
                let text = fs::read_to_string(places.errors(id)).unwrap_or_default();
                if !killed && !is_gone && !matches!(status.code(), Some(0 | 3)) {
                    complaints.push(format!("pop {id} ended with {status}: {}", text.trim()));
                }
                let is_json = self.crew.work != Work::Pop;
                let mut output = fs::read(places.output(id)).unwrap_or_default();
                if let Some(pipe) = &mut running.pipe {
                    let _ = pipe.read_to_end(&mut output);
                }
                let mut taken = printed(&output, is_json, killed || is_gone, &mut complaints);
                (taken.process, taken.may_repeat) = (id, killed);
                if queue == "cast" {
                    // Who links need not know what is in it.
                    taken.empty.clear();
                }
                Deed::Taken(taken)
            }
            work => {
                let page = Page::read(&places.journal(id));
                complaints.extend(page.complaints);
                if !killed && !status.success() && complaints.is_empty() {
                    complaints.push(format!("process {id} ended with {status}: {:?}", self.crew));
                }
                match work {
                    Work::Remove | Work::Claim | Work::Move => Deed::Taken(Taken {
                        process: id,
                        may_repeat: false,
                        ids: page.done,
                        empty: page.empty,
                        open: page.open,
                    }),
                    _ => Deed::Made(Made { tried: page.tried, done: page.done }),
                }
            }
        };
        for path in [places.journal(id), places.output(id), places.errors(id)] {
            let _ = fs::remove_file(path);
        }
        let queue = if self.crew.work == Work::Link { self.crew.other } else { queue };
        Report { queue, deed, complaints }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

fn narrow_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES))?;
    Ok((reader, writer))
}

/// What `eventfs pop` printed. The last line may be cut off if it was killed.
pub(crate) fn printed(
    output: &[u8],
    is_json: bool,
    may_be_cut: bool,
    complaints: &mut Vec<String>,
) -> Taken {
    let mut taken = Taken::default();
    let whole = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < output.len() && !may_be_cut {
        complaints.push(format!("pop printed half a line: {} bytes", output.len() - whole));
    }
    for line in output[..whole].split_inclusive(|byte| *byte == b'\n') {
        let id = if is_json { of_json(line, &mut taken) } else { event::read(line) };
        match id {
            Some(id) => taken.ids.push(id),
            None => complaints.push(format!("pop printed {:.80}", String::from_utf8_lossy(line))),
        }
    }
    taken
}

fn of_json(line: &[u8], taken: &mut Taken) -> Option<crate::ledger::Id> {
    let object: Value = serde_json::from_slice(line).ok()?;
    let id = event::id_of(object.get("name")?.as_str()?)?;
    let data = object.get("data")?.as_str()?.as_bytes();
    // Multicast links have names of their own.
    let is_whole = event::read(data).is_some();
    if data.is_empty() {
        taken.empty.push(id);
    }
    (is_whole || data.is_empty()).then_some(id)
}

/// Removes what processes have left in the working directory.
pub(crate) fn clean(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
}
