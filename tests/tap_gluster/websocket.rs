//! The WebSocket, with a real client and with a wrong one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::help::{Place, Tap, answer, exchange, free_port, object, post, status};
use crate::common::wait_until;

type Client = WebSocket<TcpStream>;

fn server(place: &Place, args: &[&str]) -> (Tap, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    (place.tap(&[&["--webhook", &address], args].concat()), port)
}

fn connect_as(port: u16, query: &str, token: Option<&str>) -> Result<Client, String> {
    let mut request =
        format!("ws://127.0.0.1:{port}/v1/events{query}").into_client_request().expect("a request");
    if let Some(token) = token {
        request
            .headers_mut()
            .insert("Authorization", format!("Bearer {token}").parse().expect("header"));
    }
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    tungstenite::client(request, stream)
        .map(|(client, _)| client)
        .map_err(|error| error.to_string())
}

fn connect(port: u16, query: &str) -> Client {
    connect_as(port, query, None).expect("a WebSocket")
}

fn next(client: &mut Client) -> Value {
    loop {
        match client.read().expect("a frame") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn post_numbers(port: u16, numbers: std::ops::Range<usize>) {
    for n in numbers {
        assert_eq!(post(port, "/listen", "", &object("E", &n.to_string())), 200);
    }
}

fn names(client: &mut Client, count: usize) -> Vec<usize> {
    let name = |frame: Value| frame["message"]["name"].as_str().expect("text").parse();
    (0..count).map(|_| name(next(client)).expect("a number")).collect()
}

#[test]
fn a_frame_is_the_webhook_object_with_its_number() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let mut clients = [connect(port, ""), connect(port, "")];
    post_numbers(port, 0..3);
    let mut last = 0;
    for n in 0..3 {
        let frames: Vec<Value> = clients.iter_mut().map(next).collect();
        assert_eq!(frames[0], frames[1]);
        let seq = frames[0]["seq"].as_u64().expect("a number");
        assert!(seq > last);
        last = seq;
        let expected = json!({"event": "E", "message": {"name": n.to_string()}, "nodeid": "n",
                              "ts": 1, "seq": seq});
        assert_eq!(frames[0], expected);
    }
    // What a client says means nothing, and a ping is answered.
    clients[0].send(Message::Text("hello".into())).expect("send");
    clients[0].send(Message::Ping(b"x".to_vec().into())).expect("send");
    assert_eq!(clients[0].read().expect("a pong"), Message::Pong(b"x".to_vec().into()));
    clients[0].close(None).expect("close");
    assert!(matches!(clients[0].read(), Ok(Message::Close(_))));
    assert!(matches!(clients[0].read(), Err(Error::ConnectionClosed)));
    tap.end();
    match clients[1].read().expect("a close") {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Away),
        other => panic!("{other:?}"),
    }
}

#[test]
fn since_replays_what_is_still_queued_and_goes_on_without_a_gap() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    post_numbers(port, 0..10);
    let mut all = connect(port, "?since=0");
    let frames: Vec<Value> = (0..10).map(|_| next(&mut all)).collect();
    let third = frames[3]["seq"].as_u64().expect("a number");
    // Somebody consumes two of what is behind.
    let mut files = crate::common::names(&place.path("q"));
    files.sort();
    for at in [5, 6] {
        std::fs::remove_file(place.path("q").join(&files[at])).expect("remove");
    }
    let mut some = connect(port, &format!("?since={third}"));
    let posting = std::thread::spawn(move || post_numbers(port, 10..60));
    assert_eq!(names(&mut some, 54), [4].into_iter().chain(7..60).collect::<Vec<_>>());
    assert_eq!(names(&mut all, 50), (10..60).collect::<Vec<_>>());
    posting.join().expect("posting");
    tap.end();
    // Numbers hold over a restart.
    let (tap, port) = server(&place, &[]);
    let mut again = connect(port, &format!("?since={third}"));
    assert_eq!(names(&mut again, 54).last(), Some(&59));
    let last = frames[9]["seq"].as_u64().expect("a number");
    post_numbers(port, 60..61);
    assert!(next(&mut again)["seq"].as_u64().expect("a number") > last);
    assert_eq!(status(&exchange(port, b"GET /v1/events?since=x HTTP/1.1\r\nHost: x\r\n\r\n")), 400);
    tap.end();
}

#[test]
fn batches_and_bare_lines_are_replayed_too() {
    for form in [&["--batch", "100"][..], &["--batch", "100", "--bare"]] {
        let place = Place::new();
        let (tap, port) = server(&place, &[form, &[&place.socket()]].concat());
        let mut live = connect(port, "");
        for n in 0..100 {
            place.send(format!("1 5 name={n}"));
        }
        let frames: Vec<Value> = (0..100).map(|_| next(&mut live)).collect();
        place.wait_for(100);
        let since = frames[40]["seq"].as_u64().expect("a number");
        let mut replayed = connect(port, &format!("?since={since}"));
        for frame in &frames[41..] {
            assert_eq!(next(&mut replayed), *frame);
        }
        tap.end();
    }
}

#[test]
fn filtered_events_are_not_told_and_a_token_is_needed() {
    let place = Place::new();
    let file = place.file("tokens", "t\n");
    let (tap, port) = server(&place, &["--token-file", &file, "--exclude", "Noise"]);
    let refused = connect_as(port, "", None).expect_err("no token");
    assert!(refused.contains("401"), "{refused}");
    assert!(connect_as(port, "", Some("x")).is_err());
    let peers = b"GET /v1/peers HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(status(&exchange(port, peers)), 401);
    let mut client = connect_as(port, "", Some("t")).expect("a WebSocket");
    for event in ["NOISE", "SIGNAL"] {
        assert_eq!(post(port, "/", "Authorization: Bearer t\r\n", &object(event, "x")), 200);
    }
    assert_eq!(next(&mut client)["event"], "SIGNAL");
    tap.end();
}

/// Opens a WebSocket by hand.
fn raw(port: u16, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    write!(stream, "GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{headers}\r\n")
        .expect("write");
    let answer = answer(&mut stream);
    (stream, answer)
}

const UPGRADE: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Reads up to the closing frame and returns its status.
fn closed_with(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 4];
    stream.read_exact(&mut head).expect("a close frame");
    assert_eq!(head[0], 0x88, "{head:?}");
    u16::from_be_bytes([head[2], head[3]])
}

#[test]
fn the_duties_of_rfc_6455_are_kept() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let (_, answer) = raw(port, UPGRADE);
    assert_eq!(status(&answer), 101);
    // The example of RFC 6455 section 1.3.
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    let (_, answer) = raw(port, &UPGRADE.replace("13", "8"));
    assert_eq!(status(&answer), 426);
    assert!(answer.to_ascii_lowercase().contains("sec-websocket-version: 13"), "{answer}");
    let (_, answer) = raw(port, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    assert_eq!(status(&answer), 400, "no key");
    // Not masked.
    let (mut stream, _) = raw(port, UPGRADE);
    stream.write_all(&[0x81, 0x02, b'h', b'i']).expect("write");
    assert_eq!(closed_with(&mut stream), 1002);
    // A gigabyte is announced.
    let (mut stream, _) = raw(port, UPGRADE);
    stream.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4]).expect("write");
    assert_eq!(closed_with(&mut stream), 1009);
    // Text that is none.
    let (mut stream, _) = raw(port, UPGRADE);
    stream.write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).expect("write");
    assert_eq!(closed_with(&mut stream), 1007);
    tap.end();
}

#[test]
fn a_reader_that_is_too_slow_is_dropped_and_delays_nobody() {
    let place = Place::new();
    let (tap, port) = server(&place, &[&place.socket(), "--batch", "1000"]);
    let mut slow = connect(port, "");
    let mut quick = connect(port, "");
    let text = format!("1 5 name={}", "x".repeat(8_000));
    let mut sent = 0;
    let reading = std::thread::spawn(move || {
        let mut count = 0;
        while next(&mut quick)["message"]["name"] != "end" {
            count += 1;
        }
        count
    });
    wait_until("the slow one is dropped", || {
        for _ in 0..100 {
            place.send(&text);
            sent += 1;
        }
        sent > 5_000
    });
    place.send("1 5 name=end");
    assert_eq!(reading.join().expect("reading"), sent);
    // It still gets what was on its way, and then the number to go on from.
    let mut last = 0;
    let reason = loop {
        match slow.read().expect("frames, then a close") {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text).expect("JSON");
                last = frame["seq"].as_u64().expect("a number");
            }
            Message::Close(Some(frame)) => {
                assert_eq!(frame.code, CloseCode::Again);
                break frame.reason.to_string();
            }
            _ => {}
        }
    };
    assert_eq!(reason, format!("too slow; go on with ?since={last}"));
    let mut again = connect(port, &format!("?since={last}"));
    while next(&mut again)["message"]["name"] != "end" {}
    tap.end();
}
