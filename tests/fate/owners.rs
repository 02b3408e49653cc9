//! A queue belongs to the process that called mkdir: not to its thread, its program or its children.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::{Mounted, get, names, wait_until};
use crate::kid::{Kid, fork_again, kill9, patient, strict, wait_gone};

const OWNER: &str = "user.eventfs_owner";

#[test]
fn a_queue_ends_with_the_process_that_made_it() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&queue);
    assert_eq!(names(&mounted.point), [""; 0]);
}

#[test]
fn a_process_that_leaves_in_order_takes_its_queue_along() {
    let mounted = strict();
    let queue = mounted.path("q");
    let made = queue.clone();
    let kid = Kid::start_then(move || fs::create_dir(made).map(|()| 0), || crate::kid::leave(0));
    wait_gone(&queue);
    drop(kid);
}

#[test]
fn an_unreaped_zombie_has_ended() {
    let mounted = strict();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    kid.kill_unreaped();
    wait_gone(&queue);
    let stat = fs::read_to_string(format!("/proc/{}/stat", kid.pid())).expect("a zombie");
    assert!(stat.contains(") Z "), "{stat}");
}

#[test]
fn a_queue_survives_the_thread_that_made_it() {
    let mounted = strict();
    let (queue, later) = (mounted.path("q"), mounted.path("later"));
    let made = queue.clone();
    std::thread::spawn(move || fs::create_dir(made)).join().expect("thread").expect("mkdir");
    assert_eq!(get(&queue, OWNER), Some(std::process::id().to_string()));
    // Whatever the end of the thread does is done before the end of a later process.
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert!(queue.exists());
}

#[test]
fn a_queue_survives_the_first_thread_of_its_process() {
    let mounted = strict();
    let (queue, later) = (mounted.path("q"), mounted.path("later"));
    let made = queue.clone();
    let kid = Kid::start_then(
        move || {
            fs::create_dir(made)?;
            std::thread::spawn(|| {
                loop {
                    nix::unistd::pause();
                }
            });
            Ok(0)
        },
        || {
            #[allow(unsafe_code)]
            // SAFETY: ends this thread alone, which holds nothing that the other one needs.
            unsafe {
                libc::syscall(libc::SYS_exit, 0);
            }
        },
    );
    let status = format!("/proc/{}/stat", kid.pid());
    wait_until("the end of the first thread", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains(") Z "))
    });
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert!(queue.exists(), "the other thread lives");
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn a_queue_survives_exec() {
    let mounted = strict();
    let (queue, later) = (mounted.path("q"), mounted.path("later"));
    let made = queue.clone();
    let kid = Kid::start_then(
        move || fs::create_dir(made).map(|()| 0),
        || drop(Command::new("sleep").arg("1000").exec()),
    );
    let comm = format!("/proc/{}/comm", kid.pid());
    wait_until("exec", || fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n"));
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn a_queue_survives_the_replacement_of_its_program_file() {
    let mounted = strict();
    let (queue, later) = (mounted.path("q"), mounted.path("later"));
    let dir = tempfile::tempdir().expect("temporary directory");
    let (program, newer) = (dir.path().join("program"), dir.path().join("newer"));
    for path in [&program, &newer] {
        let _guard = crate::common::no_forks();
        fs::copy("/bin/sleep", path).expect("copy");
    }
    let (made, run) = (queue.clone(), program.clone());
    let kid = Kid::start_then(
        move || fs::create_dir(made).map(|()| 0),
        move || drop(Command::new(run).arg("1000").exec()),
    );
    let running = format!("/proc/{}/exe", kid.pid());
    wait_until("exec", || fs::read_link(&running).is_ok_and(|path| path == program));
    fs::rename(&newer, &program).expect("replace");
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    fs::remove_file(&program).expect("remove");
    kid.kill();
    wait_gone(&queue);
}

#[test]
fn a_queue_does_not_pass_to_forked_children() {
    let mounted = strict();
    let queue = mounted.path("q");
    let made = queue.clone();
    let kid = Kid::start(move || {
        fs::create_dir(made)?;
        fork_again(|| Ok(()))
    });
    let child = kid.told();
    assert_eq!(get(&queue, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&queue);
    assert!(fs::exists(format!("/proc/{child}")).expect("proc"), "the child lives on");
    kill9(child);
}

#[test]
fn a_queue_made_by_a_forked_child_is_the_childs() {
    let mounted = strict();
    let (queue, later) = (mounted.path("q"), mounted.path("later"));
    let made = queue.clone();
    let kid = Kid::start(move || fork_again(|| fs::create_dir(made)));
    assert_eq!(get(&queue, OWNER), Some(kid.told().to_string()));
    let child = kid.told();
    kid.kill();
    Kid::with_queue(&later).kill();
    wait_gone(&later);
    assert!(queue.exists(), "the child lives");
    kill9(child);
    wait_gone(&queue);
}

#[test]
fn all_queues_of_a_process_end_with_it_and_no_others() {
    let mounted = strict();
    let mine: Vec<_> = (0..50).map(|i| mounted.path(format!("mine{i}"))).collect();
    let other = mounted.path("other");
    let (kid, stays) = (Kid::with_queues(&mine), Kid::with_queue(&other));
    kid.kill();
    for queue in &mine {
        wait_gone(queue);
    }
    assert_eq!(names(&mounted.point), ["other"]);
    stays.kill();
    wait_gone(&other);
}

#[test]
fn ten_thousand_queues_of_one_process_cost_one_descriptor_and_all_end() {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0");
    let root = mounted.point.clone();
    let descriptors = || {
        let dir = format!("/proc/{}/fd", mounted.pid());
        fs::read_dir(dir).expect("fd").count()
    };
    let before = descriptors();
    let kid = Kid::start(move || {
        (0..10_000).try_for_each(|i| fs::create_dir(root.join(format!("q{i}")))).map(|()| 0)
    });
    assert_eq!(fs::read_dir(&mounted.point).expect("readdir").count(), 10_000);
    // The herald may have the mountpoint open at this moment.
    assert!(descriptors() <= before + 4, "{} descriptors", descriptors());
    kid.kill();
    wait_until("the end of all", || fs::read_dir(&mounted.point).expect("readdir").count() == 0);
}

#[test]
fn a_queue_renamed_in_the_root_still_ends_with_its_owner() {
    let mounted = strict();
    let (queue, renamed) = (mounted.path("q"), mounted.path("renamed"));
    let kid = Kid::with_queue(&queue);
    fs::rename(&queue, &renamed).expect("rename");
    assert_eq!(get(&renamed, OWNER), Some(kid.pid().to_string()));
    kid.kill();
    wait_gone(&renamed);
}

#[test]
fn a_queue_does_not_end_while_its_owner_lives() {
    let mounted = patient();
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    fs::remove_dir(&queue).expect("rmdir");
    assert_eq!(names(&mounted.point), [""; 0]);
    drop(kid);
}
