//! Who takes events: the permission checks of the kernel, made here where it cannot make them.

use std::cell::OnceCell;

use super::caller::Caller;

/// Bits of a permission mode, as in the class of others.
pub(crate) const READ: u16 = 4;
/// See [`READ`].
pub(crate) const SEARCH: u16 = 1;
/// See [`READ`].
pub(crate) const WRITE_AND_SEARCH: u16 = 3;

/// Sticky bit of a directory: only the owner of a file, of the directory, and root remove.
const STICKY_BIT: u16 = 0o1000;

/// What the system grants a process beyond its user and group. The capabilities matter only for the
/// superuser, who may have given them up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Powers {
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// May read files and search directories whatever their mode.
    pub reads_all: bool,
    /// May read, write and search whatever the mode.
    pub writes_all: bool,
    /// May do what owners may.
    pub owns_all: bool,
}

/// A caller that wants events, and how to learn its powers where they matter.
pub struct Taker<'a> {
    caller: Caller,
    ask: &'a dyn Fn() -> Powers,
    powers: OnceCell<Powers>,
}

impl<'a> Taker<'a> {
    /// `ask` is called at most once, and only if user and group do not decide.
    pub fn new(caller: Caller, ask: &'a dyn Fn() -> Powers) -> Self {
        Self { caller, ask, powers: OnceCell::new() }
    }

    fn powers(&self) -> &Powers {
        self.powers.get_or_init(self.ask)
    }

    /// Whether something with this mode, user and group gives the caller all that is wanted.
    pub(crate) fn may(&self, (mode, uid, gid): (u16, u32, u32), wanted: u16) -> bool {
        let in_group = || self.caller.gid == gid || self.powers().groups.contains(&gid);
        let bits = match () {
            () if self.caller.uid == uid => mode >> 6,
            // The groups matter only where group and others differ.
            () if (mode >> 3 ^ mode) & wanted == 0 => mode,
            () if in_group() => mode >> 3,
            () => mode,
        };
        bits & wanted == wanted || self.caller.is_root() && self.overrides(wanted)
    }

    fn overrides(&self, wanted: u16) -> bool {
        let powers = self.powers();
        powers.writes_all || powers.reads_all && wanted & !(READ | SEARCH) == 0
    }

    /// Whether the sticky bit of a directory with this mode and user lets the caller remove a file
    /// of `file_uid`.
    pub(crate) fn may_remove(&self, (mode, uid): (u16, u32), file_uid: u32) -> bool {
        mode & STICKY_BIT == 0
            || self.caller.uid == uid
            || self.caller.uid == file_uid
            || self.caller.is_root() && self.powers().owns_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY_IS_ASKED: &dyn Fn() -> Powers = &|| panic!("user and group decide");

    fn who(uid: u32, gid: u32) -> Caller {
        Caller { uid, gid }
    }

    #[test]
    fn the_class_decides_and_no_other() {
        let may =
            |caller, mode, wanted| Taker::new(caller, &Powers::default).may((mode, 7, 70), wanted);
        assert!(may(who(7, 1), 0o400, READ) && !may(who(7, 70), 0o077, READ));
        assert!(may(who(1, 70), 0o040, READ) && !may(who(1, 70), 0o704, READ));
        assert!(may(who(1, 1), 0o004, READ) && !may(who(1, 1), 0o770, READ));
        assert!(
            may(who(1, 1), 0o003, WRITE_AND_SEARCH) && !may(who(1, 1), 0o002, WRITE_AND_SEARCH)
        );
    }

    #[test]
    fn groups_are_asked_for_only_where_they_matter() {
        let taker = Taker::new(who(1, 1), NOBODY_IS_ASKED);
        assert!(taker.may((0o644, 7, 70), READ) && !taker.may((0o600, 7, 70), READ));
        let member = || Powers { groups: vec![5, 70], ..Powers::default() };
        let taker = Taker::new(who(1, 1), &member);
        assert!(taker.may((0o640, 7, 70), READ) && !taker.may((0o604, 7, 70), READ));
    }

    #[test]
    fn root_is_as_mighty_as_its_capabilities() {
        let powerless = Taker::new(Caller::ROOT, &Powers::default);
        assert!(!powerless.may((0o600, 7, 70), READ) && powerless.may((0o604, 7, 70), READ));
        assert!(!powerless.may_remove((0o1777, 7), 8) && powerless.may_remove((0o1777, 7), 0));
        let reads = || Powers { reads_all: true, ..Powers::default() };
        let reader = Taker::new(Caller::ROOT, &reads);
        assert!(reader.may((0, 7, 70), READ | SEARCH) && !reader.may((0, 7, 70), WRITE_AND_SEARCH));
        let all = || Powers { writes_all: true, owns_all: true, ..Powers::default() };
        let root = Taker::new(Caller::ROOT, &all);
        assert!(root.may((0, 7, 70), WRITE_AND_SEARCH) && root.may_remove((0o1777, 7), 8));
        let user = Taker::new(who(1, 1), &all);
        assert!(!user.may((0, 7, 70), READ) && !user.may_remove((0o1777, 7), 8));
    }
}
