//! The files themselves: what must not be in the units, and that everything that is offered works.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use eventfs::config::{MountOptions, load};

use crate::common::{EVENTFS, Mounted, is_listed, is_root};
use crate::help::{command, contrib, have, ok, read};

/// Beginnings of settings that give a service a mount namespace of its own, in which its mount
/// would be invisible to everybody else, or take from the daemon what it needs.
const BANNED: [&str; 27] = [
    "Protect",
    "Private",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "ReadWriteDirectories",
    "ReadOnlyDirectories",
    "InaccessibleDirectories",
    "ExecPaths",
    "NoExecPaths",
    "TemporaryFileSystem",
    "BindPaths",
    "BindReadOnlyPaths",
    "BindLogSockets",
    "MountFlags",
    "MountImages",
    "MountAPIVFS",
    "Root",
    "Extension",
    "DynamicUser",
    "ProcSubset",
    "LogNamespace",
    "NetworkNamespacePath",
    "IPCNamespacePath",
    "JoinsNamespaceOf",
    "RestrictFileSystems",
    // Takes openat2(2) away.
    "RestrictSUIDSGID",
];

fn units() -> Vec<(String, String)> {
    let entries = fs::read_dir(contrib("systemd")).expect("units");
    let paths = entries.map(|entry| entry.expect("entry").path());
    let name = |path: &Path| path.file_name().expect("name").to_string_lossy().into_owned();
    paths.map(|path| (name(&path), read(&path))).collect()
}

/// The settings of a unit, without comments.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('='))
}

#[test]
fn no_unit_has_a_mount_namespace_of_its_own() {
    assert_eq!(units().len(), 4);
    for (name, text) in units() {
        for (key, _) in settings(&text) {
            let banned = BANNED.iter().any(|word| key.starts_with(word));
            assert!(!banned, "{name}: {key}=");
        }
    }
}

#[test]
fn the_template_is_the_service_for_any_place() {
    let service = read(&contrib("systemd/eventfs.service"));
    let template = read(&contrib("systemd/eventfs@.service"));
    let behind_comment = |text: &str| text[text.find("[Unit]").expect("a unit")..].to_owned();
    assert_eq!(behind_comment(&service).replace("/mnt/events", "%f"), behind_comment(&template));
}

#[test]
fn the_service_has_what_a_daemon_needs() {
    let text = read(&contrib("systemd/eventfs.service"));
    let has = |key, value| settings(&text).any(|setting| setting == (key, value));
    assert!(has("Type", "notify"));
    assert!(has("ExecReload", "/bin/kill -HUP $MAINPID"));
    assert!(has("Restart", "on-failure"));
    assert!(has("NoNewPrivileges", "yes"));
    assert!(has("DevicePolicy", "closed"));
    assert!(has("DeviceAllow", "/dev/fuse rw"));
}

/// The example configuration with its settings switched on.
fn switched_on() -> String {
    let is_setting = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '))
    };
    let text = read(&contrib("eventfs.toml"));
    text.lines()
        .map(|line| if is_setting(line) { &line[1..] } else { line }.to_owned() + "\n")
        .collect()
}

fn loaded(text: &str) -> (MountOptions, eventfs::config::Config) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("eventfs.toml");
    fs::write(&file, text).expect("write");
    let config = load(Some(&file)).unwrap_or_else(|error| panic!("{error}"));
    let mut options = MountOptions::default();
    config.apply_mount(&mut options).expect("mount options");
    (options, config)
}

#[test]
fn the_example_configuration_changes_nothing_as_it_is() {
    let (options, config) = loaded(&read(&contrib("eventfs.toml")));
    let (_, empty) = loaded("");
    assert_eq!(options, MountOptions::default());
    assert_eq!(format!("{:?}", config.quotas), format!("{:?}", empty.quotas));
}

#[test]
fn every_setting_of_the_example_configuration_is_one() {
    let text = switched_on();
    let (options, config) = loaded(&text);
    assert!(options.allow_other && options.nr_queues == Some(1000));
    // What it says is a default, is one.
    let defaults = MountOptions::default();
    assert_eq!(options.max_event, defaults.max_event);
    assert_eq!(options.root_mode, defaults.root_mode);
    assert_eq!(
        (options.owner, options.grace, options.publish, options.notify, options.orphans),
        (defaults.owner, defaults.grace, defaults.publish, defaults.notify, defaults.orphans)
    );
    let tap = config.taps.first().expect("a tap");
    assert_eq!((tap.name.as_str(), tap.queues.len()), ("beegfs", 1));
    let (_, empty) = loaded("");
    assert_ne!(format!("{:?}", config.quotas), format!("{:?}", empty.quotas));
}

#[test]
fn the_example_configuration_shows_every_option() {
    let text = switched_on();
    let keys: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    for option in [
        "size",
        "nr_events",
        "nr_queues",
        "max_event",
        "root_mode",
        "uid",
        "gid",
        "allow_other",
        "owner",
        "grace",
        "publish",
        "notify",
        "orphans",
        "max_dirs",
        "max_files",
        "max_files_per_dir",
        "max_bytes",
    ] {
        assert!(keys.contains(option), "{option}");
    }
}

#[test]
fn a_mount_takes_the_example_configuration() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("eventfs.toml");
    fs::write(&file, switched_on()).expect("write");
    Mounted::start(&["-c", file.to_str().expect("UTF-8")]).queue("q");
}

#[test]
fn every_line_of_the_fstab_example_mounts() {
    let text = read(&contrib("fstab.example"));
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [source, _, "fuse.eventfs", options, "0", "0"] = fields[..] else {
            panic!("not a line of fstab: {line}")
        };
        let dir = tempfile::tempdir().expect("temporary directory");
        // As mount(8) calls it.
        ok(command(EVENTFS).arg(source).arg(dir.path()).args(["-o", options]));
        assert!(is_listed(dir.path()), "{line}");
        nix::mount::umount(dir.path()).expect("umount");
    }
}

#[test]
fn user_group_and_directories_are_made() {
    if !have("systemd-sysusers") || !have("systemd-tmpfiles") {
        return;
    }
    if !is_root() {
        return crate::common::skip("not root");
    }
    let place = tempfile::tempdir().expect("temporary directory");
    let root = place.path();
    fs::create_dir_all(root.join("etc")).expect("mkdir");
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("write");
    fs::write(root.join("etc/group"), "root:x:0:\n").expect("write");
    let inside = format!("--root={}", root.display());
    let users = contrib("sysusers.d/eventfs.conf");
    ok(command("systemd-sysusers").arg(&inside).arg(&users));
    assert!(read(&root.join("etc/passwd")).contains("\neventfs:x:"));
    assert!(read(&root.join("etc/group")).contains("\neventfs:x:"));
    let files = contrib("tmpfiles.d/eventfs.conf");
    ok(command("systemd-tmpfiles").args(["--create", &inside]).arg(&files));
    for (dir, mode) in [("run/eventfs", 0o775), ("var/lib/eventfs", 0o770)] {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(root.join(dir)).expect(dir);
        assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (mode, 0), "{dir}");
        assert_ne!(metadata.gid(), 0, "{dir}");
        // The service must not change it back and forth.
        let service = read(&contrib("systemd/eventfs.service"));
        assert!(service.contains(&format!("DirectoryMode={mode:04o}")), "{dir}");
    }
}
