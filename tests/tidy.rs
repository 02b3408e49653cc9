//! The house rules, read from the tree itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom: the table of docs/ARCHITECTURE.md. `cli` may use everything, nobody `cli`.
const LAYERS: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("sys", &[]),
    ("event", &[]),
    ("decode", &["event"]),
    ("export", &["decode", "event"]),
    ("tap", &["decode", "event", "sys"]),
    ("config", &["model", "sys"]),
    ("janitor", &["model", "sys"]),
    ("wire", &["model"]),
    ("client", &["sys", "wire"]),
    ("fuse", &["janitor", "model", "sys", "wire"]),
    ("daemon", &["config", "fuse", "janitor", "model", "sys"]),
    (
        "cli",
        &[
            "client", "config", "daemon", "decode", "event", "export", "fuse", "janitor", "model",
            "sys", "tap", "wire",
        ],
    ),
];

/// Longest source file, lines: longer ones are two rooms in one.
const FILE_LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Code without its line comments.
fn code(path: &Path) -> String {
    let text = read(path);
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn modules() -> Vec<String> {
    let entries = fs::read_dir(root().join("src")).expect("src");
    let names = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("name"));
    names.filter(|name| !name.ends_with(".rs")).collect()
}

/// The modules of ours that a source text names.
fn used(text: &str, all: &[String]) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for part in text.split("crate::").skip(1) {
        let names = if let Some(list) = part.strip_prefix('{') {
            list.split('}').next().unwrap_or("")
        } else {
            part
        };
        for name in names.split(',') {
            let word: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if all.contains(&word) {
                used.insert(word);
            }
            if !part.starts_with('{') {
                break;
            }
        }
    }
    used
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let all = modules();
    for module in &all {
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| name == module)
            .unwrap_or_else(|| panic!("src/{module} is not in the table of layers"));
        for file in files_below(&root().join("src").join(module), "rs") {
            for other in used(&code(&file), &all) {
                assert!(
                    other == *module || allowed.contains(&other.as_str()),
                    "{} uses {other}, which {module} may not",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let all = ["model", "sys", "cli"].map(str::to_owned);
    let text = "use crate::model::Tree; crate::sys::x(); use crate::{cli, other};";
    assert_eq!(used(text, &all).len(), 3);
}

#[test]
fn only_the_edge_names_fuser() {
    for file in files_below(&root().join("src"), "rs") {
        if !file.starts_with(root().join("src/fuse")) {
            assert!(!code(&file).contains("fuser::"), "{} names fuser", file.display());
        }
    }
}

#[test]
fn unsafe_stays_in_sys() {
    for file in files_below(&root().join("src"), "rs") {
        if !file.starts_with(root().join("src/sys")) {
            let text = code(&file);
            assert!(!text.contains("unsafe {"), "{} has unsafe code", file.display());
            assert!(!text.contains("unsafe fn"), "{} has unsafe code", file.display());
        }
    }
}

#[test]
fn the_model_is_pure() {
    let banned = [
        "std::fs",
        "std::io",
        "std::net",
        "std::thread",
        "std::process",
        "std::env",
        "Instant",
        "SystemTime",
        "log::",
        "libc::",
        "nix::",
        "println!",
    ];
    for file in files_below(&root().join("src/model"), "rs") {
        let text = code(&file);
        let text = text.split("#[cfg(test)]").next().unwrap_or("");
        for word in banned {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here so that this file does not find itself.
    let banned = ["todo", "unimplemented"].map(|word| format!("{word}!("));
    let ignored = format!("#[{}", "ignore");
    for dir in ["src", "tests", "benches"] {
        for file in files_below(&root().join(dir), "rs") {
            let text = read(&file);
            for word in &banned {
                assert!(!text.contains(word), "{} says {word}", file.display());
            }
            assert!(!text.contains(&ignored), "{} has an ignored test", file.display());
        }
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for dir in ["src", "tests"] {
        for file in files_below(&root().join(dir), "rs") {
            let lines = read(&file).lines().count();
            assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", file.display());
        }
    }
}

fn pages() -> String {
    let sections = ["1", "5", "8"].map(|section| files_below(&root().join("man"), section));
    let texts: Vec<String> = sections.iter().flatten().map(|page| read(page)).collect();
    // mdoc writes `-` of a flag by itself and escapes others.
    texts.join("\n").replace("\\-", "-")
}

/// Whether a page documents a flag: `.Fl f`, `.Fl -long` or `--long`.
fn documents(pages: &str, flag: &str) -> bool {
    let name = flag.strip_prefix('-').unwrap_or(flag);
    pages.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).any(|pair| pair[0].ends_with("Fl") && pair[1] == name)
            || words.contains(&flag)
    })
}

#[test]
fn every_flag_is_in_a_manual_page() {
    let pages = pages();
    for parser in eventfs::cli::parsers() {
        let mut open = vec![parser];
        while let Some(mut command) = open.pop() {
            command.build();
            for arg in command.get_arguments() {
                for flag in arg.get_long().map(|long| format!("--{long}")).into_iter() {
                    assert!(documents(&pages, &flag), "{}: {flag}", command.get_name());
                }
                for flag in arg.get_short().map(|short| format!("-{short}")).into_iter() {
                    assert!(documents(&pages, &flag), "{}: {flag}", command.get_name());
                }
            }
            open.extend(command.get_subcommands().filter(|c| c.get_name() != "help").cloned());
        }
    }
}

#[test]
fn every_mount_option_is_in_a_manual_page() {
    let pages = pages();
    for option in [
        "allow_other",
        "allow_root",
        "size",
        "nr_events",
        "nr_queues",
        "max_event",
        "root_mode",
        "uid",
        "gid",
        "owner",
        "grace",
        "publish",
        "notify",
        "orphans",
    ] {
        assert!(pages.contains(option), "mount option {option}");
    }
    for (name, _) in eventfs::model::xattr::CONTROLS {
        let name = std::str::from_utf8(name).expect("ASCII");
        assert!(pages.contains(name), "attribute {name}");
    }
}

/// Lines of docs/SEMANTICS.md that state a rule: `**12.3** text (`tests/file.rs::name`, ...)`.
fn rules() -> Vec<(String, Vec<String>)> {
    let text = read(&root().join("docs/SEMANTICS.md"));
    let mut rules = Vec::new();
    for paragraph in text.split("\n\n") {
        let Some(rest) = paragraph.trim().strip_prefix("**") else { continue };
        let Some((number, body)) = rest.split_once("**") else { continue };
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let quoted = body.split('`').skip(1).step_by(2);
        let tests = quoted.filter(|q| q.starts_with("tests/") || q.starts_with("src/"));
        rules.push((number.to_owned(), tests.map(|q| q.split_whitespace().collect()).collect()));
    }
    rules
}

#[test]
fn every_rule_names_a_test_that_exists() {
    let rules = rules();
    assert!(rules.len() >= 40, "only {} rules found: has the form changed?", rules.len());
    let mut seen = BTreeSet::new();
    for (number, tests) in rules {
        assert!(seen.insert(number.clone()), "rule {number} stands twice");
        assert!(!tests.is_empty(), "rule {number} names no test");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{number}: {test}"));
            let text = read(&root().join(file));
            assert!(text.contains(&format!("fn {name}(")), "rule {number}: no test {test}");
        }
    }
}
