//! From the name of a user or group to its number.

use std::fmt;

use nix::unistd::{Group, User};

/// Whose limits an entry holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    User,
    Group,
}

impl Kind {
    /// The kind of which `word` is the keyword in either format.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word {
            "user" => Some(Self::User),
            "group" => Some(Self::Group),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
        })
    }
}

/// The user database, a trait so that tests need no particular one.
pub(super) trait Names {
    /// The id of `name`; `None` if there is no such name.
    ///
    /// # Errors
    ///
    /// The reason why the database could not be asked.
    fn id(&self, kind: Kind, name: &str) -> Result<Option<u32>, String>;
}

/// The user database of the system (passwd and group files, or what nsswitch.conf names).
pub(super) struct System;

impl Names for System {
    fn id(&self, kind: Kind, name: &str) -> Result<Option<u32>, String> {
        match kind {
            Kind::User => User::from_name(name).map(|user| user.map(|user| user.uid.as_raw())),
            Kind::Group => {
                Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()))
            }
        }
        .map_err(|errno| format!("cannot look up {kind} '{name}': {}", errno.desc()))
    }
}

/// The id that `text` means: a number as it is, whether or not anybody has it, else a known name.
///
/// # Errors
///
/// The reason: the number is no id, the name is unknown or could not be looked up.
pub(super) fn resolve(names: &dyn Names, kind: Kind, text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Err(format!("'{kind}' needs a name or a number"));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // The highest number is what chown(2) takes for "leave it", so nobody can have it.
        return match text.parse() {
            Ok(id) if id != u32::MAX => Ok(id),
            _ => Err(format!("{kind} number '{text}' is too large")),
        };
    }
    names.id(kind, text)?.ok_or_else(|| format!("unknown {kind} '{text}'"))
}

/// A user database for tests: users ann (1000) and ben (1001), group staff (50); asking for
/// `broken` fails.
#[cfg(test)]
pub(super) struct Fixed;

#[cfg(test)]
impl Names for Fixed {
    fn id(&self, kind: Kind, name: &str) -> Result<Option<u32>, String> {
        match (kind, name) {
            (Kind::User, "ann") => Ok(Some(1000)),
            (Kind::User, "ben") => Ok(Some(1001)),
            (Kind::Group, "staff") => Ok(Some(50)),
            (_, "broken") => Err("cannot look up".to_owned()),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, text: &str, expected: Result<u32, &str>) {
        assert_eq!(resolve(&Fixed, kind, text), expected.map_err(str::to_owned), "{kind} {text}");
    }

    #[test]
    fn names_and_numbers() {
        check(Kind::User, "ann", Ok(1000));
        check(Kind::Group, "staff", Ok(50));
        check(Kind::User, "54321", Ok(54321));
        check(Kind::Group, "0", Ok(0));
        check(Kind::User, "4294967294", Ok(4_294_967_294));
    }

    #[test]
    fn refusals() {
        check(Kind::User, "staff", Err("unknown user 'staff'"));
        check(Kind::Group, "ann", Err("unknown group 'ann'"));
        check(Kind::User, "-1", Err("unknown user '-1'"));
        check(Kind::User, "4294967295", Err("user number '4294967295' is too large"));
        check(Kind::Group, "99999999999", Err("group number '99999999999' is too large"));
        check(Kind::User, "", Err("'user' needs a name or a number"));
        check(Kind::User, "broken", Err("cannot look up"));
    }

    #[test]
    fn the_system_knows_root() {
        assert_eq!(resolve(&System, Kind::User, "root"), Ok(0));
        assert_eq!(
            resolve(&System, Kind::User, "no\0body"),
            Err("unknown user 'no\0body'".to_owned())
        );
    }
}
