//! Which events pass, and into which queue: globs on the type, in the order in which they were given.

use std::collections::HashMap;

use globset::{GlobBuilder, GlobMatcher};

use crate::event::Class;

/// One `--filter` or `--exclude`.
#[derive(Clone, Debug)]
struct Rule {
    pass: bool,
    glob: GlobMatcher,
}

/// What happens to events of one type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Not wanted.
    Drop,
    /// Goes to the place of this number: 0 is `--queue`, others are `--route`s in their order.
    Place(usize),
}

/// All rules of a tap.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    routes: Vec<(GlobMatcher, usize)>,
    /// Types are few and events many: verdicts of records, and of notes.
    known: [HashMap<String, Verdict>; 2],
}

/// Types remembered with their verdict, at most: peers choose some of the names.
const KNOWN_MAX: usize = 4_096;

/// A glob on types: `*`, `?`, `[...]`, `{a,b}`.
///
/// # Errors
/// What is wrong with it.
pub fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    let built = GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

impl Rules {
    /// Adds a `--filter` (`pass`) or an `--exclude`.
    pub fn add(&mut self, pass: bool, glob: GlobMatcher) {
        self.rules.push(Rule { pass, glob });
    }

    /// Adds a `--route`.
    pub fn add_route(&mut self, glob: GlobMatcher, place: usize) {
        self.routes.push((glob, place));
    }

    /// Decides about an event.
    ///
    /// Notes of the tap itself pass unless a rule that matches them says no: a `--filter` for other
    /// types must not make a loss silent.
    pub fn decide(&mut self, kind: &str, class: Class) -> Verdict {
        if self.rules.is_empty() && self.routes.is_empty() {
            return Verdict::Place(0);
        }
        let is_note = class == Class::Note;
        let known = &self.known[usize::from(is_note)];
        if let Some(verdict) = known.get(kind) {
            return *verdict;
        }
        let verdict = self.look(kind, is_note);
        if known.len() < KNOWN_MAX {
            self.known[usize::from(is_note)].insert(kind.to_owned(), verdict);
        }
        verdict
    }

    fn look(&self, kind: &str, is_note: bool) -> Verdict {
        let last = self.rules.iter().rev().find(|rule| rule.glob.is_match(kind));
        let unless = is_note || !self.rules.first().is_some_and(|rule| rule.pass);
        if !last.map_or(unless, |rule| rule.pass) {
            return Verdict::Drop;
        }
        let route = self.routes.iter().rev().find(|(glob, _)| glob.is_match(kind));
        Verdict::Place(route.map_or(0, |(_, place)| *place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(list: &[(bool, &str)]) -> Rules {
        let mut rules = Rules::default();
        for (pass, pattern) in list {
            rules.add(*pass, glob(pattern).unwrap());
        }
        rules
    }

    fn passes(rules: &mut Rules, kind: &str) -> bool {
        // Twice: the second answer is the remembered one.
        let first = rules.decide(kind, Class::Record);
        assert_eq!(first, rules.decide(kind, Class::Record));
        first != Verdict::Drop
    }

    #[test]
    fn without_a_match_an_event_passes_unless_the_first_rule_is_a_filter() {
        assert!(passes(&mut rules(&[]), "beegfs.create"));
        let mut excluding = rules(&[(false, "beegfs.open_*"), (true, "beegfs.open_write")]);
        assert!(passes(&mut excluding, "beegfs.create"));
        assert!(!passes(&mut excluding, "beegfs.open_read"));
        assert!(passes(&mut excluding, "beegfs.open_write"));
        let mut filtering = rules(&[(true, "beegfs.*"), (false, "beegfs.c?eate")]);
        assert!(!passes(&mut filtering, "beegfs.create"));
        assert!(passes(&mut filtering, "beegfs.unlink"));
        assert!(!passes(&mut filtering, "gluster.volume_create"));
    }

    #[test]
    fn a_note_falls_only_to_a_rule_that_means_it() {
        let mut filtering = rules(&[(true, "beegfs.create")]);
        assert_eq!(filtering.decide("beegfs.gap", Class::Note), Verdict::Place(0));
        assert_eq!(filtering.decide("beegfs.gap", Class::Record), Verdict::Drop);
        let mut excluding = rules(&[(false, "*.gap")]);
        assert_eq!(excluding.decide("beegfs.gap", Class::Note), Verdict::Drop);
    }

    #[test]
    fn routes_move_what_passed() {
        let mut rules = rules(&[(false, "a.x")]);
        rules.add_route(glob("a.*").unwrap(), 1);
        rules.add_route(glob("a.z").unwrap(), 2);
        assert_eq!(rules.decide("a.x", Class::Record), Verdict::Drop);
        assert_eq!(rules.decide("a.y", Class::Record), Verdict::Place(1));
        assert_eq!(rules.decide("a.z", Class::Record), Verdict::Place(2));
        assert_eq!(rules.decide("b", Class::Record), Verdict::Place(0));
        assert!(glob("[").is_err());
    }

    #[test]
    fn types_that_peers_make_up_are_not_all_remembered() {
        let mut rules = rules(&[(true, "a.*")]);
        for number in 0..2 * KNOWN_MAX {
            assert!(passes(&mut rules, &format!("a.{number}")));
            assert!(!passes(&mut rules, &format!("b.{number}")));
        }
        assert!(rules.known.iter().map(|known| known.len()).sum::<usize>() <= KNOWN_MAX);
    }
}
