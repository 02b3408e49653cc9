//! Recorded logs and uevents, read to their end.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use serde_json::Value;

use crate::help::{Site, boot, data, events, log_of, records, samples};

fn types(site: &Site) -> Vec<String> {
    let kind = |(_, event): (String, Value)| event["type"].as_str().expect("type").to_owned();
    site.events().into_iter().map(kind).collect()
}

#[test]
fn every_sample_line_becomes_its_file() {
    let site = Site::new();
    let samples = samples("lines.jsonl");
    let ended = site.read(&site.file("log", log_of(&samples)), &[]);
    assert_eq!((ended.count("received"), ended.count("written")), (493, 493));
    let events = site.events();
    assert_eq!(events.len(), 493);
    for (sample, (name, event)) in samples.iter().zip(&events) {
        let number: u64 =
            sample["record"].as_str().unwrap().split(',').nth(1).unwrap().parse().unwrap();
        assert_eq!(*name, format!("storage-{}-{number:020}.json", boot()));
        let (data, expected) = (&event["data"], &sample["expect"]);
        for key in ["event_type", "severity", "system", "subsystem"] {
            assert_eq!(data[key], expected[key], "{sample}");
        }
        for (key, value) in expected["extension"].as_object().unwrap() {
            assert_eq!(data["extension"][key], *value, "{sample}");
        }
        let kind = format!("storage.{}", expected["event_type"].as_str().unwrap().to_lowercase());
        assert_eq!(event["type"], kind);
        assert_eq!(event["id"], format!("{}-{number}", boot()));
        assert_eq!(event["source"], format!("/storage/{}", data["hostname"].as_str().unwrap()));
        let time = event["time"].as_str().unwrap();
        assert_eq!((time.len(), &time[29..]), (30, "Z"));
        assert_eq!(data["timestamp"], format!("{}Z", &time[..26]));
        assert_eq!(data["msg"].as_str().unwrap(), sample["text"].as_str().unwrap().trim_end());
    }
}

#[test]
fn what_is_no_event_is_counted_as_ignored() {
    let site = Site::new();
    let ended = site.read(&site.file("log", log_of(&samples("negatives.jsonl"))), &[]);
    assert_eq!((ended.count("ignored"), ended.count("written"), ended.count("lost")), (148, 0, 0));
    assert!(site.events().is_empty());
}

#[test]
fn records_of_users_need_the_facility() {
    let log = data("seq-6.18-user_inject.kmsg");
    let site = Site::new();
    assert_eq!(site.read(&log, &[]).count("ignored"), 2);
    let other = Site::new();
    assert_eq!(other.read(&log, &["--facility", "1"]).count("written"), 2);
}

#[test]
fn the_same_record_again_is_a_duplicate_and_a_saved_position_is_gone_on_from() {
    let site = Site::new();
    let log = site.file("log", log_of(&samples("lines.jsonl")));
    assert_eq!(site.read(&log, &[]).count("written"), 493);
    assert_eq!(site.read(&log, &["--from", "oldest"]).count("duplicate"), 493);
    assert_eq!(site.read(&log, &[]).count("received"), 0);
    let more =
        [fs::read_to_string(&log).unwrap(), "3,1493,7,-;I/O error, dev sda, sector 8\n".into()]
            .concat();
    assert_eq!(site.read(&site.file("log", more), &[]).count("written"), 1);
    assert_eq!(site.events().len(), 494);
    let another = site.file("log", records(&["md: md0 stopped."]));
    assert_eq!(site.read(&another, &[]).count("written"), 1, "another file under the name");
}

#[test]
fn lines_of_dmesg_have_the_taps_start_and_their_number() {
    let site = Site::new();
    let log = site.file(
        "log",
        "[    1.000000] Linux version 6.12\n<6>[    2.000000][    T1] md: md0 stopped.\n\
         [    3.000000] md/raid1:md0: Disk failure on sda, disabling device.\n               \
         md/raid1:md0: Operation continuing on 1 devices.\n<14>[    4.000000] md: md1 stopped.\n",
    );
    let ended = site.read(&log, &[]);
    assert_eq!((ended.count("written"), ended.count("ignored")), (2, 2));
    let events = site.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let (start, line) = names[0].strip_prefix("storage-l").unwrap().split_once('-').unwrap();
    assert_eq!((start.len(), line), (20, "00000000000000000002.json"));
    assert!(names[1].ends_with("-00000000000000000003.json"));
    assert_eq!(events[0].1["id"], format!("l{}-2", start.trim_start_matches('0')));
    assert_eq!(events[0].1["data"]["extension"]["kernel_priority"], "6");
    assert_eq!(events[1].1["data"]["extension"]["remaining"], "1");
    assert_eq!(events[1].1["data"]["extension"].get("kernel_priority"), None);
}

#[test]
fn what_cannot_be_read_is_delivered_with_the_reason() {
    let site = Site::new();
    let ended = site.read(&site.file("log", "hello\n6,1,2,-;md: md0 stopped.\n6,x\n"), &[]);
    assert_eq!((ended.count("written"), ended.count("unreadable")), (3, 2));
    let unreadable: Vec<Value> = site
        .events()
        .into_iter()
        .map(|(_, event)| event)
        .filter(|e| e["type"] == "storage.unreadable")
        .collect();
    assert_eq!(unreadable[0]["data"]["raw_base64"], "aGVsbG8=");
    assert_eq!(unreadable[0]["data"]["reason"], "neither a kmsg record nor a line of dmesg");
    assert_eq!(unreadable[1]["data"]["position"], 3);
}

#[test]
fn numbers_that_jump_are_a_gap() {
    let site = Site::new();
    let log = "6,10,2,-;a\n6,15,3,-;md: md0 stopped.\n6,3,4,-;md: md1 stopped.\n";
    let ended = site.read(&site.file("log", log), &[]);
    assert_eq!((ended.count("lost"), ended.count("notes"), ended.count("written")), (4, 1, 2));
    let events = site.events();
    let (name, gap) = events.iter().find(|(_, event)| event["type"] == "storage.gap").unwrap();
    assert!(name.starts_with("storage-gap-"));
    let data = &gap["data"];
    assert_eq!(
        (&data["first"], &data["last"], &data["count"]),
        (&11.into(), &14.into(), &4.into())
    );
    assert_eq!(data["reason"], "overwritten before they were read");
}

#[test]
fn uevents_are_read_from_a_file() {
    let site = Site::new();
    let samples = samples("uevents.jsonl");
    let mut file = Vec::new();
    for sample in &samples {
        let text = sample["message_b64"].as_str().unwrap();
        let message = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        file.extend_from_slice(&u32::try_from(message.len()).unwrap().to_le_bytes());
        file.extend_from_slice(&message);
    }
    let path = site.file("uevents", &file);
    let ended = site.run(&[&format!("--uevent={}", path.display())]);
    assert_eq!(ended.code, Some(0));
    // One of the paths that fail is the last of its map.
    assert_eq!((ended.count("ignored"), ended.count("written")), (96, 14));
    let events = site.events();
    let expected: Vec<&Value> =
        samples.iter().map(|s| &s["expect"]).filter(|e| !e.is_null()).collect();
    assert_eq!(expected.len(), 13);
    let all_down = events.iter().filter(|(_, e)| e["type"] == "storage.dm_mpath_all_paths_down");
    let all_down: Vec<_> = all_down.collect();
    assert_eq!(all_down.len(), 1);
    assert_eq!(all_down[0].0, format!("storage-{}-u-{:020}-2.json", boot(), 1133));
    assert_eq!(all_down[0].1["data"]["extension"]["map"], "mpatha");
    assert_eq!(all_down[0].1["data"]["severity"], "error");
    assert!(events.iter().all(|(name, _)| name.starts_with(&format!("storage-{}-u-", boot()))));
}

#[test]
fn a_uevent_that_is_none_is_unreadable() {
    let site = Site::new();
    let path = site.file("uevents", b"\x05\0\0\0hello");
    let ended = site.run(&[&format!("--uevent={}", path.display())]);
    assert_eq!((ended.code, ended.count("unreadable")), (Some(0), 1));
    assert_eq!(site.events()[0].1["data"]["reason"], "no end of the head");
}

#[test]
fn devices_are_looked_up_where_it_is_said() {
    let site = Site::new();
    let tar = Command::new("tar")
        .arg("-xf")
        .arg(data("sysfs-mpath2.tar"))
        .arg("-C")
        .arg(site.path(""))
        .status();
    assert!(tar.unwrap().success());
    let sysfs = site.path("sys").display().to_string();
    let log = site.file(
        "log",
        records(&[
            "device-mapper: multipath: 253:0: Failing path 8:0.",
            "critical medium error, dev dm-0, sector 4656 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2",
            "sd 1:0:0:0: Power-on or device reset occurred",
            "device-mapper: multipath: 253:0: Failing path 8:16.",
            "device-mapper: multipath: 253:0: Failing path 8:16.",
        ]),
    );
    let ended = site.read(&log, &["--sysfs", &sysfs, "--dev", &sysfs]);
    assert_eq!((ended.count("received"), ended.count("written")), (6, 6));
    let events: Vec<Value> =
        site.events().into_iter().map(|(_, event)| event["data"].clone()).collect();
    let down = &events[0];
    assert_eq!(
        (&down["dev_name"], &down["dev_wwid"]),
        (&"sda".into(), &"naa.33333330000007d0".into())
    );
    let extension = &down["extension"];
    assert_eq!((&extension["dm"], &extension["map"]), (&"253:0".into(), &"mpatha".into()));
    assert_eq!(extension["path_major_minor"], "8:0");
    assert_eq!(events[1]["dev_wwid"], "mpath-1Linux_scsi_debug_2000");
    assert_eq!(events[1]["owners_names"], serde_json::json!(["sda", "sdb"]));
    assert_eq!(
        events[1]["owners_wwids"],
        serde_json::json!(["naa.33333330000007d0", "naa.33333330000007d0"])
    );
    assert_eq!(events[2]["dev_name"], "sdb");
    let all_down = events.iter().filter(|event| event["event_type"] == "DM_MPATH_ALL_PATHS_DOWN");
    let all_down: Vec<&Value> = all_down.collect();
    assert_eq!(all_down.len(), 1, "one event a transition");
    assert_eq!(
        (&all_down[0]["dev_name"], &all_down[0]["extension"]["nr_paths"]),
        (&"dm-0".into(), &"2".into())
    );
    let wanted = Site::new();
    let ended = wanted.read(&log, &["--sysfs", &sysfs, "--wwid", "mpath-1Linux_scsi_debug_2000"]);
    assert_eq!((ended.count("written"), ended.count("filtered")), (2, 4));
}

#[test]
fn a_pair_from_both_collectors_is_one_event() {
    let site = Site::new();
    let log = site.file(
        "log",
        records(&["device-mapper: multipath: 253:0: Failing path 8:0.", "md: md0 stopped."]),
    );
    let sample = samples("uevents.jsonl").into_iter().find(|sample| {
        sample["expect"]["event_type"] == "DM_MPATH_PATH_DOWN"
            && sample["expect"]["dev_name"] == "8:0"
    });
    let text = sample.unwrap()["message_b64"].as_str().unwrap().to_owned();
    let message = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let framed = [&u32::try_from(message.len()).unwrap().to_le_bytes()[..], &message].concat();
    let uevents = format!("--uevent={}", site.file("uevents", framed).display());
    let ended = site.read(&log, &[&uevents]);
    assert_eq!((ended.count("written"), ended.count("ignored")), (3, 1));
    let mut types = types(&site);
    types.sort();
    assert_eq!(
        types,
        [
            "storage.dm_mpath_all_paths_down",
            "storage.dm_mpath_path_down",
            "storage.md_array_stopped"
        ]
    );
}

#[test]
fn filters_routes_and_forms() {
    let site = Site::new();
    let log = data("seq-6.12-mpath_path_down.kmsg");
    let route = format!("storage.dm_mpath_path_reinstated={}", site.path("up").display());
    let words = [
        "--filter",
        "storage.dm_mpath_*",
        "--exclude",
        "storage.dm_mpath_path_failed",
        "--route",
        &route,
    ];
    let ended = site.read(&log, &words);
    assert_eq!(
        (ended.count("written"), ended.count("filtered"), ended.count("ignored")),
        (1, 2, 4)
    );
    assert_eq!(events(&site.path("up")).len(), 1);
    let flat = Site::new();
    flat.read(&log, &["--flat", "--bare"]);
    let (_, event) = &flat.events()[0];
    assert_eq!((&event["dm"], &event["extension"]["dm"]), (&"253:0".into(), &"253:0".into()));
    let severe = Site::new();
    let ended = severe.read(
        &data("seq-6.12-scsi_medium_error_read.kmsg"),
        &["--severity", "error", "--system", "scsi"],
    );
    assert_eq!((ended.count("written"), ended.count("filtered")), (1, 3));
    let raw = Site::new();
    assert_eq!(raw.read(&log, &["--raw"]).count("written"), 7);
    assert_eq!(types(&raw).iter().filter(|kind| *kind == "storage.raw").count(), 4);
}

#[test]
fn nothing_left_to_read_is_a_failure_and_the_rest_goes_on() {
    let site = Site::new();
    let none = site.path("none").display().to_string();
    let ended = site.run(&[&format!("--kmsg={none}"), &format!("--uevent={none}")]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("eventfs: ") && ended.stderr.contains(&none),
        "{}",
        ended.stderr
    );
    let log = site.file("log", records(&["md: md0 stopped."]));
    let ended = site.read(&log, &[&format!("--uevent={none}")]);
    assert_eq!(ended.count("written"), 1);
    assert_eq!(ended.stderr.matches("No such file").count(), 1, "{}", ended.stderr);
    assert_eq!(site.run(&["--kmsg=/tmp"]).code, Some(1));
    assert_eq!(site.run(&["--severity", "loud"]).code, Some(2));
}
