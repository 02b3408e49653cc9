//! Records out of a stream of bytes: a file or a pipe in place of the device.

/// Longest record, bytes: eight times what the kernel can make, escapes and keys included.
const RECORD_MAX: usize = 65_536;

/// Cuts a stream into records. A record ends where a line begins that does not begin with a blank.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the next record begins.
    start: usize,
    /// Up to where its end was looked for.
    scanned: usize,
    /// Lines before `start`.
    lines: u64,
}

impl Framer {
    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buffer.len() || self.start > RECORD_MAX {
            self.buffer.drain(..self.start);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record without its last line break, and the number of its first line, from 1. With `last` the end of what was
    /// read ends a record too.
    pub fn next(&mut self, last: bool) -> Option<(&[u8], u64)> {
        loop {
            let end = match self.end() {
                Some(end) => end,
                None if last && self.start < self.buffer.len() => self.buffer.len(),
                None => return None,
            };
            let (start, line) = (self.start, self.lines + 1);
            let record = self.buffer.get(start..end).unwrap_or_default();
            self.lines += record.iter().filter(|&&byte| byte == b'\n').count() as u64;
            self.start = end;
            self.scanned = end;
            if !record.trim_ascii().is_empty() {
                let kept = record.strip_suffix(b"\n").unwrap_or(record).len();
                return Some((self.buffer.get(start..start + kept)?, line));
            }
        }
    }

    /// Whether bytes wait for the end of their record.
    pub fn is_inside(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// Whether only the next line could still change what waits: it ends with a line break.
    pub fn is_whole(&self) -> bool {
        self.is_inside() && self.buffer.last() == Some(&b'\n')
    }

    /// Behind the line break after which the next record begins.
    fn end(&mut self) -> Option<usize> {
        loop {
            let rest = self.buffer.get(self.scanned..)?;
            let Some(place) = memchr::memchr(b'\n', rest) else {
                let length = self.buffer.len() - self.start;
                self.scanned = self.buffer.len();
                return (length > RECORD_MAX).then_some(self.buffer.len());
            };
            let after = self.scanned + place + 1;
            match self.buffer.get(after) {
                Some(b' ') if after - self.start < RECORD_MAX => self.scanned = after,
                Some(_) => return Some(after),
                // The next line may go on with this record.
                None => {
                    self.scanned = after - 1;
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<(String, u64)> {
        let mut framer = Framer::default();
        let mut all = Vec::new();
        let mut take = |framer: &mut Framer, last| {
            while let Some((record, line)) = framer.next(last) {
                all.push((String::from_utf8_lossy(record).into_owned(), line));
            }
        };
        for chunk in chunks {
            framer.push(chunk);
            take(&mut framer, false);
        }
        take(&mut framer, true);
        assert!(!framer.is_inside());
        all
    }

    #[test]
    fn records_end_where_the_next_begins() {
        let text = b"6,1,2,-;a\n A=b\n C=d\n\n7,2,3,-;e\n[ 1.000000] f\n   g\nlast";
        let expected = [
            ("6,1,2,-;a\n A=b\n C=d", 1),
            ("7,2,3,-;e", 5),
            ("[ 1.000000] f\n   g", 6),
            ("last", 8),
        ]
        .map(|(record, line)| (record.to_owned(), line));
        assert_eq!(cut(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(cut(&bytes), expected, "byte by byte");
    }

    #[test]
    fn a_record_waits_for_the_line_after_it() {
        let mut framer = Framer::default();
        framer.push(b"6,1,2,-;a\n");
        assert_eq!(framer.next(false), None);
        assert!(framer.is_inside() && framer.is_whole());
        framer.push(b" A=b\n");
        assert_eq!(framer.next(false), None);
        framer.push(b"6,2");
        assert_eq!(framer.next(false), Some((&b"6,1,2,-;a\n A=b"[..], 1)));
        assert_eq!(framer.next(false), None);
        assert!(!framer.is_whole());
        assert_eq!(framer.next(true), Some((&b"6,2"[..], 3)));
    }

    #[test]
    fn nothing_grows_without_end() {
        let long = vec![b'x'; 3 * RECORD_MAX];
        let chunks: Vec<&[u8]> = long.chunks(1000).collect();
        let pieces = cut(&chunks);
        assert!(
            pieces.len() >= 2 && pieces.iter().all(|(piece, _)| piece.len() <= RECORD_MAX + 1000)
        );
        let mut framer = Framer::default();
        for _ in 0..100 {
            framer.push(&b"6,1,2,-;a\n".repeat(1000));
            while framer.next(false).is_some() {}
        }
        assert!(framer.buffer.len() < 4 * RECORD_MAX, "{}", framer.buffer.len());
    }
}
