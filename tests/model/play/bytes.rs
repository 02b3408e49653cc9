//! Any bytes as a scene: what the fuzz target and its seeds are written in.
//!
//! An operation is a letter and as many operands as it needs, a byte each: `0` is 0, `1` is 1 and so on, which
//! a queue, file or handle is counted by in the order of making. The characters before `0`, such as `-`, are
//! 240 to 255: where something may be left out they leave it out, for a queue they mean one that has ended.
//! Other letters mean nothing, nor does what follows `#` on a line. So seeds can be read:
//!
//! ```text
//! p0031   # user 1 puts `a`, three bytes, into queue 0
//! l0100   # links file 0 into queue 1 as `a`
//! u000    # removes what the head of queue 0 points to
//! ```
//!
//! Queue 0 is `q`, of owner 0 and user 1, queue 1 is `r`, sticky and of root. Names of events are `a` to `g`, a
//! long one, `.s` (8), `.t` (9) and two that are reserved. Scenes that begin with the line `consumers` are
//! those of [`super::consumers`].

use eventfs::model::Settings;
use eventfs::model::limits::SECOND_NS;
use eventfs::model::quota::{Quota, Quotas};

use super::consumers;
use super::driver;
use super::ops::{On, Op, Setting, Way};

/// Operations of a scene, at most: everything is compared after each.
const OPS_MAX: usize = 200;

/// The tree answers and looks as the references say, whatever happens to it.
///
/// # Panics
/// If it does not.
pub(crate) fn operations(bytes: &[u8]) {
    if let Some(bytes) = bytes.strip_prefix(b"consumers\n") {
        let mut operands = Operands(bytes);
        let ops = std::iter::from_fn(|| operands.next(Operands::consumers_op));
        consumers::play(ops.take(OPS_MAX).collect::<Vec<_>>());
    } else {
        let (settings, quotas, ops) = scene(bytes);
        driver::play(settings, quotas, &ops);
    }
}

/// What the bytes of a scene say.
pub(crate) fn scene(bytes: &[u8]) -> (Settings, [Quotas; 3], Vec<Op>) {
    let mut settings = Settings {
        size_bytes: u64::MAX / 4,
        event_bytes_max: 20,
        grace_ns: SECOND_NS,
        ..Settings::default()
    };
    let mut quotas = [(); 3].map(|()| Quotas::default());
    let mut ops = Vec::new();
    let mut operands = Operands(bytes);
    while ops.len() < OPS_MAX
        && let Some(word) = operands.next(Operands::word)
    {
        match word {
            Word::Op(op) => ops.push(op),
            Word::Setting { what, value } => set(&mut settings, what, value),
            Word::Limit { table, whose, what, value } => {
                limit(&mut quotas[usize::from(table % 3)], whose, what, value);
            }
        }
    }
    (settings, quotas, ops)
}

/// A setting of the mount.
fn set(settings: &mut Settings, what: u8, value: u8) {
    let number = u64::from(value);
    match what % 6 {
        0 => settings.size_bytes = 1_000 + 50 * number,
        1 => settings.events_max = optional(value).map(u64::from),
        2 => settings.queues_max = optional(value).map(u64::from),
        3 => settings.event_bytes_max = number % 32,
        4 => settings.publish_at_create = value % 2 == 1,
        _ => settings.report_popped = value % 2 == 1,
    }
}

/// A limit of everybody, of a user or of a group.
fn limit(quotas: &mut Quotas, whose: u8, what: u8, value: u8) {
    let quota: &mut Quota = match whose % 6 {
        0 => &mut quotas.default,
        user @ 1..=3 => quotas.users.entry(u32::from(user) - 1).or_default(),
        group => quotas.groups.entry((u32::from(group) - 3) * 10).or_default(),
    };
    let number = optional(value).map(u64::from);
    match what % 4 {
        0 => quota.max_dirs = number,
        1 => quota.max_files = number,
        2 => quota.max_files_per_dir = number,
        _ => quota.max_bytes = number,
    }
}

/// What a letter stands for.
enum Word {
    Op(Op),
    Setting { what: u8, value: u8 },
    Limit { table: u8, whose: u8, what: u8, value: u8 },
}

fn optional(value: u8) -> Option<u8> {
    (value < 240).then_some(value)
}

/// The bytes that are not read yet.
struct Operands<'a>(&'a [u8]);

impl Operands<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number; at the end of the bytes it ends the scene.
    fn number(&mut self) -> Option<u8> {
        Some(self.byte()?.wrapping_sub(b'0'))
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number()? % 2 == 1)
    }

    /// The next operation, read by `read` from its letter; letters that it does not know mean nothing.
    fn next<T>(&mut self, read: fn(&mut Self, u8) -> Option<Option<T>>) -> Option<T> {
        loop {
            let letter = self.byte()?;
            if letter == b'#' {
                while self.byte()? != b'\n' {}
            } else if let Some(op) = read(self, letter)? {
                return Some(op);
            }
        }
    }

    /// `None` where the bytes end, `Some(None)` where a letter is not known.
    fn word(&mut self, letter: u8) -> Option<Option<Word>> {
        let word = match letter {
            b'S' => Word::Setting { what: self.number()?, value: self.number()? },
            b'L' => Word::Limit {
                table: self.number()?,
                whose: self.number()?,
                what: self.number()?,
                value: self.number()?,
            },
            _ => match self.making(letter)? {
                Some(op) => Word::Op(op),
                None => match self.changing(letter)? {
                    Some(op) => Word::Op(op),
                    None => return Some(self.reading(letter)?.map(Word::Op)),
                },
            },
        };
        Some(Some(word))
    }

    fn making(&mut self, letter: u8) -> Option<Option<Op>> {
        Some(Some(match letter {
            b'm' => Op::Mkdir {
                name: self.number()?,
                setgid: self.flag()?,
                owner: optional(self.number()?),
                who: self.number()?,
            },
            b'c' => Op::Create { queue: self.number()?, name: self.number()?, who: self.number()? },
            b'k' => Op::Mknod { queue: self.number()?, name: self.number()?, who: self.number()? },
            b'p' => Op::Put {
                queue: self.number()?,
                name: self.number()?,
                len: self.number()? % 16,
                who: self.number()?,
            },
            b'l' => Op::Link {
                file: self.number()?,
                queue: self.number()?,
                name: self.number()?,
                who: self.number()?,
            },
            b'o' => {
                Op::Open { file: self.number()?, truncates: self.flag()?, writes: self.flag()? }
            }
            b'w' => Op::Write {
                handle: self.number()?,
                offset: self.number()? % 16,
                len: self.number()? % 16,
                who: self.number()?,
            },
            b'a' => Op::Allocate {
                handle: self.number()?,
                end: self.number()? % 32,
                who: self.number()?,
            },
            b'r' => Op::Release { handle: self.number()? },
            _ => return Some(None),
        }))
    }

    fn changing(&mut self, letter: u8) -> Option<Option<Op>> {
        Some(Some(match letter {
            b'D' => Op::Rmdir { queue: self.number()? },
            b'N' => Op::RenameQueue {
                queue: self.number()?,
                name: self.number()?,
                no_replace: self.flag()?,
            },
            b'u' => Op::Unlink { queue: self.number()?, way: self.way()? },
            b'v' => Op::Rename {
                queue: self.number()?,
                entry: self.number()?,
                to: self.number()?,
                name: self.number()?,
                no_replace: self.flag()?,
                who: self.number()?,
            },
            b's' => Op::SetAttr {
                file: self.number()?,
                size: optional(self.number()?).map(|size| size % 32),
                uid: optional(self.number()?).map(|uid| uid % 3),
                gid: optional(self.number()?),
                who: self.number()?,
            },
            b'O' => Op::ChownQueue {
                queue: self.number()?,
                uid: self.number()? % 3,
                gid: self.number()?,
            },
            b'x' => Op::Control {
                queue: self.number()?,
                what: self.setting()?,
                value: self.number()? % 32,
                who: self.number()?,
            },
            b'X' => Op::Reset { queue: self.number()?, what: self.setting()?, who: self.number()? },
            b'b' => {
                Op::SetOwner { queue: self.number()?, owner: self.number()?, who: self.number()? }
            }
            b'e' => Op::SetUser {
                on: self.on()?,
                name: self.number()?,
                len: self.number()? % 16,
                flags: self.number()? % 6,
                who: self.number()?,
            },
            b'E' => Op::RemoveUser { on: self.on()?, name: self.number()? },
            b'K' => Op::OwnerDied { owner: self.number()? },
            // Quarters of a second.
            b't' => Op::Pass { ms: u16::from(self.number()?) % 16 * 250 },
            b'f' => Op::Forget { queue: self.number()? },
            b'y' => Op::Quotas { which: self.number()? },
            _ => return Some(None),
        }))
    }

    fn reading(&mut self, letter: u8) -> Option<Option<Op>> {
        Some(Some(match letter {
            b'd' => Op::Opendir { queue: optional(self.number()?) },
            b'g' => Op::Readdir {
                dir: self.number()?,
                want: self.number()? % 8,
                eaten: self.number()? % 8,
            },
            b'G' => Op::Rewind { dir: self.number()? },
            b'j' => Op::Seek { dir: self.number()?, to: self.number()? },
            b'q' => Op::Releasedir { dir: self.number()? },
            _ => return Some(None),
        }))
    }

    fn consumers_op(&mut self, letter: u8) -> Option<Option<consumers::Op>> {
        use consumers::Op;
        Some(Some(match letter {
            b'c' => Op::Create(self.number()? % 12),
            b'u' => Op::Unlink(self.number()? % 12),
            b'h' => Op::PopHead,
            b't' => Op::PopTail,
            b'v' => Op::Rename(self.number()? % 12, self.number()? % 12),
            b's' => Op::Stage(self.number()? % 12),
            b'T' => Op::Take {
                who: usize::from(self.number()? % 3),
                confirmed: usize::from(self.number()? % 8),
                most: u32::from(self.number()? % 8),
            },
            b'C' => Op::Close { who: usize::from(self.number()? % 3) },
            b'P' => Op::Pass,
            b'L' => Op::Limit(self.number()? % 8),
            b'O' => Op::DropOldest(self.flag()?),
            _ => return Some(None),
        }))
    }

    fn setting(&mut self) -> Option<Setting> {
        Some(match self.number()? % 7 {
            0 => Setting::Sticky,
            1 => Setting::MaxEvents,
            2 => Setting::MaxBytes,
            3 => Setting::Overflow,
            4 => Setting::Ttl,
            5 => Setting::Depth,
            _ => Setting::Unknown,
        })
    }

    /// `0` by head, `1` by tail (each with an operand that means nothing), `2` by place, `3` by name.
    fn way(&mut self) -> Option<Way> {
        let (way, number) = (self.number()?, self.number()?);
        Some(match way % 4 {
            0 => Way::Head,
            1 => Way::Tail,
            2 => Way::Entry(number),
            _ => Way::Name(number),
        })
    }

    fn on(&mut self) -> Option<On> {
        let (is_file, number) = (self.flag()?, self.number()?);
        Some(if is_file { On::File(number) } else { On::Queue(number) })
    }
}
