//! Properties that hold for any bytes at all: what the fuzz targets and the random tests call.

use super::{
    Config, Device, Found, Framer, Identity, Parsers, System, Uevent, Writer, find_uevent, fit,
    heard, read_record,
};
use crate::event::{Event, TimeText, UnixNanos};

/// A record is refused with a reason or read, and what is found in it is one line of JSON.
///
/// # Panics
/// If it does not hold.
pub fn record(raw: &[u8]) {
    let mut scratch = Vec::new();
    let Ok(record) = read_record(raw, &mut scratch) else { return };
    assert!(record.level().is_none_or(|level| level < 8));
    let mut found = Found::default();
    if Parsers::default().read(&record, &mut found) {
        assert!(found.msg.len() <= record.text.len());
        is_event(&found, Identity::Record("00000000", record.sequence));
    }
}

/// The records of a stream do not depend on how it was cut into reads, and no byte of them is lost.
///
/// # Panics
/// If it does not hold.
pub fn stream(bytes: &[u8], chunk: usize) {
    let whole = records(&[bytes]);
    let chunks: Vec<&[u8]> = bytes.chunks(chunk.max(1)).collect();
    assert_eq!(whole, records(&chunks));
    let kept = |bytes: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
    assert_eq!(whole.iter().map(|record| kept(record)).sum::<usize>(), kept(bytes));
}

fn records(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut framer = Framer::default();
    let mut all = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some((record, _)) = framer.next(false) {
            all.push(record.to_vec());
        }
    }
    while let Some((record, _)) = framer.next(true) {
        all.push(record.to_vec());
    }
    all
}

/// A uevent is refused with a reason or read, and what is found in it is one line of JSON.
///
/// # Panics
/// If it does not hold.
pub fn uevent(message: &[u8]) {
    let Ok(uevent) = Uevent::read(message) else { return };
    assert!(uevent.sequence().is_some());
    let mut found = Found::default();
    if find_uevent(uevent, &System::ALL, true, &mut found) {
        is_event(&found, Identity::Uevent("00000000", uevent.sequence().unwrap_or(0)));
    }
}

/// A datagram is refused with a reason or heard as it is.
///
/// # Panics
/// If it does not hold.
pub fn datagram(bytes: &[u8]) {
    let mut event = Event::default();
    if heard(bytes, &mut event).is_ok() {
        is_one_line(&event);
        assert!(fit(&event.data).is_none_or(|text| text.len() <= super::DATAGRAM_MAX));
    }
}

/// A configuration is refused in one line or read.
///
/// # Panics
/// If it does not hold.
pub fn config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(config) = Config::parse(text) {
        let (_, faults) = super::UserRules::compile(&config.rules);
        assert!(faults.len() <= config.rules.len());
    }
}

fn is_event(found: &Found, identity: Identity<'_>) {
    assert!(!found.event_type.is_empty() && !found.subsystem.is_empty());
    let mut event = Event::default();
    let device = Device::named(&found.device);
    let mut writer = Writer::new("host", true, [0; 16]);
    writer.write(found, &device, (identity, 1), UnixNanos(0), &mut event);
    assert_eq!(event.kind, format!("storage.{}", found.event_type.to_ascii_lowercase()));
    is_one_line(&event);
}

fn is_one_line(event: &Event) {
    let mut line = Vec::new();
    event.write_line(&mut TimeText::default(), &mut line);
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    assert!(value["data"].is_object());
}
