//! Any record out and back in, through our reader and through another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::hestia::{
    Content, Device, FILE_TYPES, FLAGS, Flags, Kind, Limits, Pairs, Record, Splitter, State, Statx,
    Time, Value, json::write_record, read,
};
use eventfs::event::json::Object;
use eventfs::export::{Exporter, Settings};
use proptest::prelude::*;

use crate::tree::{self, Tree};

/// Text that has hurt readers of YAML before.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        "[ -~]{0,8}",
        "\\PC{0,6}",
        any::<char>().prop_filter("strings of C", |c| *c != '\0').prop_map(String::from),
        Just("\n---\n".to_owned()),
        Just("\n...\n".to_owned()),
        Just("\\".to_owned()),
        Just("\"".to_owned()),
        Just(": ".to_owned()),
        Just(" #".to_owned()),
        Just("\u{85}\u{2028}\u{2029}\u{feff}\u{fffe}".to_owned()),
        Just("~".to_owned()),
        Just("y".to_owned()),
        Just("\t \r\n".to_owned()),
    ];
    prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

/// Keys may be longer than libyaml takes without the explicit form.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![9 => hostile(), 1 => (hostile(), 300_usize..1_000).prop_map(|(text, length)| {
        let mut key = text.repeat(40) + &"k".repeat(length);
        while key.len() > 1_023 {
            key.pop();
        }
        key
    })]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Binary),
        any::<u32>().prop_map(Value::Uint32),
        any::<u64>().prop_map(Value::Uint64),
        any::<i32>().prop_map(Value::Int32),
        any::<i64>().prop_map(Value::Int64),
        hostile().prop_map(Value::Text),
        (hostile(), any::<u32>()).prop_map(|(pattern, options)| Value::Regex(pattern, options)),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let entry = prop_oneof![4 => inner.clone(), 1 => Just(Value::Null)];
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::Seq),
            prop::collection::vec((key(), entry), 0..5).prop_map(Value::Map),
        ]
    })
}

fn time() -> impl Strategy<Value = Option<Time>> {
    (any::<i64>(), any::<u32>())
        .prop_map(|(sec, nsec)| Some(Time { sec: Some(sec), nsec: Some(nsec) }))
}

fn statx() -> impl Strategy<Value = Statx> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let device = (any::<u32>(), any::<u32>())
        .prop_map(|(major, minor)| Some(Device { major: Some(major), minor: Some(minor) }));
    let all: u32 = FLAGS.iter().map(|(_, bit)| bit).sum();
    (0..FILE_TYPES.len(), 0_u16..0o10000, numbers, time(), time(), device, any::<u32>()).prop_map(
        move |(file_type, mode, (ino, size, blocks, nlink, uid), time, other, device, set)| Statx {
            file_type: FILE_TYPES.get(file_type).copied(),
            mode: Some(mode),
            nlink: Some(nlink),
            uid: Some(uid),
            gid: Some(uid ^ 7),
            atime: time,
            mtime: other,
            ctime: time,
            btime: other,
            ino: Some(ino),
            size: Some(size),
            blocks: Some(blocks),
            blksize: Some(nlink),
            attributes: Some(Flags { known: all, set: set & all }),
            rdev: device,
            dev: device,
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let id = || prop::collection::vec(any::<u8>(), 0..50);
    let pairs =
        prop::collection::vec((key(), prop_oneof![9 => value(), 1 => Just(Value::Null)]), 0..5);
    let rest = (id(), hostile(), prop::option::of(hostile()), prop::option::of(statx()), pairs);
    (0..Kind::ALL.len(), id(), rest).prop_map(
        |(kind, id, (parent, name, symlink, statx, xattrs))| {
            let (kind, _) = Kind::ALL[kind];
            let mut record = Record::new(kind, id);
            if kind.has_place() {
                (record.parent, record.name) = (Some(parent), Some(name));
            }
            if kind == Kind::Upsert {
                (record.symlink, record.statx) = (symlink, statx);
            }
            if kind.has_xattrs() {
                record.xattrs = xattrs;
            }
            record
        },
    )
}

/// The line of a record as a tap writes it with `--bare`.
fn line(record: &Record) -> Vec<u8> {
    let mut line = Vec::new();
    let mut object = Object::begin(&mut line);
    write_record(&mut object, record, &mut Vec::new());
    object.end();
    line
}

/// What the other reader is to find.
fn expected(record: &Record) -> Tree {
    let plain = |text: &str| Tree::Scalar(None, text.to_owned());
    let mut pairs = vec![(plain("id"), binary(&record.id))];
    if record.kind.has_xattrs() {
        pairs.push((plain("xattrs"), Tree::Map(None, map(&record.xattrs))));
    }
    if let Some(statx) = &record.statx {
        pairs.push((plain("statx"), expected_statx(statx)));
    }
    if let Some(symlink) = &record.symlink {
        pairs.push((plain("symlink"), plain(symlink)));
    }
    if let Some(parent) = &record.parent {
        pairs.push((plain("parent"), binary(parent)));
    }
    if let Some(name) = &record.name {
        pairs.push((plain("name"), plain(name)));
    }
    Tree::Map(Some(format!("!{}", record.kind.name())), pairs)
}

fn binary(bytes: &[u8]) -> Tree {
    Tree::Scalar(Some("tag:yaml.org,2002:binary".to_owned()), STANDARD.encode(bytes))
}

fn map(pairs: &Pairs) -> Vec<(Tree, Tree)> {
    let pair = |(key, value): &(String, Value)| (Tree::Scalar(None, key.clone()), tree_of(value));
    pairs.iter().map(pair).collect()
}

fn tree_of(value: &Value) -> Tree {
    let tagged = |tag: &str, text: String| Tree::Scalar(Some(tag.to_owned()), text);
    let plain = |text: &str| Tree::Scalar(None, text.to_owned());
    match value {
        Value::Null => plain("~"),
        Value::Bool(true) => tagged("tag:yaml.org,2002:bool", "y".to_owned()),
        Value::Bool(false) => tagged("tag:yaml.org,2002:bool", "n".to_owned()),
        Value::Binary(bytes) => binary(bytes),
        Value::Uint32(number) => tagged("!uint32", number.to_string()),
        Value::Uint64(number) => tagged("!uint64", number.to_string()),
        Value::Int32(number) => tagged("!int32", number.to_string()),
        Value::Int64(number) => tagged("!int64", number.to_string()),
        Value::Double(number) => tagged("!double", number.to_string()),
        Value::Text(text) => plain(text),
        Value::Regex(pattern, options) => Tree::Map(
            Some("!regex".to_owned()),
            vec![(plain("regex"), plain(pattern)), (plain("options"), plain(&options.to_string()))],
        ),
        Value::Seq(items) => Tree::Seq(items.iter().map(tree_of).collect()),
        Value::Map(pairs) => Tree::Map(None, map(pairs)),
    }
}

fn expected_statx(statx: &Statx) -> Tree {
    let plain = |text: &str| Tree::Scalar(None, text.to_owned());
    let number = |name: &str, number: u64| (plain(name), plain(&number.to_string()));
    let two = |name: &str, fields: [(&str, String); 2]| {
        let fields = fields.map(|(name, text)| (plain(name), plain(&text)));
        (plain(name), Tree::Map(None, fields.to_vec()))
    };
    let time = |name: &str, time: Option<Time>| {
        let Time { sec, nsec } = time.unwrap();
        two(name, [("sec", sec.unwrap().to_string()), ("nsec", nsec.unwrap().to_string())])
    };
    let device = |name: &str, device: Option<Device>| {
        let Device { major, minor } = device.unwrap();
        two(name, [("major", major.unwrap().to_string()), ("minor", minor.unwrap().to_string())])
    };
    let flags = statx.attributes.unwrap();
    let flag = |(name, bit): (&str, u32)| {
        (plain(name), plain(if flags.set & bit != 0 { "y" } else { "n" }))
    };
    let pairs = vec![
        (plain("type"), plain(statx.file_type.unwrap())),
        (plain("mode"), plain(&format!("0{:o}", statx.mode.unwrap()))),
        number("nlink", statx.nlink.unwrap().into()),
        number("uid", statx.uid.unwrap().into()),
        number("gid", statx.gid.unwrap().into()),
        time("atime", statx.atime),
        time("mtime", statx.mtime),
        time("ctime", statx.ctime),
        number("ino", statx.ino.unwrap()),
        number("size", statx.size.unwrap()),
        number("blocks", statx.blocks.unwrap()),
        time("btime", statx.btime),
        number("blksize", statx.blksize.unwrap().into()),
        (plain("attributes"), Tree::Map(None, FLAGS.map(flag).to_vec())),
        device("rdev", statx.rdev),
        device("dev", statx.dev),
    ];
    Tree::Map(None, pairs)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_survives_the_way_through_both_readers(
        records in prop::collection::vec(record(), 1..6),
    ) {
        let mut exporter = Exporter::new(Settings::default(), None);
        let mut yaml = String::new();
        for record in &records {
            exporter.line(&line(record), &mut yaml);
        }
        prop_assert_eq!(exporter.counts().left_out, 0);
        // Ours.
        let mut splitter = Splitter::new(1 << 20);
        splitter.push(yaml.as_bytes());
        for record in &records {
            let document = splitter.next().expect("a document for each record");
            prop_assert_eq!(document.state, State::Whole);
            let parsed = read(document.bytes, Limits::default()).map_err(TestCaseError::fail)?;
            prop_assert!(parsed.unknown.is_empty());
            prop_assert_eq!(parsed.content, Content::Inode(record.clone()));
        }
        prop_assert!(splitter.next().is_none() && !splitter.is_holding());
        // The other one.
        let expected: Vec<Tree> = records.iter().map(expected).collect();
        prop_assert_eq!(tree::read(&yaml), expected);
    }
}

#[test]
fn every_character_survives_in_a_name() {
    for start in (1..=0x10_ffff_u32).step_by(300) {
        let name: String = (start..start + 300).filter_map(char::from_u32).collect();
        if name.is_empty() || name.len() > 1_023 {
            continue;
        }
        let mut record = Record::new(Kind::Unlink, "x");
        (record.parent, record.name) = (Some(Vec::new()), Some(name.clone()));
        let mut yaml = String::new();
        eventfs::export::yaml::write(&record, &mut yaml);
        assert_eq!(tree::read(&yaml)[0].at(&["name"]), Some(name.as_str()), "from {start:x}");
        let parsed = read(yaml.as_bytes(), Limits::default()).expect("our reader");
        assert_eq!(parsed.content, Content::Inode(record), "from {start:x}");
    }
}
