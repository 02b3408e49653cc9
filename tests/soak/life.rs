//! One life of the daemon: storms of work, each with its reckoning, and an end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::common::{EVENTFS, get, set};
use crate::daemon::{Census, Daemon, End, wait_for};
use crate::event;
use crate::ledger::{Story, Taken};
use crate::plan::{CONFIG, CREW, NOBODY, QUEUES, QUOTA_FILES, USERS};
use crate::rng::Rng;
use crate::roles::Order;
use crate::slot::{Deed, Places, Report, Slot, clean, printed};
use crate::tally::Tally;

/// Pause between two looks of the driver.
const TICK: Duration = Duration::from_millis(10);

/// One tick in so many kills somebody.
const KILL_EVERY: u64 = 4;

/// How much larger the daemon may be after a storm than before it (the contract's own bound).
const GROWTH_KIB_MAX: u64 = 16 << 10;

/// Bound of the time from the end of an owner to the end of its queue on a machine under full load.
const OWNER_BOUND: Duration = Duration::from_secs(1);

pub(crate) struct Life<'a> {
    places: &'a Places,
    daemon: Option<Daemon>,
    first: Census,
    /// Threads after the first storm: at the mount some may not have begun yet.
    threads: Option<usize>,
    rng: Rng,
    /// Numbers of processes.
    id: u32,
    tally: &'a mut Tally,
}

impl<'a> Life<'a> {
    /// Mounts, perhaps over what a killed daemon left.
    pub(crate) fn begin(
        places: &'a Places,
        seed: u64,
        tally: &'a mut Tally,
    ) -> Result<Self, String> {
        clean(&places.work);
        let config = places.work.join("soak.toml");
        fs::write(&config, CONFIG).map_err(|error| error.to_string())?;
        let options = "allow_other,grace=0,nr_events=100000,size=256m";
        let arguments = ["-o", options, "-c", config.to_str().unwrap_or_default()];
        let log = places.work.with_extension("log");
        let daemon = Daemon::start(&places.point, &log, &arguments)?;
        tally.lives += 1;
        let first = Census::of(daemon.pid());
        Ok(Self {
            places,
            daemon: Some(daemon),
            first,
            threads: None,
            rng: Rng::new(seed),
            id: 0,
            tally,
        })
    }

    fn found(&mut self, lines: impl IntoIterator<Item = String>) {
        let life = self.tally.lives;
        self.tally.findings.extend(lines.into_iter().map(|line| format!("life {life}: {line}")));
    }

    // -------------------------------------------------------------------------------------- storms

    /// A storm after which everything is reckoned up.
    pub(crate) fn round(&mut self, length: Duration) -> Result<(), String> {
        self.make_queues()?;
        let mut stories = stories();
        let mut slots = crew();
        self.storm(&mut slots, &mut stories, length)?;
        self.calm(&mut slots, &mut stories, false)?;
        drop(slots);
        self.recover(&mut stories)?;
        self.drain(&mut stories)?;
        self.count(&mut stories);
        self.judge(&stories);
        self.fill();
        self.leave_nothing();
        self.tally.rounds += 1;
        Ok(())
    }

    /// A storm in which the daemon is killed.
    pub(crate) fn die(mut self, length: Duration) -> Result<(), String> {
        self.make_queues()?;
        let mut stories = stories();
        let mut slots = crew();
        self.storm(&mut slots, &mut stories, length)?;
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
        self.tally.daemons_killed += 1;
        self.calm(&mut slots, &mut stories, true)?;
        stories.values_mut().for_each(|story| story.cut_short = true);
        self.judge(&stories);
        Ok(())
    }

    /// An orderly end.
    pub(crate) fn end(mut self) {
        let how = if self.rng.once_in(2) { End::Terminate } else { End::Unmount };
        if let Some(daemon) = self.daemon.take() {
            let found = daemon.end(how);
            self.found(found);
        }
    }

    fn make_queues(&mut self) -> Result<(), String> {
        for queue in &QUEUES {
            let path = self.places.point.join(queue.name);
            let made = fs::create_dir(&path).and_then(|()| set(&path, "user.eventfs_sticky", "1"));
            made.map_err(|error| format!("{}: {error}", queue.name))?;
            for (name, value) in queue.attributes {
                set(&path, &format!("user.eventfs_{name}"), value)
                    .map_err(|error| format!("{}: {name}: {error}", queue.name))?;
            }
        }
        std::os::unix::fs::chown(self.places.point.join(USERS), Some(NOBODY), Some(NOBODY))
            .map_err(|error| format!("chown: {error}"))
    }

    fn storm(
        &mut self,
        slots: &mut [Slot],
        stories: &mut Stories,
        length: Duration,
    ) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.daemon.as_mut().map_or(Ok(()), Daemon::check)?;
            for slot in slots.iter_mut() {
                if slot.start(self.places, &mut self.id, &mut self.rng)?
                    && let Some(youth) = slot.dies_young(&mut self.rng)
                {
                    std::thread::sleep(youth);
                    self.kill(slot, stories);
                }
            }
            std::thread::sleep(TICK);
            if self.rng.once_in(KILL_EVERY) {
                self.kill_one(slots, stories);
            }
            self.reap(slots, stories, false, false);
        }
        Ok(())
    }

    fn kill_one(&mut self, slots: &mut [Slot], stories: &mut Stories) {
        let mut mortals: Vec<&mut Slot> =
            slots.iter_mut().filter(|slot| slot.is_mortal()).collect();
        let count = mortals.len() as u64;
        if count > 0 {
            let victim = self.rng.below(count) as usize;
            self.kill(mortals[victim], stories);
        }
    }

    /// Kills a process and files its report at once: reports come in the order of the ends.
    fn kill(&mut self, slot: &mut Slot, stories: &mut Stories) {
        self.tally.processes_killed += 1;
        match slot.kill(self.places) {
            Some(Ok(time)) => {
                self.tally.owner_ends.push(time);
                if time > OWNER_BOUND {
                    self.found([format!("a queue outlived its owner for {time:?}")]);
                }
            }
            Some(Err(line)) => self.found([line]),
            None => {}
        }
        self.reap(std::slice::from_mut(slot), stories, true, false);
    }

    fn reap(&mut self, slots: &mut [Slot], stories: &mut Stories, wait: bool, is_gone: bool) {
        for slot in slots {
            match slot.reap(self.places, wait, is_gone) {
                Some(Ok(report)) => self.file(report, stories),
                Some(Err(line)) => self.found([line]),
                None => {}
            }
        }
    }

    fn file(&mut self, report: Report, stories: &mut Stories) {
        self.found(report.complaints);
        if let Some(story) = stories.get_mut(report.queue) {
            match report.deed {
                Deed::Made(made) => story.made.push(made),
                Deed::Taken(taken) => story.taken.push(taken),
            }
        }
    }

    /// Everybody ends.
    fn calm(
        &mut self,
        slots: &mut [Slot],
        stories: &mut Stories,
        is_gone: bool,
    ) -> Result<(), String> {
        fs::write(&self.places.stop, "").map_err(|error| error.to_string())?;
        self.reap(slots, stories, true, is_gone);
        fs::remove_file(&self.places.stop).map_err(|error| error.to_string())
    }

    // ------------------------------------------------------------------------------------- reckoning

    /// What dead processes left under dot names: claims are published again, half-made files removed.
    fn recover(&mut self, stories: &mut Stories) -> Result<(), String> {
        for (name, story) in stories {
            let queue = self.places.point.join(name);
            for entry in fs::read_dir(&queue).map_err(|error| format!("{name}: {error}"))? {
                let file = entry.map_err(|error| error.to_string())?.file_name();
                let file = file.to_string_lossy();
                let done = match file.strip_prefix(event::CLAIMED) {
                    Some(rest) => put_back(story, &queue, &file, rest),
                    None if file.starts_with(event::STAGED) => {
                        fs::remove_file(queue.join(&*file)).map_err(|error| error.to_string())
                    }
                    None => Ok(()),
                };
                done.map_err(|error| format!("{name}/{file}: {error}"))?;
            }
        }
        Ok(())
    }

    /// What is left is taken out by us.
    fn drain(&mut self, stories: &mut Stories) -> Result<(), String> {
        for (name, story) in stories {
            let queue = self.places.point.join(name);
            if *name == "expiring" {
                wait_for(|| get(&queue, "user.eventfs_depth").as_deref() == Some("0"));
            }
            let mut command = Command::new(EVENTFS);
            let output = command.args(["pop", "--all", "--json"]).arg(&queue).output();
            let output = output.map_err(|error| error.to_string())?;
            let mut complaints = Vec::new();
            let mut taken = printed(&output.stdout, true, false, &mut complaints);
            if *name == "cast" {
                taken.empty.clear();
            }
            taken.process = u32::MAX;
            story.taken.push(taken);
            let life = self.tally.lives;
            let complaints = complaints.into_iter();
            self.tally
                .findings
                .extend(complaints.map(|line| format!("life {life}: {name}: {line}")));
        }
        Ok(())
    }

    /// The counters of each queue add up and are back to nothing.
    fn count(&mut self, stories: &mut Stories) {
        for (name, story) in stories {
            let queue = self.places.point.join(name);
            let counter = |what: &str| -> u64 {
                let value = get(&queue, &format!("user.eventfs_{what}"));
                value.and_then(|value| value.parse().ok()).unwrap_or(u64::MAX)
            };
            let (published, removed) = (counter("published"), counter("removed"));
            let (dropped, expired) = (counter("dropped"), counter("expired"));
            story.vanished = dropped + expired;
            let (depth, bytes) = (counter("depth"), counter("bytes"));
            let sum = removed + dropped + expired;
            if (depth, bytes) != (0, 0) || published != sum {
                self.found([format!(
                    "{name}: depth {depth}, bytes {bytes}; published {published}, removed {removed}, \
                     dropped {dropped}, expired {expired}"
                )]);
            }
            let again = story.put_back.len() as u64;
            let done = story.made.iter().map(|made| made.done.len() as u64).sum::<u64>();
            if published < done + again {
                self.found([format!("{name}: {done} done, but only {published} published")]);
            }
            self.tally.published += published;
            self.tally.vanished += story.vanished;
        }
    }

    fn judge(&mut self, stories: &Stories) {
        for story in stories.values() {
            self.tally.taken += story.taken.iter().map(|taken| taken.ids.len() as u64).sum::<u64>();
            self.tally.repeats += story.repeats() as u64;
            self.tally.put_back += story.put_back.len() as u64;
            self.found(story.findings());
        }
    }

    /// The user's quota is whole again: exactly so many files fit.
    fn fill(&mut self) {
        let queue = self.places.point.join(USERS);
        let order = Order {
            role: "fill",
            id: 0,
            seed: 0,
            pause_us: 0,
            stop: &self.places.stop,
            journal: &self.places.work.join("fill"),
            queue: &queue,
            other: Path::new(""),
            uid: NOBODY,
        };
        let status = order.command().and_then(|mut command| command.status());
        let count = status.ok().and_then(|status| status.code());
        if count != Some(QUOTA_FILES.cast_signed()) {
            self.found([format!("{count:?} files of a user fit, not {QUOTA_FILES}")]);
        }
    }

    /// No queue, byte, event, descriptor, thread or page stays.
    fn leave_nothing(&mut self) {
        for queue in &QUEUES {
            if let Err(error) = fs::remove_dir(self.places.point.join(queue.name)) {
                self.found([format!("rmdir {}: {error}", queue.name)]);
            }
        }
        let names = || -> Vec<_> {
            fs::read_dir(&self.places.point).into_iter().flatten().flatten().collect()
        };
        if !wait_for(|| names().is_empty()) {
            let names: Vec<_> = names().iter().map(std::fs::DirEntry::file_name).collect();
            self.found([format!("queues that stay: {names:?}")]);
        }
        self.keep_nothing();
    }

    fn keep_nothing(&mut self) {
        let point = &self.places.point;
        let used = || {
            statvfs(point).map_or((u64::MAX, u64::MAX), |space| {
                (space.blocks() - space.blocks_free(), space.files() - space.files_free())
            })
        };
        if !wait_for(|| used() == (0, 0)) {
            let (blocks, events) = used();
            self.found([format!("{blocks} blocks and {events} events are still in use")]);
        }
        let Some(pid) = self.daemon.as_ref().map(Daemon::pid) else { return };
        let first = self.first;
        let threads = *self.threads.get_or_insert_with(|| Census::of(pid).threads);
        let is_back = |now: Census| {
            now.descriptors == first.descriptors
                && now.threads == threads
                && now.resident_kib <= first.resident_kib + GROWTH_KIB_MAX
        };
        if !wait_for(|| is_back(Census::of(pid))) {
            let now = Census::of(pid);
            self.found([format!("the daemon held {first:?}, {threads} threads; now {now:?}")]);
        }
        let grown = Census::of(pid).resident_kib.saturating_sub(first.resident_kib);
        self.tally.growth_kib = self.tally.growth_kib.max(grown);
    }
}

type Stories = BTreeMap<&'static str, Story>;

fn stories() -> Stories {
    QUEUES.iter().map(|queue| (queue.name, Story::new(queue.name, queue.order))).collect()
}

fn crew() -> Vec<Slot> {
    let places = CREW.iter().flat_map(|crew| std::iter::repeat_n(*crew, crew.count as usize));
    places.map(Slot::new).collect()
}

/// A claim that its process did not finish. What it had read is done with; the rest is an event again.
fn put_back(story: &mut Story, queue: &Path, file: &str, rest: &str) -> Result<(), String> {
    let parts = rest.split_once('-').and_then(|(process, name)| {
        Some((process.parse::<u32>().ok()?, name, event::id_of(name)?))
    });
    let Some((process, name, id)) = parts else { return Err("nobody's claim".into()) };
    let has_read = |taken: &Taken| taken.process == process && taken.ids.contains(&id);
    if story.taken.iter().any(has_read) {
        return fs::remove_file(queue.join(file)).map_err(|error| error.to_string());
    }
    let renamed = fs::rename(queue.join(file), queue.join(name));
    story.put_back.insert(id);
    for taken in &mut story.taken {
        if taken.process == process && taken.open == Some(id) {
            taken.open = None;
        }
    }
    renamed.map_err(|error| error.to_string())
}
