//! The samples, one by one.

use base64::Engine as _;
use eventfs::decode::storage::{Found, Framer, Parsers, System, Uevent, find_uevent, read_record};
use serde_json::Value;

use super::{data, lines};

/// What is wrong with an event, if it is not the expected one.
fn difference(found: Option<&Found>, expected: &Value) -> Option<String> {
    let Some(found) = found else {
        return (!expected.is_null()).then(|| format!("no event instead of {expected}"));
    };
    if expected.is_null() {
        return Some(format!("an event: {found:?}"));
    }
    let pairs = [
        ("event_type", found.event_type.as_str()),
        ("severity", found.severity.as_str()),
        ("system", found.system.as_str()),
        ("subsystem", &found.subsystem),
        ("dev_name", &found.device),
    ];
    for (name, value) in pairs {
        if expected[name] != value {
            return Some(format!("{name} {value:?}: {expected}"));
        }
    }
    for (key, value) in expected["extension"].as_object().expect("extension") {
        if found.fields.text(key) != value.as_str() {
            return Some(format!("{key} is {:?}: {expected}", found.fields.text(key)));
        }
    }
    let level = expected.get("kernel_priority").map(|level| level.as_u64().unwrap_or(99));
    match level {
        Some(level) if found.fields.text("kernel_priority") != Some(&level.to_string()) => {
            Some(format!("kernel_priority: {:?}", found.fields))
        }
        _ => None,
    }
}

/// The event of one record of the kernel.
fn read(parsers: &mut Parsers, raw: &[u8]) -> Option<Found> {
    let mut scratch = Vec::new();
    let record = read_record(raw, &mut scratch).expect("a record");
    let mut found = Found::default();
    (record.facility() == 0 && parsers.read(&record, &mut found)).then_some(found)
}

fn check(file: &str) -> usize {
    let samples = lines(file);
    let mut faults = Vec::new();
    for sample in &samples {
        let raw = sample["record"].as_str().expect("record").as_bytes();
        let mut parsers = Parsers::default();
        let found = read(&mut parsers, raw);
        if let Some(fault) = difference(found.as_ref(), &sample["expect"]) {
            faults.push(format!("{}: {} {fault}", sample["id"], sample["text"]));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), samples.len(), faults.join("\n"));
    samples.len()
}

#[test]
fn every_sample_line_is_its_event() {
    assert_eq!(check("lines.jsonl"), 493);
}

#[test]
fn what_is_no_event_stays_none() {
    assert_eq!(check("negatives.jsonl"), 148);
}

#[test]
fn lines_of_dmesg_are_the_same_events() {
    let mut parsers = Parsers::default();
    for sample in lines("lines.jsonl") {
        let text = sample["text"].as_str().expect("text").replace('\n', "\n               ");
        let found = read(&mut parsers, format!("[   12.345678] {text}").as_bytes());
        let fault = difference(found.as_ref(), &sample["expect"]);
        assert_eq!(fault, None, "{text}");
    }
}

#[test]
fn sequences_give_their_events_in_order() {
    let mut files = 0;
    for entry in std::fs::read_dir(data("")).expect("samples") {
        let name = entry.expect("entry").file_name().into_string().expect("name");
        let Some(stem) = name.strip_suffix(".kmsg") else { continue };
        files += 1;
        let expected = lines(&format!("{stem}.expect.jsonl"));
        let mut expected = expected.iter().peekable();
        let mut framer = Framer::default();
        framer.push(&std::fs::read(data(&name)).expect("records"));
        let mut parsers = Parsers::default();
        while let Some((raw, _)) = framer.next(true) {
            let sequence: u64 = String::from_utf8_lossy(raw)
                .split(',')
                .nth(1)
                .expect("sequence")
                .parse()
                .expect("number");
            let optional = |event: &&Value| event["optional"] == true && event["seq"] == sequence;
            let Some(found) = read(&mut parsers, raw) else {
                if expected.peek().is_some_and(optional) {
                    expected.next();
                }
                continue;
            };
            let event =
                expected.next().unwrap_or_else(|| panic!("{name}: one too many: {found:?}"));
            assert_eq!(event["seq"], sequence, "{name}");
            assert_eq!(difference(Some(&found), event), None, "{name}");
        }
        assert_eq!(expected.next(), None, "{name}");
    }
    assert_eq!(files, 12);
}

#[test]
fn uevents_of_both_groups() {
    let samples = lines("uevents.jsonl");
    let mut events = 0;
    for sample in &samples {
        let text = sample["message_b64"].as_str().expect("message");
        let message = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        let mut found = Found::default();
        let uevent = Uevent::read(&message).expect("a uevent");
        let is_event = find_uevent(uevent, &System::ALL, false, &mut found);
        events += usize::from(is_event);
        assert_eq!(difference(is_event.then_some(&found), &sample["expect"]), None, "{uevent:?}");
    }
    assert_eq!((samples.len(), events), (109, 13));
}
