//! What we depend on, as far as it can be told without cargo-deny: `make deny` is the whole check.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How Cargo.lock names crates.io.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The program with its tests, and the fuzz targets.
const TREES: [&str; 2] = [".", "fuzz"];

fn path(tree: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(tree).join(file)
}

fn read_toml(tree: &str, file: &str) -> toml::Table {
    let path = path(tree, file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text<'a>(table: &'a toml::Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(toml::Value::as_str)
}

/// The tables of a list; none where there is no list.
fn tables<'a>(table: &'a toml::Table, key: &str) -> impl Iterator<Item = &'a toml::Table> {
    let list = table.get(key).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_table)
}

fn words(table: &toml::Table, key: &str) -> BTreeSet<String> {
    let list = table.get(key).and_then(toml::Value::as_array);
    let words = list.into_iter().flatten().filter_map(toml::Value::as_str);
    words.map(str::to_owned).collect()
}

/// A table of deny.toml.
fn rules(name: &str) -> toml::Table {
    let rules = read_toml(".", "deny.toml").remove(name);
    rules.and_then(|rules| rules.try_into().ok()).unwrap_or_else(|| panic!("deny.toml: [{name}]"))
}

#[test]
fn every_package_comes_from_the_registry_with_a_checksum() {
    for tree in TREES {
        let lock = read_toml(tree, "Cargo.lock");
        let mut foreign = 0;
        for package in tables(&lock, "package") {
            let name = text(package, "name").expect("name");
            if !["eventfs", "eventfs-fuzz"].contains(&name) {
                assert_eq!(text(package, "source"), Some(REGISTRY), "{tree}: {name}");
                let sum = text(package, "checksum").unwrap_or_default();
                let is_sha256 = sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
                assert!(is_sha256, "{tree}: {name} has no checksum");
                foreign += 1;
            }
        }
        assert!(foreign > 50, "{tree}: {foreign} packages: has the form of Cargo.lock changed?");
    }
}

#[test]
fn every_version_that_is_passed_over_is_there_beside_another_one() {
    let lock = read_toml(".", "Cargo.lock");
    let skips = rules("bans");
    for skip in tables(&skips, "skip") {
        assert!(text(skip, "reason").is_some_and(|why| !why.is_empty()), "{skip}: no reason");
        let (name, version) = text(skip, "crate").and_then(|s| s.split_once('@')).expect("crate");
        let is_this = |found: &str| found.strip_prefix(version).is_some_and(|r| r.starts_with('.'));
        let versions: Vec<&str> = tables(&lock, "package")
            .filter(|package| text(package, "name") == Some(name))
            .filter_map(|package| text(package, "version"))
            .collect();
        assert!(versions.iter().any(|found| is_this(found)), "{name}@{version} is not there");
        assert!(versions.iter().any(|found| !is_this(found)), "{name}@{version} is the only one");
    }
}

/// Name and licence of every package that is built for this machine; `None` where one is not here.
fn licences(tree: &str) -> Option<Vec<(String, Option<String>)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let told = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).expect("host");
    let out = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--offline",
            "--locked",
            "--filter-platform",
            host,
        ])
        .arg("--manifest-path")
        .arg(path(tree, "Cargo.toml"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo");
    if !out.status.success() {
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(told.contains("offline"), "{told}");
        return None;
    }
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let packages = told["packages"].as_array().expect("packages");
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    Some(packages.iter().map(|p| (text(&p["name"]).expect("name"), text(&p["license"]))).collect())
}

/// Whether a licence expression holds where these may be used.
fn is_satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // What older manifests have in place of OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let holds = either(&mut rest, allowed);
    assert!(rest.is_empty(), "{expression}: what is {rest:?}?");
    holds
}

fn take<'a>(rest: &mut &[&'a str]) -> &'a str {
    let (first, behind) = rest.split_first().expect("a licence expression that does not end early");
    *rest = behind;
    first
}

fn either(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = both(rest, allowed);
    while rest.first() == Some(&"OR") {
        take(rest);
        holds |= both(rest, allowed);
    }
    holds
}

fn both(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = one(rest, allowed);
    while rest.first() == Some(&"AND") {
        take(rest);
        holds &= one(rest, allowed);
    }
    holds
}

fn one(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let name = take(rest);
    if name == "(" {
        let holds = either(rest, allowed);
        assert_eq!(take(rest), ")", "a bracket is closed");
        return holds;
    }
    if rest.first() == Some(&"WITH") {
        take(rest);
        return allowed.contains(&format!("{name} WITH {}", take(rest)));
    }
    allowed.contains(name)
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    let allowed = ["MIT", "ISC", "A WITH B"].map(str::to_owned).into();
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT OR GPL-3.0 AND Zlib", true),
        ("(MIT OR GPL-3.0) AND Zlib", false),
        ("(GPL-3.0 OR (MIT AND ISC)) AND MIT", true),
        ("A", false),
        ("A WITH B", true),
        ("ISC WITH B", false),
    ] {
        assert_eq!(is_satisfied(expression, &allowed), holds, "{expression}");
    }
}

#[test]
fn every_licence_is_allowed_and_every_allowed_one_is_needed() {
    let rules = rules("licenses");
    let allowed = words(&rules, "allow");
    let mut expressions = BTreeSet::new();
    for tree in TREES {
        let Some(packages) = licences(tree) else {
            common::skip(&format!(
                "licences of {tree}: not all of its packages are on this machine"
            ));
            continue;
        };
        for (name, licence) in packages {
            let is_it = |rule: &&toml::Table| text(rule, "crate") == Some(&name);
            let clarified = tables(&rules, "clarify").find(is_it);
            let clarified = clarified.and_then(|rule| text(rule, "expression")).map(str::to_owned);
            let expression = licence.or(clarified);
            let expression = expression.unwrap_or_else(|| panic!("{name} has no licence"));
            let mut here = allowed.clone();
            if let Some(exception) = tables(&rules, "exceptions").find(is_it) {
                here.extend(words(exception, "allow"));
            }
            assert!(is_satisfied(&expression, &here), "{name}: {expression} is not allowed");
            expressions.insert(expression);
        }
    }
    for licence in allowed.iter().filter(|_| !expressions.is_empty()) {
        let mut without = allowed.clone();
        without.remove(licence);
        let is_needed = expressions.iter().any(|expression| {
            is_satisfied(expression, &allowed) && !is_satisfied(expression, &without)
        });
        assert!(is_needed, "{licence} is allowed, and nothing needs it");
    }
}
