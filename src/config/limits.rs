//! Collects limits from either format; refuses what stands twice and fills in the defaults.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::path::{Path, PathBuf};

use super::names::{Kind, Names, resolve};
use crate::model::quota::{Quota, Quotas};

/// The limit of `quota` that the key `key` sets; `None` if there is no such key.
pub(super) fn slot<'q>(quota: &'q mut Quota, key: &str) -> Option<&'q mut Option<u64>> {
    match key {
        "max_dirs" => Some(&mut quota.max_dirs),
        "max_files" => Some(&mut quota.max_files),
        "max_files_per_dir" => Some(&mut quota.max_files_per_dir),
        "max_bytes" => Some(&mut quota.max_bytes),
        _ => None,
    }
}

/// The limits read so far.
pub(super) struct Limits<'n> {
    names: &'n dyn Names,
    /// What holds where an entry says nothing, and for users without one.
    pub(super) default: Quota,
    users: HashMap<u32, Entry>,
    groups: HashMap<u32, Entry>,
}

/// The limits of one user or group as written, and where, to name the place if they come again.
struct Entry {
    quota: Quota,
    file: PathBuf,
    line: usize,
}

impl<'n> Limits<'n> {
    pub(super) fn new(names: &'n dyn Names) -> Self {
        Self { names, default: Quota::default(), users: HashMap::new(), groups: HashMap::new() }
    }

    /// The user database.
    pub(super) fn names(&self) -> &'n dyn Names {
        self.names
    }

    /// Begins the entry of the user or group `name` and returns its limits to be set; `file` and
    /// `line` say where it stands.
    ///
    /// # Errors
    ///
    /// The reason: the name means nobody, or this id (under whatever name) has an entry already.
    pub(super) fn entry(
        &mut self,
        kind: Kind,
        name: &str,
        file: &Path,
        line: usize,
    ) -> Result<&mut Quota, String> {
        let id = resolve(self.names, kind, name)?;
        let entries = match kind {
            Kind::User => &mut self.users,
            Kind::Group => &mut self.groups,
        };
        match entries.entry(id) {
            MapEntry::Occupied(old) => Err(format!(
                "{kind} '{name}' ({id}) has limits already, at {}:{}",
                old.get().file.display(),
                old.get().line
            )),
            MapEntry::Vacant(free) => {
                let entry = Entry { quota: Quota::default(), file: file.to_owned(), line };
                Ok(&mut free.insert(entry).quota)
            }
        }
    }

    /// The limits with every gap of an entry filled from the defaults.
    pub(super) fn finish(self) -> Quotas {
        let default = self.default;
        let complete = |entries: HashMap<u32, Entry>| {
            entries.into_iter().map(|(id, entry)| (id, completed(entry.quota, default))).collect()
        };
        Quotas { default, users: complete(self.users), groups: complete(self.groups) }
    }
}

fn completed(quota: Quota, default: Quota) -> Quota {
    Quota {
        max_dirs: quota.max_dirs.or(default.max_dirs),
        max_files: quota.max_files.or(default.max_files),
        max_files_per_dir: quota.max_files_per_dir.or(default.max_files_per_dir),
        max_bytes: quota.max_bytes.or(default.max_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Fixed;
    use super::*;

    #[test]
    fn gaps_take_the_defaults_whenever_these_come() {
        let mut limits = Limits::new(&Fixed);
        let quota = limits.entry(Kind::User, "ann", Path::new("f"), 1).unwrap();
        quota.max_dirs = Some(3);
        quota.max_bytes = Some(0);
        limits.entry(Kind::Group, "staff", Path::new("f"), 2).unwrap().max_files = Some(1);
        limits.default.max_dirs = Some(9);
        limits.default.max_files = Some(8);
        let quotas = limits.finish();
        let (dirs, files, bytes) = (Some(3), Some(8), Some(0));
        let ann =
            Quota { max_dirs: dirs, max_files: files, max_files_per_dir: None, max_bytes: bytes };
        assert_eq!(quotas.users, HashMap::from([(1000, ann)]));
        assert_eq!(quotas.groups[&50].max_dirs, Some(9));
        assert_eq!(quotas.groups[&50].max_files, Some(1));
        assert_eq!(quotas.default.max_files, Some(8));
    }

    #[test]
    fn an_id_has_one_entry_under_all_its_names() {
        let mut limits = Limits::new(&Fixed);
        limits.entry(Kind::User, "ann", Path::new("one"), 4).unwrap();
        let reason = limits.entry(Kind::User, "1000", Path::new("two"), 2).unwrap_err();
        assert_eq!(reason, "user '1000' (1000) has limits already, at one:4");
        // The same number as a group is somebody else.
        limits.entry(Kind::Group, "1000", Path::new("two"), 2).unwrap();
    }
}
