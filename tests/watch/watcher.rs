//! An inotify instance whose events are read as lines such as `q: CREATE,ISDIR name`.

use std::collections::HashMap;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use crate::common::wait_until;

const NAMES: [(AddWatchFlags, &str); 8] = [
    (AddWatchFlags::IN_CREATE, "CREATE"),
    (AddWatchFlags::IN_MODIFY, "MODIFY"),
    (AddWatchFlags::IN_CLOSE_WRITE, "CLOSE_WRITE"),
    (AddWatchFlags::IN_MOVED_FROM, "MOVED_FROM"),
    (AddWatchFlags::IN_MOVED_TO, "MOVED_TO"),
    (AddWatchFlags::IN_ATTRIB, "ATTRIB"),
    (AddWatchFlags::IN_DELETE, "DELETE"),
    (AddWatchFlags::IN_DELETE_SELF, "DELETE_SELF"),
];

/// Watches directories and files and keeps what it is told.
pub(crate) struct Watcher {
    inotify: Inotify,
    labels: HashMap<WatchDescriptor, String>,
    lines: Vec<String>,
}

impl Watcher {
    /// Watches one thing under a label.
    pub(crate) fn of(label: &str, path: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let mut watcher =
            Self { inotify: inotify.expect("inotify"), labels: HashMap::new(), lines: Vec::new() };
        watcher.add(label, path);
        watcher
    }

    /// Watches one more thing.
    pub(crate) fn add(&mut self, label: &str, path: &Path) {
        let all = NAMES.iter().fold(AddWatchFlags::empty(), |all, (flag, _)| all | *flag);
        let watch = self.inotify.add_watch(path, all).expect("watch");
        self.labels.insert(watch, label.to_owned());
    }

    /// Everything told so far, in order.
    pub(crate) fn lines(&mut self) -> &[String] {
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    let lines: Vec<String> =
                        events.iter().filter_map(|event| self.line(event)).collect();
                    self.lines.extend(lines);
                }
                Err(Errno::EAGAIN) => return &self.lines,
                Err(error) => panic!("inotify: {error}"),
            }
        }
    }

    fn line(&self, event: &InotifyEvent) -> Option<String> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some("OVERFLOW".to_owned());
        }
        let (_, word) = NAMES.iter().find(|(flag, _)| event.mask.contains(*flag))?;
        let dir = if event.mask.contains(AddWatchFlags::IN_ISDIR) { ",ISDIR" } else { "" };
        // The self events of a directory carry the mark too; it says nothing there.
        let dir = if event.name.is_some() { dir } else { "" };
        let label = &self.labels[&event.wd];
        let name = event.name.as_deref().unwrap_or_default().to_string_lossy();
        Some(format!("{label}: {word}{dir} {name}").trim_end().to_owned())
    }

    /// How often this was told.
    pub(crate) fn count(&mut self, line: &str) -> usize {
        self.lines().iter().filter(|told| *told == line).count()
    }

    /// Whether this was told.
    pub(crate) fn told(&mut self, line: &str) -> bool {
        self.count(line) > 0
    }

    /// Waits until this was told.
    pub(crate) fn wait_for(&mut self, line: &str) {
        let start = std::time::Instant::now();
        while !self.told(line) {
            assert!(
                start.elapsed() < crate::common::BOUND,
                "not told: {line}; but {:?}",
                self.lines
            );
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Waits until a number of lines with this beginning were told.
    pub(crate) fn wait_for_many(&mut self, beginning: &str, count: usize) {
        wait_until(&format!("{count} of {beginning}"), || {
            self.lines().iter().filter(|line| line.starts_with(beginning)).count() >= count
        });
    }

    /// Forgets what was told.
    pub(crate) fn clear(&mut self) {
        self.lines();
        self.lines.clear();
    }
}
