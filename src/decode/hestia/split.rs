//! Cutting a stream of bytes into YAML documents.
//!
//! A line that begins with `---` or `...`, followed by a blank or the line's end, is a marker wherever it
//! stands: YAML forbids such a line inside every kind of scalar. So documents are found without a parser,
//! and one that is broken does not take its neighbours along. A document is handed out only when its end
//! is proven, by a whole `...` line or by the `---` of the next one: what was cut short is often valid
//! YAML with other numbers in it.

/// Bytes before the end of a document that [`Document::mark`] covers.
pub const MARK_BYTES: usize = 64;

/// Bytes of what could not be read that are kept to be shown (contract, section 9).
pub const RAW_BYTES_MAX: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A piece of the stream, from its first line to behind its last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Document<'a> {
    /// Offset of its first byte in the stream.
    pub start: u64,
    /// Offset behind its last byte.
    pub end: u64,
    /// Digest of the up to [`MARK_BYTES`] bytes before `end`, see [`mark_of`].
    pub mark: u64,
    /// The bytes; of one that is too long the first [`RAW_BYTES_MAX`].
    pub bytes: &'a [u8],
    /// What is known of it.
    pub state: State,
}

/// Whether a document can be parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Its end is proven.
    Whole,
    /// It was longer than allowed.
    TooLong,
    /// The stream ended in it.
    Truncated,
}

/// Where the splitter stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Behind a `...`, or at the start: blank lines and comments belong to nobody.
    Between,
    /// In `%` lines: the next `---` belongs to them.
    Directives,
    /// In a document.
    Inside,
}

/// What a line is, as far as documents are concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    Begin,
    End,
    Directive,
    Nothing,
    Content,
}

/// Cuts what it is given, in pieces of any size, into documents.
///
/// Holds one unfinished document at most, and of that no more than the limit.
#[derive(Debug)]
pub struct Splitter {
    /// What was pushed. Before `cursor` the bytes that a mark may still cover.
    buffer: Vec<u8>,
    /// Offset in the stream of the first byte of the buffer.
    base: u64,
    /// In the buffer: the first byte that was not looked at.
    cursor: usize,
    /// The cursor is behind the start of a line of which is known what it is.
    in_line: bool,
    /// That line is the `...` of the document under way.
    ending: bool,
    place: Place,
    /// Offset of the first byte of the document under way.
    start: u64,
    /// Its bytes; of one that is too long the first [`RAW_BYTES_MAX`].
    held: Vec<u8>,
    too_long: bool,
    bytes_max: usize,
    /// The last line break was a lone carriage return.
    lone_returns: bool,
    /// A document was closed by `...`: this writer always does so.
    closes: bool,
}

impl Splitter {
    /// At the start of a stream; documents longer than `bytes_max` are skipped.
    pub fn new(bytes_max: usize) -> Self {
        Self::resume(bytes_max, 0, &[])
    }

    /// In mid-stream, behind a document; `before` are the up to [`MARK_BYTES`] bytes before `offset`.
    pub fn resume(bytes_max: usize, offset: u64, before: &[u8]) -> Self {
        Self {
            buffer: before.to_vec(),
            base: offset.saturating_sub(before.len() as u64),
            cursor: before.len(),
            in_line: false,
            ending: false,
            place: Place::Between,
            start: offset,
            held: Vec::new(),
            too_long: false,
            bytes_max,
            lone_returns: false,
            closes: before.windows(4).any(|line| line == b"\n..."),
        }
    }

    /// Adds bytes. Take out what they complete with [`Splitter::next`] before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        let spare = self.cursor.saturating_sub(MARK_BYTES);
        if spare > self.buffer.len() / 2 {
            self.buffer.drain(..spare);
            self.base += spare as u64;
            self.cursor -= spare;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Offset behind the last byte pushed.
    pub fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Whether a document has begun whose end is not proven.
    pub fn is_holding(&self) -> bool {
        self.place != Place::Between || (!self.in_line && begins_something(self.rest()))
    }

    /// The next document whose end is proven, or one that is too long.
    #[allow(clippy::should_implement_trait, reason = "what it returns borrows from the splitter")]
    pub fn next(&mut self) -> Option<Document<'_>> {
        loop {
            if !self.in_line {
                let kind = self.line_kind()?;
                if kind == Line::Begin && self.place == Place::Inside {
                    return Some(self.hand_out(false));
                }
                self.enter(kind);
            }
            let end = self.line_end();
            let to = end.unwrap_or_else(|| self.all_but_a_return());
            self.consume(to);
            end?;
            self.in_line = false;
            self.lone_returns = self.buffer.get(to.wrapping_sub(1)) == Some(&b'\r');
            if std::mem::take(&mut self.ending) && self.place != Place::Between {
                self.closes = true;
                return Some(self.hand_out(false));
            }
        }
    }

    /// The input has ended: what a pipe, a socket or a terminal leaves behind its last proven end.
    ///
    /// Where the writer closes its documents, or where the last line has no break, that is a truncated
    /// document; else it is a whole one. Afterwards another writer may begin.
    pub fn finish(&mut self) -> Option<Document<'_>> {
        self.take_rest();
        let whole_line = matches!(self.buffer.last(), Some(b'\n' | b'\r'));
        let ended = std::mem::take(&mut self.ending) && whole_line;
        let cut = !ended && (self.closes || !whole_line);
        (self.place != Place::Between).then(|| self.hand_out(cut))
    }

    /// What was held is gone for ever: the feed was replaced or cut off.
    pub fn abandon(&mut self) -> Option<Document<'_>> {
        self.take_rest();
        self.ending = false;
        (self.place != Place::Between).then(|| self.hand_out(true))
    }

    fn take_rest(&mut self) {
        if self.place == Place::Between && !self.in_line && begins_something(self.rest()) {
            self.begin(Place::Inside);
        }
        self.consume(self.buffer.len());
        self.in_line = false;
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.cursor..).unwrap_or_default()
    }

    /// What the line under the cursor is; nothing while that cannot be told.
    fn line_kind(&mut self) -> Option<Line> {
        if self.base == 0 && self.cursor == 0 && !self.skip_byte_order_mark() {
            return None;
        }
        let rest = self.rest();
        match rest.first()? {
            b'-' => marker_kind(rest, b"---", Line::Begin),
            b'.' => marker_kind(rest, b"...", Line::End),
            b'%' => Some(Line::Directive),
            _ if self.place != Place::Between => Some(Line::Content),
            _ => match rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'))? {
                b'#' | b'\n' | b'\r' => Some(Line::Nothing),
                _ => Some(Line::Content),
            },
        }
    }

    /// False while it cannot be told whether there is one.
    fn skip_byte_order_mark(&mut self) -> bool {
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.cursor = BYTE_ORDER_MARK.len();
            return true;
        }
        !BYTE_ORDER_MARK.starts_with(&self.buffer)
    }

    /// Goes into a line; of a marker the letters are consumed.
    fn enter(&mut self, kind: Line) {
        match (self.place, kind) {
            (Place::Between, Line::Begin | Line::Content) => self.begin(Place::Inside),
            (Place::Between, Line::Directive) => self.begin(Place::Directives),
            (Place::Directives, Line::Begin) => self.place = Place::Inside,
            (Place::Directives | Place::Inside, Line::End) => self.ending = true,
            _ => {}
        }
        self.in_line = true;
        if matches!(kind, Line::Begin | Line::End) {
            self.consume(self.cursor + 3);
        }
    }

    fn begin(&mut self, place: Place) {
        self.start = self.base + self.cursor as u64;
        self.held.clear();
        self.too_long = false;
        self.place = place;
    }

    /// Index behind the break of the line under the cursor.
    fn line_end(&self) -> Option<usize> {
        let found = self.rest().iter().position(|&byte| byte == b'\n' || byte == b'\r')?;
        let at = self.cursor + found;
        match (self.buffer.get(at), self.buffer.get(at + 1)) {
            (Some(b'\n'), _) => Some(at + 1),
            // Where lines end with returns alone, so does this one: else the end of a document would
            // wait for the next.
            _ if self.lone_returns => Some(at + 1),
            (_, Some(b'\n')) => Some(at + 2),
            (_, Some(_)) => Some(at + 1),
            (_, None) => None,
        }
    }

    /// The end of the buffer, but before a return that a line feed may follow.
    fn all_but_a_return(&self) -> usize {
        let end = self.buffer.len();
        if self.rest().last() == Some(&b'\r') { end - 1 } else { end }
    }

    /// Moves the cursor; what a document has there is held.
    fn consume(&mut self, to: usize) {
        let bytes = self.buffer.get(self.cursor..to).unwrap_or_default();
        self.cursor = self.cursor.max(to);
        if self.place == Place::Between {
            return;
        }
        let room =
            if self.too_long { RAW_BYTES_MAX.saturating_sub(self.held.len()) } else { bytes.len() };
        self.held.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if !self.too_long && self.held.len() > self.bytes_max {
            self.too_long = true;
            self.held.truncate(RAW_BYTES_MAX);
        }
    }

    /// The document that ends at the cursor.
    fn hand_out(&mut self, cut: bool) -> Document<'_> {
        self.place = Place::Between;
        let before = self.cursor.saturating_sub(MARK_BYTES);
        Document {
            start: self.start,
            end: self.base + self.cursor as u64,
            mark: mark_of(self.buffer.get(before..self.cursor).unwrap_or_default()),
            bytes: &self.held,
            state: match (self.too_long, cut) {
                (true, _) => State::TooLong,
                (_, true) => State::Truncated,
                (_, false) => State::Whole,
            },
        }
    }
}

/// The kind of a line that begins as a marker does; nothing while that cannot be told.
fn marker_kind(line: &[u8], marker: &[u8; 3], kind: Line) -> Option<Line> {
    let Some(rest) = line.strip_prefix(marker) else {
        return (!marker.starts_with(line)).then_some(Line::Content);
    };
    let next = rest.first()?;
    Some(if matches!(next, b' ' | b'\t' | b'\n' | b'\r') { kind } else { Line::Content })
}

/// Whether the start of a line that ends the input is more than blanks, a comment or a stray `...`.
fn begins_something(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest).trim_ascii();
    !(rest.is_empty() || rest.starts_with(b"#") || rest == b"...")
}

/// FNV-1a, 64 bits, never 0: tells whether a file still has these bytes where they stood. No protection
/// against somebody who wants to deceive; a feed's writer can lie anyway.
pub fn mark_of(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step).max(1)
}
