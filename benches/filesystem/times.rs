//! Put and pop as multiples of a round trip, and the other calls, beside tmpfs.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::calls::{Dir, RoundTrip, name};
use crate::common::mount::{Eventfs, Tmpfs};
use crate::common::row::{Row, Unit};
use crate::common::timing::{Rounds, ratio, seconds};
use crate::common::{Broken, cpu, scale};

/// Most round trips that a put may take.
const PUT_TRIPS_MAX: f64 = 7.0;

/// Most round trips that a pop may take.
const POP_TRIPS_MAX: f64 = 10.0;

/// Events in the directory that is listed.
const LISTED: u32 = 10_000;

/// Two directories on one filesystem.
struct Place {
    root: Dir,
    one: Dir,
    two: Dir,
    path: PathBuf,
    pops_by_link: bool,
}

impl Place {
    fn new(root: &Path, one: PathBuf, two: &Path, pops_by_link: bool) -> Result<Self, Broken> {
        let (root, two) = (Dir::open(root)?, Dir::open(two)?);
        Ok(Self { root, one: Dir::open(&one)?, two, path: one, pops_by_link })
    }

    fn on_eventfs(mounted: &Eventfs) -> Result<Self, Broken> {
        let (one, two) = (mounted.queue("one")?, mounted.queue("two")?);
        Self::new(mounted.root(), one, &two, true)
    }

    fn on_tmpfs(mounted: &Tmpfs) -> Result<Self, Broken> {
        let (one, two) = (mounted.root().join("one"), mounted.root().join("two"));
        fs::create_dir(&one)?;
        fs::create_dir(&two)?;
        Self::new(mounted.root(), one, &two, false)
    }
}

/// Times of everything in one place.
#[derive(Default)]
struct Times {
    put: Rounds,
    pop: Rounds,
    link: Rounds,
    rename: Rounds,
    claim: Rounds,
    mkdir: Rounds,
    list: Rounds,
}

impl Times {
    /// Puts and pops events with these numbers. They are new ones each time, as they would be: of
    /// an event popped through a link the kernel still has the name, and finds out when it comes
    /// back.
    fn put_and_pop(&mut self, place: &Place, numbers: Range<u32>) -> nix::Result<()> {
        self.put.run(numbers.clone(), |number| place.one.put(number))?;
        self.pop.run(numbers, |number| match place.pops_by_link {
            true => place.one.take(b"head"),
            false => place.one.take(&name(number)),
        })
    }

    fn others(&mut self, place: &Place, count: u32) -> nix::Result<()> {
        let (one, two) = (&place.one, &place.two);
        for number in 0..count {
            one.put(number)?;
        }
        self.link.run(0..count, |number| one.link(&name(number), two, &name(number)))?;
        for number in 0..count {
            two.unlink(&name(number))?;
        }
        self.rename
            .run(0..count, |number| one.rename(&name(number), one, &name(number + count)))?;
        self.claim.run(0..count, |number| one.rename(&name(number + count), two, &name(number)))?;
        for number in 0..count {
            two.unlink(&name(number))?;
        }
        self.mkdir.run(0..count, |number| place.root.mkdir_rmdir(&name(number)))
    }

    fn list(&mut self, place: &Place) -> Result<(), Broken> {
        self.list.run(0..1, |_| {
            let listed = fs::read_dir(&place.path)?.count() as u32;
            let links = if place.pops_by_link { 2 } else { 0 };
            assert_eq!(listed, LISTED + links, "a listing is complete");
            Ok(())
        })
    }
}

fn measure_lists(places: &mut [(&Place, &mut Times)], rounds: u32) -> Result<(), Broken> {
    for (place, _) in places.iter() {
        for number in 0..LISTED {
            place.one.put(number)?;
        }
    }
    for _ in 0..rounds {
        for (place, times) in places.iter_mut() {
            times.list(place)?;
        }
    }
    for (place, _) in places.iter() {
        for number in 0..LISTED {
            place.one.unlink(&name(number))?;
        }
    }
    Ok(())
}

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    cpu::stay_on_one()?;
    let (rounds, count) = (scale(400, 60), scale(100, 100));
    let mounted = Eventfs::start(&[])?;
    let tmpfs = Tmpfs::start()?;
    let ours = Place::on_eventfs(&mounted)?;
    let theirs = tmpfs.as_ref().map(Place::on_tmpfs).transpose()?;
    let still = mounted.queue("still")?;
    Dir::open(&still)?.put(0)?;
    let round_trip = RoundTrip::of(&still)?;

    let (mut trip, mut here, mut there) = (Rounds::default(), Times::default(), Times::default());
    for round in 0..rounds {
        let numbers = round * count..(round + 1) * count;
        trip.run(0..4 * count, |_| round_trip.go())?;
        here.put_and_pop(&ours, numbers.clone())?;
        if let Some(theirs) = &theirs {
            there.put_and_pop(theirs, numbers)?;
        }
    }
    for _ in 0..rounds.div_ceil(4) {
        here.others(&ours, count)?;
        if let Some(theirs) = &theirs {
            there.others(theirs, count)?;
        }
    }
    let mut places = vec![(&ours, &mut here)];
    places.extend(theirs.as_ref().map(|theirs| (theirs, &mut there)));
    measure_lists(&mut places, scale(20, 5))?;

    let there = theirs.is_some().then_some(&there);
    let mut rows =
        vec![Row::told("round trip (fstat of head)", seconds(trip.quiet())).under(format!(
            "median {}; best twentieth of {rounds} rounds of {}, interleaved with put and pop",
            seconds(trip.median()),
            4 * count
        ))];
    let in_trips = |what, times: &Rounds, most: f64| {
        let measured = ratio(times.quiet(), trip.quiet());
        let name = format!("{what}, in round trips of the same mount");
        Row::at_most(&name, Unit::Plain, most, measured).under(format!(
            "{} of {}; best twentieth of {rounds} rounds of {count}; medians {} of {}: {:.2}",
            seconds(times.quiet()),
            seconds(trip.quiet()),
            seconds(times.median()),
            seconds(trip.median()),
            ratio(times.median(), trip.median()),
        ))
    };
    rows.push(in_trips("put", &here.put, PUT_TRIPS_MAX));
    rows.push(in_trips("pop through head", &here.pop, POP_TRIPS_MAX));
    rows.extend(beside_tmpfs(&here, there));
    Ok(rows)
}

fn beside_tmpfs(here: &Times, there: Option<&Times>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut tell = |what: &str, of: fn(&Times) -> &Rounds, each: u32| {
        let time = |times: &Times| -> Duration { of(times).quiet() / each };
        let ours = time(here);
        let (measured, beside) = match there.map(time) {
            Some(theirs) => {
                let speed = format!("{:.2} of its speed", ratio(theirs, ours));
                (speed, format!("{}, tmpfs {}", seconds(ours), seconds(theirs)))
            }
            None => (seconds(ours), "no tmpfs here".to_owned()),
        };
        let rounds = of(here).count();
        rows.push(
            Row::told(what, measured).under(format!("{beside}; best twentieth of {rounds} rounds")),
        );
    };
    tell("put, beside tmpfs", |times| &times.put, 1);
    tell("pop, beside tmpfs", |times| &times.pop, 1);
    tell("an event of a listing of 10 000, beside tmpfs", |times| &times.list, LISTED);
    tell("link (multicast), beside tmpfs", |times| &times.link, 1);
    tell("rename inside a queue, beside tmpfs", |times| &times.rename, 1);
    tell("rename between queues (claim), beside tmpfs", |times| &times.claim, 1);
    tell("mkdir + rmdir, beside tmpfs", |times| &times.mkdir, 1);
    rows
}
