//! docs/SECURITY.md says what the tests try, cell by cell.

use std::fs;
use std::path::Path;

use crate::cells::Row;
use crate::{control, private, public, root, sticky_bit};

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md");
    fs::read_to_string(path).expect("docs/SECURITY.md")
}

/// An answer as the document writes it.
fn word(answer: i32) -> &'static str {
    match answer {
        crate::cells::YES => "yes",
        libc::EPERM => "EPERM",
        libc::EACCES => "EACCES",
        libc::EINVAL => "EINVAL",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        other => panic!("no word for error {other}"),
    }
}

fn line((name, answers): &Row) -> String {
    let cells: Vec<&str> = answers.iter().map(|answer| word(*answer)).collect();
    format!("| `{name}` | {} |", cells.join(" | "))
}

/// The lines of the table that stands below the line that names a file.
fn table(file: &str) -> Vec<String> {
    let text = text();
    let below = text.split_once(&format!("(`tests/security/{file}.rs`)"));
    let (_, below) = below.unwrap_or_else(|| panic!("no table for {file}"));
    let lines = below.lines().skip_while(|line| !line.starts_with('|'));
    let lines = lines.take_while(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn same(file: &str, rows: &[Row]) {
    let written = table(file);
    let tried: Vec<String> = rows.iter().map(line).collect();
    for line in &tried {
        assert!(written.contains(line), "docs/SECURITY.md, table of {file}, lacks:\n{line}");
    }
    assert_eq!(written, tried, "the same rows in the same order");
}

#[test]
fn every_cell_of_the_tables_is_tried() {
    same("private", private::ROWS);
    same("public", public::ROWS);
    same("sticky_bit", sticky_bit::ROWS);
    same("control", control::ROWS);
    same("root", root::ROWS);
}

/// Whether a word is the name of a constant; error numbers have no `_`.
fn is_constant(word: &str) -> bool {
    word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn sources(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).expect("src") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else {
            all.push_str(&fs::read_to_string(path).expect("source"));
        }
    }
}

#[test]
fn every_constant_that_the_document_names_exists() {
    let mut code = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    let text = text();
    let constants: Vec<&str> =
        text.split('`').skip(1).step_by(2).filter(|quoted| is_constant(quoted)).collect();
    assert!(constants.len() >= 30, "only {} constants: has the form changed?", constants.len());
    for constant in constants {
        assert!(code.contains(&format!("const {constant}:")), "no constant {constant}");
    }
}

#[test]
fn every_test_that_the_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = text();
    let quoted = text.split('`').skip(1).step_by(2).filter(|quoted| quoted.contains("::"));
    let mut count = 0;
    for quoted in quoted {
        let Some((file, name)) = quoted.split_once("::") else { continue };
        if !file.ends_with(".rs") {
            continue;
        }
        let code = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("no file {file}"));
        assert!(code.contains(&format!("fn {name}(")), "no test {quoted}");
        count += 1;
    }
    assert!(count >= 20, "only {count} tests named: has the form changed?");
}
