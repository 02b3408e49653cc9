//! The original's configuration.

use std::fs::{self, File};
use std::io::Write;
use std::net::UdpSocket;

use nix::sys::signal::Signal;

use crate::common::wait_until;
use crate::help::{Site, records};

const DRBD: &str = r#"
[[collector.regexs]]
starts_with = "drbd "
regex = '^drbd (?P<resource>\S+)/0 (?P<kdev>drbd\d+): disk\( (?P<old>\w+)'
sub_system = "drbd"
event_type = "DRBD_DISK"
[[collector.regexs]]
regex = "("
event_type = "BROKEN"
"#;

#[test]
fn the_originals_file_does_what_it_says() {
    let site = Site::new();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let config = format!(
        "[main]\nreceiver_multicast_ip = \"127.0.0.1\"\nreceiver_multicast_port = \"{port}\"\n\
         [kmsg]\ntype = \"sender\"\n[mpath]\ntype = \"parser\"\nfiler_type = \"dm\"\n\
         [jounal]\ntype = \"receiver\"\n{DRBD}"
    );
    let config = site.file("send.toml", config).display().to_string();
    let log = site.file(
        "log",
        records(&[
            "device-mapper: multipath: 253:0: Failing path 8:0.",
            "drbd r0/0 drbd1: disk( UpToDate -> Failed )",
        ]),
    );
    let ended = site.read(&log, &["--config", &config]);
    assert_eq!(ended.count("written"), 2);
    assert!(ended.stderr.contains("[jounal]: no such receiver here"), "{}", ended.stderr);
    assert!(ended.stderr.contains("rule (: unclosed group"), "{}", ended.stderr);
    let drbd = &site.events()[1].1;
    assert_eq!(drbd["type"], "storage.drbd_disk");
    assert_eq!(drbd["data"]["dev_name"], "drbd1");
    assert_eq!(drbd["data"]["extension"]["resource"], "r0");
    let mut datagram = [0; 4096];
    let length = receiver.recv(&mut datagram).unwrap();
    let heard: serde_json::Value = serde_json::from_slice(&datagram[..length]).unwrap();
    assert_eq!(heard, site.events()[0].1["data"]);
}

#[test]
fn parsers_can_be_turned_off_and_what_is_not_toml_is_refused() {
    let site = Site::new();
    let log = site.file("log", records(&["md: md0 stopped.", "I/O error, dev sda, sector 8"]));
    let off = site.file("off.toml", "[mdraid]\nenabled = false\n").display().to_string();
    let ended = site.read(&log, &["--config", &off]);
    assert_eq!((ended.count("written"), ended.count("ignored")), (1, 1));
    let bad =
        site.file("bad.toml", "[main]\nreceiver_multicast_ip = 127.0.0.1\n").display().to_string();
    let ended = site.run(&["--config", &bad, &format!("--kmsg={}", log.display())]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("bad.toml: line 2: "), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn sighup_reads_the_configuration_again() {
    let site = Site::new();
    let config = site.file("c.toml", "").display().to_string();
    let log = site.file("log", "");
    let tap = site.start(&["--config", &config, "--follow", &format!("--kmsg={}", log.display())]);
    let mut file = File::options().append(true).open(&log).unwrap();
    let mut number = 0;
    let mut say = |text: &str| {
        number += 1;
        writeln!(file, "3,{number},{number},-;{text}").unwrap();
    };
    say("drbd r0/0 drbd1: disk( UpToDate -> Failed )");
    say("md: md0 stopped.");
    site.wait_for("storage.md_array_stopped", 1);
    assert_eq!(site.events().len(), 1);
    fs::write(&config, DRBD).unwrap();
    tap.signal(Signal::SIGHUP);
    wait_until("the rule", || {
        say("drbd r0/0 drbd1: disk( UpToDate -> Failed )");
        std::thread::sleep(std::time::Duration::from_millis(50));
        site.events().iter().any(|(_, event)| event["type"] == "storage.drbd_disk")
    });
    fs::write(&config, "not toml").unwrap();
    tap.signal(Signal::SIGHUP);
    let before = site.wait_for("storage.drbd_disk", 1).len();
    say("drbd r0/0 drbd1: disk( UpToDate -> Failed )");
    site.wait_for("storage.drbd_disk", before + 1);
    let ended = tap.end();
    assert!(ended.stderr.contains("the old configuration stays"), "{}", ended.stderr);
}

#[test]
fn standard_output_and_a_list_of_devices_at_the_start() {
    let site = Site::new();
    let sysfs = site.path("sys");
    fs::create_dir_all(sysfs.join("class/block/sda/device")).unwrap();
    fs::write(sysfs.join("class/block/sda/device/wwid"), "naa.a\n").unwrap();
    let text = "[main]\nnotify_stdout = true\ndump_blk_info_at_start = true\n";
    let config = site.file("c.toml", text).display().to_string();
    let log = site.file("log", records(&["md: md0 stopped."]));
    let ended = site.read(&log, &["--config", &config, "--sysfs", &sysfs.display().to_string()]);
    let lines: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["PERIPETY_BLK_INFO", "MD_ARRAY_STOPPED"]);
    assert_eq!((&lines[0]["dev_name"], &lines[0]["dev_wwid"]), (&"sda".into(), &"naa.a".into()));
    assert_eq!(ended.count("written"), 2);
}
