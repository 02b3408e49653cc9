//! `owner=`: which process owns a queue made by plain mkdir.

use std::fs;

use nix::unistd::setsid;

use crate::common::{Mounted, get, sh_ok, skip, wait_until};
use crate::kid::{Kid, become_user, fork_again, kill9, wait_gone};
use crate::shell::Shell;

const OWNER: &str = "user.eventfs_owner";

fn mount(rule: &str) -> Mounted {
    Mounted::with(&format!("allow_other,root_mode=0777,grace=0,owner={rule}"))
}

#[test]
fn creator_is_the_process_that_called() {
    let mounted = mount("creator");
    let kid = Kid::with_queue(&mounted.path("q"));
    assert_eq!(get(&mounted.path("q"), OWNER), Some(kid.pid().to_string()));
}

#[test]
fn with_parent_the_calling_shell_owns_what_mkdir_makes() {
    let mounted = mount("parent");
    let mut shell = Shell::new(&mounted.point);
    shell.ok("mkdir q");
    assert_eq!(get(&mounted.path("q"), OWNER), Some(shell.pid().to_string()));
    shell.kill();
    wait_gone(&mounted.path("q"));
}

#[test]
fn with_session_the_leader_owns_what_mkdir_makes() {
    let mounted = mount("session");
    let mut shell = Shell::below(&["setsid", "--wait"], &mounted.point);
    let leader = shell.number("$$");
    shell.ok("bash -c 'bash -c \"mkdir q; :\"; :'");
    assert_eq!(get(&mounted.path("q"), OWNER), Some(leader.to_string()));
    kill9(leader);
    wait_gone(&mounted.path("q"));
}

#[test]
fn a_parent_of_another_user_gives_way_to_the_creator() {
    let mounted = mount("parent");
    let queue = mounted.path("q");
    let made = queue.clone();
    // The parent of the kid is this test: root's.
    let kid = Kid::start(move || {
        become_user(1000)?;
        fs::create_dir(made).map(|()| 0)
    });
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn a_parent_of_the_same_user_serves_an_ordinary_user_too() {
    let mounted = mount("parent");
    let queue = mounted.path("q");
    let made = queue.clone();
    let kid = Kid::start(move || {
        become_user(1000)?;
        fork_again(|| fs::create_dir(made))
    });
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    let child = kid.told();
    kid.kill();
    wait_gone(&queue);
    kill9(child);
}

/// Runs a perl script that goes on by itself and makes `q`; returns what owns that.
fn owner_of_queue_made_by(mounted: &Mounted, script: &str) -> u32 {
    sh_ok(&mounted.point, &format!("perl -e '{script}' > /dev/null 2>&1 < /dev/null"));
    let queue = mounted.path("q");
    wait_until("the queue", || queue.exists());
    get(&queue, OWNER).expect("owner").parse().expect("a number")
}

#[test]
fn a_parent_that_is_gone_or_process_1_gives_way_to_the_creator() {
    let mounted = mount("parent");
    let maker = owner_of_queue_made_by(
        &mounted,
        "$parent = $$; exit if fork; select(undef, undef, undef, 0.01) while getppid() == $parent;
         $0 = \"maker\"; mkdir \"q\"; sleep 1 while -d \"q\"",
    );
    let status = fs::read_to_string(format!("/proc/{maker}/status")).expect("status");
    let by_init = status.lines().any(|line| line == "PPid:\t1");
    let name = fs::read_to_string(format!("/proc/{maker}/cmdline")).expect("cmdline");
    if !name.starts_with("maker") && maker != 1 {
        return skip("orphans go to another process than 1 here");
    }
    kill9(maker);
    assert!(by_init && name.starts_with("maker"), "{name}");
    wait_gone(&mounted.path("q"));
}

#[test]
fn a_session_leader_that_is_gone_gives_way_to_the_creator() {
    let mounted = mount("session");
    let maker = owner_of_queue_made_by(
        &mounted,
        "use POSIX; exit if fork; POSIX::setsid(); $leader = $$; exit if fork;
         select(undef, undef, undef, 0.01) while kill(0, $leader);
         $0 = \"maker\"; mkdir \"q\"; sleep 1 while -d \"q\"",
    );
    let name = fs::read_to_string(format!("/proc/{maker}/cmdline")).expect("cmdline");
    assert!(name.starts_with("maker"), "{name}");
    kill9(maker);
    wait_gone(&mounted.path("q"));
}

#[test]
fn a_session_leader_of_another_user_gives_way_to_the_creator() {
    let mounted = mount("session");
    let queue = mounted.path("q");
    let made = queue.clone();
    let leader = Kid::start(move || {
        setsid()?;
        fork_again(|| {
            become_user(1000)?;
            fs::create_dir(made)
        })
    });
    assert_eq!(get(&queue, OWNER), Some(leader.told().to_string()));
    kill9(leader.told());
    wait_gone(&queue);
}

#[test]
fn the_rule_does_not_touch_what_is_named_later() {
    let mounted = mount("parent");
    let kid = Kid::idle();
    let mut shell = Shell::new(&mounted.point);
    shell.ok(&format!("mkdir q; setfattr -n user.eventfs_owner -v {} q", kid.pid()));
    shell.kill();
    assert_eq!(get(&mounted.path("q"), OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&mounted.path("q"));
}
