//! The language of the tables: kernel message texts as the kernel's format strings have them, with names
//! where the values stand.
//!
//! | written | means |
//! |---|---|
//! | `Failing path ` | these bytes |
//! | `<member>` | a device name: letters, digits and `_ ! / # @ + -`, as many as there are |
//! | `<sector:num>` | a value of a [`Class`], such as decimal digits |
//! | `<dev:nvme*>` | a device name that begins so |
//! | `<mode=read-only\|fail>` | one of these words |
//! | `<frozen:=true>` | nothing in the text; sets the value |
//! | `{a\|b\|}` | one of these, tried in order; the last one here is nothing at all |
//! | `\{` and `\}` | a brace |
//! | `…` | at the end: whatever follows |
//!
//! A text is matched from its first byte to its last, blanks at its end apart. The name `_` is not kept.
//! A template is small and the texts are short (a kernel record has at most 1024 bytes), so a plain
//! backtracking matcher does; only `word` and `text` values ever try a second length.

/// What a value looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// A device name, or anything else made of its letters; with the beginning that it must have.
    Name(&'static str),
    /// As a name, without the `-8` that jbd2 adds for the inode of the journal.
    Journal,
    /// `ata4` or `ata4.00`.
    Ata,
    /// Decimal digits.
    Num,
    /// Decimal digits, perhaps with a minus.
    Int,
    /// Hexadecimal digits, perhaps with `0x`.
    Hex,
    /// `8:16`: major and minor.
    Pair,
    /// `6:0:0:0`: host, channel, target, LUN.
    Hctl,
    /// Hexadecimal digits and dashes.
    Uuid,
    /// Anything without blanks, the longest that lets the rest match.
    Word,
    /// Anything, the shortest that lets the rest match.
    Text,
    /// As text, at most the 16 bytes that a thread's name may have.
    Comm,
}

impl Class {
    /// By its name in a template; names of devices are the default.
    fn named(name: &'static str) -> Self {
        if let Some(start) = name.strip_suffix('*') {
            return Self::Name(start);
        }
        match name {
            "journal" => Self::Journal,
            "ata" => Self::Ata,
            "num" => Self::Num,
            "int" => Self::Int,
            "hex" => Self::Hex,
            "pair" => Self::Pair,
            "hctl" => Self::Hctl,
            "uuid" => Self::Uuid,
            "word" => Self::Word,
            "text" => Self::Text,
            "comm" => Self::Comm,
            _ => Self::Name(""),
        }
    }

    /// Bytes of the value at the front of `text`, for the classes of which there is one length only.
    fn length(self, text: &[u8]) -> usize {
        match self {
            Self::Name(start) if text.starts_with(start.as_bytes()) => run(text, is_name),
            Self::Journal => run(text, is_name),
            Self::Ata => ata(text),
            Self::Num => digits(text),
            Self::Int => signed(text),
            Self::Hex => hex(text),
            Self::Pair => separated(text, 2),
            Self::Hctl => separated(text, 4),
            Self::Uuid => run(text, |byte| byte.is_ascii_hexdigit() || byte == b'-'),
            _ => 0,
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!/#@+-".contains(&byte)
}

fn run(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| !is(byte)).unwrap_or(text.len())
}

fn digits(text: &[u8]) -> usize {
    run(text, |byte| byte.is_ascii_digit())
}

fn signed(text: &[u8]) -> usize {
    match text.strip_prefix(b"-") {
        Some(rest) if digits(rest) > 0 => 1 + digits(rest),
        Some(_) => 0,
        None => digits(text),
    }
}

fn hex(text: &[u8]) -> usize {
    let is = |byte: u8| byte.is_ascii_hexdigit();
    match text.strip_prefix(b"0x") {
        Some(rest) if run(rest, is) > 0 => 2 + run(rest, is),
        _ => run(text, is),
    }
}

/// `count` decimal numbers with colons between them.
fn separated(text: &[u8], count: usize) -> usize {
    let mut length = 0;
    for number in 0..count {
        let mut rest = text.get(length..).unwrap_or_default();
        if number > 0 {
            let Some(after) = rest.strip_prefix(b":") else { return 0 };
            (rest, length) = (after, length + 1);
        }
        match digits(rest) {
            0 => return 0,
            some => length += some,
        }
    }
    length
}

fn ata(text: &[u8]) -> usize {
    let Some(rest) = text.strip_prefix(b"ata") else { return 0 };
    let port = digits(rest);
    let device = match rest.get(port..).unwrap_or_default().strip_prefix(b".") {
        Some(rest) if digits(rest) > 0 => 1 + digits(rest),
        _ => 0,
    };
    if port == 0 { 0 } else { 3 + port + device }
}

/// A device name without the tail that jbd2 gives it: `sda-8` and `dm-0-8`, but not `dm-0`.
fn without_inode(name: &[u8]) -> usize {
    let tail = name.iter().rev().position(|byte| !byte.is_ascii_digit()).unwrap_or(0);
    let dash = name.len().saturating_sub(tail + 1);
    match name.get(..dash) {
        Some(rest) if tail > 0 && name.get(dash) == Some(&b'-') && rest != b"dm" => dash,
        _ => name.len(),
    }
}

/// Where a value is: bytes of the text, or words of the template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Span(usize, usize),
    Set(&'static str),
}

impl Piece {
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        match self {
            Self::Span(start, end) => text.get(start..end).unwrap_or_default(),
            Self::Set(value) => value.as_bytes(),
        }
    }
}

/// The values of a match in the order of the text.
pub(super) type Pieces = Vec<(&'static str, Piece)>;

#[derive(Clone, Debug)]
enum Step {
    Literal(&'static [u8]),
    Value(&'static str, Class),
    Choice(&'static str, Vec<&'static str>),
    Set(&'static str, &'static str),
    /// Goes on at one of these steps.
    Either(Vec<usize>),
    Jump(usize),
    /// The text has to be at its end.
    End,
    /// Done, whatever follows.
    Open,
}

/// Which bytes a text may begin with.
pub(super) type FirstBytes = [bool; 256];

/// What parts a value from what follows it in most heads.
const COLON: &[u8] = b": ";

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    steps: Vec<Step>,
}

impl Template {
    /// For a whole text.
    pub(super) fn whole(source: &'static str) -> Self {
        let (source, last) = match source.strip_suffix('…') {
            Some(source) => (source, Step::Open),
            None => (source, Step::End),
        };
        Self::compile(source, last)
    }

    /// For the head of a text.
    pub(super) fn head(source: &'static str) -> Self {
        Self::compile(source, Step::Open)
    }

    fn compile(source: &'static str, last: Step) -> Self {
        let mut compiler = Compiler { rest: source, steps: Vec::new() };
        compiler.sequence();
        compiler.steps.push(last);
        Self { steps: compiler.steps }
    }

    /// Matches from `start`; the place behind the match, and the values behind those already there.
    pub(super) fn matches(&self, text: &[u8], start: usize, found: &mut Pieces) -> Option<usize> {
        let mark = found.len();
        let end = self.run(0, text, start, found);
        if end.is_none() {
            found.truncate(mark);
        }
        end
    }

    fn run(&self, step: usize, text: &[u8], at: usize, found: &mut Pieces) -> Option<usize> {
        let (mut step, mut at) = (step, at);
        loop {
            let rest = text.get(at..)?;
            match self.steps.get(step)? {
                Step::Literal(bytes) => {
                    at += rest.starts_with(bytes).then_some(bytes.len())?;
                }
                Step::Value(name, class @ (Class::Word | Class::Text | Class::Comm)) => {
                    return self.fitting(step, name, *class, text, at, found);
                }
                Step::Value(name, class) => {
                    let length = class.length(rest);
                    if length == 0 {
                        return None;
                    }
                    let kept = match class {
                        Class::Journal => without_inode(rest.get(..length)?),
                        _ => length,
                    };
                    keep(found, name, Piece::Span(at, at + kept));
                    at += length;
                }
                Step::Choice(name, words) => {
                    let fit = |word: &&&str| rest.starts_with(word.as_bytes());
                    return words.iter().filter(fit).find_map(|word| {
                        self.branch(
                            step + 1,
                            (name, Piece::Set(word)),
                            text,
                            at + word.len(),
                            found,
                        )
                    });
                }
                Step::Set(name, value) => keep(found, name, Piece::Set(value)),
                Step::Either(starts) => {
                    let mark = found.len();
                    return starts.iter().find_map(|&start| {
                        found.truncate(mark);
                        self.run(start, text, at, found)
                    });
                }
                Step::Jump(to) => {
                    step = *to;
                    continue;
                }
                Step::End => return rest.is_empty().then_some(at),
                Step::Open => return Some(at),
            }
            step += 1;
        }
    }

    /// Tries the lengths of a value that ends where the rest matches.
    fn fitting(
        &self,
        step: usize,
        name: &'static str,
        class: Class,
        text: &[u8],
        at: usize,
        found: &mut Pieces,
    ) -> Option<usize> {
        let rest = text.get(at..)?;
        let longest = match class {
            Class::Word => run(rest, |byte| !byte.is_ascii_whitespace()),
            Class::Comm => rest.len().min(16),
            _ => rest.len(),
        };
        // What may follow is known for most: no need to try where it is not.
        let next = match self.steps.get(step + 1)? {
            Step::Literal(bytes) => Some(*bytes),
            Step::End if longest < rest.len() || rest.is_empty() => return None,
            Step::End => {
                return self.branch(
                    step + 1,
                    (name, Piece::Span(at, text.len())),
                    text,
                    text.len(),
                    found,
                );
            }
            _ => None,
        };
        let fits = |length: usize| match next {
            Some(bytes) => rest.get(length..).is_some_and(|rest| rest.starts_with(bytes)),
            None => true,
        };
        let mut attempt = |length: usize| {
            if !fits(length) {
                return None;
            }
            self.branch(step + 1, (name, Piece::Span(at, at + length)), text, at + length, found)
        };
        match class {
            Class::Word => (1..=longest).rev().find_map(attempt),
            _ => (1..=longest).find_map(&mut attempt),
        }
    }

    fn branch(
        &self,
        step: usize,
        (name, piece): (&'static str, Piece),
        text: &[u8],
        at: usize,
        found: &mut Pieces,
    ) -> Option<usize> {
        let mark = found.len();
        keep(found, name, piece);
        let end = self.run(step, text, at, found);
        if end.is_none() {
            found.truncate(mark);
        }
        end
    }

    /// Adds the bytes that a matching text may begin with; false if it may begin with nothing at all.
    pub(super) fn first_bytes(&self, into: &mut FirstBytes) -> bool {
        self.first_bytes_from(0, into)
    }

    /// For a template that begins with a value and a colon: the bytes that have to stand behind the first
    /// colon of a text.
    pub(super) fn behind_colon(&self) -> Option<&'static [u8]> {
        match self.steps.as_slice() {
            [Step::Value(..), Step::Literal(bytes), ..] => bytes.strip_prefix(COLON),
            _ => None,
        }
    }

    fn first_bytes_from(&self, step: usize, into: &mut FirstBytes) -> bool {
        let one = |byte: Option<&u8>, into: &mut FirstBytes| {
            if let Some(slot) = byte.and_then(|&byte| into.get_mut(usize::from(byte))) {
                *slot = true;
            }
            true
        };
        match self.steps.get(step) {
            Some(Step::Literal(bytes)) => one(bytes.first(), into),
            Some(Step::Value(_, Class::Name(start))) if !start.is_empty() => {
                one(start.as_bytes().first(), into)
            }
            Some(Step::Value(_, Class::Ata)) => one(Some(&b'a'), into),
            Some(Step::Value(..)) => {
                into.fill(true);
                true
            }
            Some(Step::Choice(_, words)) => {
                words.iter().all(|word| one(word.as_bytes().first(), into))
            }
            Some(Step::Set(..)) => self.first_bytes_from(step + 1, into),
            // Every branch has its say, so no short cut.
            Some(Step::Either(starts)) => {
                let sure = starts.iter().filter(|start| self.first_bytes_from(**start, into));
                sure.count() == starts.len()
            }
            Some(Step::Jump(to)) => self.first_bytes_from(*to, into),
            Some(Step::End | Step::Open) | None => false,
        }
    }
}

fn keep(found: &mut Pieces, name: &'static str, piece: Piece) {
    if name != "_" {
        found.push((name, piece));
    }
}

/// Reads a template; what it cannot make sense of it takes literally.
struct Compiler {
    rest: &'static str,
    steps: Vec<Step>,
}

impl Compiler {
    /// Up to the end, or to the `|` or `}` of the alternatives around.
    fn sequence(&mut self) {
        while !self.rest.is_empty() {
            match self.rest.as_bytes().first() {
                Some(b'\\') => self.escape(),
                Some(b'{') => self.alternatives(),
                Some(b'<') => self.value(),
                Some(b'|' | b'}') => return,
                _ => {
                    let length =
                        self.rest.find(['{', '}', '|', '<', '\\']).unwrap_or(self.rest.len());
                    self.literal(length);
                }
            }
        }
    }

    fn literal(&mut self, length: usize) {
        let (text, rest) = self.rest.split_at(length);
        self.steps.push(Step::Literal(text.as_bytes()));
        self.rest = rest;
    }

    fn escape(&mut self) {
        self.rest = self.rest.split_at(1).1;
        self.literal(self.rest.chars().next().map_or(0, char::len_utf8));
    }

    fn alternatives(&mut self) {
        self.rest = self.rest.split_at(1).1;
        let either = self.steps.len();
        self.steps.push(Step::Either(Vec::new()));
        let (mut starts, mut jumps) = (Vec::new(), Vec::new());
        loop {
            starts.push(self.steps.len());
            self.sequence();
            jumps.push(self.steps.len());
            self.steps.push(Step::Jump(0));
            let more = self.rest.starts_with('|');
            self.rest = self.rest.get(1..).unwrap_or("");
            if !more {
                break;
            }
        }
        let end = self.steps.len();
        for jump in jumps {
            self.steps[jump] = Step::Jump(end);
        }
        self.steps[either] = Step::Either(starts);
    }

    fn value(&mut self) {
        let (inside, rest) = self.rest.split_at(1).1.split_once('>').unwrap_or(("_", ""));
        self.rest = rest;
        self.steps.push(if let Some((name, value)) = inside.split_once(":=") {
            Step::Set(name, value)
        } else if let Some((name, words)) = inside.split_once('=') {
            Step::Choice(name, words.split('|').collect())
        } else {
            let (name, class) = inside.split_once(':').unwrap_or((inside, ""));
            Step::Value(name, Class::named(class))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(template: &'static str, text: &str) -> Option<Vec<(&'static str, String)>> {
        let mut found = vec![("kept", Piece::Set("x"))];
        let end = Template::whole(template).matches(text.as_bytes(), 0, &mut found);
        assert_eq!(found.remove(0), ("kept", Piece::Set("x")));
        assert!(end.is_some() || found.is_empty(), "values of a miss");
        let value = |piece: Piece| String::from_utf8_lossy(piece.of(text.as_bytes())).into_owned();
        end.map(|_| found.into_iter().map(|(name, piece)| (name, value(piece))).collect())
    }

    fn one(name: &'static str, value: &str) -> Option<Vec<(&'static str, String)>> {
        Some(vec![(name, value.to_owned())])
    }

    #[test]
    fn texts_are_anchored_at_both_ends() {
        assert_eq!(read("a b", "a b"), Some(vec![]));
        assert_eq!(read("a b", "a b."), None);
        assert_eq!(read("a b", "xa b"), None);
        assert_eq!(read("a b…", "a b."), Some(vec![]));
        assert_eq!(read("", ""), Some(vec![]));
    }

    #[test]
    fn classes_take_what_they_name() {
        let cases = [
            ("<x>", "dm-3", Some("dm-3")),
            ("<x>", "a b", None),
            ("<x:nvme*>", "nvme0n1", Some("nvme0n1")),
            ("<x:nvme*>", "sda", None),
            ("<x:journal>", "sda-8", Some("sda")),
            ("<x:journal>", "dm-0-8", Some("dm-0")),
            ("<x:journal>", "dm-12", Some("dm-12")),
            ("<x:journal>", "sdb1", Some("sdb1")),
            ("<x:journal>", "-8", Some("")),
            ("<x:ata>", "ata4.00", Some("ata4.00")),
            ("<x:ata>", "ata12", Some("ata12")),
            ("<x:ata>", "ata", None),
            ("<x:num>", "12", Some("12")),
            ("<x:num>", "-12", None),
            ("<x:int>", "-12", Some("-12")),
            ("<x:int>", "-", None),
            ("<x:hex>", "0x1f", Some("0x1f")),
            ("<x:hex>", "80700", Some("80700")),
            ("<x:hex>", "0x", None),
            ("<x:pair>", "8:16", Some("8:16")),
            ("<x:pair>", "8:", None),
            ("<x:hctl>", "6:0:0:1", Some("6:0:0:1")),
            ("<x:hctl>", "6:0:0", None),
            ("<x:uuid>", "0be5-aF", Some("0be5-aF")),
            ("<x:word>", "a:b", Some("a:b")),
            ("<x:word>: …", "a:b: c", Some("a:b")),
            ("<x:word>", "a b", None),
            ("<x:text>", "a b", Some("a b")),
            ("<x:text>", "", None),
            ("<x=a|ab>", "ab", Some("ab")),
            ("<x=a|b>", "c", None),
            ("<x:=set>", "", Some("set")),
        ];
        for (template, text, value) in cases {
            assert_eq!(read(template, text), value.and_then(|value| one("x", value)), "{template}");
        }
    }

    #[test]
    fn alternatives_are_tried_in_order_and_forgotten_when_they_fail() {
        let template = "{<a:num> {x|y}|<b:num> |}<c:word>: <d:text>.";
        let values = |text| read(template, text).map(|found| format!("{found:?}"));
        assert_eq!(values("12 yz: e f.").unwrap(), r#"[("a", "12"), ("c", "z"), ("d", "e f")]"#);
        assert_eq!(values("12 z: e.").unwrap(), r#"[("b", "12"), ("c", "z"), ("d", "e")]"#);
        assert_eq!(values("z: e.g..").unwrap(), r#"[("c", "z"), ("d", "e.g.")]"#);
        assert_eq!(values("z z: e."), None);
    }

    #[test]
    fn braces_are_escaped_and_lone_marks_do_no_harm() {
        assert_eq!(read("\\{ <x:text> \\}", "{ UNC }"), one("x", "UNC"));
        assert_eq!(read("{a{b|}}c", "ac"), Some(vec![]));
        assert_eq!(read("a{b", "ab"), Some(vec![]));
        assert_eq!(read("a<b", "ac"), Some(vec![]));
    }

    #[test]
    fn a_name_of_a_thread_is_short() {
        let template = "<x:comm>: attempt";
        assert_eq!(read(template, "kworker/u8:2: attempt"), one("x", "kworker/u8:2"));
        assert_eq!(read(template, "seventeen letters: attempt"), None);
    }

    #[test]
    fn first_bytes_leave_nothing_out() {
        let first = |source| {
            let mut bytes = [false; 256];
            let sure = Template::head(source).first_bytes(&mut bytes);
            let list: String =
                (0..128u8).filter(|&b| bytes[usize::from(b)]).map(char::from).collect();
            (sure, list)
        };
        assert_eq!(first("{sd|scsi|x} "), (true, "sx".to_owned()));
        assert_eq!(first("{a|}b"), (true, "ab".to_owned()));
        assert_eq!(first("{a|}"), (false, "a".to_owned()));
        assert_eq!(first("<d:ata>:"), (true, "a".to_owned()));
        assert_eq!(first("<d:nbd*>:"), (true, "n".to_owned()));
        assert_eq!(first("<k=red|blue>"), (true, "br".to_owned()));
        assert_eq!(first("<d>: ").1.len(), 128);
    }

    #[test]
    fn what_stands_behind_the_colon_is_known() {
        assert_eq!(Template::head("<d>: mismatch ").behind_colon(), Some(&b"mismatch "[..]));
        assert_eq!(Template::head("sd <d>: x").behind_colon(), None);
        assert_eq!(Template::head("<d>, x").behind_colon(), None);
    }

    #[test]
    fn hostile_texts_cost_little() {
        let text = "a: ".repeat(3000);
        assert_eq!(read("<a:text>: <b:text>: <c:num>", &text[..3000]), None);
    }
}
