//! Servers that restart, forget, overwrite, count anew, and come in numbers.

use crate::common::{Mounted, wait_until};
use crate::help::{Site, assert_numbers, events, numbers, of_type, wait_for_events};
use crate::metadata_server::{Identity, MetadataServer, Stored};

#[test]
fn two_servers_on_one_socket_keep_their_own_numbers() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--batch", "50"]);
    let first = MetadataServer::with_events(&site.socket(), Identity::node(1), 3_000);
    let second = MetadataServer::with_events(&site.socket(), Identity::node(70_001), 3_000);
    wait_until("all", || {
        numbers(&queue, 1).len() == 3_000 && numbers(&queue, 70_001).len() == 3_000
    });
    for node in [1, 70_001] {
        assert_numbers(&queue, node, 0..3_000);
    }
    let ended = tap.end();
    assert_eq!(ended.count("written"), 6_000);
    for server in [first, second] {
        assert_eq!(server.offences(), Vec::<String>::new());
        assert_eq!(server.starts(), [0]);
    }
}

#[test]
fn a_server_that_dies_in_mid_stream_goes_on_where_it_was() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &[]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 2_000);
    for burst in 1..6 {
        wait_for_events(&queue, 300 * burst);
        server.disconnect();
        server.burst(500);
        // Else the next death could be the same one.
        wait_until("the next connection", || server.connections() > burst);
    }
    wait_until("all", || numbers(&queue, 12).len() == 4_500);
    assert_numbers(&queue, 12, 0..4_500);
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("lost")), (4_500, 0));
    assert!(server.connections() >= 6);
    assert_eq!(server.offences(), Vec::<String>::new());
}

#[test]
fn what_the_ring_overwrote_is_a_gap() {
    let (site, mount) = (Site::new(), Mounted::new());
    let (queue, state) = (mount.path("q"), site.path("state"));
    let words = ["--sticky", "--state", state.to_str().unwrap()];
    let tap = site.tap(&queue, &words);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 10);
    wait_for_events(&queue, 10);
    tap.end();
    server.ring(|ring| ring.caution = 3);
    server.burst(100);
    server.ring(|ring| ring.discard_before(60));
    let tap = site.tap(&queue, &words);
    wait_until("the newest", || numbers(&queue, 12).contains(&109));
    let gaps = of_type(&queue, "beegfs.gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let data = &gaps[0]["data"];
    assert_eq!((data["first"].as_u64(), data["meta_id"].as_u64()), (Some(10), Some(12)));
    let last = data["last"].as_u64().unwrap();
    assert_eq!(data["count"], last - 9);
    let expected: Vec<u64> = (0..10).chain(last + 1..110).collect();
    assert_eq!(numbers(&queue, 12), expected, "everything else is there");
    let ended = tap.end();
    assert_eq!((ended.count("lost"), ended.count("notes")), (last - 9, 1));
}

#[test]
fn a_queue_made_anew_is_a_reset_and_read_from_its_beginning() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &[]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 10);
    wait_for_events(&queue, 10);
    server.disconnect_and(|ring| {
        ring.recreate();
        for number in 0..20 {
            ring.push(crate::metadata_server::created(1_000 + number));
        }
    });
    wait_for_events(&queue, 31);
    let names: Vec<String> = events(&queue).into_keys().collect();
    let renewed = names.iter().filter(|name| name.starts_with("beegfs-0000000012-r1-")).count();
    assert_eq!(renewed, 20, "{names:?}");
    let resets = of_type(&queue, "beegfs.reset");
    assert_eq!(resets.len(), 1);
    assert_eq!((&resets[0]["data"]["old"], &resets[0]["data"]["meta_id"]), (&9.into(), &12.into()));
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("notes")), (30, 1));
}

#[test]
fn holes_and_unreadable_events_are_gaps() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &[]);
    let server = MetadataServer::with_events(&site.socket(), Identity::node(12), 3);
    wait_for_events(&queue, 3);
    server.ring(|ring| {
        ring.store(Stored::LeftOut);
        ring.push(crate::metadata_server::created(4));
        ring.store(Stored::Unreadable);
        ring.push(crate::metadata_server::created(6))
    });
    wait_until("behind the unreadable one", || numbers(&queue, 12).contains(&6));
    let gaps = of_type(&queue, "beegfs.gap");
    let spans: Vec<_> = gaps
        .iter()
        .map(|gap| (gap["data"]["first"].as_u64(), gap["data"]["last"].as_u64()))
        .collect();
    assert_eq!(spans, [(Some(3), Some(3)), (Some(5), Some(5))]);
    let ended = tap.end();
    assert_eq!((ended.count("written"), ended.count("lost")), (5, 2));
}

#[test]
fn a_wrong_version_is_refused_without_spinning() {
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &[]);
    let future = Identity { major: 3, ..Identity::node(12) };
    let server = MetadataServer::with_events(&site.socket(), future, 3);
    wait_until("refused twice", || server.connections() >= 2);
    // The server would come 20 times a second; the second connection is left waiting.
    let connections = server.connections();
    assert!(connections <= 3, "{connections}");
    drop(server);
    let ended = tap.end();
    assert!(ended.stderr.contains("protocol 3 is not 2"), "{}", ended.stderr);
    assert_eq!(ended.count("received"), 0);
}

#[test]
fn beegfs_7_is_served_with_numbers_of_our_own() {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
    };
    use std::os::fd::AsRawFd;
    let (site, mount) = (Site::new(), Mounted::new());
    let queue = mount.path("q");
    let tap = site.tap(&queue, &["--sticky"]);
    let server =
        socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    connect(server.as_raw_fd(), &UnixAddr::new(&site.socket()).unwrap()).unwrap();
    let packet = |dropped: u64, number: u32| {
        let strings = ["2A-68F1C2D3-C", "1-68F1C2D0-C", "/home/ana/x", "", ""];
        let mut body: Vec<u8> = Vec::new();
        body.extend(dropped.to_le_bytes());
        body.extend(0_u64.to_le_bytes());
        body.extend(number.to_le_bytes());
        for text in strings {
            body.extend((text.len() as u32).to_le_bytes());
            body.extend(text.as_bytes());
            body.push(0);
        }
        let mut packet = vec![1, 0, 0, 0];
        packet.extend((body.len() as u32 + 8).to_le_bytes());
        packet.extend(body);
        packet
    };
    for (dropped, number) in [(0, 4), (0, 12), (5, 9)] {
        send(server.as_raw_fd(), &packet(dropped, number), MsgFlags::empty()).unwrap();
    }
    wait_for_events(&queue, 4);
    let names: Vec<String> = events(&queue).into_keys().collect();
    assert_eq!(names[0], "beegfs-gap-".to_owned() + &names[0]["beegfs-gap-".len()..]);
    assert_eq!(names[1], "beegfs-v7-00000000000000000001.json");
    let created = &of_type(&queue, "beegfs.create")[0]["data"];
    assert_eq!(
        (&created["meta_id"], &created["version"], &created["event_number"]),
        (&0.into(), &1.into(), &5.into())
    );
    assert_eq!(of_type(&queue, "beegfs.gap")[0]["data"]["count"], 5);
    assert_eq!(tap.end().count("lost"), 5);
}
