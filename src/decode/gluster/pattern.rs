//! Patterns for types of events, in every spelling that Gluster's users know.

use super::types::{self, Category};

/// A glob over types such as `gluster.volume_set`, from any of `gluster.volume_*`, `VOLUME_*`,
/// `Volume.*` and `volume_*`.
pub fn glob(pattern: &str) -> String {
    let lower = pattern.to_ascii_lowercase();
    if lower.starts_with("gluster.") || lower.starts_with('*') {
        return lower;
    }
    format!("gluster.{}", lower.replace('.', "_"))
}

/// The category that a pattern such as `@user` names.
pub fn tag(pattern: &str) -> Option<Category> {
    let name = pattern.strip_prefix('@')?;
    Category::ALL.into_iter().find(|category| category.name().eq_ignore_ascii_case(name))
}

/// Which categories are wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Categories(Vec<Category>);

impl Categories {
    /// A comma list such as `user,local`.
    ///
    /// # Errors
    /// The word that is no category.
    pub fn parse(list: &str) -> Result<Self, String> {
        let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        let found: Result<Vec<_>, String> =
            words.map(|word| tag(&format!("@{word}")).ok_or_else(|| word.to_owned())).collect();
        match found {
            Ok(found) if found.is_empty() => Err(list.to_owned()),
            found => found.map(Self),
        }
    }

    /// Whether an event of this type is wanted. What is in no category, because the type is unknown or
    /// the message could not be read, always is.
    pub fn want(&self, kind: &str) -> bool {
        category_of(kind).is_none_or(|category| self.0.contains(&category))
    }
}

/// The category of a type such as `gluster.volume_set`.
pub fn category_of(kind: &str) -> Option<Category> {
    types::by_name(kind.strip_prefix("gluster.")?).map(|event_type| event_type.category)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_a_glob_over_types() {
        let cases = [
            ("Volume.*", "gluster.volume_*"),
            ("VOLUME_*", "gluster.volume_*"),
            ("volume_set", "gluster.volume_set"),
            ("gluster.volume_*", "gluster.volume_*"),
            ("Volume.Remove.Brick.?tart", "gluster.volume_remove_brick_?tart"),
            ("*", "*"),
            ("*.volume_*", "*.volume_*"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(glob(pattern), expected);
        }
    }

    #[test]
    fn categories_are_words_of_a_list() {
        let wanted = Categories::parse("user, Cluster").unwrap();
        assert!(wanted.want("gluster.volume_set"));
        assert!(wanted.want("gluster.quorum_lost"));
        assert!(!wanted.want("gluster.client_connect"));
        assert!(wanted.want("gluster.unknown_999"));
        assert!(wanted.want("gluster.unreadable"));
        assert_eq!(Categories::parse("user,weather"), Err("weather".to_owned()));
        assert!(Categories::parse("").is_err());
        assert_eq!(tag("@LOCAL"), Some(Category::Local));
        assert_eq!(tag("local"), None);
    }
}
