//! `eventfs status`: the queues of a mount, for people and for programs.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::args::StatusArgs;
use super::exit::{Failed, Status};
use super::mounted;

/// How long the rates for people are watched.
const RATE_WINDOW: Duration = Duration::from_millis(250);

#[derive(Debug, Serialize)]
struct Limits {
    max_events: u64,
    max_bytes: u64,
    overflow: String,
    ttl: u64,
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct QueueStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_base64: Option<String>,
    mountpoint: String,
    uid: u32,
    gid: u32,
    mode: String,
    depth: u64,
    bytes: u64,
    owner: Option<u32>,
    sticky: bool,
    oldest_age_seconds: Option<f64>,
    limits: Limits,
    published: u64,
    removed: u64,
    dropped: u64,
    expired: u64,
    taps: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn run(args: &StatusArgs) -> Result<Status, Failed> {
    let mounts = match &args.mountpoint {
        Some(point) => {
            mounted::demand(point)?;
            vec![point.clone()]
        }
        // Others' mounts may be closed to us, dead, or gone by now.
        None => mounted::all()?.into_iter().filter(|mount| fs::read_dir(mount).is_ok()).collect(),
    };
    if mounts.is_empty() {
        return Err(Failed::nothing("no eventfs mount"));
    }
    let queues = read_all(&mounts)?;
    let out = io::stdout().lock();
    let written =
        if args.json { write_json(out, &queues) } else { write_table(out, &mounts, queues) };
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Status::Done),
        Err(error) => Err(Failed::io("standard output", &error)),
        Ok(()) => Ok(Status::Done),
    }
}

fn read_all(mounts: &[PathBuf]) -> Result<Vec<QueueStatus>, Failed> {
    let mut all = Vec::new();
    for mount in mounts {
        let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ENOTCONN);
        let entries = match fs::read_dir(mount) {
            Err(error) if gone(&error) && mounts.len() > 1 => continue,
            other => other.map_err(|error| Failed::io(mount.display(), &error))?,
        };
        for entry in entries.flatten() {
            // One that ended meanwhile or that we may not read is not shown.
            all.extend(read_queue(mount, &entry.file_name()));
        }
    }
    Ok(all)
}

/// What a queue says of itself; `None` if it is gone or not ours to read.
fn read_queue(mount: &Path, name: &OsStr) -> Option<QueueStatus> {
    let path = mount.join(name);
    // Opening it is the test of read permission.
    drop(fs::read_dir(&path).ok()?);
    let metadata = fs::metadata(&path).ok()?;
    let text = |key: &str| {
        let value = xattr::get(&path, format!("user.eventfs_{key}")).ok().flatten()?;
        String::from_utf8(value).ok()
    };
    let count = |key: &str| text(key).and_then(|text| text.parse::<u64>().ok());
    let readable = name.to_str().map(str::to_owned);
    Some(QueueStatus {
        queue_base64: readable.is_none().then(|| STANDARD.encode(name.as_bytes())),
        queue: readable,
        mountpoint: mount.display().to_string(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: format!("{:04o}", metadata.mode() & 0o7777),
        depth: count("depth")?,
        bytes: count("bytes")?,
        owner: owner_of(&text),
        sticky: text("sticky").is_some(),
        oldest_age_seconds: fs::symlink_metadata(path.join("head")).ok().map(|head| age(&head)),
        limits: Limits {
            max_events: count("max_events")?,
            max_bytes: count("max_bytes")?,
            overflow: text("overflow")?,
            ttl: count("ttl")?,
        },
        published: count("published")?,
        removed: count("removed")?,
        dropped: count("dropped")?,
        expired: count("expired")?,
        taps: taps(&path),
    })
}

/// The living process that a queue belongs to. A sticky one has none, though it may remember one.
fn owner_of(text: &dyn Fn(&str) -> Option<String>) -> Option<u32> {
    match text("sticky") {
        Some(_) => None,
        None => text("owner")?.parse().ok().filter(|pid| *pid > 0),
    }
}

/// Seconds since the oldest event was last changed, to a thousandth.
fn age(head: &fs::Metadata) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed = Duration::from_secs(head.ctime().unsigned_abs())
        + Duration::from_nanos(head.ctime_nsec().unsigned_abs());
    now.saturating_sub(changed).as_millis() as f64 / 1_000.0
}

/// The counters that taps keep in `user.tap.NAME`.
fn taps(queue: &Path) -> serde_json::Map<String, serde_json::Value> {
    let mut taps = serde_json::Map::new();
    for name in xattr::list(queue).into_iter().flatten() {
        let Some(tap) = name.to_str().and_then(|name| name.strip_prefix("user.tap.")) else {
            continue;
        };
        let value = xattr::get(queue, &name).ok().flatten();
        if let Some(counters) = value.and_then(|value| serde_json::from_slice(&value).ok()) {
            taps.insert(tap.to_owned(), counters);
        }
    }
    taps
}

fn write_json(mut out: impl Write, queues: &[QueueStatus]) -> io::Result<()> {
    for queue in queues {
        serde_json::to_writer(&mut out, queue)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn write_table(
    mut out: impl Write,
    mounts: &[PathBuf],
    before: Vec<QueueStatus>,
) -> io::Result<()> {
    let mut rows = vec![
        ["QUEUE", "DEPTH", "BYTES", "IN/s", "OUT/s", "OLDEST", "OWNER", "LIMITS", "TAPS"]
            .map(str::to_owned),
    ];
    if !before.is_empty() {
        std::thread::sleep(RATE_WINDOW);
    }
    let after = read_all(mounts).unwrap_or_default();
    for old in before {
        let name = |queue: &QueueStatus| {
            (queue.mountpoint.clone(), queue.queue.clone(), queue.queue_base64.clone())
        };
        let new = after.iter().find(|new| name(new) == name(&old));
        rows.push(row(&old, new));
    }
    let widths: Vec<usize> =
        (0..9).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[i].saturating_sub(cell.chars().count()));
            // Numbers stand right, words left.
            let cells =
                if (1..=5).contains(&i) { [pad, cell.clone()] } else { [cell.clone(), pad] };
            line.push_str(&cells.concat());
            line.push_str("  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

fn row(old: &QueueStatus, new: Option<&QueueStatus>) -> [String; 9] {
    let now = new.unwrap_or(old);
    let gone = |queue: &QueueStatus| queue.removed + queue.dropped + queue.expired;
    let rate = |before: u64, after: u64| {
        format!("{:.0}", after.saturating_sub(before) as f64 / RATE_WINDOW.as_secs_f64())
    };
    let name = match (&now.queue, &now.queue_base64) {
        (Some(name), _) => name.escape_default().to_string(),
        (None, Some(coded)) => format!("base64:{coded}"),
        (None, None) => String::new(),
    };
    [
        format!("{}/{name}", now.mountpoint),
        now.depth.to_string(),
        human_bytes(now.bytes),
        rate(old.published, now.published),
        rate(gone(old), gone(now)),
        now.oldest_age_seconds.map_or("-".to_owned(), human_age),
        owner(now),
        limits(&now.limits),
        taps_in_words(&now.taps),
    ]
}

fn owner(queue: &QueueStatus) -> String {
    let named = queue.owner.map(|pid| {
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{pid} {}", command.trim().escape_default()).trim().to_owned()
    });
    match (queue.sticky, named) {
        (true, _) => "sticky".to_owned(),
        (false, Some(named)) => named,
        (false, None) => "none".to_owned(),
    }
}

fn limits(limits: &Limits) -> String {
    let mut parts = Vec::new();
    if limits.max_events > 0 {
        parts.push(format!("events {}", limits.max_events));
    }
    if limits.max_bytes > 0 {
        parts.push(format!("bytes {}", human_bytes(limits.max_bytes)));
    }
    if !parts.is_empty() {
        parts.push(limits.overflow.clone());
    }
    if limits.ttl > 0 {
        parts.push(format!("ttl {}s", limits.ttl));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// `beegfs: 120 written, 3 lost`: what went well, and of the rest what is not nothing.
fn taps_in_words(taps: &serde_json::Map<String, serde_json::Value>) -> String {
    let words = |(name, counters): (&String, &serde_json::Value)| {
        let count = |key: &str| counters.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let mut text = format!("{}: {} written", name.escape_default(), count("written"));
        for key in ["backlog", "unreadable", "lost"] {
            if count(key) > 0 {
                text.push_str(&format!(", {} {key}", count(key)));
            }
        }
        text
    };
    if taps.is_empty() {
        "-".to_owned()
    } else {
        taps.iter().map(words).collect::<Vec<_>>().join("; ")
    }
}

fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "K", "M", "G", "T", "P"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1_024.0
        && let Some(next) = units.next()
    {
        value /= 1_024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes}B") } else { format!("{value:.1}{unit}") }
}

fn human_age(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1}s"),
        s if s < 3_600.0 => format!("{:.0}m", s / 60.0),
        s if s < 86_400.0 => format!("{:.1}h", s / 3_600.0),
        s => format!("{:.1}d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_made_readable() {
        assert_eq!(human_bytes(1_023), "1023B");
        assert_eq!(human_bytes(1_536), "1.5K");
        assert_eq!(human_bytes(5 << 30), "5.0G");
        assert_eq!(human_age(5.25), "5.2s");
        assert_eq!(human_age(7_200.0), "2.0h");
        let taps = serde_json::json!({"a": {"written": 7, "lost": 2}, "b": {"written": 0}});
        let words = taps_in_words(taps.as_object().unwrap());
        assert_eq!(words, "a: 7 written, 2 lost; b: 0 written");
    }
}
