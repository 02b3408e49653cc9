//! Random records, uevents, datagrams and configurations: refused or read, never a panic.

use eventfs::decode::storage::check;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::lines;

/// Texts of the samples.
fn texts() -> Vec<String> {
    let text = |sample: &serde_json::Value| sample["text"].as_str().expect("text").to_owned();
    lines("lines.jsonl").iter().map(text).collect()
}

/// A real text with some of its bytes changed, cut out or doubled.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let places = vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 0..6);
    (select(texts()), places).prop_map(|(text, places)| {
        let mut bytes = text.into_bytes();
        for (place, how, byte) in places {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

fn in_kmsg_form(text: &[u8]) -> Vec<u8> {
    let mut raw = b"6,1,2,-;".to_vec();
    for &byte in text {
        if (0x20..0x7f).contains(&byte) && byte != b'\\' {
            raw.push(byte);
        } else {
            raw.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    raw
}

fn property() -> impl Strategy<Value = String> {
    let key = select(vec![
        "ACTION",
        "DEVPATH",
        "SUBSYSTEM",
        "SEQNUM",
        "DEVNAME",
        "DEVTYPE",
        "DM_ACTION",
        "DM_PATH",
        "SDEV_UA",
        "RESIZE",
        "DISK_RO",
        "DM_TARGET",
        "NVME_AEN",
    ]);
    let value = select(vec![
        "add",
        "change",
        "/devices/x/1:0:0:0",
        "block",
        "scsi",
        "nvme",
        "7",
        "sda",
        "disk",
        "1",
        "0",
        "8:16",
        "multipath",
        "PATH_FAILED",
        "CAPACITY_DATA_HAS_CHANGED",
        "\u{e9}",
    ]);
    (key, value).prop_map(|(key, value)| format!("{key}={value}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn bent_records_do_no_harm(text in bent()) {
        check::record(&in_kmsg_form(&text));
        check::record(&[b"[   12.345678] ".as_slice(), &text].concat());
        check::record(&text);
    }

    #[test]
    fn any_bytes_are_no_trouble(bytes in vec(any::<u8>(), 0..3000)) {
        check::record(&bytes);
        check::record(&[b"6,1,2,-;".as_slice(), &bytes].concat());
        check::uevent(&bytes);
        check::uevent(&[b"libudev\0\xfe\xed\xca\xfe".as_slice(), &bytes].concat());
        check::datagram(&bytes);
        check::config(&bytes);
    }

    #[test]
    fn records_do_not_depend_on_the_reads(
        pieces in vec(select(vec!["6,1,2,-;a", "\n", " KEY=v", "[ 1.000000] b", "", "\n\n", "x"]), 0..40),
        chunk in 1..9usize,
    ) {
        check::stream(pieces.concat().as_bytes(), chunk);
    }

    #[test]
    fn uevents_of_any_properties(properties in vec(property(), 0..12)) {
        let mut message = b"change@/devices/x\0SEQNUM=1\0".to_vec();
        for property in properties {
            message.extend_from_slice(property.as_bytes());
            message.push(0);
        }
        check::uevent(&message);
    }
}

#[test]
fn every_prefix_of_a_record_is_refused_or_read() {
    for sample in lines("lines.jsonl").iter().take(60) {
        let raw = sample["record"].as_str().expect("record").as_bytes();
        for end in 0..raw.len() {
            check::record(&raw[..end]);
        }
    }
}
