//! What a device is called, what it is, and what it stands on.
//!
//! Only names and ids that the kernel has in memory are read, so nothing waits for a disk. The one
//! exception is the serial number of a virtio disk, which is asked from the device: another thread does
//! that, and nobody waits for it long.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::mounts::Mounts;
use super::sysfs::{Sysfs, attribute, clean, last_of_link, names};
use super::transport;
use crate::decode::storage::{Device, Found, System};

/// How long a device is believed to be what it was.
const FRESH: Duration = Duration::from_secs(1);

/// Devices remembered at most.
const DEVICES_MAX: usize = 4096;

/// How long a disk may take to say its serial number.
const SERIAL_WAIT: Duration = Duration::from_millis(100);

/// Longest way down to the bottom of a stack.
const OWNERS_MAX: usize = 1024;

/// Looks devices up, and remembers them for about a second.
#[derive(Debug)]
pub struct Lookup {
    sysfs: Sysfs,
    /// `/dev`, or a copy.
    dev: PathBuf,
    /// Whether this is the machine that we run on.
    is_here: bool,
    cache: HashMap<Key, (Instant, Device)>,
    /// What was last known of a block device, for when it is gone.
    known: HashMap<String, Device>,
    serials: Serials,
}

/// What decides how a device is looked up.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    device: String,
    /// Of a multipath event.
    map: String,
    /// Of an event of LVM's raid.
    member: String,
    is_fs: bool,
}

impl Key {
    fn of(found: &Found) -> Self {
        let text = |key| found.fields.text(key).unwrap_or_default().to_owned();
        Self {
            device: found.device.clone(),
            map: text("dm"),
            member: text("member"),
            is_fs: found.system == System::Fs,
        }
    }
}

impl Lookup {
    /// In these roots; `/sys` and `/dev` unless told otherwise.
    pub fn new(sysfs: Option<&Path>, dev: Option<&Path>) -> Self {
        Self {
            sysfs: Sysfs::new(sysfs.unwrap_or(Path::new("/sys"))),
            dev: dev.unwrap_or(Path::new("/dev")).to_owned(),
            is_here: sysfs.is_none(),
            cache: HashMap::new(),
            known: HashMap::new(),
            serials: Serials::default(),
        }
    }

    /// Everything known of an event's device. A device that is gone is what it last was.
    pub fn device(&mut self, found: &Found, now: Instant) -> Device {
        let key = Key::of(found);
        if let Some((at, device)) = self.cache.get(&key)
            && now.saturating_duration_since(*at) < FRESH
        {
            return device.clone();
        }
        let device = self.look(&key);
        if self.cache.len() >= DEVICES_MAX {
            self.cache.clear();
        }
        self.cache.insert(key, (now, device.clone()));
        device
    }

    /// Forgets a device that a uevent says is added: it may be another one under the old name.
    pub fn forget(&mut self, name: &str) {
        self.known.remove(name);
        self.cache.retain(|key, (_, device)| key.device != name && device.name != name);
    }

    /// The names of all block devices, each looked up, so that they are known when they go.
    pub fn all(&mut self) -> Vec<String> {
        let names = names(&self.sysfs.at("class/block"));
        for name in &names {
            self.block(name);
        }
        names
    }

    /// USB devices (`2-1`) that are storage now.
    pub fn usb_storage(&self) -> Vec<String> {
        let directory = self.sysfs.at("bus/usb/devices");
        let has_host = |name: &&String| {
            names(&directory.join(name)).iter().any(|inside| inside.starts_with("host"))
        };
        let all = names(&directory);
        let storage = all.iter().filter(has_host);
        storage.filter_map(|name| name.split(':').next()).map(str::to_owned).collect()
    }

    /// The name of a multipath map, by its number (`253:0`).
    pub fn map_name(&self, number: &str) -> Option<String> {
        let name = self.sysfs.block_of_number(number)?;
        attribute(&self.sysfs.block(&name)?.join("dm/name"))
    }

    /// How many paths a map has.
    pub fn paths(&self, number: &str) -> usize {
        let name = self.sysfs.block_of_number(number);
        let directory = name.and_then(|name| self.sysfs.block(&name));
        directory.map_or(0, |directory| names(&directory.join("slaves")).len())
    }

    fn look(&mut self, key: &Key) -> Device {
        let name = self.name(key).unwrap_or_else(|| key.device.clone());
        let mut device = match self.sysfs.block(&name) {
            Some(_) => self.block(&name),
            None => self.known.get(&name).cloned().unwrap_or_else(|| Device::named(&name)),
        };
        if let Some(map) = self.map_name(&key.map).filter(|_| device.get("map").is_none()) {
            device.add("map", map);
        }
        if key.is_fs {
            self.add_file_system(&mut device);
        }
        device
    }

    /// The block device that a name of the kernel's stands for.
    fn name(&self, key: &Key) -> Option<String> {
        let device = key.device.as_str();
        let numbers = device.split(':').count();
        let is_numbers = device.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        if is_numbers && numbers == 2 {
            return self.sysfs.block_of_number(device);
        }
        if is_numbers && numbers == 4 {
            let directory = self.sysfs.at("class/scsi_disk").join(device).join("device/block");
            return names(&directory).into_iter().next();
        }
        if device.starts_with("ata") {
            return self.ata(device);
        }
        if device == "mdX" {
            return self.lvm_raid(&key.member);
        }
        None
    }

    /// The disk at an ATA port: `ata4` or `ata4.00`.
    fn ata(&self, name: &str) -> Option<String> {
        let (port, place) = name.split_once('.').unwrap_or((name, ""));
        let port = self.sysfs.at("class/ata_port").join(port).join("device");
        let starting = |directory: &Path, start: &str| -> Vec<PathBuf> {
            let inside = names(directory).into_iter().filter(|name| name.starts_with(start));
            inside.map(|name| directory.join(name)).collect()
        };
        let mut disks = Vec::new();
        for target in starting(&port, "host").iter().flat_map(|host| starting(host, "target")) {
            for address in names(&target).into_iter().filter(|name| name.split(':').count() == 4) {
                let found = names(&target.join(&address).join("block"));
                disks.extend(found.into_iter().map(|disk| (address.clone(), disk)));
            }
        }
        // Master and slave are targets 0 and 1 of one host.
        let wanted: Option<u32> = place.parse().ok();
        let target = |address: &str| address.split(':').nth(2)?.parse::<u32>().ok();
        match disks.as_slice() {
            [(_, disk)] => Some(disk.clone()),
            _ => {
                let mut of_place = disks
                    .iter()
                    .filter(|(address, _)| wanted.is_some() && target(address) == wanted);
                of_place.next().map(|(_, disk)| disk.clone())
            }
        }
    }

    /// The volume that stands on a member of LVM's raid.
    fn lvm_raid(&self, member: &str) -> Option<String> {
        let holders = names(&self.sysfs.block(member)?.join("holders"));
        holders.into_iter().find(|name| {
            let uuid = self.sysfs.block(name).and_then(|dir| attribute(&dir.join("dm/uuid")));
            uuid.is_some_and(|uuid| uuid.starts_with("LVM-"))
        })
    }

    /// A block device that is there.
    fn block(&mut self, name: &str) -> Device {
        let mut device = Device { wwid: self.wwid(name), ..Device::named(name) };
        device.owners_names = self.owners(name);
        device.owners_wwids = Vec::with_capacity(device.owners_names.len());
        for owner in &device.owners_names.clone() {
            let wwid = self.wwid(owner);
            device.owners_wwids.push(wwid);
        }
        if let Some(map) = self.map_above(name) {
            device.add("map", map);
        }
        self.add_transport(name, &mut device);
        if self.known.len() < DEVICES_MAX || self.known.contains_key(name) {
            self.known.insert(name.to_owned(), device.clone());
        }
        device
    }

    /// The id of a block device, empty if it has none.
    fn wwid(&mut self, name: &str) -> String {
        let Some(directory) = self.sysfs.block(name) else { return String::new() };
        if let Some((parent, number)) = partition(&directory) {
            let of_disk = self.wwid(&parent);
            return match of_disk.as_str() {
                "" => self.by_id(name).unwrap_or_default(),
                of_disk => format!("{of_disk}-part{number}"),
            };
        }
        let places: &[&str] = match name {
            name if name.starts_with("dm-") => &["dm/uuid"],
            name if name.starts_with("md") => &["md/uuid"],
            _ => &["device/wwid", "wwid"],
        };
        // An array without a UUID says zeros.
        let is_set = |id: &String| id.bytes().any(|byte| !matches!(byte, b'0' | b'-'));
        let told = places.iter().find_map(|place| {
            attribute(&directory.join(place)).map(|id| clean(&id)).filter(is_set)
        });
        told.or_else(|| self.serials.ask(name, &directory.join("serial")).map(|id| clean(&id)))
            .or_else(|| self.by_id(name))
            .unwrap_or_default()
    }

    /// The name of a device among the links that udev keeps, without knowing which udev there is.
    fn by_id(&self, name: &str) -> Option<String> {
        const PREFERRED: [&str; 5] = ["wwn-", "dm-uuid-", "md-uuid-", "nvme-", "virtio-"];
        let links = self.disk_links("by-id", name);
        let preferred =
            PREFERRED.iter().find_map(|start| links.iter().find(|link| link.starts_with(start)));
        preferred.or(links.first()).cloned()
    }

    fn disk_links(&self, kind: &str, name: &str) -> Vec<String> {
        let directory = [self.dev.join("disk"), self.dev.clone()].map(|dir| dir.join(kind));
        let directory = directory.iter().find(|dir| dir.is_dir());
        let Some(directory) = directory else { return Vec::new() };
        let points = |link: &String| last_of_link(&directory.join(link)).as_deref() == Some(name);
        names(directory).into_iter().filter(points).collect()
    }

    /// What a device stands on, nearest first, to the bottom.
    fn owners(&self, name: &str) -> Vec<String> {
        let mut owners: Vec<String> = Vec::new();
        let mut next = 0;
        let mut current = name.to_owned();
        loop {
            for below in self.below(&current) {
                if below != name && !owners.contains(&below) && owners.len() < OWNERS_MAX {
                    owners.push(below);
                }
            }
            let Some(owner) = owners.get(next) else { return owners };
            current.clone_from(owner);
            next += 1;
        }
    }

    fn below(&self, name: &str) -> Vec<String> {
        let Some(directory) = self.sysfs.block(name) else { return Vec::new() };
        match partition(&directory) {
            Some((parent, _)) => vec![parent],
            None => names(&directory.join("slaves")),
        }
    }

    /// The multipath map that holds a path.
    fn map_above(&self, name: &str) -> Option<String> {
        let holders = names(&self.sysfs.block(name)?.join("holders"));
        holders.iter().find_map(|holder| {
            let dm = self.sysfs.block(holder)?.join("dm");
            attribute(&dm.join("uuid")).filter(|uuid| uuid.starts_with("mpath-"))?;
            attribute(&dm.join("name"))
        })
    }

    fn add_transport(&self, name: &str, device: &mut Device) {
        let Some(directory) = self.sysfs.block(name).map(|directory| directory.join("device"))
        else {
            return;
        };
        let Some(address) = last_of_link(&directory) else { return };
        if address.split(':').count() == 4 {
            transport::add(&self.sysfs, &directory, &address, device);
        }
    }

    /// Where it is mounted, and the UUID that udev read from it.
    fn add_file_system(&self, device: &mut Device) {
        let number = self.sysfs.block(&device.name).and_then(|dir| attribute(&dir.join("dev")));
        if self.is_here
            && let Some(point) = Mounts::read().point(number.as_deref(), &device.name)
        {
            device.add("mount_point", point);
        }
        if let Some(uuid) = self.disk_links("by-uuid", &device.name).into_iter().next() {
            device.add("uuid", uuid);
        }
    }
}

/// The disk of a partition and its number.
fn partition(directory: &Path) -> Option<(String, String)> {
    let number = attribute(&directory.join("partition"))?;
    let real = fs::canonicalize(directory).ok()?;
    let parent = real.parent()?.file_name()?.to_str()?.to_owned();
    Some((parent, number))
}

/// Serial numbers that have to be asked from the device.
#[derive(Debug, Default)]
struct Serials {
    /// A question that was not answered in time.
    pending: Option<(String, mpsc::Receiver<Option<String>>)>,
    known: HashMap<PathBuf, Option<String>>,
}

impl Serials {
    /// The serial number, if the device says it soon. It is asked once, and while one does not answer no
    /// other is asked.
    fn ask(&mut self, name: &str, path: &Path) -> Option<String> {
        let path = fs::canonicalize(path).ok()?;
        if let Some((asked, answer)) = &self.pending {
            let answer = answer.try_recv();
            if answer == Err(mpsc::TryRecvError::Empty) {
                return None;
            }
            if asked == name {
                let serial = answer.unwrap_or_default();
                self.pending = None;
                self.known.insert(path, serial.clone());
                return serial;
            }
            self.pending = None;
        }
        if let Some(serial) = self.known.get(&path) {
            return serial.clone();
        }
        let (sender, answer) = mpsc::channel();
        let place = path.clone();
        let asking = std::thread::Builder::new().name("serial".into()).spawn(move || {
            // Nobody may be listening any more.
            let _ = sender.send(attribute(&place));
        });
        asking.ok()?;
        match answer.recv_timeout(SERIAL_WAIT) {
            Ok(serial) => {
                self.known.insert(path, serial.clone());
                serial
            }
            Err(_) => {
                log::warn!("{name}: does not tell its serial number");
                self.pending = Some((name.to_owned(), answer));
                None
            }
        }
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
