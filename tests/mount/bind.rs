//! Contract section 3: bind mounts of a queue, as containers have them.

use crate::common::{Mounted, sh_ok, skip};
use crate::help::{files, put, text};

/// Runs a script in a mount namespace of its own in which `q` of the mount is also at `$B`.
/// `None` where there can be no such namespace.
fn with_bind(mount: &Mounted, script: &str) -> Option<String> {
    let there = crate::common::sh(&mount.point, "unshare -m --propagation private true");
    if !there.status.success() {
        skip("no mount namespaces here");
        return None;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    let bind = dir.path().join("bind");
    std::fs::create_dir(&bind).expect("directory");
    let b = bind.display();
    let script = format!(
        "export B={b}; unshare -m --propagation private bash -c '
         mount --bind q $B || exit 1; cd /
         {script}'"
    );
    Some(sh_ok(&mount.point, &script.replace("MNT", mount.point.to_str().expect("UTF-8"))))
}

#[test]
fn a_bind_mount_shows_that_queue_alone_and_works() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mount.queue("other");
    put(queue.join("e"), "from outside\n");
    let script = "ls -U $B; cat $B/head; rm $B/head; echo from inside > $B/f; readlink $B/tail";
    let Some(said) = with_bind(&mount, script) else { return };
    assert_eq!(said, "head\ntail\ne\nfrom outside\nf\n");
    assert_eq!(text(queue.join("head")), "from inside\n");
}

#[test]
fn what_happens_outside_is_seen_inside_at_once() {
    let mount = Mounted::new();
    mount.queue("q");
    let script = "for i in {1..100}; do echo $i > MNT/q/e$i; [ $(cat $B/head) = $i ] || echo put $i
                  rm MNT/q/head; [ -e $B/e$i ] && echo stale $i; [ -L $B/head ] && echo link $i
                  done; echo done";
    let Some(said) = with_bind(&mount, script) else { return };
    assert_eq!(said, "done\n");
}

#[test]
fn a_claim_inside_works_by_a_dot_name_and_across_mounts_is_exdev() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    mount.queue("mine");
    put(queue.join("e"), "content\n");
    let script = "python3 -c \"import os,errno
try: os.rename(\\\"$B/e\\\", \\\"MNT/mine/e\\\")
except OSError as e: print(errno.errorcode[e.errno])\"
                  n=$(readlink $B/head); mv $B/$n $B/.mine.$$ && cat $B/.mine.$$; rm $B/.mine.$$";
    let Some(said) = with_bind(&mount, script) else { return };
    assert_eq!(said, "EXDEV\ncontent\n");
    assert_eq!(files(&queue), Vec::<String>::new());
}

#[test]
fn after_the_end_of_its_queue_it_looks_like_a_removed_directory() {
    let mount = Mounted::with("allow_other,grace=0");
    mount.queue("q");
    // A process takes the queue and dies.
    let script = "sleep 1000 & O=$!; echo content > $B/e; exec 3< $B/e
                  setfattr -n user.eventfs_owner -v $O MNT/q; setfattr -x user.eventfs_sticky MNT/q
                  kill $O; wait $O 2>/dev/null
                  until [ ! -e MNT/q ]; do sleep 0.01; done
                  ls -A $B | wc -l; until [ $(stat -c %h $B) = 0 ]; do sleep 0.01; done
                  (echo x > $B/f) 2>/dev/null && echo made; (: < $B/e) 2>/dev/null && echo opened
                  cat <&3; mkdir MNT/q; setfattr -n user.eventfs_sticky -v 1 MNT/q
                  echo new > MNT/q/n; [ -e $B/n ] && echo seen; [ -e $B/head ] && echo seen
                  mountpoint -q $B && echo still mounted";
    let Some(said) = with_bind(&mount, script) else { return };
    assert_eq!(said, "0\ncontent\nstill mounted\n");
}

#[test]
fn creating_in_an_ended_queue_is_enoent() {
    let mount = Mounted::with("allow_other,grace=0");
    mount.queue("q");
    let script = "sleep 1000 & O=$!
                  setfattr -n user.eventfs_owner -v $O MNT/q; setfattr -x user.eventfs_sticky MNT/q
                  kill $O; wait $O 2>/dev/null
                  until [ ! -e MNT/q ]; do sleep 0.01; done
                  LC_ALL=C touch $B/f 2>&1 | grep -o \"No such file or directory\"
                  LC_ALL=C rm $B/head 2>&1 | grep -o \"No such file or directory\"";
    let Some(said) = with_bind(&mount, script) else { return };
    assert_eq!(said, "No such file or directory\nNo such file or directory\n");
}
