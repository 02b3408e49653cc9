//! A shell that lives through a test and is given commands one by one.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::common::{EVENTFS, spawn};

/// A running `bash`, perhaps below another program that gives it other namespaces or users.
pub(crate) struct Shell {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// Starts `bash` in a directory.
    pub(crate) fn new(dir: &Path) -> Self {
        Self::below(&[], dir)
    }

    /// Starts `PREFIX... bash` in a directory.
    pub(crate) fn below(prefix: &[&str], dir: &Path) -> Self {
        let mut words = prefix.to_vec();
        words.extend_from_slice(&["bash", "--norc"]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(dir).env("EVENTFS", EVENTFS);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("output"));
        let mut shell = Self { child, input, output };
        shell.ok("exec 2>&1");
        shell
    }

    /// Number of the process that was started (of the prefix, where there is one).
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a line; returns its exit status and what it printed.
    pub(crate) fn run(&mut self, line: &str) -> (i32, String) {
        let input = self.input.as_mut().expect("input");
        writeln!(input, "{line}\necho \"#end $?\"").expect("the shell reads");
        let mut text = String::new();
        loop {
            let before = text.len();
            let read = self.output.read_line(&mut text).expect("the shell answers");
            assert!(read > 0, "the shell ended in: {line}\n{text}");
            let last = &text[before..];
            if let Some((printed, status)) = last.split_once("#end ") {
                let status = status.trim().parse().expect("status");
                let printed = before + printed.len();
                text.truncate(printed);
                return (status, text.trim_end().to_owned());
            }
        }
    }

    /// Runs a line that must succeed; returns what it printed.
    pub(crate) fn ok(&mut self, line: &str) -> String {
        let (status, text) = self.run(line);
        assert_eq!(status, 0, "{line}\n{text}");
        text
    }

    /// Runs a line that must fail; returns what it printed.
    pub(crate) fn fails(&mut self, line: &str) -> String {
        let (status, text) = self.run(line);
        assert_ne!(status, 0, "{line}\n{text}");
        text
    }

    /// The shell's own idea of a process number, such as `$$`.
    pub(crate) fn number(&mut self, what: &str) -> u32 {
        self.ok(&format!("echo {what}")).parse().expect("a number")
    }

    /// Kills what was started.
    pub(crate) fn kill(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.finish();
    }
}
