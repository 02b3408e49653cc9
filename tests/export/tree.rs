//! A second reader: a port of libyaml, the parser inside of the real robinhood.

use libyaml_safer::{EventData, Parser};

/// A document as the parser tells it, with resolved tags.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Scalar(Option<String>, String),
    Seq(Vec<Tree>),
    Map(Option<String>, Vec<(Tree, Tree)>),
}

impl Tree {
    /// The value of a key that stands once.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        let Self::Map(_, pairs) = self else { return None };
        let mut found = pairs.iter().filter(|(name, _)| name.text() == Some(key));
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{key} stands twice");
        Some(value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(_, text) => Some(text),
            _ => None,
        }
    }

    /// The root's tag without its `!`.
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Map(Some(tag), _) => tag.strip_prefix('!').expect("a local tag"),
            _ => panic!("{self:?}"),
        }
    }

    /// A way of keys down to a text.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(self, |tree, key| tree.get(key))?.text()
    }
}

/// All documents of a stream; panics where the parser refuses one.
pub(crate) fn read(yaml: &str) -> Vec<Tree> {
    let mut bytes = yaml.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut open: Vec<Tree> = Vec::new();
    let mut documents = Vec::new();
    let mut keys: Vec<Option<Tree>> = Vec::new();
    loop {
        let event = parser.parse().unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        let done = match event.data {
            EventData::StreamEnd => return documents,
            EventData::Alias { .. } => panic!("an alias"),
            EventData::Scalar { tag, value, .. } => Tree::Scalar(tag, value),
            EventData::SequenceStart { .. } => {
                open.push(Tree::Seq(Vec::new()));
                keys.push(None);
                continue;
            }
            EventData::MappingStart { tag, .. } => {
                open.push(Tree::Map(tag, Vec::new()));
                keys.push(None);
                continue;
            }
            EventData::SequenceEnd | EventData::MappingEnd => {
                keys.pop();
                open.pop().expect("it was opened")
            }
            EventData::StreamStart { .. }
            | EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. } => continue,
        };
        match (open.last_mut(), keys.last_mut()) {
            (Some(Tree::Seq(items)), _) => items.push(done),
            (Some(Tree::Map(_, pairs)), Some(key)) => match key.take() {
                Some(key) => pairs.push((key, done)),
                None => *key = Some(done),
            },
            _ => documents.push(done),
        }
    }
}
