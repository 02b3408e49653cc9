//! Publishing on: receivers that refuse, hang, answer 500, come back.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::help::{Place, Tap, free_port, object, post};
use crate::common::wait_until;

/// What a receiver answers.
#[derive(Clone, Debug)]
enum Answer {
    Status(&'static str),
    /// Nothing, ever.
    Nothing,
}

const OK: Answer = Answer::Status("200 OK");

/// A request that was answered 200.
#[derive(Clone, Debug)]
struct Got {
    head: String,
    body: String,
}

/// A webhook receiver.
#[derive(Clone)]
struct Receiver {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    got: Arc<Mutex<Vec<Got>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Receiver {
    fn start(answer: Answer) -> Self {
        Self::start_at(free_port(), answer)
    }

    fn start_at(port: u16, answer: Answer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
        let receiver = Self {
            port,
            answer: Arc::new(Mutex::new(answer)),
            got: Arc::default(),
            asked: Arc::default(),
        };
        let own = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                thread::spawn(move || own.converse(stream));
            }
        });
        receiver
    }

    fn converse(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).map_or(0, |length| length) == 0 {
                    return;
                }
            }
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
            reader.read_exact(&mut body).expect("a body");
            let body = String::from_utf8(body).expect("text");
            self.asked.lock().expect("lock").push(Instant::now());
            let answer = self.answer.lock().expect("lock").clone();
            let Answer::Status(status) = answer else {
                thread::sleep(Duration::from_secs(60));
                return;
            };
            if status.starts_with('2') {
                self.got.lock().expect("lock").push(Got { head, body });
            }
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            if reader.get_mut().write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/listen", self.port)
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().expect("lock") = answer;
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().expect("lock").clone()
    }

    fn asked(&self) -> Vec<Instant> {
        self.asked.lock().expect("lock").clone()
    }

    /// The names that came, in their order.
    fn names(&self) -> Vec<String> {
        let name = |got: &Got| {
            let body: Value = serde_json::from_str(&got.body).expect("JSON");
            body["message"]["name"].as_str().expect("text").to_owned()
        };
        self.got().iter().map(name).collect()
    }

    fn wait_for(&self, count: usize) -> Vec<String> {
        wait_until(&format!("{count} posts"), || self.got().len() >= count);
        self.names()
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn start(place: &Place, args: &[&str]) -> Tap {
    place.tap(&[&[&*place.socket(), "--nodeid", "n"], args].concat())
}

fn send_numbers(place: &Place, range: std::ops::Range<usize>) {
    range.for_each(|n| place.send(format!("1 5 name={n}")));
}

#[test]
fn every_event_is_posted_in_order_in_the_shipped_form() {
    let place = Place::new();
    let receiver = Receiver::start(OK);
    let token = place.file("token", "s3cr3t\nanother\n");
    let args = ["--publish", &receiver.url(), "--publish-token-file", &token];
    let tap = start(&place, &args);
    send_numbers(&place, 0..30);
    assert_eq!(receiver.wait_for(30), numbers(0..30));
    let first = &receiver.got()[0];
    let expected =
        r#"{"event": "VOLUME_DELETE", "message": {"name": "0"}, "nodeid": "n", "ts": 1}"#;
    assert_eq!(first.body, expected);
    assert!(first.head.starts_with("post /listen http/1.1\r\n"), "{}", first.head);
    for line in ["authorization: bearer s3cr3t\r\n", "content-type: application/json\r\n"] {
        assert!(first.head.contains(line), "{}", first.head);
    }
    place.send("garbage");
    wait_until("what cannot be read", || receiver.got().len() == 31);
    let body: Value = serde_json::from_str(&receiver.got()[30].body).expect("JSON");
    assert_eq!(body["event"], "UNREADABLE");
    tap.end();
    assert_eq!(place.events().len(), 31);
    assert!(!place.path("q.publish").exists(), "nothing is left to post");
}

#[test]
fn the_cloudevents_form_is_the_line_of_the_queue() {
    let place = Place::new();
    let receiver = Receiver::start(OK);
    let url = receiver.url();
    let tap = start(&place, &["--publish", &url, "--publish-format", "cloudevents"]);
    send_numbers(&place, 0..1);
    wait_until("a post", || receiver.got().len() == 1);
    let got = &receiver.got()[0];
    assert!(got.head.contains("content-type: application/cloudevents+json\r\n"));
    assert_eq!(serde_json::from_str::<Value>(&got.body).expect("JSON"), place.events()[0]);
    tap.end();
}

#[test]
fn a_dead_receiver_gets_everything_when_it_comes_back_and_delays_nobody() {
    let place = Place::new();
    let dead_port = free_port();
    let hanging = Receiver::start(Answer::Nothing);
    let failing = Receiver::start(Answer::Status("500 Internal Server Error"));
    let good = Receiver::start(OK);
    let dead_url = format!("http://127.0.0.1:{dead_port}/listen");
    let urls = [&dead_url, &hanging.url(), &failing.url(), &good.url()];
    let args: Vec<&str> = urls.iter().flat_map(|url| ["--publish", url.as_str()]).collect();
    place.run_ok("config set publish-timeout 8");
    let tap = start(&place, &args);
    let begun = Instant::now();
    send_numbers(&place, 0..20);
    assert_eq!(good.wait_for(20), numbers(0..20));
    // Sooner than the hanging one has used up its time.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    wait_until("a try at each", || !failing.asked().is_empty() && !hanging.asked().is_empty());
    // Consumers may well empty the queue meanwhile.
    place.wait_for(20);
    for name in crate::common::names(&place.path("q")) {
        fs::remove_file(place.path("q").join(name)).expect("remove");
    }
    let dead = Receiver::start_at(dead_port, OK);
    failing.answers(OK);
    assert_eq!(dead.wait_for(20), numbers(0..20));
    assert_eq!(failing.wait_for(20), numbers(0..20));
    assert_eq!(good.got().len(), 20);
    assert!(failing.asked().len() > 20);
    let (first, second) = (failing.asked()[0], failing.asked()[1]);
    let pause = (second - first).as_millis();
    assert!((700..10_000).contains(&pause), "{pause} ms");
    assert!(hanging.got().is_empty());
    assert!(place.path("q.publish").exists(), "the hanging one has got nothing");
    tap.end();
}

#[test]
fn retry_after_is_obeyed() {
    let place = Place::new();
    let receiver = Receiver::start(Answer::Status("503 Busy\r\nRetry-After: 3"));
    let tap = start(&place, &["--publish", &receiver.url()]);
    send_numbers(&place, 0..1);
    wait_until("a try", || !receiver.asked().is_empty());
    receiver.answers(OK);
    receiver.wait_for(1);
    let pause = receiver.asked()[1] - receiver.asked()[0];
    assert!(pause >= Duration::from_millis(2_900), "{pause:?}");
    tap.end();
}

#[test]
fn what_was_not_posted_is_posted_by_the_next_tap_even_after_a_kill() {
    let place = Place::new();
    let port = free_port();
    let good = Receiver::start(OK);
    let dead_url = format!("http://127.0.0.1:{port}/");
    let args = ["--publish", &dead_url, "--publish", &good.url()];
    let tap = start(&place, &args);
    send_numbers(&place, 0..10);
    good.wait_for(10);
    place.wait_for(10);
    tap.kill9();
    let tap = start(&place, &args);
    send_numbers(&place, 10..15);
    good.wait_for(15);
    tap.end();
    let receiver = Receiver::start_at(port, OK);
    let tap = start(&place, &args);
    assert_eq!(receiver.wait_for(15), numbers(0..15));
    tap.end();
    // At least once: after the kill some of the last second may have come again.
    let mut names = good.names();
    names.dedup();
    names.sort_by_key(|name| name.parse::<usize>().expect("a number"));
    names.dedup();
    assert_eq!(names, numbers(0..15));
    assert!(!place.path("q.publish").exists());
}

#[test]
fn what_came_by_v1_listen_is_not_posted_on() {
    let place = Place::new();
    let receiver = Receiver::start(OK);
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let tap = place.tap(&["--webhook", &address, "--publish", &receiver.url()]);
    assert_eq!(post(port, "/v1/listen", "", &object("E", "peer")), 200);
    assert_eq!(post(port, "/listen", "", &object("E", "own")), 200);
    assert_eq!(receiver.wait_for(1), ["own"]);
    assert_eq!(place.events().len(), 2);
    tap.end();
    assert_eq!(receiver.got().len(), 1);
}

#[test]
fn two_taps_in_a_row_pass_an_event_on_as_it_is() {
    let (first, second) = (Place::new(), Place::new());
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let secret = first.file("secret", "topsecret\n");
    let end = second.tap(&["--webhook", &address, "--secret-file", &secret]);
    let url = format!("http://{address}/x");
    let tap = start(&first, &["--publish", &url, "--publish-secret-file", &secret]);
    first.send("7 110 client-pid=0;file=a;b=c;count=2");
    let event = second.wait_for(1).remove(0);
    assert_eq!(event["type"], "gluster.afr_split_brain");
    assert_eq!(event["data"]["message"]["file"], "a;b=c");
    assert_eq!(event["source"], "/gluster/n");
    tap.end();
    end.end();
}

#[test]
fn webhooks_that_are_added_changed_and_removed_count_at_once() {
    let place = Place::new();
    let receiver = Receiver::start(OK);
    let tap = start(&place, &[]);
    send_numbers(&place, 0..1);
    place.wait_for(1);
    let url = receiver.url();
    place.run_ok(&format!("webhook add {url} -t one"));
    wait_until("publishing", || tap.stderr().contains(&format!("publishing to {url}")));
    send_numbers(&place, 1..2);
    assert_eq!(receiver.wait_for(1), ["1"], "what comes from now on");
    assert!(receiver.got()[0].head.contains("authorization: bearer one\r\n"));
    // A refusal waits, a new token does not.
    receiver.answers(Answer::Status("401 Unauthorized\r\nRetry-After: 3600"));
    send_numbers(&place, 2..3);
    wait_until("a refusal", || receiver.asked().len() == 2);
    receiver.answers(OK);
    place.run_ok(&format!("webhook mod {url} --bearer-token two"));
    assert_eq!(receiver.wait_for(2), ["1", "2"]);
    assert!(receiver.got()[1].head.contains("authorization: bearer two\r\n"));
    place.run_ok(&format!("webhook del {url}"));
    wait_until("nothing is posted any more", || {
        let before = receiver.got().len();
        send_numbers(&place, 9..10);
        thread::sleep(Duration::from_millis(100));
        receiver.got().len() == before
    });
    // The same again, and the format.
    place.run_ok("config set publish-format cloudevents");
    place.run_ok(&format!("webhook add {url}"));
    let before = receiver.got().len();
    wait_until("a post in the other format", || {
        send_numbers(&place, 11..12);
        thread::sleep(Duration::from_millis(20));
        receiver.got().get(before).is_some_and(|got| got.body.starts_with("{\"specversion\""))
    });
    tap.end();
}

#[test]
fn another_token_in_the_file_is_used_after_sighup_without_waiting() {
    let place = Place::new();
    let receiver = Receiver::start(Answer::Status("401 Unauthorized\r\nRetry-After: 3600"));
    let token = place.file("token", "old\n");
    let args = ["--publish", &receiver.url(), "--publish-token-file", &token];
    let tap = start(&place, &args);
    send_numbers(&place, 0..1);
    wait_until("a refusal", || receiver.asked().len() == 1);
    receiver.answers(OK);
    fs::write(&token, "new\n").expect("write");
    tap.signal(nix::sys::signal::Signal::SIGHUP);
    receiver.wait_for(1);
    assert!(receiver.got()[0].head.contains("authorization: bearer new\r\n"));
    tap.end();
}

#[test]
fn a_damaged_state_file_changes_nothing() {
    let place = Place::new();
    let receiver = Receiver::start(OK);
    place.run_ok(&format!("webhook add {}", receiver.url()));
    let tap = start(&place, &[]);
    fs::write(place.path("hooks/webhooks.json"), "{").expect("write");
    wait_until("a complaint", || tap.stderr().contains("the webhooks stay as they were"));
    send_numbers(&place, 0..1);
    receiver.wait_for(1);
    let output = place.run("webhook add http://127.0.0.1:1/");
    assert_eq!(output.status.code(), Some(1));
    tap.end();
    assert_eq!(fs::read_to_string(place.path("hooks/webhooks.json")).expect("read"), "{");
}

#[test]
fn a_test_says_ok_or_why_not() {
    let place = Place::new();
    let good = Receiver::start(OK);
    let bad = Receiver::start(Answer::Status("401 Unauthorized"));
    let dead = format!("http://127.0.0.1:{}/", free_port());
    assert_eq!(place.run("webhook test").status.code(), Some(3));
    place.run_ok(&format!("webhook add {} -t tok", good.url()));
    assert_eq!(place.run_ok("webhook test"), format!("{} OK\n", good.url()));
    let ping = &good.got()[0];
    assert_eq!(ping.body, "");
    assert!(ping.head.contains("content-length: 0\r\n"), "{}", ping.head);
    assert!(ping.head.contains("authorization: bearer tok\r\n"));
    assert!(!ping.head.contains("content-type"));
    place.run_ok(&format!("webhook add {}", bad.url()));
    place.run_ok(&format!("webhook add {dead}"));
    let output = place.run("webhook test");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains(&format!("{} OK\n", good.url())));
    assert!(text.contains(&format!("{} NOT OK: 401 Unauthorized\n", bad.url())), "{text}");
    assert!(text.contains(&format!("{dead} NOT OK: ")) && text.contains("refused"), "{text}");
    let output = place.run(&format!("webhook test {} --json", bad.url()));
    let line: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(line, json!({"url": bad.url(), "ok": false, "error": "401 Unauthorized"}));
}
