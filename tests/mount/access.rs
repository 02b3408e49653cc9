//! Contract section 3: whose events they are, and who may do what.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::common::{Mounted, as_user, as_user_with_groups, errno, wait_until};
use crate::help::{SHARED, files, head, put, put_as, text, try_put, user};

const ANN: u32 = 5001;
const BOB: u32 = 5002;
const EVE: u32 = 5003;

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// A queue of ANN with this mode.
fn anns_queue(mount: &Mounted, bits: u32) -> std::path::PathBuf {
    let queue = mount.queue("q");
    chown(&queue, Some(ANN), Some(ANN)).unwrap();
    mode(&queue, bits);
    queue
}

#[test]
fn an_event_belongs_to_its_writer() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o777);
    as_user(BOB, EVE, || try_put(queue.join("e"), "x")).unwrap();
    let found = fs::metadata(queue.join("e")).unwrap();
    assert_eq!((found.uid(), found.gid()), (BOB, EVE));
}

#[test]
fn the_umask_holds() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    crate::common::sh_ok(&queue, "umask 027; echo > e; umask 0; echo > f");
    let bits = |name| fs::metadata(queue.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((bits("e"), bits("f")), (0o640, 0o666));
}

#[test]
fn a_stranger_can_neither_put_nor_remove_nor_list_nor_read() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o700);
    put_as(ANN, &queue.join("e"), "x").unwrap();
    let refused = |work: &dyn Fn() -> io::Result<()>| errno(user(BOB, work));
    assert_eq!(refused(&|| try_put(queue.join("f"), "")), libc::EACCES);
    assert_eq!(refused(&|| fs::remove_file(queue.join("head"))), libc::EACCES);
    assert_eq!(refused(&|| fs::read_dir(&queue).map(drop)), libc::EACCES);
    assert_eq!(refused(&|| fs::read(queue.join("e")).map(drop)), libc::EACCES);
    assert_eq!(refused(&|| fs::rename(&queue, mount.path("mine"))), libc::EACCES);
    user(ANN, || fs::remove_file(queue.join("head"))).unwrap();
}

#[test]
fn who_may_only_read_the_queue_cannot_change_it() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o755);
    put_as(ANN, &queue.join("e"), "x").unwrap();
    user(BOB, || fs::read(queue.join("head")).map(drop)).unwrap();
    assert_eq!(errno(put_as(BOB, &queue.join("f"), "")), libc::EACCES);
    assert_eq!(errno(user(BOB, || fs::remove_file(queue.join("head")))), libc::EACCES);
    let rename = || fs::rename(queue.join("e"), queue.join("f"));
    assert_eq!(errno(user(BOB, rename)), libc::EACCES);
}

#[test]
fn the_mode_of_an_event_holds() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o777);
    put_as(ANN, &queue.join("e"), "secret").unwrap();
    mode(&queue.join("e"), 0o600);
    assert_eq!(errno(user(BOB, || fs::read(queue.join("head")).map(drop))), libc::EACCES);
    mode(&queue.join("e"), 0o604);
    user(BOB, || fs::read(queue.join("head")).map(drop)).unwrap();
    let append = || File::options().append(true).open(queue.join("e")).map(drop);
    assert_eq!(errno(user(BOB, append)), libc::EACCES);
}

#[test]
fn supplementary_groups_count() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o770);
    chown(&queue, None, Some(6_000)).unwrap();
    assert_eq!(errno(put_as(BOB, &queue.join("e"), "")), libc::EACCES);
    as_user_with_groups(BOB, BOB, &[6_000], || try_put(queue.join("e"), "")).unwrap();
    assert_eq!(files(&queue), ["e"]);
}

#[test]
fn only_the_owner_changes_mode_and_only_root_gives_away() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o777);
    put_as(ANN, &queue.join("e"), "").unwrap();
    let path = queue.join("e");
    let chmod = || fs::set_permissions(&path, fs::Permissions::from_mode(0o777));
    assert_eq!(errno(user(BOB, chmod)), libc::EPERM);
    user(ANN, chmod).unwrap();
    assert_eq!(errno(user(ANN, || chown(&path, Some(BOB), None))), libc::EPERM);
    chown(&path, Some(BOB), None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), BOB);
}

#[test]
fn a_setgid_queue_gives_its_group_to_its_events() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o777);
    chown(&queue, None, Some(6_000)).unwrap();
    mode(&queue, 0o2777);
    put_as(BOB, &queue.join("e"), "").unwrap();
    let found = fs::metadata(queue.join("e")).unwrap();
    assert_eq!((found.uid(), found.gid()), (BOB, 6_000));
    assert_eq!(found.mode() & 0o2000, 0);
}

#[test]
fn a_setgid_root_gives_its_group_and_the_bit_to_queues() {
    let mount = Mounted::with("allow_other,root_mode=3777,gid=6000");
    let path = mount.path("q");
    user(BOB, || fs::DirBuilder::new().mode(0o755).create(&path)).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (BOB, 6_000, 0o2755));
}

#[test]
fn in_a_sticky_queue_others_remove_their_own_events_by_name() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o1777);
    put_as(BOB, &queue.join("bobs"), "").unwrap();
    put_as(EVE, &queue.join("eves"), "").unwrap();
    assert_eq!(errno(user(EVE, || fs::remove_file(queue.join("bobs")))), libc::EPERM);
    let steal = || fs::rename(queue.join("bobs"), queue.join("mine"));
    assert_eq!(errno(user(EVE, steal)), libc::EPERM);
    user(EVE, || fs::remove_file(queue.join("eves"))).unwrap();
    assert_eq!(files(&queue), ["bobs"]);
}

#[test]
fn in_a_sticky_queue_only_its_user_and_root_pop_through_the_links() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o1777);
    for name in ["a", "b", "c", "d"] {
        put_as(BOB, &queue.join(name), "").unwrap();
    }
    for link in ["head", "tail"] {
        // Not even the writer of the event.
        assert_eq!(errno(user(BOB, || fs::remove_file(queue.join(link)))), libc::EPERM);
        assert_eq!(errno(user(EVE, || fs::remove_file(queue.join(link)))), libc::EPERM);
        user(ANN, || fs::remove_file(queue.join(link))).unwrap();
    }
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!(files(&queue), ["c"]);
}

#[test]
fn a_strangers_event_cannot_be_popped_behind_an_own_one() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o1777);
    for round in 0..20 {
        put_as(EVE, &queue.join(format!("own{round}")), "").unwrap();
        put_as(BOB, &queue.join(format!("strange{round}")), "").unwrap();
        let attack = || {
            // The kernel remembers whose link this is.
            fs::symlink_metadata(queue.join("head"))?;
            fs::symlink_metadata(queue.join("tail"))?;
            fs::remove_file(queue.join(format!("own{round}")))?;
            fs::remove_file(queue.join("head"))
        };
        assert_eq!(errno(user(EVE, attack)), libc::EPERM);
        assert_eq!(files(&queue), [format!("strange{round}")]);
        fs::remove_file(queue.join("head")).unwrap();
    }
}

#[test]
fn a_queue_given_away_is_popped_by_its_new_user_alone() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o1777);
    for number in 0..50 {
        put(queue.join(format!("{number}")), "");
    }
    user(ANN, || fs::remove_file(queue.join("head"))).unwrap();
    fs::symlink_metadata(queue.join("head")).unwrap();
    chown(&queue, Some(BOB), None).unwrap();
    // The kernel is told a moment later.
    wait_until("the old user is refused", || {
        user(ANN, || fs::remove_file(queue.join("head"))).is_err()
    });
    user(BOB, || fs::remove_file(queue.join("head"))).unwrap();
    assert_eq!(errno(user(ANN, || fs::remove_file(queue.join("head")))), libc::EPERM);
}

#[test]
fn everybody_may_follow_the_links_of_a_sticky_queue() {
    // With fs.protected_symlinks only the owner of a link follows it there, or where the directory
    // has the same owner as the link.
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o1777);
    put_as(BOB, &queue.join("e"), "x").unwrap();
    for uid in [ANN, BOB, EVE] {
        user(uid, || fs::read(queue.join("head")).map(drop)).unwrap();
    }
    assert_eq!(
        fs::symlink_metadata(queue.join("head")).unwrap().uid(),
        fs::metadata(&queue).unwrap().uid()
    );
}

#[test]
fn in_a_sticky_root_only_the_user_of_a_queue_removes_it() {
    let mount = Mounted::with(SHARED);
    user(ANN, || {
        fs::create_dir(mount.path("q"))
            .and_then(|()| xattr::set(mount.path("q"), "user.eventfs_sticky", b"1"))
    })
    .unwrap();
    assert_eq!(errno(user(BOB, || fs::remove_dir(mount.path("q")))), libc::EPERM);
    assert_eq!(errno(user(BOB, || fs::rename(mount.path("q"), mount.path("r")))), libc::EPERM);
    user(ANN, || fs::remove_dir(mount.path("q"))).unwrap();
}

#[test]
fn without_allow_other_only_the_mounter_passes() {
    let mount = Mounted::with("root_mode=0777");
    mount.queue("q");
    let look = || fs::metadata(mount.path("q")).map(drop);
    assert_eq!(errno(user(ANN, look)), libc::EACCES);
    look().unwrap();
}

#[test]
fn root_sees_and_pops_everything() {
    let mount = Mounted::new();
    let queue = anns_queue(&mount, 0o1700);
    put_as(ANN, &queue.join("e"), "x").unwrap();
    mode(&queue.join("e"), 0o000);
    assert_eq!(text(queue.join("head")), "x");
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!(head(&queue), None);
}
