//! How a SCSI disk is attached: Fibre Channel, iSCSI, and by which driver.

use std::fs;
use std::path::Path;

use super::sysfs::{Sysfs, attribute};
use crate::decode::storage::Device;

/// Adds what the host of a SCSI device (`6:0:0:0`) says; `directory` is the device's.
pub(super) fn add(sysfs: &Sysfs, directory: &Path, address: &str, device: &mut Device) {
    let Some((host, _)) = address.split_once(':') else { return };
    let class = |class: &str, name: &str, key: &str| {
        attribute(&sysfs.at("class").join(class).join(name).join(key))
    };
    let host = format!("host{host}");
    let mut put = |key: &'static str, value: Option<String>| {
        if let Some(value) = value.filter(|value| value != "(null)") {
            device.add(key, value);
        }
    };
    put("driver_name", class("scsi_host", &host, "proc_name"));
    if sysfs.at("class/fc_host").join(&host).exists() {
        put("transport", Some("FC".into()));
        put("host_wwpn", class("fc_host", &host, "port_name"));
        put("speed", class("fc_host", &host, "speed"));
        put("port_state", class("fc_host", &host, "port_state"));
        if let Some((target, _)) = address.rsplit_once(':') {
            put("target_wwpn", class("fc_transport", &format!("target{target}"), "port_name"));
        }
    } else if sysfs.at("class/iscsi_host").join(&host).exists()
        && let Some(number) = session(directory)
    {
        put("transport", Some("iSCSI".into()));
        let session = format!("session{number}");
        put("target_name", class("iscsi_session", &session, "targetname"));
        put("tpgt", class("iscsi_session", &session, "tpgt"));
        put("iface_name", class("iscsi_session", &session, "ifacename"));
        let connection = format!("connection{number}:0");
        put("address", class("iscsi_connection", &connection, "address"));
        put("port", class("iscsi_connection", &connection, "port"));
    }
}

/// The number of the session that a device's real path leads through.
fn session(directory: &Path) -> Option<String> {
    let real = fs::canonicalize(directory).ok()?;
    real.iter().filter_map(|part| part.to_str()?.strip_prefix("session")).map(str::to_owned).next()
}
