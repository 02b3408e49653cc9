//! `eventfs tap storage`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgMatches, Args};

use super::super::exit::{Failed, Status};
use super::args::CommonArgs;
use super::drive;
use crate::decode::storage::{Severity, System};
use crate::tap::storage::{From, Listener, Settings, Storage, Wanted, listen_interface, pattern};

#[derive(Args, Debug)]
pub(super) struct StorageArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Read the kernel log, or a file or pipe in its place [default with --uevent]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    kmsg: Option<Option<PathBuf>>,
    /// Read kernel uevents, or a file or pipe of them [default with --kmsg]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    uevent: Option<Option<PathBuf>>,
    /// Take udev's messages in place of the kernel's
    #[arg(long)]
    udev: bool,
    /// Go on at the end of a file or pipe that is read
    #[arg(long)]
    follow: bool,
    /// Take records of this facility too (0, the kernel, is always taken)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1023))]
    facility: Vec<u32>,
    /// Configuration in the form of the Storage Event Notification Daemon
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Send every event to this address as a datagram, multicast or not
    #[arg(long, value_name = "ADDR:PORT")]
    multicast: Vec<SocketAddr>,
    /// Address of the interface for multicast
    #[arg(long, value_name = "IP")]
    bind: Option<IpAddr>,
    /// Receive other hosts' events at this address instead
    #[arg(long, value_name = "ADDR:PORT")]
    #[arg(conflicts_with_all = ["kmsg", "uevent", "udev", "follow", "facility", "multicast", "flat", "raw", "flood"])]
    #[arg(conflicts_with_all = ["severity", "system", "wwid", "sysfs", "dev"])]
    listen: Option<SocketAddr>,
    /// Look devices up here in place of /sys
    #[arg(long, value_name = "ROOT")]
    sysfs: Option<PathBuf>,
    /// Look devices up here in place of /dev
    #[arg(long, value_name = "ROOT")]
    dev: Option<PathBuf>,
    /// Repeat the keys of `extension` at the top of the object
    #[arg(long)]
    flat: bool,
    /// Make events of other records of storage devices too, as type storage.raw
    #[arg(long)]
    raw: bool,
    /// Most events a second from one device, 0 for any [default: 1000 from the kernel itself, else 0]
    #[arg(long, value_name = "RATE")]
    flood: Option<u32>,
    /// Deliver events of this severity or a higher one: info, warn, error
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    severity: Option<Severity>,
    /// Deliver events of this system or subsystem
    #[arg(long, value_name = "NAME")]
    system: Vec<String>,
    /// Deliver events of this device, or of one that stands on it
    #[arg(long, value_name = "WWID")]
    wwid: Vec<String>,
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    Severity::named(text).ok_or_else(|| "info, warn or error is needed".to_owned())
}

impl StorageArgs {
    fn settings(&self) -> Settings {
        let from = |asked: &Option<Option<PathBuf>>, other: &Option<Option<PathBuf>>| match asked {
            Some(Some(path)) => From::Path(path.clone()),
            Some(None) => From::Kernel,
            // Both, unless one of them was asked for.
            None if other.is_none() => From::Kernel,
            None => From::Off,
        };
        let system = |name: &String| {
            System::named(name).map_or_else(|| name.clone(), |system| system.as_str().to_owned())
        };
        Settings {
            kmsg: from(&self.kmsg, &self.uevent),
            uevent: from(&self.uevent, &self.kmsg),
            udev: self.udev,
            facilities: self.facility.clone(),
            config: self.config.clone(),
            multicast: self.multicast.clone(),
            bind: self.bind,
            sysfs: self.sysfs.clone(),
            dev: self.dev.clone(),
            flat: self.flat,
            raw: self.raw,
            follow: self.follow,
            flood: self.flood,
            wanted: Wanted {
                severity: self.severity.unwrap_or_default(),
                systems: self.system.iter().map(system).collect(),
                wwids: self.wwid.clone(),
            },
        }
    }
}

pub(super) fn run(args: &StorageArgs, matches: &ArgMatches) -> Result<Status, Failed> {
    let options = args.common.options("storage", matches, pattern)?;
    let settings = args.settings();
    match args.listen {
        Some(address) => {
            let interface = listen_interface(&settings)?;
            drive(options, |_| Listener::open(address, interface))
        }
        None => drive(options, |sink| Storage::open(settings, sink)),
    }
}
