//! An interactive shell on a terminal of its own, made by script(1).

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::common;

/// What the shell prints when it waits for a command.
const PROMPT: &str = "<<ready>>";

/// How long a command has to end after the interrupt key.
const INTERRUPT_PAUSE: Duration = Duration::from_millis(300);

pub(crate) struct Terminal {
    shell: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
}

impl Terminal {
    /// Starts a shell in a directory, with the program under test first in its path.
    pub(crate) fn open(dir: &Path) -> Self {
        let program = Path::new(common::EVENTFS).parent().expect("directory of the program");
        let path = std::env::var("PATH").expect("PATH");
        // Who runs the tests in the background of a script may have the interrupt key ignored, and all
        // that a shell starts would inherit that.
        let mut shell = Command::new("env")
            .args(["--default-signal=INT,QUIT,HUP,TERM", "script"])
            .args(["-q", "-c", "exec bash --noprofile --norc --noediting -i", "/dev/null"])
            .current_dir(dir)
            .env("PATH", format!("{}:{path}", program.display()))
            .env("LC_ALL", "C")
            .env("PS1", PROMPT)
            .env("PS2", "")
            .env("SHELL", "/bin/sh")
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script(1)");
        let keys = shell.stdin.take().expect("piped");
        let mut output = shell.stdout.take().expect("piped");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut terminal = Self { shell, keys, screen };
        terminal.wait_for(PROMPT);
        terminal.run("stty -echo -onlcr");
        terminal
    }

    /// Types a command and returns what was printed.
    pub(crate) fn run(&mut self, command: &str) -> String {
        self.type_in(&format!("{command}\n"));
        let output = self.wait_for(PROMPT);
        output.trim_end_matches(PROMPT).to_owned()
    }

    /// Types a command, presses the interrupt key when `sign` has appeared until the command ends,
    /// and returns what was printed.
    pub(crate) fn run_and_interrupt(&mut self, command: &str, sign: &str) -> String {
        self.type_in(&format!("{command}\n"));
        let mut output = self.wait_for(sign);
        let start = Instant::now();
        // The shell says what it brings to the foreground before that is there: a key that is pressed
        // at once may still be the shell's.
        while !output.ends_with(PROMPT) {
            assert!(start.elapsed() < common::BOUND, "no end of {command}:\n{output}");
            self.type_in("\x03");
            while let Ok(more) = self.screen.recv_timeout(INTERRUPT_PAUSE) {
                output.push_str(&String::from_utf8_lossy(&more));
            }
        }
        // A key that the shell got makes an empty line or one prompt more.
        self.type_in("echo in step\n");
        self.wait_for(&format!("in step\n{PROMPT}"));
        output.replace(PROMPT, "").trim_end().to_owned()
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the shell lives");
        self.keys.flush().expect("the shell lives");
    }

    /// Collects what appears until it ends with `sign`.
    fn wait_for(&mut self, sign: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(sign.as_bytes()) {
            match self.screen.recv_timeout(common::BOUND) {
                Ok(more) => seen.extend(more),
                Err(error) => {
                    panic!("no {sign:?} ({error}) after:\n{}", String::from_utf8_lossy(&seen))
                }
            }
        }
        String::from_utf8(seen).expect("UTF-8")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.keys.write_all(b"exit\n");
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
