//! Completion scripts.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::help::run;

#[test]
fn every_shell_gets_a_script_that_names_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).ok();
        for word in ["mkqueue", "pop", "push", "watch", "status", "wait", "json"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_shells_that_are_here_accept_their_script() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).ok();
        let child = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            crate::common::skip(&format!("no {shell}"));
            continue;
        };
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{shell}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let script = run(&["completions", "bash"]).ok();
    let ask = "COMP_WORDS=(eventfs pop --j); COMP_CWORD=2; _eventfs eventfs --j pop; echo \"${COMPREPLY[@]}\"";
    let told = Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output().unwrap();
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "--json\n");
}
