//! Events from host to host.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use serde_json::Value;

use crate::help::{Site, data, events, records};

/// An address of this host that nobody uses just now.
fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn what_one_host_sends_another_receives() {
    let group: SocketAddr = (Ipv4Addr::new(239, 0, 0, 78), free().port()).into();
    for (address, bind) in [(free(), None), (group, Some("127.0.0.1"))] {
        let (sender, receiver) = (Site::new(), Site::new());
        let address = address.to_string();
        let bind: Vec<&str> = bind.map(|bind| ["--bind", bind]).into_iter().flatten().collect();
        let tap = receiver.start(&[&["--listen", &address], bind.as_slice()].concat());
        let words = [&["--multicast", &address], bind.as_slice()].concat();
        let ended = sender.read(&data("seq-6.12-scsi_medium_error_read.kmsg"), &words);
        assert_eq!(ended.count("written"), 4);
        receiver.wait_for("storage.block_medium_error", 1);
        let ended = tap.end();
        assert_eq!((ended.count("received"), ended.count("lost")), (4, 0));
        let (sent, heard) = (sender.events(), receiver.events());
        for ((_, sent), (name, heard)) in sent.iter().zip(&heard) {
            assert_eq!(sent["data"], heard["data"], "exactly the object");
            assert_eq!(sent["type"], heard["type"]);
            assert_eq!(sent["source"], heard["source"]);
            assert_eq!(sent["time"].as_str().unwrap()[..26], heard["time"].as_str().unwrap()[..26]);
            assert_eq!(heard["id"], sent["data"]["event_id"]);
            let digits =
                name.strip_prefix("storage-").and_then(|rest| rest.strip_suffix(".json")).unwrap();
            assert_eq!(digits.len(), 41, "{name}: nanoseconds and a counter");
        }
    }
}

#[test]
fn anybody_may_send_and_nonsense_is_kept() {
    let site = Site::new();
    let address = free();
    let tap = site.start(&["--listen", &address.to_string()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for text in
        [r#"{"event_type":"LVM_FULL","hostname":"old","plugin_specifc_1":"x"}"#, "nonsense", "{}"]
    {
        socket.send_to(text.as_bytes(), address).unwrap();
    }
    site.wait_for("storage.unreadable", 2);
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("unreadable")), (3, 2));
    let events = site.events();
    let (_, full) = events.iter().find(|(_, event)| event["type"] == "storage.lvm_full").unwrap();
    assert_eq!(
        (&full["source"], &full["data"]["plugin_specifc_1"]),
        (&"/storage/old".into(), &"x".into())
    );
    let raw = |(_, event): &(String, Value)| event["data"].get("raw_base64").cloned();
    let raw: Vec<Value> = events.iter().filter_map(raw).collect();
    assert_eq!(raw, ["bm9uc2Vuc2U=", "e30="]);
}

#[test]
fn an_address_in_use_is_a_failure_and_several_receivers_share_a_group() {
    let site = Site::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ended = site.run(&["--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
    let group = format!("239.0.0.79:{}", free().port());
    let (one, two) = (Site::new(), Site::new());
    let taps = [&one, &two].map(|site| site.start(&["--listen", &group, "--bind", "127.0.0.1"]));
    let log = site.file("log", records(&["md: md0 stopped."]));
    site.read(&log, &["--multicast", &group, "--bind", "127.0.0.1"]);
    for (site, tap) in [one, two].iter().zip(taps) {
        site.wait_for("storage.md_array_stopped", 1);
        tap.end();
    }
    assert_eq!(events(&site.queue()).len(), 1);
}

#[test]
fn what_does_not_reach_a_receiver_is_told() {
    let site = Site::new();
    let log = site.file("log", records(&["md: md0 stopped."]));
    // Nobody may send to a broadcast address without asking for it.
    let ended = site.read(&log, &["--multicast", "255.255.255.255:9"]);
    assert_eq!((ended.count("written"), ended.count("notes")), (1, 1));
    let gap = site.wait_for("storage.gap", 1).remove(0);
    assert_eq!(
        (&gap["data"]["count"], &gap["data"]["receiver"]),
        (&1.into(), &"255.255.255.255:9".into())
    );
}
