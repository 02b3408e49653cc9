//! Contract section 6: the configuration file in both formats, and how it is refused.

use std::fs;
use std::process::{Command, Stdio};

use crate::common::{EVENTFS, errno, is_listed, sh_ok, spawn, write};
use crate::help::{ConfigFile, put_as, user};

const DAEMON: u32 = 1;
const ANN: u32 = 5001;

/// Tries to mount with this file; must fail at once with this complaint, `FILE` being its path and
/// `DIR` its directory. In the foreground and in the background.
fn refused(file: &ConfigFile, complaint: &str) {
    let point = file.dir.path().join("mnt");
    fs::create_dir_all(&point).unwrap();
    for foreground in [true, false] {
        let mut command = Command::new(EVENTFS);
        command.args(foreground.then_some("-f")).arg("-c").arg(&file.path).arg(&point);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = spawn(&mut command).wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let dir = file.dir.path().to_str().unwrap();
        let said = said.replace(file.path.to_str().unwrap(), "FILE").replace(dir, "DIR");
        assert_eq!(said, format!("eventfs: {complaint}\n"));
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(output.stdout.is_empty());
        assert!(!is_listed(&point), "{complaint}");
    }
}

fn refused_text(name: &str, text: &str, complaint: &str) {
    refused(&ConfigFile::new(name, text), complaint);
}

/// How many files a user may have in a new queue of root.
fn files_of(mount: &crate::common::Mounted, uid: u32) -> usize {
    let queue = mount.queue(&format!("of{uid}"));
    sh_ok(&queue, "chmod 777 .");
    (0..10).take_while(|n| put_as(uid, &queue.join(format!("{n}")), "").is_ok()).count()
}

#[test]
fn ini_defaults_hold_for_everybody() {
    let text = "[eventfs-config]\ndefault_max_dirs=1\ndefault_max_files=3\n\
                default_max_files_per_dir=9\ndefault_max_bytes=10\n";
    let mount = ConfigFile::new("eventfs.conf", text).mount();
    assert_eq!((files_of(&mount, ANN), files_of(&mount, DAEMON)), (3, 3));
    user(ANN, || fs::create_dir(mount.path("a"))).unwrap();
    assert_eq!(errno(user(ANN, || fs::create_dir(mount.path("b")))), libc::EDQUOT);
    let grow = |bytes| user(ANN, || write(mount.path("of5001/0"), vec![1; bytes]));
    grow(10).unwrap();
    assert_eq!(errno(grow(11)), libc::EDQUOT);
}

#[test]
fn ini_quota_files_hold_for_users_and_groups_by_name_and_number() {
    let file = ConfigFile::new("conf", "[eventfs-config]\ndefault_max_files=2\nquotas=quotas.d\n");
    file.add("quotas.d/one", "[eventfs-quota]\nuser=daemon\nmax_files=4\n");
    file.add("quotas.d/two.conf", "[eventfs-quota]\nuser=5001\nmax_files=5\nmax_bytes=3\n");
    file.add("quotas.d/three", "[eventfs-quota]\ngroup=5002\nmax_files=1\n");
    let mount = file.mount();
    assert_eq!(files_of(&mount, DAEMON), 4);
    assert_eq!(files_of(&mount, ANN), 5);
    assert_eq!(files_of(&mount, 5_002), 1);
    assert_eq!(files_of(&mount, 5_003), 2);
}

#[test]
fn a_limit_missing_in_a_quota_file_takes_the_default() {
    let text = "[eventfs-config]\ndefault_max_files=2\nquotas=q\n";
    let file = ConfigFile::new("conf", text);
    file.add("q/ann", "[eventfs-quota]\nuser=5001\nmax_bytes=100\n");
    assert_eq!(files_of(&file.mount(), ANN), 2);
}

#[test]
fn a_missing_default_means_none() {
    let file = ConfigFile::new("conf", "[eventfs-config]\nquotas=q\n");
    file.add("q/ann", "[eventfs-quota]\nuser=5001\nmax_dirs=1\n");
    let mount = file.mount();
    assert_eq!((files_of(&mount, ANN), files_of(&mount, DAEMON)), (10, 10));
}

#[test]
fn the_originals_ini_with_comments_and_blanks_works_unchanged() {
    let text = "# defaults\n\n[eventfs-config]\n; comment\ndefault_max_dirs = 2\n\
                default_max_files=3 ; behind\nquotas = ./quota\n";
    let file = ConfigFile::new("eventfs.conf", text);
    file.add(
        "quota/x",
        "[eventfs-quota]\nuser = daemon\nmax_dirs=1\nmax_files=4\nmax_bytes=1000\n",
    );
    let mount = file.mount();
    assert_eq!((files_of(&mount, DAEMON), files_of(&mount, ANN)), (4, 3));
}

#[test]
fn toml_limits_hold_for_users_and_groups() {
    let text = "[limits]\nmax_files = 2\nmax_bytes = \"1k\"\n\
                [limits.user.daemon]\nmax_files = 4\n[limits.group.5002]\nmax_files = 1\n";
    let mount = ConfigFile::new("eventfs.toml", text).mount();
    assert_eq!(files_of(&mount, DAEMON), 4);
    assert_eq!(files_of(&mount, ANN), 2);
    assert_eq!(files_of(&mount, 5_002), 1);
    let grow = |bytes| user(ANN, || write(mount.path("of5001/0"), vec![1; bytes]));
    grow(1_024).unwrap();
    assert_eq!(errno(grow(1_025)), libc::EDQUOT);
}

#[test]
fn toml_sets_mount_options_and_the_command_line_wins() {
    let text = "[mount]\nnr_queues = 1\nnr_events = \"2\"\nmax_event = \"1k\"\nroot_mode = 1777\n";
    let mount = ConfigFile::new("x.toml", text).mount_with("allow_other,nr_queues=2");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&mount.point).unwrap().permissions().mode() & 0o7777, 0o1777);
    let queue = mount.queue("a");
    mount.queue("b");
    assert_eq!(errno(fs::create_dir(mount.path("c"))), libc::ENOSPC);
    assert_eq!(errno(crate::help::try_put(queue.join("e"), vec![1; 1_025])), libc::EFBIG);
    crate::help::put(queue.join("e"), "");
    crate::help::put(queue.join("f"), "");
    assert_eq!(errno(crate::help::try_put(queue.join("g"), "")), libc::ENOSPC);
}

#[test]
fn a_named_file_must_exist() {
    let mut file = ConfigFile::new("there", "");
    file.path = file.dir.path().join("missing.toml");
    let output = "FILE: cannot be read: No such file or directory";
    refused(&file, output);
}

#[test]
fn unknown_keys_and_sections_are_refused_with_their_line() {
    refused_text("c", "[eventfs-config]\nfoo=1\n", "FILE:2: unknown key 'foo'");
    let section = "FILE:3: unknown section 'other', expected 'eventfs-config'";
    refused_text("c", "[eventfs-config]\n\n[other]\n", section);
    refused_text("c.toml", "[limits]\nmax_dir = 1\n", "FILE:2: unknown key 'limits.max_dir'");
    refused_text("c.toml", "\n[limit]\n", "FILE:2: unknown section 'limit'");
    refused_text("c.toml", "[mount]\n\nsice = 1\n", "FILE:3: unknown mount option 'sice'");
}

#[test]
fn bad_numbers_are_refused_with_their_line() {
    let ini = "FILE:2: bad number '-1' for 'default_max_dirs': not a whole number from 0 up";
    refused_text("c", "[eventfs-config]\ndefault_max_dirs=-1\n", ini);
    let ini = "FILE:2: bad number '99999999999999999999' for 'default_max_bytes': too large";
    refused_text("c", "[eventfs-config]\ndefault_max_bytes=99999999999999999999\n", ini);
    let toml = "FILE:2: bad number '-1' for 'max_dirs': negative";
    refused_text("c.toml", "[limits]\nmax_dirs = -1\n", toml);
}

#[test]
fn unknown_users_and_groups_are_refused_with_their_line() {
    let unknown = "FILE:1: unknown user 'nobody-of-that-name'";
    refused_text("c.toml", "[limits.user.nobody-of-that-name]\nmax_dirs = 1\n", unknown);
    let file = ConfigFile::new("c", "[eventfs-config]\nquotas=q\n");
    file.add("q/x", "[eventfs-quota]\ngroup=no-such-group\nmax_dirs=1\n");
    refused(&file, "DIR/q/x:2: unknown group 'no-such-group'");
}

#[test]
fn a_quota_file_must_name_its_user_first() {
    let file = ConfigFile::new("c", "[eventfs-config]\nquotas=q\n");
    file.add("q/x", "[eventfs-quota]\nmax_dirs=1\nuser=daemon\n");
    refused(&file, "DIR/q/x:2: the first key must be 'user' or 'group', not 'max_dirs'");
}

#[test]
fn a_missing_quota_directory_is_refused() {
    let file = ConfigFile::new("c", "[eventfs-config]\nquotas=none\n");
    let complaint = "FILE:2: cannot read the directory 'DIR/none': \
                     No such file or directory";
    refused(&file, complaint);
}

#[test]
fn broken_toml_is_refused_with_its_line() {
    let file = ConfigFile::new("c.toml", "[mount]\nsize = \n");
    let point = file.dir.path().join("mnt");
    fs::create_dir(&point).unwrap();
    let mut command = Command::new(EVENTFS);
    command.arg("-c").arg(&file.path).arg(&point).stderr(Stdio::piped()).stdin(Stdio::null());
    let output = spawn(&mut command).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with(&format!("eventfs: {}:2: not TOML: ", file.path.display())), "{said}");
    assert_eq!((said.lines().count(), output.status.code()), (1, Some(1)));
}

#[test]
fn the_usual_places_are_read_toml_first() {
    // In a mount namespace of its own, so that /etc is not touched.
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "unshare -m --propagation private bash -ec '
         cp -a /etc/passwd /etc/group /etc/nsswitch.conf etc/ 2>&- || :
         mkdir -p etc/eventfs mnt; mount --bind etc /etc
         try() {{ {EVENTFS} mnt; n=0; while mkdir mnt/$n 2>&-; do n=$((n+1)); done
                 echo $n; umount mnt; }}
         echo \"[mount]
nr_queues=2\" > /etc/eventfs/eventfs.toml; echo \"[wrong]\" > /etc/eventfs/eventfs.conf; try
         rm /etc/eventfs/eventfs.toml; {EVENTFS} mnt 2>&1 || echo refused
         echo \"[eventfs-config]\" > /etc/eventfs/eventfs.conf; {EVENTFS} -o nr_queues=3 mnt
         n=0; while mkdir mnt/$n 2>&-; do n=$((n+1)); done; echo $n; umount mnt
         rm /etc/eventfs/eventfs.conf; {EVENTFS} -o nr_queues=1 mnt; mkdir mnt/a; umount mnt; echo none'",
    );
    fs::create_dir(dir.path().join("etc")).unwrap();
    let said = sh_ok(dir.path(), &script);
    let refused = "eventfs: /etc/eventfs/eventfs.conf:1: unknown section 'wrong', \
                   expected 'eventfs-config'";
    assert_eq!(said, format!("2\n{refused}\nrefused\n3\nnone\n"));
}
