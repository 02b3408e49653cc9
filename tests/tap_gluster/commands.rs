//! `eventfs webhook` and `eventfs config` without a tap.

use serde_json::{Value, json};

use super::help::Place;

fn code(place: &Place, words: &str) -> Option<i32> {
    place.run(words).status.code()
}

#[test]
fn webhooks_are_added_changed_listed_and_removed() {
    let place = Place::new();
    assert_eq!(place.run_ok("webhook list"), "");
    place.run_ok("webhook add http://a/listen -t tok");
    place.run_ok("webhook add http://b/ --bearer_token tok --secret s");
    assert_eq!(place.run_ok("webhook list"), "http://a/listen\nhttp://b/\n");
    let stored = || -> Value {
        let text = std::fs::read_to_string(place.path("hooks/webhooks.json")).expect("read");
        serde_json::from_str(&text).expect("JSON")
    };
    let expected = json!({"http://a/listen": {"token": "tok", "secret": ""},
                          "http://b/": {"token": "tok", "secret": "s"}});
    assert_eq!(stored(), expected);
    place.run_ok("webhook mod http://b/ --bearer-token new");
    assert_eq!(stored()["http://b/"], json!({"token": "new", "secret": "s"}));
    let lines = place.run_ok("webhook list --json");
    let line: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(line, json!({"url": "http://a/listen", "token": true, "secret": false}));
    place.run_ok("webhook del http://a/listen");
    assert_eq!(place.run_ok("webhook list"), "http://b/\n");
    // In another directory nothing of this is known.
    let other = place.path("other");
    let list = format!("webhook list --webhook-dir {}", other.display());
    assert_eq!(place.run_ok(&list), "");
}

#[test]
fn what_cannot_be_is_refused_by_status() {
    let place = Place::new();
    place.run_ok("webhook add http://a/");
    assert_eq!(code(&place, "webhook add http://a/"), Some(1), "there already");
    assert_eq!(code(&place, "webhook mod http://b/ -t x"), Some(3));
    assert_eq!(code(&place, "webhook del http://b/"), Some(3));
    assert_eq!(code(&place, "webhook add b"), Some(2));
    assert_eq!(code(&place, "webhook"), Some(2));
    assert_eq!(code(&place, "config get --name nonsense"), Some(3));
    assert_eq!(code(&place, "config set nonsense 1"), Some(3));
    assert_eq!(code(&place, "config set log-level BANANA"), Some(2));
    assert_eq!(code(&place, "config reset nonsense"), Some(3));
    let line = String::from_utf8(place.run("config set port 0").stderr).expect("text");
    assert_eq!(line, "eventfs: port: a number from 1 to 65535 is needed\n");
}

#[test]
fn settings_have_defaults_and_go_back_to_them() {
    let place = Place::new();
    let all = place.run_ok("config get");
    assert_eq!(all.lines().count(), 5);
    assert!(all.contains("port             55555\n"), "{all}");
    place.run_ok("config set port 24009");
    place.run_ok("config set log_level debug");
    assert_eq!(place.run_ok("config get --name port"), "24009\n");
    assert_eq!(place.run_ok("config get --name log-level"), "DEBUG\n");
    let stored = std::fs::read_to_string(place.path("hooks/config.json")).expect("read");
    let stored: Value = serde_json::from_str(&stored).expect("JSON");
    assert_eq!(stored, json!({"log-level": "DEBUG", "port": 24009}), "only what was changed");
    place.run_ok("config reset port");
    assert_eq!(place.run_ok("config get --name port"), "55555\n");
    let line: Value =
        serde_json::from_str(&place.run_ok("config get --name log-level --json")).expect("JSON");
    assert_eq!(line, json!({"name": "log-level", "value": "DEBUG"}));
    place.run_ok("config reset all");
    assert_eq!(place.run_ok("config get --name log-level"), "INFO\n");
}
