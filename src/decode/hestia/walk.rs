//! One document through the YAML parser, with everything bounded.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use super::record::{Pairs, Value};
use super::scalar::{self, Tag};

/// What one document may have at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the document.
    pub document_bytes_max: usize,
    /// Sequences and mappings inside one another. The walk recurses, so keep it below 1 000.
    pub depth_max: usize,
    /// Scalars, sequences and mappings.
    pub nodes_max: usize,
    /// Bytes of one scalar.
    pub text_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes_max: 1 << 20,
            depth_max: 64,
            nodes_max: 10_000,
            text_bytes_max: 256 << 10,
        }
    }
}

/// Why a document cannot be read, in a few words.
pub(super) type Fault = String;

/// Something in a known event that nobody knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// Keys down to it, with dots between them.
    pub path: String,
    /// A tag that is not in the tables.
    pub tag: Option<String>,
    /// Its value, unless that stands elsewhere.
    pub value: Option<Value>,
}

/// What comes next in a document.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Scalar(Scalar<'a>),
    Seq,
    Map(Tag),
    /// The end of the sequence or mapping.
    End,
}

#[derive(Debug)]
pub(super) struct Scalar<'a> {
    pub(super) text: Cow<'a, str>,
    /// Without quotes or block indicators.
    pub(super) plain: bool,
    pub(super) tag: Tag,
}

/// The parser stops at the first event that is too much. Only where a key may stand it looks ahead: `[` or `{`
/// there is scanned to its end, which for 1 MiB takes it 0.1 to 0.3 s. Whether a bracket is one, and not a part
/// of some text, only such a scanner can tell, so nothing cheaper stands before it.
pub(super) struct Walk<'a> {
    parser: Parser<'a, StrInput<'a>>,
    limits: Limits,
    nodes: usize,
    depth: usize,
    /// What was met and is not known.
    pub(super) unknown: Vec<Unknown>,
}

impl<'a> Walk<'a> {
    /// Checks the characters, which the parser does not.
    pub(super) fn new(document: &'a [u8], limits: Limits) -> Result<Self, Fault> {
        let text = std::str::from_utf8(document)
            .map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
        if let Some(wrong) = unprintable(text) {
            return Err(format!("the character U+{:04X} is not allowed", u32::from(wrong)));
        }
        let parser = Parser::new_from_str(text);
        Ok(Self { parser, limits, nodes: 0, depth: 0, unknown: Vec::new() })
    }

    /// The root's tag: it must be a mapping.
    pub(super) fn root(&mut self) -> Result<Tag, Fault> {
        match self.node()? {
            Node::Map(tag) => Ok(tag),
            Node::Scalar(scalar) if scalar.text.is_empty() => Err("an empty document".to_owned()),
            _ => Err("the document is no mapping".to_owned()),
        }
    }

    /// The next node, or the end of the sequence or mapping that is open.
    pub(super) fn node(&mut self) -> Result<Node<'a>, Fault> {
        loop {
            let event = self.parser.next_event().ok_or("the document ends too early")?;
            let (event, _) = event.map_err(|error| describe(&error))?;
            let node = match event {
                Event::Scalar(text, style, _, tag) => {
                    if text.len() > self.limits.text_bytes_max {
                        return Err("a text is too long".to_owned());
                    }
                    let plain = style == ScalarStyle::Plain;
                    Node::Scalar(Scalar { text, plain, tag: Tag::of(tag.as_deref()) })
                }
                // The real reader ignores the tag of a sequence.
                Event::SequenceStart(..) => self.deeper(Node::Seq)?,
                Event::MappingStart(_, tag) => self.deeper(Node::Map(Tag::of(tag.as_deref())))?,
                Event::SequenceEnd | Event::MappingEnd => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Node::End);
                }
                Event::Alias(_) => return Err("aliases are not read".to_owned()),
                Event::StreamEnd => return Err("an empty document".to_owned()),
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => continue,
            };
            self.nodes += 1;
            if self.nodes > self.limits.nodes_max {
                return Err("too many nodes".to_owned());
            }
            return Ok(node);
        }
    }

    fn deeper(&mut self, node: Node<'a>) -> Result<Node<'a>, Fault> {
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            return Err("nested too deeply".to_owned());
        }
        Ok(node)
    }

    /// Behind the root's end: nothing else may follow.
    pub(super) fn finish(mut self) -> Result<Vec<Unknown>, Fault> {
        while let Some(event) = self.parser.next_event() {
            match event.map_err(|error| describe(&error))?.0 {
                Event::DocumentEnd | Event::StreamEnd | Event::Nothing => {}
                _ => return Err("something follows the document".to_owned()),
            }
        }
        Ok(self.unknown)
    }

    /// The next key of a mapping, or nothing at its end.
    pub(super) fn key(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.node()? {
            Node::End => Ok(None),
            Node::Scalar(Scalar { text, tag: Tag::None | Tag::Str, .. }) => Ok(Some(text)),
            Node::Scalar(scalar) => Err(format!("a key tagged {}", scalar.tag.name())),
            Node::Seq | Node::Map(_) => Err("a key that is no text".to_owned()),
        }
    }

    /// Goes into a mapping of fields.
    pub(super) fn fields(&mut self, node: Node<'a>, path: &str) -> Result<(), Fault> {
        match node {
            Node::Map(Tag::None) => Ok(()),
            Node::Map(Tag::Local(name)) => {
                self.note(path, Some(name), None);
                Ok(())
            }
            Node::Map(tag) => Err(format!("{path}: a mapping tagged {}", tag.name())),
            _ => Err(format!("{path}: no mapping")),
        }
    }

    /// Goes over a node, whatever it holds.
    pub(super) fn skip(&mut self, node: &Node<'a>) -> Result<(), Fault> {
        let mut open = usize::from(matches!(node, Node::Seq | Node::Map(_)));
        while open > 0 {
            match self.node()? {
                Node::Seq | Node::Map(_) => open += 1,
                Node::End => open -= 1,
                Node::Scalar(_) => {}
            }
        }
        Ok(())
    }

    /// Keeps a value whose key is not known.
    pub(super) fn keep(&mut self, node: Node<'a>, path: &str) -> Result<(), Fault> {
        let value = self.value(node, path, Item::OfMap)?;
        self.note(path, None, Some(value));
        Ok(())
    }

    pub(super) fn note(&mut self, path: &str, tag: Option<String>, value: Option<Value>) {
        self.unknown.push(Unknown { path: path.to_owned(), tag, value });
    }

    /// Text: `name`, `symlink`, `type`.
    pub(super) fn text(&mut self, node: Node<'a>, path: &str) -> Result<Cow<'a, str>, Fault> {
        match node {
            Node::Scalar(Scalar { text, tag: Tag::None | Tag::Str, .. }) => Ok(text),
            Node::Scalar(scalar) => Err(format!("{path}: {} where text is due", scalar.tag.name())),
            _ => Err(format!("{path}: no text")),
        }
    }

    /// Bytes: `id`, `parent`.
    pub(super) fn bytes(&mut self, node: Node<'a>, path: &str) -> Result<Vec<u8>, Fault> {
        let Node::Scalar(scalar) = node else { return Err(format!("{path}: no base64")) };
        match scalar.tag {
            Tag::Binary => {}
            Tag::None if scalar.plain => {}
            Tag::None => return Err(format!("{path}: quoted without !!binary")),
            tag => return Err(format!("{path}: {} where !!binary is due", tag.name())),
        }
        scalar::binary(&scalar.text).ok_or_else(|| format!("{path}: bad base64"))
    }

    /// A scalar field that may be untagged and plain, or have its own tag; nothing if it has a tag that
    /// nobody knows.
    pub(super) fn field(
        &mut self,
        node: Node<'a>,
        path: &str,
        want: &Tag,
    ) -> Result<Option<Cow<'a, str>>, Fault> {
        let Node::Scalar(scalar) = node else { return Err(format!("{path}: no scalar")) };
        match scalar.tag {
            Tag::None if scalar.plain => Ok(Some(scalar.text)),
            Tag::None => Err(format!("{path}: quoted without {}", want.name())),
            Tag::Local(name) => {
                let value = Value::Text(scalar.text.into_owned());
                self.note(path, Some(name), Some(value));
                Ok(None)
            }
            tag if tag == *want => Ok(Some(scalar.text)),
            tag => Err(format!("{path}: {} where {} is due", tag.name(), want.name())),
        }
    }

    /// Attributes: a mapping from text to values.
    pub(super) fn pairs(&mut self, node: Node<'a>, path: &str) -> Result<Pairs, Fault> {
        self.fields(node, path)?;
        self.entries(path)
    }

    /// The entries of a mapping that is open.
    fn entries(&mut self, path: &str) -> Result<Pairs, Fault> {
        let mut pairs = Vec::new();
        while let Some(key) = self.key()? {
            let node = self.node()?;
            let value = match &node {
                Node::Scalar(_) => self.entry(node, path, &key)?,
                _ => self.value(node, &format!("{path}.{key}"), Item::OfMap)?,
            };
            pairs.push((key.into_owned(), value));
        }
        Ok(pairs)
    }

    /// A scalar among the entries of a mapping. Nearly all are good, so its path is made when it is
    /// needed.
    fn entry(&mut self, node: Node<'a>, path: &str, key: &str) -> Result<Value, Fault> {
        let before = self.unknown.len();
        let value = self.value(node, key, Item::OfMap);
        for unknown in self.unknown.iter_mut().skip(before) {
            unknown.path.insert_str(0, &format!("{path}."));
        }
        value.map_err(|fault| format!("{path}.{fault}"))
    }

    /// Any value.
    pub(super) fn value(&mut self, node: Node<'a>, path: &str, item: Item) -> Result<Value, Fault> {
        match node {
            Node::Scalar(scalar) => self.scalar(scalar, path, item),
            Node::Seq => {
                let mut items = Vec::new();
                loop {
                    match self.node()? {
                        Node::End => return Ok(Value::Seq(items)),
                        node => items.push(self.value(node, path, Item::OfSeq)?),
                    }
                }
            }
            Node::Map(Tag::Regex) => self.regex(path),
            map @ Node::Map(_) => self.pairs(map, path).map(Value::Map),
            Node::End => Err(format!("{path}: no value")),
        }
    }

    fn scalar(&mut self, scalar: Scalar<'a>, path: &str, item: Item) -> Result<Value, Fault> {
        let Scalar { text, plain, tag } = scalar;
        let bad = || format!("{path}: bad {}", tag.name());
        let value = match &tag {
            Tag::None if plain && item == Item::OfMap && scalar::is_null(&text) => Value::Null,
            Tag::None | Tag::Str => Value::Text(text.into_owned()),
            Tag::Null => Value::Null,
            Tag::Binary => Value::Binary(scalar::binary(&text).ok_or_else(bad)?),
            Tag::Bool => Value::Bool(scalar::boolean(&text).ok_or_else(bad)?),
            Tag::Uint32 => Value::Uint32(uint32(&text).ok_or_else(bad)?),
            Tag::Uint64 => Value::Uint64(scalar::unsigned(&text).ok_or_else(bad)?),
            Tag::Int32 => Value::Int32(int32(&text).ok_or_else(bad)?),
            Tag::Int64 => Value::Int64(scalar::signed(&text).ok_or_else(bad)?),
            Tag::Double => Value::Double(scalar::double(&text).ok_or_else(bad)?),
            Tag::Local(name) => {
                self.note(path, Some(name.clone()), None);
                Value::Text(text.into_owned())
            }
            Tag::Int | Tag::Regex | Tag::Core(_) => {
                return Err(format!("{path}: a value tagged {}", tag.name()));
            }
        };
        Ok(value)
    }

    /// As the real reader does, whatever is wrong with the options leaves them at 0.
    fn regex(&mut self, path: &str) -> Result<Value, Fault> {
        let (mut pattern, mut options) = (None, 0);
        while let Some(key) = self.key()? {
            let node = self.node()?;
            let inner = format!("{path}.{key}");
            match (&*key, node) {
                ("regex", node) => pattern = Some(self.text(node, &inner)?.into_owned()),
                ("options", Node::Scalar(Scalar { text, plain, tag: Tag::None | Tag::Int }))
                    if plain && !text.is_empty() && uint32(&text).is_some() =>
                {
                    options = uint32(&text).unwrap_or_default();
                }
                (_, node) => self.keep(node, &inner)?,
            }
        }
        let pattern = pattern.ok_or_else(|| format!("{path}: a regex without a pattern"))?;
        Ok(Value::Regex(pattern, options))
    }
}

/// Where a value stands: among the items of a sequence nothing is null without a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Item {
    OfMap,
    OfSeq,
}

pub(super) fn uint32(text: &str) -> Option<u32> {
    u32::try_from(scalar::unsigned(text)?).ok()
}

fn int32(text: &str) -> Option<i32> {
    i32::try_from(scalar::signed(text)?).ok()
}

fn describe(error: &ScanError) -> Fault {
    let at = error.marker();
    format!("line {} column {}: {}", at.line(), at.col() + 1, error.info())
}

/// The first character that libyaml does not let into a stream.
fn unprintable(text: &str) -> Option<char> {
    let simple = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if text.as_bytes().iter().all(simple) {
        return None;
    }
    text.chars().find(|c| {
        !matches!(c,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
    })
}
