//! One queue in a container: by bwrap(1), and by unshare(1) and mount(8) alone.

use std::fs;

use crate::common::{Mounted, is_root, names, wait_until};
use crate::help::{Background, all_lines, command, counter, example, fill, have, ok, skip};

/// The ways that work here, as options of the example.
fn ways() -> Vec<&'static [&'static str]> {
    let mut ways: Vec<&[&str]> = Vec::new();
    if have("bwrap") {
        ways.push(&[]);
    }
    if is_root() {
        ways.push(&["--unshare"]);
    } else {
        skip("unshare: not root");
    }
    ways
}

#[test]
fn a_container_sees_one_queue_and_nothing_else_of_the_mount() {
    for way in ways() {
        let mount = Mounted::new();
        let (queue, _) = (mount.queue("q"), fill(&mount.queue("secret"), "secret", 1));
        fill(&queue, "event", 2);
        let script = "ls -A -U /queue; cat /queue/head
            awk '$3 == \"fuse.eventfs\" { print $2 }' /proc/mounts | grep -v /examples/
            find / -name 'secret*' -not -path '/proc/*' -not -path '/usr/*' -not -path '/etc/*'
            mkdir /queue/sub 2>/dev/null || echo no queue
            [ \"$(ls -d /proc/[0-9]* | wc -l)\" -lt 10 ] && echo own processes";
        let mut container = command(&example("container.sh"));
        let told = ok(container.args(way).arg(&queue).args(["sh", "-c", script]));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[..5], ["head", "tail", "event-0000", "event-0001", "event-0000"]);
        assert_eq!(lines[5..], ["/queue", "no queue", "own processes"]);
        assert_eq!(names(&queue).len(), 4);
    }
}

#[test]
fn containers_and_host_share_a_queue() {
    for way in ways() {
        let mount = Mounted::new();
        let queue = mount.queue("q");
        let expected = fill(&queue, "event", 200);
        let inside: [&[&str]; 3] = [
            &["claim.sh", "/queue", "cat"],
            &["claim.sh", "/queue", "cat"],
            &["eventfs", "pop", "-n", "50", "/queue"],
        ];
        let mut consumers: Vec<Background> = inside
            .iter()
            .map(|words| {
                let mut container = command(&example("container.sh"));
                Background::start(container.args(way).arg(&queue).args(*words))
            })
            .collect();
        consumers.push(Background::start(command(&example("claim.sh")).arg(&queue).arg("cat")));
        for consumer in &mut consumers {
            assert_eq!(consumer.finish(), 0);
        }
        wait_until("an empty queue", || counter(&queue, "depth") == 0);
        assert_eq!(all_lines(&mut consumers), expected);
        assert_eq!(names(&queue), Vec::<String>::new());
    }
}

#[test]
fn a_container_puts_events_and_leaves_nothing_behind() {
    for way in ways() {
        let mount = Mounted::new();
        let queue = mount.queue("q");
        let temporary = tempfile::tempdir().expect("temporary directory");
        let mut container = command(&example("container.sh"));
        container.env("TMPDIR", temporary.path()).args(way).arg(&queue);
        ok(container.args(["sh", "-c", "echo from inside >/queue/event"]));
        assert_eq!(fs::read_to_string(queue.join("head")).expect("an event"), "from inside\n");
        assert_eq!(fs::read_dir(temporary.path()).expect("readdir").count(), 0);
    }
}

#[test]
fn the_status_is_that_of_the_command() {
    for way in ways() {
        let mount = Mounted::new();
        let queue = mount.queue("q");
        let mut container = command(&example("container.sh"));
        container.args(way).arg(&queue).args(["sh", "-c", "exit 7"]);
        assert_eq!(crate::help::output(&mut container).status.code(), Some(7));
    }
}
