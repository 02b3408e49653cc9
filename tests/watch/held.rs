//! DELETE_SELF comes when nothing holds a dead queue any more; the rest comes at once.

use std::env::set_current_dir;
use std::fs::{self, File};
use std::path::PathBuf;

use crate::binding::Bound;
use crate::common::{Mounted, names, write};
use crate::kid::Kid;
use crate::watcher::Watcher;

struct Scene {
    mounted: Mounted,
    queue: PathBuf,
    kid: Kid,
    watcher: Watcher,
}

fn scene() -> Scene {
    let mounted = Mounted::with("allow_other,root_mode=0777,grace=0");
    let queue = mounted.path("q");
    let kid = Kid::with_queue(&queue);
    write(queue.join("e"), "x").expect("write");
    let mut watcher = Watcher::of("root", &mounted.point);
    watcher.add("q", &queue);
    Scene { mounted, queue, kid, watcher }
}

/// Ends the owner while something holds the queue: all but DELETE_SELF must come. Then lets go.
fn end_while_held(scene: Scene, let_go: impl FnOnce()) {
    let Scene { mounted, queue, kid, mut watcher } = scene;
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    watcher.wait_for("q: ATTRIB");
    // A later end is told after all of this one.
    Kid::with_queue(&mounted.path("later")).kill();
    watcher.wait_for("root: DELETE,ISDIR later");
    assert!(!watcher.told("q: DELETE_SELF"), "{:?}", watcher.lines());
    assert!(!queue.exists());
    assert_eq!(names(&mounted.point), [""; 0]);
    let_go();
    watcher.wait_for("q: DELETE_SELF");
}

#[test]
fn a_working_directory_holds_it() {
    let scene = scene();
    let queue = scene.queue.clone();
    let inside = Kid::start(move || set_current_dir(queue).map(|()| 0));
    end_while_held(scene, || inside.kill());
}

#[test]
fn an_open_directory_holds_it() {
    let scene = scene();
    let handle = File::open(&scene.queue).expect("open");
    end_while_held(scene, || drop(handle));
}

#[test]
fn an_open_event_holds_it() {
    let scene = scene();
    let handle = File::open(scene.queue.join("e")).expect("open");
    end_while_held(scene, || drop(handle));
}

#[test]
fn an_open_event_that_was_popped_holds_it() {
    let scene = scene();
    let handle = File::open(scene.queue.join("head")).expect("open");
    fs::remove_file(scene.queue.join("head")).expect("pop");
    end_while_held(scene, || drop(handle));
}

#[test]
fn an_event_being_written_holds_it() {
    let scene = scene();
    let handle = File::create_new(scene.queue.join("new")).expect("create");
    end_while_held(scene, || drop(handle));
}

#[test]
fn a_bind_mount_holds_it() {
    let scene = scene();
    let bound = Bound::of(&scene.queue);
    end_while_held(scene, || bound.off());
}

#[test]
fn a_watch_alone_does_not_hold_it() {
    let Scene { mounted: _mounted, kid, mut watcher, .. } = scene();
    kid.kill();
    watcher.wait_for("q: DELETE_SELF");
}

#[test]
fn a_held_queue_is_no_obstacle_to_a_new_one_of_its_name() {
    let scene = scene();
    let handle = File::open(&scene.queue).expect("open");
    let Scene { mounted, queue, kid, mut watcher } = scene;
    kid.kill();
    watcher.wait_for("root: DELETE,ISDIR q");
    fs::create_dir(&queue).expect("mkdir");
    watcher.add("new", &queue);
    write(queue.join("f"), "x").expect("write");
    drop(handle);
    watcher.wait_for("q: DELETE_SELF");
    Kid::with_queue(&mounted.path("later")).kill();
    watcher.wait_for("root: DELETE,ISDIR later");
    assert!(!watcher.told("new: DELETE_SELF"));
    assert_eq!(names(&queue), ["head", "tail", "f"]);
}
