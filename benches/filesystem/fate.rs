//! From the end of a process to the end of its queues.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::common::inotify::Deletions;
use crate::common::mount::Eventfs;
use crate::common::row::{Row, Unit};
use crate::common::timing::seconds;
use crate::common::{Broken, scale};

/// Longest time from the end of a process to that of its queue, told to inotify.
const ONE_MAX: Duration = Duration::from_millis(50);

/// The same for many queues of one process.
const MANY_MAX: Duration = Duration::from_secs(1);

/// Queues of a process that has very many.
const VERY_MANY: u32 = 10_000;

/// Queues of the process that has many.
const MANY: u32 = 1_000;

/// When nothing was told within this time, something is broken.
const BOUND: Duration = Duration::from_secs(20);

/// Makes this program the owner of queues: `COUNT DIRECTORY`.
const OWNER_VARIABLE: &str = "EVENTFS_BENCH_OWNER";

/// What this program is to own, if that is what it was started for.
pub(crate) fn owner_role() -> Option<String> {
    env::var(OWNER_VARIABLE).ok()
}

/// Makes queues, says so, and waits for its end.
pub(crate) fn be_owner(role: &str) -> ExitCode {
    match make_queues(role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("owner: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make_queues(role: &str) -> Result<(), Broken> {
    let (count, root) = role.split_once(' ').ok_or("COUNT DIRECTORY")?;
    for number in 0..count.parse::<u32>()? {
        let queue = Path::new(root).join(format!("owned-{number}"));
        fs::create_dir(&queue)?;
        fs::write(queue.join("event"), "x")?;
    }
    println!("ready");
    std::io::stdout().flush()?;
    std::thread::sleep(2 * BOUND);
    Ok(())
}

/// A process that owns queues. It ends with this value.
struct Owner(Child);

impl Owner {
    fn of(count: u32, root: &Path) -> Result<Self, Broken> {
        let role = format!("{count} {}", root.to_str().ok_or("the mountpoint is not UTF-8")?);
        let mut child = Command::new(env::current_exe()?)
            .env(OWNER_VARIABLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let owner = Self(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line == "ready\n" { Ok(owner) } else { Err("the owner made no queues".into()) }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_gone(queue: &Path) -> bool {
    fs::symlink_metadata(queue).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Kills an owner; the time until all its queues are gone and inotify has said so.
fn time_end(root: &Path, count: u32, deletions: &mut Deletions) -> Result<Duration, Broken> {
    let mut owner = Owner::of(count, root)?;
    let mut queues: HashSet<PathBuf> =
        (0..count).map(|number| root.join(format!("owned-{number}"))).collect();
    let start = Instant::now();
    owner.0.kill()?;
    while !queues.is_empty() {
        let name = deletions.next(BOUND)?.ok_or("the end of a queue was never told")?;
        let queue = root.join(str::from_utf8(&name)?);
        if !is_gone(&queue) {
            return Err("inotify told the end of a queue that is still there".into());
        }
        queues.remove(&queue);
    }
    Ok(start.elapsed())
}

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    // Without the grace, which would only be waited for.
    let mounted = Eventfs::start(&["-o", "grace=0"])?;
    let mut deletions = Deletions::of_directories_in(mounted.root())?;
    let times = scale(50, 20);
    let mut one = Vec::new();
    for _ in 0..times {
        one.push(time_end(mounted.root(), 1, &mut deletions)?);
    }
    one.sort_unstable();
    let (median, longest) = (one[one.len() / 2], one[one.len() - 1]);
    let many_times = scale(5, 2);
    let mut many = Vec::new();
    for _ in 0..many_times {
        many.push(time_end(mounted.root(), MANY, &mut deletions)?);
    }
    many.sort_unstable();
    let (many_median, many_longest) = (many[many.len() / 2], many[many.len() - 1]);
    let very_many = time_end(mounted.root(), VERY_MANY, &mut deletions)?;
    Ok(vec![
        Row::at_most(
            "end of an owner to queue gone and inotify told",
            Unit::Seconds,
            ONE_MAX.as_secs_f64(),
            longest.as_secs_f64(),
        )
        .under(format!("longest of {times}, median {}; grace=0", seconds(median))),
        Row::at_most(
            "end of an owner of 1 000 queues to all gone and told",
            Unit::Seconds,
            MANY_MAX.as_secs_f64(),
            many_longest.as_secs_f64(),
        )
        .under(format!("longest of {many_times}, median {}; grace=0", seconds(many_median))),
        Row::told("end of an owner of 10 000 queues to all gone and told", seconds(very_many))
            .under("one run; grace=0"),
    ])
}
