//! The loop that drives a source and its sink until the end.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::counters::Counters;
use super::sink::Sink;
use super::source::{Failure, Flow, Source};
use crate::sys::background::block_signals;

/// How long the end waits for room for what is in memory only.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Signals that a tap understands, as a descriptor.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes SIGTERM, SIGINT, SIGUSR1 and SIGHUP for this thread and those that it starts. To be called
    /// before there are others.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn take() -> Result<Self, Failure> {
        let handled = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGHUP];
        let taken = block_signals(&handled).and_then(|set: SigSet| {
            Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
        });
        taken.map(Self).map_err(|error| Failure::io("signals", &error))
    }

    fn next(&self) -> Option<Signal> {
        let info = self.0.read_signal().ok().flatten()?;
        Signal::try_from(info.ssi_signo as i32).ok()
    }
}

/// How a tap ended.
#[derive(Debug)]
pub struct Ended {
    /// What it did.
    pub counters: Counters,
    /// Why it could not go on, if so.
    pub failure: Option<Failure>,
}

/// Drives a source until it ends, fails, or SIGTERM comes. Says READY=1 to a service manager first.
pub fn run(mut sink: Sink, source: &mut dyn Source, signals: &Signals) -> Ended {
    sink.set_bounded(source.keeps());
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        log::warn!("$NOTIFY_SOCKET: {error}");
    }
    let failure = serve(&mut sink, source, signals).err();
    source.goodbye(&mut sink);
    end(&mut sink, source);
    Ended { counters: sink.counters(), failure }
}

fn serve(sink: &mut Sink, source: &mut dyn Source, signals: &Signals) -> Result<(), Failure> {
    let mut flow = Flow::More;
    loop {
        if tick(sink, source) {
            flow = Flow::More;
        }
        if flow == Flow::Ended && !sink.has_waiting() {
            return Ok(());
        }
        let feeding = flow != Flow::Ended && (sink.ready() || !source.keeps());
        let woken = wait(sink, source, signals, feeding, flow)?;
        while let Some(signal) = signals.next() {
            match signal {
                Signal::SIGUSR1 => eprintln!("{}", sink.counters().to_json()),
                Signal::SIGHUP => source.reload(),
                _ => return Ok(()),
            }
        }
        if feeding && (woken || flow == Flow::More) {
            flow = source.turn(sink)?;
        }
        if flow != Flow::More {
            sink.flush();
        }
        if flow != Flow::More || !sink.ready() {
            sink.rest();
        }
    }
}

/// True if the source was rewound.
fn tick(sink: &mut Sink, source: &mut dyn Source) -> bool {
    let again = sink.tick(Instant::now(), &|name| source.locate(name));
    if again {
        sink.prepare_rewind();
        let is_rewound = source.rewind(sink);
        if is_rewound {
            sink.rewind();
        }
        sink.tell_again(is_rewound);
    }
    again
}

/// Waits for the source if it is to be fed, for signals, and for the sink's time; true if the source has
/// something or its time has come.
fn wait(
    sink: &Sink,
    source: &dyn Source,
    signals: &Signals,
    feeding: bool,
    flow: Flow,
) -> Result<bool, Failure> {
    let wait = if feeding { source.wait() } else { super::source::Wait::default() };
    let mut fds = vec![PollFd::new(signals.0.as_fd(), PollFlags::POLLIN)];
    fds.extend(wait.on.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)));
    let until = [wait.until, sink.deadline()].into_iter().flatten().min();
    let timeout = match until {
        _ if flow == Flow::More && feeding => PollTimeout::ZERO,
        Some(until) => timeout(until.saturating_duration_since(Instant::now())),
        None => PollTimeout::NONE,
    };
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(Failure::io("poll", &io::Error::from(error))),
    }
    let any = fds.iter().skip(1).any(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
    Ok(any || wait.until.is_some_and(|until| until <= Instant::now()))
}

/// Milliseconds, rounded up: a wait that ends too early would spin.
fn timeout(wait: Duration) -> PollTimeout {
    PollTimeout::try_from(wait + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
}

/// Writes what is left and saves.
fn end(sink: &mut Sink, source: &mut dyn Source) {
    sink.flush();
    let until = Instant::now() + LAST_WAIT;
    while !source.keeps() && sink.has_waiting() && Instant::now() < until {
        tick(sink, source);
        std::thread::sleep(Duration::from_millis(5));
    }
    if !source.keeps() && sink.has_waiting() {
        let waiting = sink.counters().backlog;
        if waiting > 0 {
            log::error!("the queue has no room: {waiting} events are lost");
        }
        sink.give_up();
    }
    sink.rest();
    sink.finish(&|name| source.locate(name));
}
