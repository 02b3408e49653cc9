//! Decoding alone: captured datagrams in memory become lines in memory, on one core.

use std::hint::black_box;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::gluster::{Arrival, Decoder};
use eventfs::event::{Event, TimeText};

use crate::common::row::{Row, Unit};
use crate::common::timing::Rounds;
use crate::common::{Broken, scale};

/// The captured messages, as they were on the wire.
pub(crate) fn messages() -> Result<Vec<Vec<u8>>, Broken> {
    let text = include_str!("../../tests/data/gluster/datagrams.jsonl");
    text.lines()
        .map(|line| {
            let sample: serde_json::Value = serde_json::from_str(line)?;
            Ok(STANDARD.decode(sample["b64"].as_str().unwrap_or_default())?)
        })
        .collect()
}

/// How often a round reads all of them.
const REPEATS: u32 = 500;

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    let messages = messages()?;
    let count = REPEATS * messages.len() as u32;
    let rounds = Rounds::of(scale(100, 10), || lines(&messages))?;
    let rate = |time: Duration| Unit::Rate.show(f64::from(count) / time.as_secs_f64().max(1e-12));
    let row = Row::told("Gluster message to CloudEvents line, a core", rate(rounds.quiet()));
    Ok(vec![row.under(format!(
        "best twentieth of {} rounds of {count}, median {}",
        rounds.count(),
        rate(rounds.median())
    ))])
}

fn lines(messages: &[Vec<u8>]) -> Result<(), Broken> {
    let decoder = Decoder::default();
    let mut event = Event::default();
    let mut times = TimeText::default();
    let mut line = Vec::new();
    for count in 0..REPEATS {
        for message in messages {
            let arrival = Arrival { nanos: 1, count: count.into(), nodeid: Some("n") };
            decoder.message(message, &arrival, &mut event);
            line.clear();
            event.write_line(&mut times, &mut line);
            black_box(&line);
        }
    }
    Ok(())
}
