//! Names of files that hold events.

use std::borrow::Cow;

/// Longest name without `.json` and `~2`, bytes: `NAME_MAX` of Linux is 255.
const BYTES_MAX: usize = 240;

/// A name that stays in its directory, whatever a source put into it: not empty, no `/`, no control
/// character, no leading dot, not too long. Names of the decoders are such names already.
///
/// ```
/// use eventfs::event::plain_name;
/// assert_eq!(plain_name("beegfs-0000000001-00000000000000000007"),
///            "beegfs-0000000001-00000000000000000007");
/// assert_eq!(plain_name("../../etc/passwd"), "_._.._etc_passwd");
/// ```
pub fn plain_name(name: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c == '/' || c.is_control();
    if !name.is_empty()
        && name.len() <= BYTES_MAX
        && !name.starts_with('.')
        && !name.contains(is_bad)
    {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len().min(BYTES_MAX) + 1);
    for (number, c) in name.chars().enumerate() {
        let c = if is_bad(c) || number == 0 && c == '.' { '_' } else { c };
        if plain.len() + c.len_utf8() > BYTES_MAX {
            break;
        }
        plain.push(c);
    }
    if plain.is_empty() {
        plain.push('_');
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_names_stay_what_they_are() {
        for name in ["hestia-s1-2", "a..b", "größe", &"x".repeat(BYTES_MAX)] {
            assert!(matches!(plain_name(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[test]
    fn others_are_mended() {
        assert_eq!(plain_name(""), "_");
        assert_eq!(plain_name("."), "_");
        assert_eq!(plain_name(".."), "_.");
        assert_eq!(plain_name("/etc/passwd"), "_etc_passwd");
        assert_eq!(plain_name("a\0b\nc"), "a_b_c");
        assert_eq!(plain_name(&"é".repeat(200)).len(), BYTES_MAX);
    }

    proptest! {
        #[test]
        fn a_plain_name_is_one_name_in_its_directory(name in ".*|[./\0a]*") {
            let plain = plain_name(&name);
            let parts: Vec<Component<'_>> = Path::new(plain.as_ref()).components().collect();
            prop_assert!(matches!(parts[..], [Component::Normal(part)] if part == plain.as_ref()));
            prop_assert!(plain.len() <= BYTES_MAX && !plain.starts_with('.'));
            prop_assert!(!plain.contains('\0'));
        }
    }
}
