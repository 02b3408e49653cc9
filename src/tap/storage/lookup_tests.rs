//! Devices in made-up and recorded trees.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

/// A tree under construction.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::TempDir::new().unwrap())
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// A block device with its directory below `devices`.
    fn block(&self, name: &str, directory: &str, number: &str) -> &Self {
        self.file(&format!("sys/devices/{directory}/dev"), number)
            .link(&format!("sys/class/block/{name}"), &format!("../../devices/{directory}"))
            .link(&format!("sys/dev/block/{number}"), &format!("../../devices/{directory}"))
    }

    fn lookup(&self) -> Lookup {
        Lookup::new(Some(&self.0.path().join("sys")), Some(&self.0.path().join("dev")))
    }
}

fn found(device: &str) -> Found {
    let mut found = Found::default();
    found.device.push_str(device);
    found
}

fn device(lookup: &mut Lookup, name: &str) -> Device {
    lookup.device(&found(name), Instant::now())
}

#[test]
fn the_recorded_tree_gives_what_it_is_said_to() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/storage");
    let dir = tempfile::TempDir::new().unwrap();
    let tar = Command::new("tar")
        .arg("-xf")
        .arg(data.join("sysfs-mpath2.tar"))
        .arg("-C")
        .arg(dir.path())
        .status();
    assert!(tar.unwrap().success());
    let text = fs::read_to_string(data.join("sysfs-mpath2.expect.json")).unwrap();
    let expected: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 6);
    for root in [dir.path().to_owned(), dir.path().join("sys")] {
        let mut lookup = Lookup::new(Some(&root), Some(&dir.path().join("dev")));
        for case in &expected {
            let device = device(&mut lookup, case["kdev"].as_str().unwrap());
            assert_eq!(case["dev_name"], device.name, "{case}");
            assert_eq!(case["dev_wwid"], device.wwid, "{case}");
            assert_eq!(case["owners_names"], serde_json::json!(device.owners_names), "{case}");
            if let Some(map) = case.get("map") {
                assert_eq!(map.as_str(), device.get("map"), "{case}");
            }
        }
        assert_eq!(lookup.map_name("253:0").as_deref(), Some("mpatha"));
        assert_eq!(lookup.paths("253:0"), 2);
        let mut path = found("8:99");
        path.fields.push("dm", b"253:0");
        assert_eq!(
            lookup.device(&path, Instant::now()).get("map"),
            Some("mpatha"),
            "a path that is gone"
        );
    }
}

#[test]
fn every_kind_of_device_has_its_own_place_for_the_id() {
    let tree = Tree::new();
    tree.block("nvme0n1", "nvme0n1", "259:0").file("sys/devices/nvme0n1/wwid", "eui.0025\n");
    tree.block("nvme0n1p1", "nvme0n1/nvme0n1p1", "259:1")
        .file("sys/devices/nvme0n1/nvme0n1p1/partition", "1\n");
    tree.block("vda", "vda", "252:0").file("sys/devices/vda/serial", "SLABVBLK01");
    tree.block("md0", "md0", "9:0").file("sys/devices/md0/md/uuid", "d47370b6-6ff8\n");
    tree.block("md1", "md1", "9:1").file("sys/devices/md1/md/uuid", "00000000-0000\n");
    tree.block("dm-1", "dm-1", "253:1").file("sys/devices/dm-1/dm/uuid", "\n");
    tree.block("sdx", "sdx", "65:0")
        .file("sys/devices/sdx/device/wwid", "t10.ATA     Model  Serial \n");
    tree.block("sdy", "sdy", "65:16").link("dev/disk/by-id/ata-Y", "../../sdy");
    tree.link("dev/disk/by-id/wwn-0x5", "../../sdy");
    let mut lookup = tree.lookup();
    for (name, wwid) in [
        ("nvme0n1", "eui.0025"),
        ("nvme0n1p1", "eui.0025-part1"),
        ("259:1", "eui.0025-part1"),
        ("vda", "SLABVBLK01"),
        ("md0", "d47370b6-6ff8"),
        ("md1", ""),
        ("dm-1", ""),
        ("sdx", "t10.ATA-Model-Serial"),
        ("sdy", "wwn-0x5"),
        ("sdz", ""),
        ("", ""),
    ] {
        assert_eq!(device(&mut lookup, name).wwid, wwid, "{name}");
    }
    assert_eq!(device(&mut lookup, "nvme0n1p1").owners_names, ["nvme0n1"]);
}

#[test]
fn owners_are_told_to_the_bottom_once_each() {
    let tree = Tree::new();
    for (name, below) in
        [("dm-2", &["dm-0", "dm-1"][..]), ("dm-1", &["sda1"]), ("dm-0", &["sda1", "sdb"])]
    {
        tree.block(name, name, &format!("253:{name}"));
        tree.file(&format!("sys/devices/{name}/dm/uuid"), &format!("LVM-{name}"));
        for owner in below {
            tree.file(&format!("sys/devices/{name}/slaves/{owner}"), "");
        }
    }
    tree.block("sda", "sda", "8:0").block("sda1", "sda/sda1", "8:1").block("sdb", "sdb", "8:16");
    tree.file("sys/devices/sda/sda1/partition", "1").file("sys/devices/sda/device/wwid", "naa.a");
    let device = device(&mut tree.lookup(), "dm-2");
    assert_eq!(device.owners_names, ["dm-0", "dm-1", "sda1", "sdb", "sda"]);
    assert_eq!(device.owners_wwids, ["LVM-dm-0", "LVM-dm-1", "naa.a-part1", "", "naa.a"]);
}

#[test]
fn ports_raid_volumes_and_addresses_lead_to_their_disk() {
    let tree = Tree::new();
    for (target, disk) in [("0", "sda"), ("1", "sdb")] {
        let place = format!("pci/ata4/host3/target3:0:{target}/3:0:{target}:0/block/{disk}");
        tree.block(disk, &place, &format!("8:{target}"));
    }
    tree.link("sys/class/ata_port/ata4/device", "../../../devices/pci/ata4");
    tree.file("sys/class/scsi_disk/3:0:1:0/device/block/sdb/dev", "");
    tree.block("dm-3", "dm-3", "253:3").file("sys/devices/dm-3/holders/dm-4", "");
    tree.block("dm-4", "dm-4", "253:4").file("sys/devices/dm-4/dm/uuid", "LVM-x\n");
    let mut lookup = tree.lookup();
    for (name, block) in [
        ("ata4.00", "sda"),
        ("ata4.01", "sdb"),
        ("ata4", "ata4"),
        ("ata5.00", "ata5.00"),
        ("3:0:1:0", "sdb"),
        ("host3", "host3"),
        ("mdX", "mdX"),
    ] {
        assert_eq!(device(&mut lookup, name).name, block);
    }
    let mut raid = found("mdX");
    raid.fields.push("member", b"dm-3");
    assert_eq!(lookup.device(&raid, Instant::now()).name, "dm-4");
}

#[test]
fn transports_are_told() {
    let tree = Tree::new();
    for (host, disk, way) in [("6", "sda", ""), ("7", "sdb", "session2/"), ("8", "sdc", "")] {
        let address = format!("{host}:0:1:0");
        let scsi = format!("host{host}/{way}target{host}:0:1/{address}");
        tree.block(disk, &format!("{scsi}/block/{disk}"), &format!("8:{host}"));
        tree.link(
            &format!("sys/devices/{scsi}/block/{disk}/device"),
            &format!("../../../{address}"),
        );
        tree.file(
            &format!("sys/class/scsi_host/host{host}/proc_name"),
            if host == "8" { "(null)\n" } else { "drv\n" },
        );
    }
    for (key, value) in [("port_name", "0x21"), ("speed", "16 Gbit"), ("port_state", "Online")] {
        tree.file(&format!("sys/class/fc_host/host6/{key}"), value);
    }
    tree.file("sys/class/fc_transport/target6:0:1/port_name", "0x50");
    tree.file("sys/class/iscsi_host/host7/x", "");
    for (key, value) in [("targetname", "iqn.x"), ("tpgt", "1"), ("ifacename", "default")] {
        tree.file(&format!("sys/class/iscsi_session/session2/{key}"), value);
    }
    tree.file("sys/class/iscsi_connection/connection2:0/address", "192.0.2.1");
    tree.file("sys/class/iscsi_connection/connection2:0/port", "3260");
    let mut lookup = tree.lookup();
    let mut told = |name: &str| {
        let device = device(&mut lookup, name);
        device
            .extension
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        told("sda"),
        "driver_name=drv transport=FC host_wwpn=0x21 speed=16 Gbit port_state=Online target_wwpn=0x50"
    );
    assert_eq!(
        told("sdb"),
        "driver_name=drv transport=iSCSI target_name=iqn.x tpgt=1 iface_name=default address=192.0.2.1 port=3260"
    );
    assert_eq!(told("sdc"), "");
}

#[test]
fn a_device_is_cached_for_a_second_and_remembered_when_it_goes() {
    let tree = Tree::new();
    tree.block("sda", "sda", "8:0").file("sys/devices/sda/device/wwid", "naa.a");
    let mut lookup = tree.lookup();
    let now = Instant::now();
    assert_eq!(lookup.device(&found("sda"), now).wwid, "naa.a");
    tree.file("sys/devices/sda/device/wwid", "naa.b");
    assert_eq!(lookup.device(&found("sda"), now + FRESH / 2).wwid, "naa.a");
    assert_eq!(lookup.device(&found("sda"), now + FRESH).wwid, "naa.b");
    fs::remove_dir_all(tree.0.path().join("sys")).unwrap();
    assert_eq!(lookup.device(&found("sda"), now + 3 * FRESH).wwid, "naa.b", "gone");
    lookup.forget("sda");
    assert_eq!(lookup.device(&found("sda"), now + 3 * FRESH).wwid, "");
    assert_eq!(lookup.all(), Vec::<String>::new());
}

#[test]
fn file_systems_have_a_uuid_and_usb_storage_a_port() {
    let tree = Tree::new();
    tree.block("sda1", "sda1", "8:1").link("dev/disk/by-uuid/0be5", "../../sda1");
    tree.file("sys/bus/usb/devices/2-1:1.0/host7/x", "").file("sys/bus/usb/devices/2-2:1.0/x", "");
    let mut lookup = tree.lookup();
    let mut event = found("sda1");
    event.system = System::Fs;
    assert_eq!(lookup.device(&event, Instant::now()).get("uuid"), Some("0be5"));
    assert_eq!(lookup.usb_storage(), ["2-1"]);
}

#[test]
fn a_disk_that_does_not_answer_is_not_waited_for_twice() {
    let dir = tempfile::TempDir::new().unwrap();
    let (silent, other) = (dir.path().join("serial"), dir.path().join("other"));
    nix::unistd::mkfifo(&silent, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(&other, "S").unwrap();
    let mut serials = Serials::default();
    let start = Instant::now();
    assert_eq!(serials.ask("vda", &silent), None);
    let waited = start.elapsed();
    assert!(waited >= SERIAL_WAIT && waited < 20 * SERIAL_WAIT, "{waited:?}");
    let start = Instant::now();
    assert_eq!((serials.ask("vda", &silent), serials.ask("vdb", &other)), (None, None));
    assert!(start.elapsed() < SERIAL_WAIT);
    fs::write(&silent, "LATE\n").unwrap();
    let until = Instant::now() + 100 * SERIAL_WAIT;
    while serials.ask("vda", &silent).is_none() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(serials.ask("vdb", &other).as_deref(), Some("S"));
    assert_eq!(serials.ask("vda", &silent).as_deref(), Some("LATE"), "asked once");
}

#[test]
fn names_that_anybody_made_up_are_forgotten() {
    let tree = Tree::new();
    let mut lookup = tree.lookup();
    let now = Instant::now();
    for number in 0..2 * DEVICES_MAX {
        let mut found = Found::default();
        found.device.push_str(&format!("sd{number}"));
        lookup.device(&found, now);
        assert!(lookup.cache.len() <= DEVICES_MAX);
    }
    assert!(lookup.known.is_empty(), "only what was there is known when it goes");
}
