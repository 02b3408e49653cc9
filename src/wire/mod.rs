//! What consumers and the daemon say to each other through ioctls.
//!
//! Pure. One fixed buffer goes both ways; its size is what an ioctl number can carry. All numbers are
//! little-endian.
//!
//! A consumer opens the [`DOOR`] of a queue for reading, which needs search permission on the queue
//! and no more. There:
//!
//! 1. [`BEGIN`] answers with a number. The consumer then unlinks the name [`permit_name`] of that
//!    number in the queue: the kernel checks what it checks for `rm` (write and search permission,
//!    read-only mounts) before the daemon sees it, and the daemon refuses it with `EALREADY`, so
//!    that nothing is removed and inotify tells nothing.
//! 2. [`TAKE`] removes the first events of the last batch, puts the rest back, takes the next ones.
//! 3. [`READ`] reads a taken event that did not fit the buffer.
//!
//! Closing the door puts back what was taken and not confirmed.
//!
//! [`SCAN`], on the queue opened as a directory, tells events behind a place number without taking
//! them; it needs no permit.

pub mod check;

pub use crate::model::DOOR;

/// Bytes of the buffer: an ioctl number has 14 bits for a size.
pub const BUFFER_BYTES: usize = 16_376;

/// The letter of our ioctl numbers.
pub const LETTER: u8 = b'E';

/// Begins to consume: answers with the number for [`permit_name`].
pub const BEGIN: u8 = 1;

/// Confirms and takes.
pub const TAKE: u8 = 2;

/// Reads from a taken event.
pub const READ: u8 = 3;

/// Tells events without taking them.
pub const SCAN: u8 = 4;

/// The buffer that goes both ways.
pub type Buffer = [u8; BUFFER_BYTES];

/// Bytes that a taken event costs in the buffer beside name and content.
pub const EVENT_BYTES: usize = 4 + 2 + 2 + 8 + 8 + 8;

/// Bytes of the buffer that are left for events.
pub const BATCH_BYTES: usize = BUFFER_BYTES - 12;

/// The whole number of an ioctl: both directions, the buffer's size, letter, command.
pub const fn request(command: u8) -> u64 {
    const BOTH_WAYS: u64 = 3;
    BOTH_WAYS << 30 | (BUFFER_BYTES as u64) << 16 | (LETTER as u64) << 8 | command as u64
}

/// How the names of permits begin.
pub const PERMIT_PREFIX: &str = ".eventfs-permit-";

/// The name that proves the right to remove.
pub fn permit_name(number: u64) -> String {
    format!("{PERMIT_PREFIX}{number:016x}")
}

/// A taken event as it travels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its name: any bytes but `/` and zero.
    pub name: Vec<u8>,
    /// Its place number in the queue.
    pub seq: u64,
    /// Time of publication, nanoseconds since 1970.
    pub time_ns: i64,
    /// Bytes of its content.
    pub size: u64,
    /// The content, where it fitted.
    pub data: Option<Vec<u8>>,
}

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Puts a [`TAKE`] question into the buffer.
pub fn ask_take(buffer: &mut Buffer, confirmed: u32, events_max: u32) {
    buffer[..4].copy_from_slice(&confirmed.to_le_bytes());
    buffer[4..8].copy_from_slice(&events_max.to_le_bytes());
}

/// Reads a [`TAKE`] question: confirmed, at most so many events.
///
/// # Errors
/// Too short.
pub fn take_asked(question: &[u8]) -> Result<(u32, u32), Malformed> {
    let mut reader = Reader(question);
    Ok((reader.u32()?, reader.u32()?))
}

/// Puts a [`READ`] question into the buffer.
pub fn ask_read(buffer: &mut Buffer, index: u32, offset: u64) {
    buffer[..4].copy_from_slice(&index.to_le_bytes());
    buffer[4..12].copy_from_slice(&offset.to_le_bytes());
}

/// Reads a [`READ`] question: number in the batch, offset.
///
/// # Errors
/// Too short.
pub fn read_asked(question: &[u8]) -> Result<(u32, u64), Malformed> {
    let mut reader = Reader(question);
    Ok((reader.u32()?, reader.u64()?))
}

/// Writes a batch. The events must fit: the taker counted [`EVENT_BYTES`] for each.
pub fn answer_take(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::with_capacity(BUFFER_BYTES);
    out.extend_from_slice(&(events.len() as u32).to_le_bytes());
    for event in events {
        let data = event.data.as_deref();
        out.extend_from_slice(&(data.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        out.extend_from_slice(&(event.name.len() as u16).to_le_bytes());
        out.extend_from_slice(&u16::from(data.is_some()).to_le_bytes());
        out.extend_from_slice(&event.seq.to_le_bytes());
        out.extend_from_slice(&event.time_ns.to_le_bytes());
        out.extend_from_slice(&event.size.to_le_bytes());
        out.extend_from_slice(&event.name);
        out.extend_from_slice(data.unwrap_or_default());
    }
    out
}

/// Reads a batch.
///
/// # Errors
/// Cut short.
pub fn batch(answer: &[u8]) -> Result<Vec<Event>, Malformed> {
    let mut reader = Reader(answer);
    let count = reader.u32()?;
    let mut events = Vec::new();
    for _ in 0..count {
        let (data_len, name_len) = (reader.u32()?, reader.u16()?);
        let whole = reader.u16()? != 0;
        let (seq, time_ns, size) = (reader.u64()?, reader.u64()? as i64, reader.u64()?);
        let name = reader.bytes(usize::from(name_len))?.to_vec();
        let data = reader.bytes(data_len as usize)?.to_vec();
        events.push(Event { name, seq, time_ns, size, data: whole.then_some(data) });
    }
    Ok(events)
}

/// Puts a [`SCAN`] question into the buffer.
pub fn ask_scan(buffer: &mut Buffer, since: u64, events_max: u32) {
    buffer[..8].copy_from_slice(&since.to_le_bytes());
    buffer[8..12].copy_from_slice(&events_max.to_le_bytes());
}

/// Reads a [`SCAN`] question: behind which number, at most so many events.
///
/// # Errors
/// Too short.
pub fn scan_asked(question: &[u8]) -> Result<(u64, u32), Malformed> {
    let mut reader = Reader(question);
    Ok((reader.u64()?, reader.u32()?))
}

/// Writes the answer to [`SCAN`]: the newest number ever given, and the events.
pub fn answer_scan(newest: u64, events: &[Event]) -> Vec<u8> {
    let mut out = newest.to_le_bytes().to_vec();
    out.extend_from_slice(&answer_take(events));
    out
}

/// Reads the answer to [`SCAN`].
///
/// # Errors
/// Cut short.
pub fn scanned(answer: &[u8]) -> Result<(u64, Vec<Event>), Malformed> {
    let mut reader = Reader(answer);
    Ok((reader.u64()?, batch(reader.0)?))
}

/// Writes a piece of an event.
pub fn answer_read(piece: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + piece.len());
    out.extend_from_slice(&(piece.len() as u32).to_le_bytes());
    out.extend_from_slice(piece);
    out
}

/// Reads a piece of an event; an empty one is its end.
///
/// # Errors
/// Cut short.
pub fn piece(answer: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader(answer);
    let len = reader.u32()?;
    reader.bytes(len as usize)
}

/// Reads the answer to [`BEGIN`].
///
/// # Errors
/// Cut short.
pub fn number(answer: &[u8]) -> Result<u64, Malformed> {
    Reader(answer).u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Event> {
        let event = |name: &[u8], data: Option<&[u8]>| Event {
            name: name.to_vec(),
            seq: 7,
            time_ns: -5,
            size: 9,
            data: data.map(<[u8]>::to_vec),
        };
        vec![event(b"a\n\xff", Some(b"content")), event(b"big", None), event(b"z", Some(b""))]
    }

    #[test]
    fn a_batch_survives_the_way() {
        let answer = answer_take(&sample());
        assert_eq!(batch(&answer), Ok(sample()));
        let cost: usize = sample()
            .iter()
            .map(|e| EVENT_BYTES + e.name.len() + e.data.as_ref().map_or(0, Vec::len))
            .sum();
        assert_eq!(answer.len(), 4 + cost);
    }

    #[test]
    fn every_prefix_of_a_batch_fails() {
        let answer = answer_take(&sample());
        for cut in 0..answer.len() {
            assert_eq!(batch(&answer[..cut]), Err(Malformed), "cut at {cut}");
        }
    }

    #[test]
    fn questions_survive_the_way() {
        let mut buffer = [0; BUFFER_BYTES];
        ask_take(&mut buffer, 3, 70);
        assert_eq!(take_asked(&buffer), Ok((3, 70)));
        ask_read(&mut buffer, 1, 1 << 40);
        assert_eq!(read_asked(&buffer), Ok((1, 1 << 40)));
        ask_scan(&mut buffer, u64::MAX, 5);
        assert_eq!(scan_asked(&buffer), Ok((u64::MAX, 5)));
        assert_eq!(scanned(&answer_scan(9, &sample())), Ok((9, sample())));
        assert_eq!(piece(&answer_read(b"xyz")), Ok(&b"xyz"[..]));
        assert_eq!(piece(&[9, 0]), Err(Malformed));
        assert_eq!(take_asked(&[1, 2, 3]), Err(Malformed));
    }

    #[test]
    fn the_numbers_fit_an_ioctl() {
        const { assert!(BUFFER_BYTES < 1 << 14) };
        assert_eq!(request(BEGIN), 0xfff8_4501);
    }
}
