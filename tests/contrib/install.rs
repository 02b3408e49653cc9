//! `make install`, `make uninstall` and `make deb`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{EVENTFS, is_mounted, is_root, spawn, wait_until};
use crate::help::{command, find, have, ok, read, root, skip, target_dir};

/// What is installed below the prefix, with its mode, beside the manual pages.
const INSTALLED: [&str; 16] = [
    "755 bin/eventfs",
    "644 lib/systemd/system/eventfs.service",
    "644 lib/systemd/system/eventfs@.service",
    "644 lib/sysusers.d/eventfs.conf",
    "644 lib/tmpfiles.d/eventfs.conf",
    "644 share/bash-completion/completions/eventfs",
    "755 share/doc/eventfs/examples/claim.sh",
    "755 share/doc/eventfs/examples/consumer.py",
    "755 share/doc/eventfs/examples/consumer.sh",
    "755 share/doc/eventfs/examples/container.sh",
    "644 share/doc/eventfs/examples/eventfs-drain@.path",
    "644 share/doc/eventfs/examples/eventfs-drain@.service",
    "644 share/doc/eventfs/examples/eventfs.toml",
    "644 share/doc/eventfs/examples/fstab.example",
    "644 share/fish/vendor_completions.d/eventfs.fish",
    "644 share/zsh/site-functions/_eventfs",
];

/// What the package holds beside that, and has in other places.
const PACKAGED: [&str; 4] = [
    "644 etc/eventfs/eventfs.toml",
    "644 usr/share/doc/eventfs/CHANGELOG.md",
    "644 usr/share/doc/eventfs/README.md",
    "644 usr/share/doc/eventfs/copyright",
];

/// All that is installed, sorted by path: with every page of man/ in its section.
fn installed() -> Vec<String> {
    let mut all: Vec<String> = INSTALLED.iter().map(|line| (*line).to_owned()).collect();
    for page in fs::read_dir(root().join("man")).expect("man") {
        let name = page.expect("page").file_name().into_string().expect("UTF-8");
        let section = name.rsplit('.').next().expect("section").to_owned();
        all.push(format!("644 share/man/man{section}/{name}"));
    }
    all.sort_by_key(|line| PathBuf::from(&line[4..]));
    all
}

/// `make` in the project, with the program under test as the one that is built.
pub(crate) fn make(words: &[&str]) -> Command {
    let mut make = command("make");
    make.arg("-s").args(words).current_dir(root());
    make
}

/// Every file below a directory as `MODE PATH`, sorted by path.
fn files(top: &Path) -> Vec<String> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("readdir").map(|entry| entry.expect("entry")) {
            let is_dir = entry.file_type().expect("type").is_dir();
            if is_dir { &mut open } else { &mut found }.push(entry.path());
        }
    }
    found.sort();
    let line = |path: PathBuf| {
        let mode = fs::symlink_metadata(&path).expect("metadata").permissions().mode() & 0o7777;
        format!("{mode:o} {}", path.strip_prefix(top).expect("below").display())
    };
    found.into_iter().map(line).collect()
}

#[test]
fn install_and_uninstall_leave_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let dest = format!("DESTDIR={}", dir.path().display());
    let binary = format!("BINARY={EVENTFS}");
    let words = [dest.as_str(), "PREFIX=/opt/it", binary.as_str()];
    ok(make(&["install"]).args(words));
    let top = dir.path().join("opt/it");
    assert_eq!(files(&top), installed());
    assert_eq!(files(dir.path()).len(), installed().len());
    // A stranger in the same place stays.
    fs::write(top.join("share/man/man8/stranger.8"), "").expect("write");
    ok(make(&["uninstall"]).args(words));
    let left: Vec<String> =
        files(dir.path()).into_iter().filter(|line| !line.ends_with("stranger.8")).collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(!top.join("share/doc/eventfs").exists());
    assert!(top.join("share/man/man8/stranger.8").exists());
}

#[test]
fn every_directory_can_be_chosen() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| format!("{name}={}/{name}", dir.path().display());
    let names = [
        "BINDIR",
        "MANDIR",
        "BASHDIR",
        "ZSHDIR",
        "FISHDIR",
        "UNITDIR",
        "TMPFILESDIR",
        "SYSUSERSDIR",
        "EXAMPLEDIR",
    ];
    let mut words: Vec<String> = names.into_iter().map(at).collect();
    words.extend([format!("BINARY={EVENTFS}"), "PREFIX=/no/such/place".to_owned()]);
    ok(make(&["install"]).args(&words));
    assert_eq!(files(dir.path()).len(), installed().len());
    let program = dir.path().join("BINDIR/eventfs");
    for unit in ["UNITDIR/eventfs.service", "UNITDIR/eventfs@.service"] {
        let text = read(&dir.path().join(unit));
        assert!(text.contains(&format!("ExecStart={} -f ", program.display())), "{text}");
    }
    let text = read(&dir.path().join("EXAMPLEDIR/eventfs-drain@.service"));
    assert!(text.contains(&format!("'{} pop ", program.display())), "{text}");
    ok(make(&["uninstall"]).args(&words));
    assert_eq!(files(dir.path()), Vec::<String>::new());
}

/// The program that makes packages, if there is one.
fn cargo_deb() -> Option<PathBuf> {
    let own = target_dir().join("tools/bin/cargo-deb");
    find("cargo-deb").or_else(|| own.is_file().then_some(own))
}

/// Builds the package out of the program under test; returns its path.
fn build_package(dir: &Path) -> Option<PathBuf> {
    let Some(packager) = cargo_deb() else {
        skip("no cargo-deb: `make test` builds it");
        return None;
    };
    if !have("dpkg-deb") {
        return None;
    }
    // As if the release had been built, and without what would take long to compress.
    fs::create_dir_all(dir.join("target/release")).expect("mkdir");
    let target = dir.join("target");
    ok(command("strip").arg(EVENTFS).arg("-o").arg(target.join("release/eventfs")));
    let words =
        [format!("CARGO_DEB={}", packager.display()), format!("DEBOUT={}/out", dir.display())];
    ok(make(&["deb"]).args(words).env("CARGO_TARGET_DIR", target));
    let mut made: Vec<_> = fs::read_dir(dir.join("out")).expect("out").collect();
    assert_eq!(made.len(), 1);
    Some(made.pop()?.expect("entry").path())
}

/// What the package should hold.
fn expected() -> Vec<String> {
    let packed = installed().into_iter().map(|line| {
        let (mode, path) = line.split_once(' ').expect("mode");
        let path = path.replace("zsh/site-functions", "zsh/vendor-completions");
        let end = if path.starts_with("share/man/") { ".gz" } else { "" };
        format!("{mode} usr/{path}{end}")
    });
    let mut expected: Vec<String> = packed.collect();
    expected.extend(PACKAGED.map(str::to_owned));
    expected.sort_by(|a, b| a[4..].cmp(&b[4..]));
    expected
}

/// The lines of `dpkg-deb -c` that are files, as `MODE PATH`.
fn listed(package: &Path) -> Vec<String> {
    let mode = |word: &str| {
        let bits = word[1..].bytes().map(|bit| u32::from(bit != b'-'));
        bits.fold(0, |mode, bit| mode * 2 + bit)
    };
    let told = ok(command("dpkg-deb").arg("-c").arg(package));
    let mut lines: Vec<String> = told
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words[0].starts_with('-'))
        .inspect(|words| assert_eq!(words[1], "0/0", "{words:?}"))
        .map(|words| format!("{:o} {}", mode(words[0]), words[5].trim_start_matches("./")))
        .collect();
    lines.sort_by(|a, b| a[4..].cmp(&b[4..]));
    lines
}

/// A field of the package's description.
fn field(package: &Path, name: &str) -> String {
    ok(command("dpkg-deb").arg("-f").arg(package).arg(name)).trim().to_owned()
}

#[test]
fn the_package_holds_what_is_installed_and_works() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let Some(package) = build_package(dir.path()) else { return };
    assert_eq!(listed(&package), expected());
    assert_eq!(field(&package, "Package"), "eventfs");
    assert!(field(&package, "Version").starts_with(env!("CARGO_PKG_VERSION")));
    assert!(field(&package, "Depends").split(", ").any(|name| name == "fuse3"));
    ok(command("dpkg-deb").arg("-e").arg(&package).arg(dir.path().join("control")));
    assert_eq!(read(&dir.path().join("control/conffiles")), "/etc/eventfs/eventfs.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        ok(command("sh").arg("-n").arg(dir.path().join("control").join(script)));
    }
    let place = dir.path().join("place");
    ok(command("dpkg-deb").arg("-x").arg(&package).arg(&place));
    let unit = read(&place.join("usr/lib/systemd/system/eventfs.service"));
    assert!(unit.contains("ExecStart=/usr/bin/eventfs -f "), "{unit}");
    try_program(&place.join("usr/bin/eventfs"), &place.join("etc/eventfs/eventfs.toml"));
    try_dpkg(&package, &dir.path().join("system"));
}

/// Mounts by the program of the package, with its configuration.
fn try_program(program: &Path, config: &Path) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut daemon = spawn(Command::new(program).arg("-f").arg("-c").arg(config).arg(dir.path()));
    wait_until("the mount", || is_mounted(dir.path()));
    ok(command(program.to_str().expect("UTF-8")).args(["status", "--json"]).arg(dir.path()));
    nix::mount::umount(dir.path()).expect("umount");
    assert!(daemon.wait().expect("wait").success());
}

/// Installs, removes and purges the package in a system of its own without anything else.
fn try_dpkg(package: &Path, system: &Path) {
    if !is_root() {
        return crate::common::skip("dpkg: not root");
    }
    for dir in ["etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
        fs::create_dir_all(system.join(dir)).expect("mkdir");
    }
    fs::write(system.join("var/lib/dpkg/status"), "").expect("write");
    fs::write(system.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("write");
    fs::write(system.join("etc/group"), "root:x:0:\n").expect("write");
    let dpkg = |words: &[&str]| {
        let mut dpkg = command("dpkg");
        // The maintainer scripts run outside of it and are told where it is.
        dpkg.arg(format!("--root={}", system.display()));
        dpkg.args(["--force-script-chrootless", "--force-depends", "--force-not-root"]);
        ok(dpkg.args(words));
    };
    dpkg(&["-i", package.to_str().expect("UTF-8")]);
    assert!(system.join("usr/bin/eventfs").exists());
    assert!(system.join("etc/eventfs/eventfs.toml").exists());
    if have("systemd-sysusers") && have("systemd-tmpfiles") {
        assert!(read(&system.join("etc/passwd")).contains("\neventfs:x:"));
        assert!(system.join("var/lib/eventfs").is_dir());
    }
    dpkg(&["-r", "eventfs"]);
    assert!(!system.join("usr/bin/eventfs").exists());
    assert!(system.join("etc/eventfs/eventfs.toml").exists(), "configuration stays");
    dpkg(&["-P", "eventfs"]);
    assert!(!system.join("etc/eventfs/eventfs.toml").exists());
    assert!(!system.join("var/lib/eventfs").exists());
}
