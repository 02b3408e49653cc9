//! The webhook server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use super::help::{Place, answer, exchange, free_port, object, post, samples, status};
use crate::common::{sh_ok, wait_until};

fn server(place: &Place, args: &[&str]) -> (super::help::Tap, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    (place.tap(&[&["--webhook", &address], args].concat()), port)
}

/// A captured request byte for byte.
fn request(sample: &Value) -> String {
    let mut text = format!("{}\r\n", sample["request"].as_str().expect("text"));
    for header in sample["headers"].as_array().expect("headers") {
        let part = |at: usize| header[at].as_str().expect("text");
        text.push_str(&format!("{}: {}\r\n", part(0), part(1)));
    }
    format!("{text}\r\n{}", sample["body"].as_str().expect("text"))
}

#[test]
fn every_captured_request_is_answered_200_and_pings_make_no_event() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let samples = samples("posts.jsonl");
    for sample in &samples {
        assert_eq!(status(&exchange(port, request(sample).as_bytes())), 200, "{sample}");
    }
    let bodies: Vec<Value> = samples
        .iter()
        .filter_map(|sample| serde_json::from_str(sample["body"].as_str()?).ok())
        .collect();
    let events = place.wait_for(bodies.len());
    assert_eq!(events.len(), bodies.len());
    for (event, body) in events.iter().zip(&bodies) {
        for member in ["nodeid", "ts", "event"] {
            assert_eq!(event["data"][member], body[member]);
        }
        let kind = body["event"].as_str().expect("text").to_ascii_lowercase();
        assert_eq!(event["type"], format!("gluster.{kind}"));
    }
    assert_eq!(tap.end()["received"], bodies.len());
}

#[test]
fn a_real_client_posts_and_the_event_is_there_when_it_has_its_answer() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let body = object("VOLUME_START", "v");
    let script = format!(
        "curl -sS -o /dev/null -w '%{{http_code}}' -H 'Content-Type: application/json' \
         -d '{body}' http://127.0.0.1:{port}/any/path"
    );
    assert_eq!(sh_ok(&place.path(""), &script), "200");
    assert_eq!(place.events()[0]["data"]["message"]["name"], "v");
    let agent = ureq::Agent::new_with_defaults();
    for n in 0..50 {
        let answer = agent.post(format!("http://127.0.0.1:{port}/")).send(object("E", "kept"));
        assert_eq!(answer.expect("an answer").status(), 200);
        assert_eq!(place.events().len(), n + 2, "200 means that it is in the queue");
    }
    tap.end();
}

#[test]
fn what_is_gathered_for_a_batch_is_answered_when_it_is_in_the_queue() {
    let place = Place::new();
    let (tap, port) = server(&place, &["--batch", "50"]);
    let agent = ureq::Agent::new_with_defaults();
    for n in 0..300 {
        let answer = agent.post(format!("http://127.0.0.1:{port}/")).send(object("E", "kept"));
        assert_eq!(answer.expect("an answer").status(), 200);
        assert_eq!(place.events().len(), n + 1, "200 means that it is in the queue");
    }
    tap.end();
}

#[test]
fn a_token_is_needed_where_one_is_asked_for() {
    let place = Place::new();
    let file = place.file("tokens", "# two of them\nold\ns3cr3t-t0ken\n");
    let (tap, port) = server(&place, &["--token-file", &file]);
    let body = object("E", "x");
    let with =
        |token: &str, body: &str| post(port, "/", &format!("Authorization: {token}\r\n"), body);
    assert_eq!(with("Bearer s3cr3t-t0ken", &body), 200);
    assert_eq!(with("bearer old", &body), 200);
    assert_eq!(with("Bearer old", ""), 200, "a ping");
    for token in ["Bearer wrong", "Basic old", "Bearer", "Bearer oldx"] {
        assert_eq!((with(token, &body), with(token, "")), (401, 401), "{token}");
    }
    assert_eq!(post(port, "/", "", &body), 401);
    // Another one as soon as the tap is told.
    std::fs::write(&file, "new\n").expect("write");
    tap.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the new token", || with("Bearer new", "") == 200);
    assert_eq!(with("Bearer old", &body), 401);
    assert_eq!(tap.end()["received"], 2);
}

#[test]
fn a_signed_token_is_looked_at_in_full() {
    let place = Place::new();
    let file = place.file("secrets", "topsecret\n");
    let (tap, port) = server(&place, &["--secret-file", &file]);
    let token = |secret: &str, sub: &str, seconds: i64| {
        let exp = get_current_timestamp().cast_signed() + seconds;
        let claims = json!({"exp": exp, "iat": 5, "iss": "gluster", "sub": sub});
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::default(), &claims, &key).expect("a token");
        format!("Authorization: Bearer {token}\r\n")
    };
    let body = object("VOLUME_SET", "v");
    assert_eq!(post(port, "/", &token("topsecret", "VOLUME_SET", 60), &body), 200);
    assert_eq!(post(port, "/", &token("topsecret", "TEST", 60), ""), 200);
    assert_eq!(post(port, "/", &token("topsecret", "VOLUME_SET", 60), ""), 401);
    assert_eq!(post(port, "/", &token("topsecret", "TEST", 60), &body), 401);
    assert_eq!(post(port, "/", &token("topsecret", "VOLUME_SET", -600), &body), 401);
    assert_eq!(post(port, "/", &token("wrong", "VOLUME_SET", 60), &body), 401);
    assert_eq!(post(port, "/", "", &body), 401);
    // What the shipped code signed, long expired by now.
    let signed = samples("posts.jsonl").into_iter().find(|s| s["kind"] == "event+jwt");
    let signed = request(&signed.expect("a signed request"));
    assert_eq!(status(&exchange(port, signed.as_bytes())), 401);
    assert_eq!(tap.end()["received"], 1);
}

#[test]
fn what_is_too_large_or_no_post_is_refused_and_what_is_not_understood_is_not() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(post(port, "/", "", &large), 413);
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(status(&exchange(port, head.as_bytes())), 413, "without waiting for it");
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(&exchange(port, format!("{head}{chunk}").as_bytes())), 413);
    for method in ["GET", "PUT", "DELETE"] {
        let request = format!("{method} /listen HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status(&exchange(port, request.as_bytes())), 405);
    }
    assert_eq!(place.events().len(), 0);
    let whole = json!({"event": "E", "message": {"a": "x".repeat((1 << 20) - 60)}}).to_string();
    for body in ["not JSON", "[]", "{}", "\u{ff}", &whole] {
        assert_eq!(post(port, "/", "", body), 200);
    }
    let counters = tap.end();
    assert_eq!((&counters["written"], &counters["unreadable"]), (&5.into(), &4.into()));
    assert!(place.events().iter().any(|event| event["data"]["raw_base64"] == "bm90IEpTT04="));
}

#[test]
fn slow_and_hostile_clients_block_nobody() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let mut idle = Vec::new();
    let beginnings: [&[u8]; 4] =
        [b"", b"P", b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{", b"\x16\x03\x01 junk"];
    for n in 0..1_500 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        // One that has given way already says so.
        let _ = stream.write_all(beginnings[n % beginnings.len()]);
        idle.push(stream);
    }
    let start = Instant::now();
    for n in 0..20 {
        assert_eq!(post(port, "/", "", &object("E", &n.to_string())), 200);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    // A client that goes away before its answer.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let body = object("E", "gone");
    write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .expect("write");
    drop(stream);
    let long = format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let _ = stream.write_all(long.as_bytes());
    assert_ne!(status(&answer(&mut stream)), 200);
    place.wait_for(21);
    assert_eq!(tap.end()["written"], 21);
}

#[test]
fn a_connection_may_be_used_again_and_requests_follow_each_other() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let body = object("E", "x");
    let one = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(one.repeat(10).as_bytes()).expect("write");
    for _ in 0..10 {
        assert_eq!(status(&answer(&mut stream)), 200);
    }
    assert_eq!(place.events().len(), 10);
    tap.end();
    // The server ends the connection when it ends.
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn peers_are_listed() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("glusterd/peers")).expect("mkdir");
    place.file("glusterd/peers/b", "uuid=b\nstate=3\nhostname1=node2\n");
    let (tap, port) = server(&place, &[]);
    assert_eq!(post(port, "/v1/listen", "", &object("E", "x")), 200);
    let request = b"GET /v1/peers HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = exchange(port, request);
    assert_eq!(status(&answer), 200);
    let body: Value =
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(body[0]["hostname"], "node2");
    assert_eq!(body[1], json!({"uuid": "n", "hostname": "127.0.0.1", "posts": true}));
    tap.end();
}

#[test]
fn who_begins_and_does_not_go_on_is_closed_after_a_time() {
    let place = Place::new();
    let (tap, port) = server(&place, &[]);
    // Half a head, half a body, and nothing at all.
    let beginnings: [&[u8]; 3] =
        [b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", b""];
    let mut streams: Vec<TcpStream> = Vec::new();
    for beginning in beginnings {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.write_all(beginning).expect("write");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("timeout");
        streams.push(stream);
    }
    for (stream, beginning) in streams.iter_mut().zip(beginnings) {
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok(), "{}: {ended:?}", beginning.escape_ascii());
        let is_refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 408");
        assert!(is_refused, "{}", answer.escape_ascii());
    }
    assert_eq!(tap.end()["received"], 0);
}
