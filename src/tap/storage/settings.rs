//! What the command line says, and the configuration that it names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::decode::storage::{Config, Device, Found, Severity};
use crate::tap::source::Failure;

/// Events a second from one device, where the kernel's own log and uevents are read: the kernel holds
/// back most floods itself, and a disk that dies says some tens of lines a second.
pub const FLOOD_DEFAULT: u32 = 1000;

/// Where a collector reads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum From {
    /// Nowhere.
    #[default]
    Off,
    /// The kernel.
    Kernel,
    /// A file or pipe in its place.
    Path(PathBuf),
}

/// Which events are delivered into the queue; the receivers get all.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// This one or a higher one.
    pub severity: Severity,
    /// Systems or finer names; any if empty.
    pub systems: Vec<String>,
    /// Ids of the device or of what it stands on; any if empty.
    pub wwids: Vec<String>,
}

impl Wanted {
    /// Kinds of filter are all asked, of one kind one has to fit.
    pub(super) fn takes(&self, found: &Found, device: &Device) -> bool {
        let system = |name: &String| *name == found.system.as_str() || *name == found.subsystem;
        let wwid = |id: &String| *id == device.wwid || device.owners_wwids.contains(id);
        found.severity >= self.severity
            && (self.systems.is_empty() || self.systems.iter().any(system))
            && (self.wwids.is_empty() || self.wwids.iter().any(wwid))
    }
}

/// What the tap is to do.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The kernel log.
    pub kmsg: From,
    /// Uevents.
    pub uevent: From,
    /// udev's messages in place of the kernel's.
    pub udev: bool,
    /// Facilities taken besides the kernel's own, 0.
    pub facilities: Vec<u32>,
    /// The original's configuration.
    pub config: Option<PathBuf>,
    /// Receivers.
    pub multicast: Vec<SocketAddr>,
    /// The interface for multicast; goes before the configuration's.
    pub bind: Option<IpAddr>,
    /// In place of `/sys`.
    pub sysfs: Option<PathBuf>,
    /// In place of `/dev`.
    pub dev: Option<PathBuf>,
    /// Repeat the keys of the extension at the top of the object.
    pub flat: bool,
    /// `RAW` events.
    pub raw: bool,
    /// Files in place of the kernel are read on beyond their end.
    pub follow: bool,
    /// Events a second from one device; 0 for all of them.
    pub flood: Option<u32>,
    /// Which events go into the queue.
    pub wanted: Wanted,
}

impl Settings {
    /// The configuration for messages.
    pub(super) fn config_name(&self) -> String {
        self.config
            .as_ref()
            .map_or_else(|| "configuration".to_owned(), |path| path.display().to_string())
    }

    /// Reads the configuration that is named.
    pub(super) fn read_config(&self) -> Result<Config, Failure> {
        let Some(path) = &self.config else { return Ok(Config::default()) };
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::io(path.display(), &error))?;
        Config::parse(&text).map_err(|why| Failure(format!("{}: {why}", path.display())))
    }

    /// Everybody who gets each event.
    pub(super) fn receivers(&self, config: &Config) -> Vec<SocketAddr> {
        let configured = config.receiver.map(|ip| SocketAddr::new(ip, config.port));
        let mut all = self.multicast.clone();
        all.extend(configured.filter(|address| !self.multicast.contains(address)));
        all
    }

    /// The rate at which floods are cut off.
    pub(super) fn flood_limit(&self) -> u32 {
        let live = self.kmsg == From::Kernel || self.uevent == From::Kernel;
        // A file is no flood: whoever reads one wants all of it.
        self.flood.unwrap_or(if live { FLOOD_DEFAULT } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_one_kind_are_or_and_kinds_are_and() {
        let mut found = Found { severity: Severity::Warn, ..Found::default() };
        found.subsystem.push_str("nvme");
        let device =
            Device { wwid: "a".into(), owners_wwids: vec!["b".into()], ..Device::default() };
        let wanted = |severity, systems: &[&str], wwids: &[&str]| {
            let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            Wanted { severity, systems: list(systems), wwids: list(wwids) }.takes(&found, &device)
        };
        assert!(wanted(Severity::Info, &[], &[]));
        assert!(wanted(Severity::Warn, &["fs", "nvme"], &["x", "b"]));
        assert!(wanted(Severity::Warn, &["block"], &["a"]));
        assert!(!wanted(Severity::Error, &["block"], &["a"]));
        assert!(!wanted(Severity::Info, &["fs"], &[]));
        assert!(!wanted(Severity::Info, &[], &["x"]));
    }

    #[test]
    fn floods_are_cut_where_the_kernel_is_read() {
        let live = Settings { kmsg: From::Kernel, ..Settings::default() };
        assert_eq!(live.flood_limit(), FLOOD_DEFAULT);
        assert_eq!(Settings { flood: Some(0), ..live }.flood_limit(), 0);
        let file = Settings { kmsg: From::Path("x".into()), ..Settings::default() };
        assert_eq!(file.flood_limit(), 0);
    }

    #[test]
    fn the_configured_receiver_comes_once() {
        let config = Config { receiver: Some("239.0.0.1".parse().unwrap()), ..Config::default() };
        let address: SocketAddr = "239.0.0.1:6000".parse().unwrap();
        assert_eq!(Settings::default().receivers(&config), [address]);
        let both = Settings { multicast: vec![address], ..Settings::default() };
        assert_eq!(both.receivers(&config), [address]);
    }
}
