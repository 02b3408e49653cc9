//! UDP and UNIX sockets.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::help::{Place, Tap, bytes, free_port, samples, send};
use crate::common::{is_root, skip, wait_until};

#[test]
fn every_captured_datagram_arrives_whichever_way_it_comes() {
    let place = Place::new();
    std::fs::create_dir(place.path("glusterd")).expect("mkdir");
    place.file("glusterd/glusterd.info", "UUID=35b6eeec\noperating-version=100000\n");
    let port = free_port();
    place.run_ok(&format!("config set port {port}"));
    let tap = place.tap(&["--udp", "default"]);
    let has_ipv6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let samples = samples("datagrams.jsonl");
    for (at, sample) in samples.iter().enumerate() {
        match at % 2 {
            1 if has_ipv6 => send((Ipv6Addr::LOCALHOST, port), &bytes(sample)),
            _ => send((Ipv4Addr::LOCALHOST, port), &bytes(sample)),
        }
        // Two sockets have no order among each other.
        place.wait_for(at + 1);
    }
    let events = place.events();
    for (event, sample) in events.iter().zip(&samples) {
        let careful = &sample["careful"];
        let data = &event["data"];
        for member in ["ts", "event", "message"] {
            assert_eq!(data[member], careful[member]);
        }
        assert_eq!(data["nodeid"], "35b6eeec");
        assert_eq!(event["source"], "/gluster/35b6eeec");
        assert_eq!(event["specversion"], "1.0");
        let kind = careful["event"].as_str().expect("a name").to_ascii_lowercase();
        assert_eq!(event["type"], format!("gluster.{kind}"));
    }
    let counters = tap.end();
    assert_eq!(counters["written"], 48);
    assert_eq!(counters["unreadable"], 0);
}

#[test]
fn names_are_the_arrival_and_a_number_that_rises() {
    let place = Place::new();
    let tap = place.tap(&[&place.socket()]);
    (0..20).for_each(|n| place.send(format!("1 5 name={n}")));
    let events = place.wait_for(20);
    let mut names: Vec<String> = crate::common::names(&place.path("q"));
    names.sort();
    let mut last = 0;
    for (name, (n, event)) in names.iter().zip(events.iter().enumerate()) {
        let identity = name.strip_prefix("gluster-").and_then(|name| name.strip_suffix(".json"));
        let identity = identity.expect("a name of ours");
        assert_eq!(event["id"], identity);
        assert_eq!(event["data"]["message"]["name"], n.to_string());
        assert_eq!(event["time"], "1970-01-01T00:00:01.000000000Z");
        let (nanos, number) = identity.split_once('-').expect("two numbers");
        assert_eq!((nanos.len(), number.len()), (20, 20));
        let number: u64 = number.parse().expect("a number");
        assert!(number > last);
        last = number;
    }
    tap.end();
    // A later run goes on above.
    let tap = place.tap(&[&place.socket()]);
    place.send("1 5 name=later");
    let id = place.wait_for(21)[20]["id"].as_str().expect("text").to_owned();
    assert!(id.split_once('-').expect("two").1.parse::<u64>().expect("a number") > last);
    tap.end();
}

#[test]
fn malformed_datagrams_are_all_accounted_for() {
    let place = Place::new();
    let port = free_port();
    let tap = place.tap(&["--udp", &format!("127.0.0.1:{port}")]);
    let text = bytes(&samples("datagrams.jsonl")[29]);
    let mut messages: Vec<Vec<u8>> = (0..text.len()).map(|cut| text[..cut].to_vec()).collect();
    messages.extend((0..=255u8).map(|byte| vec![byte; 9]));
    messages.extend([b"1 999 x=y".to_vec(), b"1 3 \xff\xfe".to_vec(), vec![b'9'; 65_000]]);
    for message in &messages {
        send((Ipv4Addr::LOCALHOST, port), message);
    }
    let events = place.wait_for(messages.len());
    let unreadable = events.iter().filter(|event| event["type"] == "gluster.unreadable").count();
    let counters = tap.end();
    assert_eq!(counters["written"], messages.len());
    assert_eq!(counters["unreadable"], unreadable);
    assert!(unreadable > 200 && unreadable < messages.len());
    assert!(events.iter().any(|event| event["type"] == "gluster.unknown_999"));
}

#[test]
fn an_empty_datagram_is_an_event_too() {
    let place = Place::new();
    let port = free_port();
    let tap = place.tap(&["--udp", &format!("127.0.0.1:{port}")]);
    send((Ipv4Addr::LOCALHOST, port), b"");
    let events = place.wait_for(1);
    assert_eq!(events[0]["data"]["reason"], "empty");
    assert_eq!(tap.end()["unreadable"], 1);
}

#[test]
fn what_the_kernel_drops_is_counted_and_told() {
    if !is_root() {
        return skip("only root can become a user whose receive buffer is small");
    }
    use std::os::unix::process::CommandExt;
    let place = Place::new();
    let port = free_port();
    for dir in ["", "q"] {
        let path = place.path(dir);
        let _ = std::fs::create_dir(&path);
        std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).expect("chown");
    }
    let mut command = place.command("q", &["--udp", &format!("127.0.0.1:{port}")]);
    // The buffer is then bounded by net.core.rmem_max.
    let tap = Tap::start({
        command.uid(65_534).gid(65_534);
        command
    });
    tap.signal(Signal::SIGSTOP);
    let sent = 20_000;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    for n in 0..sent {
        let text = format!("1 5 name={n:0200}");
        socket.send_to(text.as_bytes(), ("127.0.0.1", port)).expect("send");
    }
    tap.signal(Signal::SIGCONT);
    wait_until("everything is counted", || tap.counters()["received"] == sent);
    let counters = tap.end();
    let lost = counters["lost"].as_u64().expect("a number");
    assert!(lost > 0, "a buffer of {sent} datagrams: make the test send more");
    let events = place.events();
    let gaps: Vec<&Value> = events.iter().filter(|event| event["type"] == "gluster.gap").collect();
    let told: u64 = gaps.iter().map(|gap| gap["data"]["count"].as_u64().expect("a number")).sum();
    assert_eq!(told, lost);
    assert_eq!(gaps[0]["data"]["address"], format!("127.0.0.1:{port}"));
    assert_eq!(gaps[0]["data"]["first"], Value::Null);
    assert_eq!(counters["written"], sent - lost);
}

#[test]
fn unix_sockets_take_datagrams_and_streams() {
    let place = Place::new();
    let socket = place.path("events.sock");
    let tap = place.tap(&["--socket", socket.to_str().expect("text")]);
    let datagram = UnixDatagram::unbound().expect("socket");
    datagram.send_to(b"1 5 name=one", &socket).expect("send");
    place.wait_for(1);
    let stream_path = place.path("events.sock.stream");
    // A line, an empty one, and what the end of the connection ends.
    let mut stream = UnixStream::connect(&stream_path).expect("connect");
    stream.write_all(b"1 5 name=two\n\nVolume.Create=thr").expect("write");
    place.wait_for(2);
    stream.write_all(b"ee").expect("write");
    drop(stream);
    let events = place.wait_for(3);
    let names: Vec<&Value> = events.iter().map(|event| &event["data"]["message"]["name"]).collect();
    assert_eq!(names, [&json!("one"), &json!("two"), &json!("three")]);
    assert_eq!(events[2]["type"], "gluster.volume_create");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&socket).expect("metadata").permissions(),
    );
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(tap.end()["written"], 3);
    assert!(!socket.exists() && !stream_path.exists(), "removed at exit");
}

#[test]
fn hundreds_of_streams_that_say_nothing_block_nobody() {
    let place = Place::new();
    let socket = place.path("s");
    let tap = place.tap(&["--socket", socket.to_str().expect("text")]);
    let path = place.path("s.stream");
    let mut idle = Vec::new();
    for n in 0..300 {
        let mut stream = UnixStream::connect(&path).expect("connect");
        write!(stream, "1 5 name={n}").expect("write");
        idle.push(stream);
    }
    // Those that had to give way were taken for whole.
    let mut stream = UnixStream::connect(&path).expect("connect");
    stream.write_all(b"1 5 name=last\n").expect("write");
    wait_until("the last one", || {
        place.events().iter().any(|event| event["data"]["message"]["name"] == "last")
    });
    drop(idle);
    place.wait_for(301);
    assert_eq!(tap.end()["written"], 301);
}

#[test]
fn an_address_that_is_taken_ends_the_tap_with_one_line() {
    let place = Place::new();
    let port = free_port();
    let _other = UdpSocket::bind(("127.0.0.1", port)).expect("bind");
    let output =
        place.command("q", &["--udp", &format!("127.0.0.1:{port}")]).output().expect("output");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(&format!("eventfs: 127.0.0.1:{port}/udp: Address already in use")));
    let output = place.command("q", &[]).output().expect("output");
    assert_eq!(output.status.code(), Some(2), "no input is no tap");
}

#[test]
fn another_port_is_listened_at_as_soon_as_it_is_set() {
    let place = Place::new();
    let (first, second) = (free_port(), free_port());
    place.run_ok(&format!("config set port {first}"));
    let tap = place.tap(&["--udp", "default"]);
    send((Ipv4Addr::LOCALHOST, first), b"1 5 name=a");
    place.wait_for(1);
    place.run_ok(&format!("config set port {second}"));
    wait_until("the new port", || tap.stderr().contains(&format!("listening at port {second}")));
    send((Ipv4Addr::LOCALHOST, second), b"1 5 name=b");
    place.wait_for(2);
    assert_eq!(tap.end()["written"], 2);
}

#[test]
fn old_numbers_are_an_option() {
    let place = Place::new();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let tap = place.tap(&["--udp", &address, "--numbers", "3.9.0", "--nodeid", "me"]);
    send((Ipv4Addr::LOCALHOST, port), b"1 81 volume=v");
    let events = place.wait_for(1);
    assert_eq!(events[0]["type"], "gluster.quorum_lost");
    assert_eq!(events[0]["data"]["nodeid"], "me");
    tap.end();
}
