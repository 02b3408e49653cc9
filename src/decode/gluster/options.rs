//! The options of VOLUME_SET: `,key1,value1,key2,value2`, where values may hold commas.
//!
//! Pairs are a guess: what looks like the name of an option begins one, anything else goes on with the
//! value before it.

use super::notes::Notes;

/// The pairs of a comma list. An option without a value, which happens only to the last, is alone.
pub(super) fn pairs(list: &str, notes: &mut Notes) -> Vec<Vec<String>> {
    let list = list.trim_matches(',');
    if list.is_empty() {
        return Vec::new();
    }
    group(list.split(','), notes)
}

/// The same for what the shipped daemon has already cut at the commas and grouped in twos.
pub(super) fn regroup(groups: &[Vec<String>], notes: &mut Notes) -> Vec<Vec<String>> {
    let good = |group: &Vec<String>| matches!(&group[..], [name, _] if is_name(name));
    if groups.iter().all(good) {
        return groups.to_vec();
    }
    let list = groups.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
    let found = pairs(&list, notes);
    if found != groups {
        notes.add(Notes::OPTIONS);
    }
    found
}

fn group<'a>(elements: impl Iterator<Item = &'a str>, notes: &mut Notes) -> Vec<Vec<String>> {
    let mut pairs: Vec<Vec<String>> = Vec::new();
    let mut elements = elements.peekable();
    while let Some(element) = elements.next() {
        match pairs.last_mut() {
            Some(pair) if pair.len() < 2 => {
                if is_name(element) {
                    notes.add(Notes::OPTIONS);
                }
                pair.push(element.to_owned());
            }
            // The last element cannot be a name: there would be no value.
            Some(pair) if !is_name(element) || elements.peek().is_none() => {
                if is_name(element) {
                    notes.add(Notes::OPTIONS);
                }
                extend(pair, element);
            }
            _ => pairs.push(vec![element.to_owned()]),
        }
    }
    pairs
}

fn extend(pair: &mut [String], element: &str) {
    if let Some(value) = pair.last_mut() {
        value.push(',');
        value.push_str(element);
    }
}

/// `word.word`, begins with a letter.
fn is_name(element: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    element.starts_with(|c: char| c.is_ascii_alphabetic())
        && element.contains('.')
        && element.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> (Vec<Vec<String>>, bool) {
        let mut notes = Notes::default();
        (pairs(list, &mut notes), notes.any())
    }

    fn owned(pairs: &[&[&str]]) -> Vec<Vec<String>> {
        pairs.iter().map(|pair| pair.iter().map(|&text| text.to_owned()).collect()).collect()
    }

    #[test]
    fn values_with_commas_stay_whole() {
        let cases: [(&str, &[&[&str]], bool); 10] = [
            ("", &[], false),
            (",,", &[], false),
            (",a.b,on", &[&["a.b", "on"]], false),
            (",auth.allow,127.0.0.1,10.77.0.1", &[&["auth.allow", "127.0.0.1,10.77.0.1"]], false),
            (",a.b,8,c.d-e,64MB", &[&["a.b", "8"], &["c.d-e", "64MB"]], false),
            (",a.b,1,2,c.d,3,4,", &[&["a.b", "1,2"], &["c.d", "3,4"]], false),
            (",user.comment,", &[&["user.comment"]], false),
            (",auth.allow,h1.x,h2.x", &[&["auth.allow", "h1.x,h2.x"]], true),
            (",a.b,c.d,e.f,1", &[&["a.b", "c.d"], &["e.f", "1"]], true),
            ("nodots,x,y", &[&["nodots", "x,y"]], false),
        ];
        for (list, expected, doubtful) in cases {
            assert_eq!(read(list), (owned(expected), doubtful), "{list}");
        }
    }

    type Groups = &'static [&'static [&'static str]];

    #[test]
    fn what_the_daemon_cut_is_put_together() {
        let cases: [(Groups, Groups, bool); 4] = [
            (&[&["a.b", "on"]], &[&["a.b", "on"]], false),
            (
                &[&["auth.allow", "127.0.0.1"], &["10.77.0.1"]],
                &[&["auth.allow", "127.0.0.1,10.77.0.1"]],
                true,
            ),
            (&[&[""]], &[], true),
            (&[&["a.b", "c.d"], &["e.f", "g.h"]], &[&["a.b", "c.d"], &["e.f", "g.h"]], false),
        ];
        for (groups, expected, doubtful) in cases {
            let mut notes = Notes::default();
            assert_eq!(regroup(&owned(groups), &mut notes), owned(expected));
            assert_eq!(notes.has(Notes::OPTIONS), doubtful, "{groups:?}");
        }
    }
}
