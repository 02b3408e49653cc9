//! The kernel itself: a loop device that is made to fail.
//!
//! Loop devices are everybody's, so only events of our own device count; everything is taken down again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::common::{is_root, skip, wait_until};
use crate::help::{Site, Tap};

/// A loop device over a file of its own, unmounted and detached with its value.
struct Loop {
    site: Site,
    /// `loop3`.
    name: String,
    point: PathBuf,
}

fn run(program: &str, words: &[&str]) -> bool {
    let output = Command::new(program).args(words).output();
    output.is_ok_and(|output| output.status.success())
}

impl Loop {
    /// Nothing where this machine has none, with the reason told.
    fn new(megabytes: u64) -> Option<Self> {
        if !is_root() {
            skip("loop devices need root");
            return None;
        }
        let site = Site::new();
        let file = site.file("image", "");
        fs::File::options().write(true).open(&file).unwrap().set_len(megabytes << 20).unwrap();
        let shown = Command::new("losetup").args(["-f", "--show"]).arg(&file).output();
        let Some(shown) = shown.ok().filter(|shown| shown.status.success()) else {
            skip("no loop device");
            return None;
        };
        let device = String::from_utf8(shown.stdout).unwrap();
        let name = device.trim().strip_prefix("/dev/").unwrap().to_owned();
        let point = site.path("mnt");
        fs::create_dir(&point).unwrap();
        Some(Self { site, name, point })
    }

    fn device(&self) -> String {
        format!("/dev/{}", self.name)
    }

    fn make(&self, fs: &str, words: &[&str]) -> bool {
        let made = run(&format!("mkfs.{fs}"), &[words, &[self.device().as_str()]].concat());
        if !made {
            skip(&format!("no mkfs.{fs}"));
        }
        made
    }

    fn mount(&self, options: &str) -> bool {
        run("mount", &["-o", options, &self.device(), self.point.to_str().unwrap()])
    }

    fn umount(&self) -> bool {
        run("umount", &[self.point.to_str().unwrap()])
    }

    /// Our events so far.
    fn events(&self) -> Vec<Value> {
        let all = self.site.events().into_iter().map(|(_, event)| event["data"].clone());
        all.filter(|data| data["dev_name"] == self.name.as_str()).collect()
    }

    /// Waits for an event of this type of our device.
    fn wait_for(&self, event_type: &str) -> Value {
        let find = || self.events().into_iter().rfind(|data| data["event_type"] == event_type);
        wait_until(event_type, || find().is_some());
        find().unwrap()
    }

    fn tap(&self, words: &[&str]) -> Tap {
        self.site.start(words)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.umount();
        run("losetup", &["-d", &self.device()]);
    }
}

/// Whether the kernel log can be read here.
fn has_log() -> bool {
    let readable = fs::File::open("/dev/kmsg").is_ok();
    if !readable {
        skip("the kernel log cannot be read here");
    }
    readable
}

#[test]
fn a_loop_device_that_grows_is_one_event_of_two_collectors() {
    let Some(device) = Loop::new(64).filter(|_| has_log()) else { return };
    let tap = device.tap(&[]);
    let file = fs::File::options().write(true).open(device.site.path("image")).unwrap();
    file.set_len(96 << 20).unwrap();
    assert!(run("losetup", &["-c", &device.device()]));
    let event = device.wait_for("BLOCK_CAPACITY_CHANGED");
    let is_log = event["extension"].get("new").is_some();
    assert!(!is_log || event["extension"]["new"] == "196608", "{event}");
    // The other half is not far behind, if it comes at all.
    std::thread::sleep(Duration::from_millis(300));
    let grown = device.events();
    let count = grown.iter().filter(|data| data["event_type"] == "BLOCK_CAPACITY_CHANGED").count();
    assert_eq!(count, 1, "{grown:?}");
    tap.end();
}

#[test]
fn an_ext4_is_mounted_broken_and_checked() {
    let Some(device) = Loop::new(64).filter(|_| has_log()) else { return };
    if !device.make("ext4", &["-q", "-F"]) || !device.mount("errors=remount-ro") {
        return skip("no ext4 here");
    }
    let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", device.name);
    assert!(device.umount());
    let tap = device.tap(&["--kmsg"]);
    assert!(device.mount("errors=remount-ro"));
    let mounted = device.wait_for("FS_MOUNTED");
    assert_eq!(mounted["extension"]["mount_point"], device.point.to_str().unwrap());
    assert_eq!(
        (&mounted["subsystem"], &mounted["extension"]["data_mode"]),
        (&"ext4".into(), &"ordered".into())
    );
    assert_eq!(mounted["dev_wwid"], mounted["extension"]["uuid"]);
    if fs::write(&trigger, "a test").is_ok() {
        assert_eq!(device.wait_for("FS_ERROR")["severity"], "error");
        device.wait_for("FS_JOURNAL_ABORTED");
        device.wait_for("FS_REMOUNT_READ_ONLY");
        assert!(device.umount() && device.mount("errors=remount-ro"));
        device.wait_for("FS_NEEDS_CHECK");
    } else {
        skip("this kernel has no trigger_fs_error");
    }
    assert!(device.umount());
    device.wait_for("FS_UNMOUNTED");
    tap.end();
}

#[test]
fn an_ext4_is_shut_down_and_recovers() {
    let Some(device) = Loop::new(64).filter(|_| has_log()) else { return };
    if !device.make("ext4", &["-q", "-F"]) || !device.mount("rw") {
        return skip("no ext4 here");
    }
    let tap = device.tap(&["--kmsg"]);
    fs::write(device.point.join("file"), "x").unwrap();
    // Flush the log, then no more I/O: EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_LOGFLUSH.
    shut_down(&device.point);
    assert_eq!(device.wait_for("FS_SHUTDOWN")["extension"]["mode"], "1");
    assert!(device.umount() && device.mount("rw"));
    device.wait_for("FS_RECOVERY_DONE");
    tap.end();
}

/// `xfs_io -x -c shutdown` for ext4.
fn shut_down(point: &std::path::Path) {
    let script = "import fcntl,os,struct,sys; f=os.open(sys.argv[1],os.O_RDONLY); \
                  fcntl.ioctl(f,0x8004587d,struct.pack('I',1))";
    assert!(run("python3", &["-c", script, point.to_str().unwrap()]), "the shutdown");
}

#[test]
fn an_xfs_is_shut_down_recovered_and_corrupted() {
    let Some(device) = Loop::new(320).filter(|_| has_log()) else { return };
    if !device.make("xfs", &["-q", "-f"]) || !device.mount("rw") {
        return skip("no xfs here");
    }
    assert!(device.umount());
    let tap = device.tap(&["--kmsg"]);
    assert!(device.mount("rw"));
    device.wait_for("FS_MOUNTED");
    // Something for the log: a clean one has nothing to recover.
    fs::write(device.point.join("file"), "data").unwrap();
    if run("xfs_io", &["-x", "-c", "shutdown -f", device.point.to_str().unwrap()]) {
        device.wait_for("FS_SHUTDOWN");
        assert!(device.umount() && device.mount("rw"));
        device.wait_for("FS_RECOVERY_STARTED");
        device.wait_for("FS_RECOVERY_DONE");
    } else {
        skip("no xfs_io");
    }
    assert!(device.umount());
    device.wait_for("FS_UNMOUNTED");
    use std::os::unix::fs::FileExt;
    let image = fs::File::options().write(true).open(device.site.path("image")).unwrap();
    image.write_all_at(&[0xa5; 512], 512).unwrap();
    let _ = run("blockdev", &["--flushbufs", &device.device()]);
    device.mount("rw");
    let corrupt = device.wait_for("FS_CORRUPTION");
    assert_eq!((&corrupt["system"], &corrupt["subsystem"]), (&"fs".into(), &"xfs".into()));
    tap.end();
}

#[test]
fn a_btrfs_is_mounted_and_its_data_damaged() {
    let Some(device) = Loop::new(128).filter(|_| has_log()) else { return };
    if !device.make("btrfs", &["-q", "-f", "-d", "single", "-m", "single"]) || !device.mount("rw") {
        return skip("no btrfs here");
    }
    fs::write(device.point.join("data"), [b'x'; 1 << 20]).unwrap();
    assert!(device.umount());
    let tap = device.tap(&["--kmsg"]);
    damage(&device);
    assert!(device.mount("rw"));
    device.wait_for("FS_MOUNTED");
    assert!(fs::read(device.point.join("data")).is_err());
    let sum = device.wait_for("FS_CSUM_ERROR");
    assert_eq!((&sum["system"], &sum["subsystem"]), (&"fs".into(), &"btrfs".into()));
    let stats = device.wait_for("FS_DEVICE_STATS");
    assert_ne!(stats["extension"]["corrupt"], "0", "{stats}");
    tap.end();
}

/// Changes a byte of the file's data behind the file system's back.
fn damage(device: &Loop) {
    use std::os::unix::fs::FileExt;
    let path = device.site.path("image");
    let data = [b'x'; 4_096];
    let image = fs::read(&path).unwrap();
    let block = image.chunks(4_096).position(|block| block == data).expect("the file's data");
    let image = fs::File::options().write(true).open(&path).unwrap();
    image.write_all_at(b"y", block as u64 * 4_096).unwrap();
    image.sync_all().unwrap();
    let _ = run("blockdev", &["--flushbufs", &device.device()]);
}

#[test]
fn a_backing_file_that_is_cut_gives_io_errors() {
    let Some(device) = Loop::new(64).filter(|_| has_log()) else { return };
    let tap = device.tap(&["--kmsg"]);
    let image = fs::File::options().write(true).open(device.site.path("image")).unwrap();
    image.set_len(1 << 20).unwrap();
    let input = format!("if={}", device.device());
    let behind_the_end =
        [&input, "of=/dev/null", "bs=4096", "count=1", "skip=10000", "iflag=direct"];
    if run("dd", &behind_the_end) {
        return skip("this kernel reads zeros behind the end of the backing file");
    }
    let event = device.wait_for("BLOCK_IO_ERROR");
    assert_eq!((&event["severity"], &event["system"]), (&"error".into(), &"block".into()));
    tap.end();
}

#[test]
fn uevents_made_by_hand_need_the_option() {
    let Some(device) = Loop::new(8) else { return };
    let file = format!("/sys/class/block/{}/uevent", device.name);
    let config = device.site.file("c.toml", "[udev]\nsynthetic = true\n").display().to_string();
    let tap = device.tap(&["--uevent", "--config", &config]);
    if fs::write(&file, "add 11111111-2222-3333-4444-555555555555 A=1").is_err() {
        return skip("no uevent by hand here");
    }
    let added = device.wait_for("BLOCK_DEVICE_ADDED");
    assert_eq!((&added["severity"], &added["system"]), (&"info".into(), &"block".into()));
    let count = device.events().len();
    tap.end();
    let tap = device.tap(&["--uevent"]);
    fs::write(&file, "add").unwrap();
    // Something that is an event follows, so the first had its chance.
    fs::write(&file, "change").unwrap();
    wait_until("two that are none", || tap_ignored(&device) >= 2);
    assert_eq!(device.events().len(), count);
    tap.end();
}

/// What the tap counts as no events, from the attribute of its queue.
fn tap_ignored(device: &Loop) -> u64 {
    let counters =
        xattr::get(device.site.queue(), "user.tap.storage").ok().flatten().unwrap_or_default();
    let counters: Value = serde_json::from_slice(counters.trim_ascii()).unwrap_or_default();
    counters["ignored"].as_u64().unwrap_or(0)
}

#[test]
fn text_of_users_is_taken_with_their_facility_and_gone_on_from() {
    if !is_root() || !has_log() {
        return skip("writing to the kernel log needs root");
    }
    let site = Site::new();
    let mark = format!("md: eventfs_{} stopped.\n", std::process::id());
    let count = || {
        let ours = site.events().into_iter().filter(|(_, event)| {
            event["data"]["raw_msg"].as_str().is_some_and(|text| mark.starts_with(text.trim_end()))
        });
        ours.count()
    };
    let say = || fs::write("/dev/kmsg", &mark).unwrap();
    let tap = site.start(&["--kmsg", "--facility", "1"]);
    say();
    wait_until("our text", || count() == 1);
    tap.end();
    say();
    let tap = site.start(&["--kmsg", "--facility", "1"]);
    wait_until("what was said meanwhile", || count() == 2);
    tap.kill9();
    say();
    let tap = site.start(&["--kmsg", "--facility", "1"]);
    wait_until("what was said after the crash", || count() == 3);
    tap.end();
    let tap = site.start(&["--kmsg"]);
    say();
    std::thread::sleep(Duration::from_millis(200));
    tap.end();
    assert_eq!(count(), 3, "the kernel alone");
}
