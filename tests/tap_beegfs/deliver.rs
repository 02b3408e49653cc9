//! What is written, where, and in which form.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{Mounted, get, names, wait_until};
use crate::help::{Site, assert_numbers, events, file, lines, numbers, of_type, wait_for_events};
use crate::metadata_server::{Identity, MetadataServer};

#[test]
fn events_become_files_in_order() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &[]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 200);
    wait_for_events(&queue, 200);
    let expected: Vec<String> = (0..200).map(file).collect();
    assert_eq!(names(&queue)[2..], expected, "in order of publication too");
    assert_eq!(fs::read_link(queue.join("head")).unwrap().to_str(), Some(file(0).as_str()));
    let line = &lines(&queue)[7];
    for (key, value) in [
        ("specversion", "1.0"),
        ("id", "12/7"),
        ("source", "/beegfs/meta/12"),
        ("type", "beegfs.create"),
        ("time", "2025-11-01T12:00:00.000000007Z"),
        ("subject", "/data/run/output-0000007"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    let data = line["data"].as_object().unwrap();
    assert_eq!(data["msn"], 7);
    assert_eq!(data["entry_id"], "2F-68F1C2D3-C");
    assert_eq!(data.len(), 15, "{data:?}");
    assert!(events(&queue)[&file(7)].ends_with("}\n"));
    // What comes later is written at once, by itself.
    server.burst(1);
    wait_for_events(&queue, 201);
    let ended = tap.end();
    assert_eq!((ended.count("received"), ended.count("written")), (201, 201));
    assert_eq!(server.offences(), Vec::<String>::new());
    wait_until("goodbye", || server.goodbyes() == 1);
    assert!(!site.socket().exists(), "our socket is removed");
    wait_until("the end of the tap's queue", || !queue.exists());
}

#[test]
fn every_recorded_event_comes_through() {
    let text = fs::read_to_string("tests/data/beegfs/packets.json").expect("samples");
    let samples: Value = serde_json::from_str(&text).expect("JSON");
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--sticky"]);
    let server = MetadataServer::start(&site.socket(), Identity::node(12));
    wait_until("a stream", || server.is_streaming());
    let mut count = 0;
    for sample in samples["packets"].as_array().expect("packets") {
        let expect = &sample["expect"]["ok"];
        let is_event =
            expect["packet"] == "Send_Message" && sample["expect"]["listener_must"].is_null();
        if !is_event {
            continue;
        }
        let hex = sample["hex"].as_str().expect("hex");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect();
        // The payload, under the numbers of our own server.
        server.ring(|ring| ring.push(bytes[18..].to_vec()));
        count += 1;
        let msn = count - 1;
        let path = queue.join(file(msn));
        wait_until("the event", || {
            fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
        });
        let line: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (data, event) = (&line["data"], &expect["event"]);
        assert_eq!(data["event_number"], event["type"], "{sample}");
        assert_eq!(data["timestamp_ns"], event["timestamp"], "{sample}");
        assert_eq!(data["num_hardlinks"], event["num_links"], "{sample}");
        for (ours, theirs) in
            [("path", "path"), ("target_path", "target_path"), ("entry_id", "entry_id")]
        {
            match event[theirs]["utf8"].as_str() {
                Some(text) => assert_eq!(data[ours], text, "{sample}"),
                None => assert!(data[format!("{ours}_base64")].is_string(), "{line}"),
            }
        }
    }
    assert!(count >= 20, "{count} samples");
    let ended = tap.end();
    assert_eq!(ended.count("written"), count);
    assert_eq!(ended.count("unreadable"), 0);
}

#[test]
fn batches_under_load_and_single_files_without() {
    let site = Site::new();
    let queue = site.path("q");
    let tap = site.tap(&queue, &["--batch", "1000"]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 20_000);
    wait_until("all", || lines(&queue).len() == 20_000);
    assert_numbers(&queue, 12, 0..20_000);
    let files = events(&queue);
    assert!(files.len() < 2_000, "{} files", files.len());
    assert!(files.values().all(|text| text.lines().count() <= 1_000));
    for msn in 20_000..20_003 {
        server.burst(1);
        let path = queue.join(file(msn));
        wait_until("its own file", || path.exists());
    }
    assert_eq!(tap.end().count("written"), 20_003);
}

#[test]
fn bare_xattrs_filters_routes_and_links() {
    let (site, mount) = (Site::new(), Mounted::new());
    let (first, second, moved) = (mount.path("a"), mount.path("b"), mount.path("moved"));
    let route = format!("beegfs.c*={}", moved.display());
    let second_word = second.display().to_string();
    let words = [
        "--bare",
        "--xattrs",
        "--sticky",
        "--queue",
        &second_word,
        "--exclude",
        "beegfs.*",
        "--filter",
        "beegfs.create",
        "--route",
        &route,
    ];
    let tap = site.tap(&first, &words);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 3);
    wait_for_events(&moved, 3);
    let content = fs::read_to_string(moved.join(file(1))).unwrap();
    assert!(content.starts_with("{\"meta_id\":12,"), "{content}");
    assert_eq!(get(&moved.join(file(1)), "user.ce.type").as_deref(), Some("beegfs.create"));
    assert_eq!(get(&moved.join(file(1)), "user.ce.id").as_deref(), Some("12/1"));
    drop(server);
    assert_eq!(tap.end().count("written"), 3);
    assert!(events(&first).is_empty());
    // Without the route, into the first queue, with links in the second.
    fs::remove_dir_all(&moved).unwrap();
    let tap = site.tap(&first, &["--bare", "--queue", &second_word, "--from", "oldest"]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 5);
    wait_for_events(&second, 5);
    let inode = |path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    assert_eq!(inode(first.join(file(4))), inode(second.join(file(4))));
    drop(server);
    let ended = tap.end();
    assert_eq!(ended.count("written"), 5);
    assert!(get(&first, "user.eventfs_sticky").is_some() && first.exists());
}

#[test]
fn counters_are_told_and_shown() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--name", "meta-1", "--exclude", "beegfs.create"]);
    let _server = MetadataServer::with_events(&site.socket(), Identity::node(12), 4);
    let shown = || {
        let value: Value = serde_json::from_str(&get(&queue, "user.tap.meta-1")?).ok()?;
        value["filtered"].as_u64()
    };
    wait_until("counters", || shown() == Some(4));
    let status = crate::common::sh_ok(
        mount.point.as_path(),
        &format!("{} status --json {}", crate::common::EVENTFS, mount.point.display()),
    );
    let status: Value = serde_json::from_str(&status).expect("one queue");
    assert_eq!(status["taps"]["meta-1"]["received"], 4);
    tap.signal(Signal::SIGUSR1);
    let ended = tap.end();
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(told.len(), 2, "{}", ended.stderr);
    assert_eq!(told[0], told[1]);
    assert!(events(&queue).is_empty());
}

#[test]
fn ready_is_said_when_it_listens() {
    use std::os::unix::net::UnixDatagram;
    let site = Site::new();
    let manager = UnixDatagram::bind(site.path("notify")).unwrap();
    let mut command = site.command(&site.path("q"), &[]);
    command.env("NOTIFY_SOCKET", site.path("notify"));
    let tap = crate::help::Tap { child: crate::common::spawn(&mut command), log: None };
    let mut word = [0; 64];
    manager.set_read_timeout(Some(crate::common::BOUND)).unwrap();
    let length = manager.recv(&mut word).expect("READY=1");
    assert_eq!(&word[..length], b"READY=1\n");
    assert!(site.socket().exists());
    tap.end();
}

#[test]
fn what_cannot_be_read_is_delivered_and_the_stream_goes_on() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--sticky"]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 5);
    wait_for_events(&queue, 5);
    server.cut_next(60);
    server.burst(5);
    wait_until("the rest", || numbers(&queue, 12).contains(&9));
    let broken = of_type(&queue, "beegfs.unreadable");
    assert_eq!(broken.len(), 1);
    assert!(broken[0]["data"]["raw_base64"].is_string() && broken[0]["data"]["reason"].is_string());
    let ended = tap.end();
    assert_eq!(ended.count("unreadable"), 1);
    let mut all = numbers(&queue, 12);
    all.dedup();
    assert_eq!(
        all,
        (0..10).collect::<Vec<_>>(),
        "nothing is missing, the broken one has its place"
    );
}
