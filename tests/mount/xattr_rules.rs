//! Contract section 4: extended attributes; what `user.eventfs_owner` and stickiness do to the fate of
//! a queue is tested elsewhere.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::common::{Mounted, errno, get, set};
use crate::help::{begin, close, count, put, put_as, user};

const ANN: u32 = 5001;
const BOB: u32 = 5002;

const SETTINGS: [(&str, &str, &str); 4] = [
    ("user.eventfs_max_events", "0", "17"),
    ("user.eventfs_max_bytes", "0", "18446744073709551615"),
    ("user.eventfs_overflow", "reject", "drop-oldest"),
    ("user.eventfs_ttl", "0", "3600"),
];

const COUNTERS: [&str; 6] = ["depth", "bytes", "published", "removed", "dropped", "expired"];

fn unset(path: &Path, name: &str) -> io::Result<()> {
    xattr::remove(path, name)
}

fn list(path: &Path) -> Vec<String> {
    let names = xattr::list(path).unwrap();
    names.map(|name| name.into_string().unwrap()).collect()
}

/// `setxattr` with flags.
fn set_with(path: &Path, name: &str, value: &str, flags: i32) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let name = CString::new(name).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: two strings that end in zero and a value with its length, all alive in the call.
    let result = unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn settings_have_defaults_and_keep_what_is_set() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for (name, default, value) in SETTINGS {
        assert_eq!(get(&queue, name).as_deref(), Some(default), "{name}");
        set(&queue, name, value).unwrap();
        assert_eq!(get(&queue, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_removed_setting_is_the_default_again() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for (name, default, value) in SETTINGS {
        set(&queue, name, value).unwrap();
        unset(&queue, name).unwrap();
        assert_eq!(get(&queue, name).as_deref(), Some(default), "{name}");
    }
}

#[test]
fn a_bad_value_is_einval_and_changes_nothing() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in ["user.eventfs_max_events", "user.eventfs_max_bytes", "user.eventfs_ttl"] {
        set(&queue, name, "5").unwrap();
        for bad in ["", "-1", "+1", " 1", "1 ", "1k", "0x1", "1.5", "x", "18446744073709551616"] {
            assert_eq!(errno(set(&queue, name, bad)), libc::EINVAL, "{name} {bad:?}");
        }
        assert_eq!(get(&queue, name).as_deref(), Some("5"));
    }
    for bad in ["", "drop", "REJECT", "drop-oldest "] {
        assert_eq!(errno(set(&queue, "user.eventfs_overflow", bad)), libc::EINVAL, "{bad:?}");
    }
}

#[test]
fn an_owner_that_is_no_positive_number_is_einval() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for bad in ["", "0", "-1", "1x", "me", "4294967296"] {
        assert_eq!(errno(set(&queue, "user.eventfs_owner", bad)), libc::EINVAL, "{bad:?}");
    }
}

#[test]
fn any_value_makes_sticky_and_presence_counts() {
    let mount = Mounted::new();
    let queue = mount.path("q");
    fs::create_dir(&queue).unwrap();
    assert_eq!(get(&queue, "user.eventfs_sticky"), None);
    for value in ["", "0", "no", "anything"] {
        set(&queue, "user.eventfs_sticky", value).unwrap();
        assert!(get(&queue, "user.eventfs_sticky").is_some(), "{value:?}");
        unset(&queue, "user.eventfs_sticky").unwrap();
        assert_eq!(get(&queue, "user.eventfs_sticky"), None);
    }
    assert_eq!(errno(unset(&queue, "user.eventfs_sticky")), libc::ENODATA);
}

#[test]
fn only_the_queues_user_and_root_set_its_attributes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    chown(&queue, Some(ANN), Some(ANN)).unwrap();
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o777)).unwrap();
    for (name, _, value) in SETTINGS {
        user(ANN, || set(&queue, name, value)).unwrap();
        assert_eq!(errno(user(BOB, || set(&queue, name, value))), libc::EPERM, "{name}");
        assert_eq!(errno(user(BOB, || unset(&queue, name))), libc::EPERM, "{name}");
    }
    for name in ["user.eventfs_sticky", "user.eventfs_owner", "user.eventfs_unknown"] {
        assert_eq!(errno(user(BOB, || set(&queue, name, "1"))), libc::EPERM, "{name}");
    }
    assert_eq!(errno(user(BOB, || unset(&queue, "user.eventfs_sticky"))), libc::EPERM);
}

#[test]
fn who_may_not_write_to_the_queue_is_refused_by_the_kernel() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    chown(&queue, Some(ANN), Some(ANN)).unwrap();
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["user.eventfs_ttl", "user.eventfs_sticky", "user.mine"] {
        assert_eq!(errno(user(BOB, || set(&queue, name, "1"))), libc::EACCES, "{name}");
    }
}

#[test]
fn who_may_write_to_the_queue_sets_other_names() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o777)).unwrap();
    user(BOB, || set(&queue, "user.mine", "x")).unwrap();
    assert_eq!(get(&queue, "user.mine").as_deref(), Some("x"));
}

#[test]
fn other_names_count_as_bytes_of_the_queue() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    set(&queue, "user.mine", "12345").unwrap();
    assert_eq!(count(&queue, "bytes"), 5);
    set(&queue, "user.mine", "12").unwrap();
    set(&queue, "user.more", "123").unwrap();
    assert_eq!(count(&queue, "bytes"), 5);
    set(&queue, "user.eventfs_max_bytes", "10").unwrap();
    assert_eq!(errno(set(&queue, "user.third", "123456")), libc::EDQUOT);
    set(&queue, "user.third", "12345").unwrap();
    unset(&queue, "user.mine").unwrap();
    assert_eq!(count(&queue, "bytes"), 8);
}

#[test]
fn values_of_an_event_count_as_its_bytes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "abc");
    set(&queue.join("e"), "user.mine", "12345").unwrap();
    assert_eq!(count(&queue, "bytes"), 8);
    assert_eq!(fs::metadata(queue.join("e")).unwrap().len(), 3);
    set(&queue, "user.eventfs_max_bytes", "10").unwrap();
    assert_eq!(errno(set(&queue.join("e"), "user.mine", "12345678")), libc::EDQUOT);
    set(&queue.join("e"), "user.mine", "1234567").unwrap();
    unset(&queue.join("e"), "user.mine").unwrap();
    assert_eq!(count(&queue, "bytes"), 3);
    fs::remove_file(queue.join("head")).unwrap();
    assert_eq!(count(&queue, "bytes"), 0);
}

#[test]
fn counters_cannot_be_set_nor_removed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    for name in COUNTERS.map(|name| format!("user.eventfs_{name}")) {
        assert_eq!(errno(set(&queue, &name, "0")), libc::EPERM, "{name}");
        assert_eq!(errno(unset(&queue, &name)), libc::EPERM, "{name}");
        assert_eq!(get(&queue, &name).as_deref(), Some("0"), "{name}");
    }
}

#[test]
fn the_seq_of_an_event_cannot_be_set_nor_removed() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    assert_eq!(errno(set(&queue.join("e"), "user.eventfs_seq", "0")), libc::EPERM);
    assert_eq!(errno(unset(&queue.join("e"), "user.eventfs_seq")), libc::EPERM);
    // Through the link it is the same event.
    let said = crate::common::sh(&queue, "setfattr -n user.eventfs_seq -v 7 head");
    assert!(!said.status.success());
    crate::common::sh_ok(&queue, "[ $(getfattr -n user.eventfs_seq --only-values head) = 1 ]");
}

#[test]
fn an_unknown_eventfs_name_is_einval() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    for name in ["user.eventfs_", "user.eventfs_depths", "user.eventfs_x"] {
        assert_eq!(errno(set(&queue, name, "1")), libc::EINVAL, "{name}");
        assert_eq!(errno(set(&queue.join("e"), name, "1")), libc::EINVAL, "{name}");
        assert_eq!(get(&queue, name), None);
        assert_eq!(errno(unset(&queue, name)), libc::ENODATA);
    }
    // One that only looks similar is the user's.
    set(&queue.join("e"), "user.eventfsx", "1").unwrap();
}

#[test]
fn a_queue_setting_on_an_event_is_einval() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    for (name, _, value) in SETTINGS {
        assert_eq!(errno(set(&queue.join("e"), name, value)), libc::EINVAL, "{name}");
        assert_eq!(get(&queue.join("e"), name), None);
    }
}

#[test]
fn reading_a_name_that_is_not_there_is_enodata() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    for path in [&mount.point, &queue, &queue.join("e")] {
        for name in ["user.none", "user.eventfs_none", "trusted.none"] {
            // `get` knows only ENODATA as "none" and panics on others.
            assert_eq!(get(path, name), None, "{name}");
        }
        assert_eq!(errno(unset(path, "user.none")), libc::ENODATA);
    }
    assert_eq!(get(&queue, "user.eventfs_seq"), None);
}

#[test]
fn listing_shows_all_names_of_a_queue() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    set(&queue, "user.mine", "x").unwrap();
    let mut expected: Vec<String> =
        COUNTERS.iter().map(|name| format!("user.eventfs_{name}")).collect();
    expected.extend(SETTINGS.map(|(name, _, _)| name.to_owned()));
    expected.extend(["user.eventfs_sticky", "user.mine"].map(str::to_owned));
    // The process that made it is remembered as its last owner.
    expected.push("user.eventfs_owner".to_owned());
    expected.sort();
    let mut found = list(&queue);
    found.sort();
    assert_eq!(found, expected);
    for name in found {
        assert!(get(&queue, &name).is_some(), "{name}");
    }
}

#[test]
fn listing_shows_all_names_of_an_event() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    set(&queue.join("e"), "user.b", "").unwrap();
    set(&queue.join("e"), "user.a", "x").unwrap();
    let mut found = list(&queue.join("e"));
    found.sort();
    assert_eq!(found, ["user.a", "user.b", "user.eventfs_seq"]);
    unset(&queue.join("e"), "user.b").unwrap();
    assert_eq!(list(&queue.join("e")).len(), 2);
}

#[test]
fn a_file_that_was_never_published_has_no_seq() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join(".e"), "");
    let file = begin(queue.join("f"));
    for name in [".e", "f"] {
        assert_eq!(get(&queue.join(name), "user.eventfs_seq"), None, "{name}");
        assert_eq!(list(&queue.join(name)), Vec::<String>::new(), "{name}");
    }
    close(file);
    assert!(get(&queue.join("f"), "user.eventfs_seq").is_some());
}

#[test]
fn the_seq_of_a_multicast_event_is_that_of_its_last_publication() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    for name in ["a", "b", "c"] {
        put(two.join(name), "");
    }
    put(one.join("e"), "");
    assert_eq!(count(&one.join("e"), "seq"), 1);
    fs::hard_link(one.join("e"), two.join("e")).unwrap();
    assert_eq!((count(&one.join("e"), "seq"), count(&two.join("e"), "seq")), (4, 4));
}

#[test]
fn an_open_event_keeps_its_seq_after_its_removal() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("a"), "");
    put(queue.join("b"), "");
    let file = fs::File::open(queue.join("b")).unwrap();
    fs::remove_file(queue.join("tail")).unwrap();
    use xattr::FileExt as _;
    assert_eq!(file.get_xattr("user.eventfs_seq").unwrap(), Some(b"2".to_vec()));
}

#[test]
fn seq_rises_and_is_never_reused() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    let mut last = 0;
    for round in 0..200 {
        put(queue.join("e"), "");
        let seq = count(&queue.join("e"), "seq");
        assert!(seq > last, "round {round}");
        last = seq;
        if round % 3 == 0 {
            fs::rename(queue.join("e"), queue.join(".e")).unwrap();
            fs::rename(queue.join(".e"), queue.join("e")).unwrap();
            assert!(count(&queue.join("e"), "seq") > last);
            last = count(&queue.join("e"), "seq");
        }
        fs::remove_file(queue.join("head")).unwrap();
    }
}

#[test]
fn seq_is_in_the_order_of_the_queue() {
    let mount = Mounted::new();
    let (queue, other) = (mount.queue("q"), mount.queue("other"));
    for number in 0..20 {
        put(queue.join(format!("{}", 50 - number)), "");
        put(other.join(format!("m{number}")), "");
        fs::rename(other.join(format!("m{number}")), queue.join(format!("m{number}"))).unwrap();
    }
    let seqs: Vec<u64> =
        crate::help::files(&queue).iter().map(|name| count(&queue.join(name), "seq")).collect();
    assert_eq!(seqs.len(), 40);
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[test]
fn attributes_survive_rename_and_are_shared_by_links() {
    let mount = Mounted::new();
    let (one, two) = (mount.queue("one"), mount.queue("two"));
    put(one.join("e"), "");
    set(&one.join("e"), "user.mine", "x").unwrap();
    fs::rename(one.join("e"), two.join("f")).unwrap();
    assert_eq!(get(&two.join("f"), "user.mine").as_deref(), Some("x"));
    fs::hard_link(two.join("f"), one.join("g")).unwrap();
    set(&one.join("g"), "user.mine", "y").unwrap();
    assert_eq!(get(&two.join("f"), "user.mine").as_deref(), Some("y"));
}

#[test]
fn flags_of_setxattr_hold() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    for path in [&queue, &queue.join("e")] {
        let (create, replace) = (libc::XATTR_CREATE, libc::XATTR_REPLACE);
        assert_eq!(errno(set_with(path, "user.a", "1", replace)), libc::ENODATA);
        set_with(path, "user.a", "1", create).unwrap();
        assert_eq!(errno(set_with(path, "user.a", "2", create)), libc::EEXIST);
        set_with(path, "user.a", "3", replace).unwrap();
        assert_eq!(get(path, "user.a").as_deref(), Some("3"));
    }
    assert_eq!(errno(set_with(&queue, "user.eventfs_ttl", "1", libc::XATTR_CREATE)), libc::EEXIST);
}

#[test]
fn values_may_have_any_bytes_and_64_kibibytes() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    for value in [vec![], vec![0, 255, 10, 0], vec![7; 65_536]] {
        xattr::set(queue.join("e"), "user.mine", &value).unwrap();
        assert_eq!(xattr::get(queue.join("e"), "user.mine").unwrap(), Some(value));
    }
    let long = format!("user.{}", "n".repeat(250));
    set(&queue.join("e"), &long, "x").unwrap();
    assert!(list(&queue.join("e")).contains(&long));
    assert_eq!(errno(xattr::set(queue.join("e"), "user.big", &[0; 65_537])), libc::E2BIG);
}

#[test]
fn other_namespaces_are_not_kept() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    put(queue.join("e"), "");
    for path in [&queue, &queue.join("e")] {
        for name in ["trusted.x", "security.x"] {
            assert_eq!(errno(set(path, name, "1")), libc::EOPNOTSUPP, "{name}");
        }
    }
}

#[test]
fn the_root_keeps_no_attributes() {
    let mount = Mounted::new();
    assert_eq!(errno(set(&mount.point, "user.mine", "1")), libc::EOPNOTSUPP);
    assert_eq!(list(&mount.point), Vec::<String>::new());
}

#[test]
fn attributes_of_an_event_need_its_permissions() {
    let mount = Mounted::new();
    let queue = mount.queue("q");
    fs::set_permissions(&queue, fs::Permissions::from_mode(0o777)).unwrap();
    put_as(ANN, &queue.join("e"), "").unwrap();
    fs::set_permissions(queue.join("e"), fs::Permissions::from_mode(0o600)).unwrap();
    let path = queue.join("e");
    user(ANN, || set(&path, "user.mine", "x")).unwrap();
    assert_eq!(errno(user(BOB, || set(&path, "user.mine", "y"))), libc::EACCES);
    assert_eq!(errno(user(BOB, || xattr::get(&path, "user.mine").map(drop))), libc::EACCES);
}
