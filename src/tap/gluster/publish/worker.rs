//! The thread of one URL: it posts what is next until it is taken.

use std::time::{Duration, Instant};

use super::Shared;
use super::board::Hook;
use super::body::body;
use super::client::{Post, Refused};

/// First and longest pause between tries (contract section 10).
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Positions are saved this often.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Posts to a URL until it is removed or the tap ends.
pub(super) fn post_all(url: &str, worker: u64, shared: &Shared) {
    let mut failures: u32 = 0;
    while let Some((number, hook, cloudevents)) = next(url, worker, shared) {
        match post(url, &hook, number, cloudevents, shared) {
            Ok(()) => {
                if failures > 0 {
                    log::info!("{url}: takes events again");
                }
                failures = 0;
                done(url, worker, number, shared);
            }
            Err(refused) => {
                if failures == 0 {
                    log::warn!("{url}: {}: trying again", refused.why);
                }
                failures += 1;
                pause(url, &hook, wait(failures, refused.after), shared);
            }
        }
    }
}

/// What to post next, with everything that may have changed; waits for it. Nothing at the end.
fn next(url: &str, worker: u64, shared: &Shared) -> Option<(u64, Hook, bool)> {
    let mut board = shared.board.lock();
    loop {
        let hook = board.hook(url, worker)?.clone();
        if let Some(number) = board.next(url) {
            return Some((number, hook, board.cloudevents));
        }
        if board.unsaved {
            if shared.news.wait_for(&mut board, SAVE_EVERY).timed_out() && board.unsaved {
                board.unsaved = false;
                let positions = board.positions();
                drop(board);
                shared.files.save(&positions);
                board = shared.board.lock();
            }
        } else {
            shared.news.wait(&mut board);
        }
    }
}

fn post(
    url: &str,
    hook: &Hook,
    number: u64,
    cloudevents: bool,
    shared: &Shared,
) -> Result<(), Refused> {
    let line = shared
        .files
        .read(number)
        .map_err(|error| Refused { why: error.to_string(), after: None })?;
    let Some(line) = line else { return Ok(()) };
    let Some(body) = body(&line, cloudevents) else {
        log::warn!("{number:020}.json in the spool is no event of ours: passed over");
        return Ok(());
    };
    let client = shared.client.lock().clone();
    let post = Post {
        body: &body.bytes,
        content_type: Some(body.content_type),
        subject: &body.subject,
        ts: body.ts,
    };
    client.post(url, &hook.credentials, &post)
}

fn done(url: &str, worker: u64, number: u64, shared: &Shared) {
    let mut board = shared.board.lock();
    board.got(url, worker, number);
    let done = board.take_done();
    drop(board);
    shared.files.remove(&done);
    shared.news.notify_all();
}

/// How long to wait after so many failures: from 1 s doubling to 30 s, less up to a quarter so that many
/// senders do not come back together; longer if the receiver asks.
fn wait(failures: u32, after: Option<Duration>) -> Duration {
    let doubled = PAUSE.0.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE.1);
    let jitter = doubled.mul_f64(f64::from(noise()) / f64::from(u16::MAX) / 4.0);
    (doubled - jitter).max(after.unwrap_or_default())
}

/// A number that nobody can say before: std seeds its hash tables so.
fn noise() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0u8) & 0xffff) as u16
}

/// Waits, unless something changes that is worth a try at once.
fn pause(url: &str, hook: &Hook, wait: Duration, shared: &Shared) {
    let until = Instant::now() + wait;
    let mut board = shared.board.lock();
    loop {
        let now = board.hook(url, hook.worker);
        let same = now.is_some_and(|now| now.generation == hook.generation);
        if !same || shared.news.wait_until(&mut board, until).timed_out() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_differ() {
        for failures in 1..40 {
            let longest = Duration::from_secs((1 << (failures - 1).min(5)).min(30));
            let pause = wait(failures, None);
            assert!(pause <= longest && pause >= longest.mul_f64(0.75), "{failures}: {pause:?}");
        }
        let some: std::collections::HashSet<_> = (0..20).map(|_| wait(1, None)).collect();
        assert!(some.len() > 1);
        assert_eq!(wait(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
    }
}
