//! Consumers among everything else that happens to a queue, against a plain list.

use eventfs::model::limits::SECOND_NS;
use eventfs::model::{HandleId, Ino, Reason};

use super::bench::{Bench, USER};

/// What happens to the queue, and who takes from it.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(u8),
    Unlink(u8),
    PopHead,
    PopTail,
    Rename(u8, u8),
    Stage(u8),
    Take { who: usize, confirmed: usize, most: u32 },
    Close { who: usize },
    Pass,
    Limit(u8),
    DropOldest(bool),
}

/// An event of the list: in its place whoever holds it.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    name: String,
    born: usize,
    holder: Option<usize>,
}

/// What the queue should be: the events by publication, in the hands of whom.
#[derive(Default)]
struct List {
    items: Vec<Item>,
    time: usize,
    max: usize,
    rejects: bool,
    dropped: u64,
    expired: u64,
}

impl List {
    fn visible(&self) -> Vec<String> {
        let free = self.items.iter().filter(|item| item.holder.is_none());
        free.map(|item| item.name.clone()).collect()
    }

    fn find(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    fn remove(&mut self, name: &str) {
        self.items.retain(|item| item.name != name);
    }

    fn oldest(&self) -> Option<String> {
        self.visible().first().cloned()
    }

    /// `false` where nothing gives way.
    fn publish(&mut self, name: String) -> bool {
        if self.max > 0 {
            if self.rejects && self.items.len() >= self.max {
                return false;
            }
            if self.items.iter().filter(|item| item.holder.is_some()).count() >= self.max {
                return false;
            }
            while self.items.len() >= self.max {
                let Some(oldest) = self.oldest() else { break };
                self.remove(&oldest);
                self.dropped += 1;
            }
        }
        self.items.push(Item { name, born: self.time, holder: None });
        true
    }

    fn settle(&mut self, who: usize, confirmed: usize) {
        let mut left = confirmed;
        self.items.retain(|item| {
            let goes = item.holder == Some(who) && left > 0;
            left -= usize::from(goes);
            !goes
        });
        for item in self.items.iter_mut().filter(|item| item.holder == Some(who)) {
            item.holder = None;
        }
        self.expire();
    }

    fn take(&mut self, who: usize, most: usize) -> Vec<String> {
        let free = self.items.iter_mut().filter(|item| item.holder.is_none()).take(most);
        free.map(|item| {
            item.holder = Some(who);
            item.name.clone()
        })
        .collect()
    }

    /// Two steps of time are the life of an event.
    fn expire(&mut self) {
        let time = self.time;
        let before = self.items.len();
        self.items.retain(|item| item.holder.is_some() || item.born + 2 > time);
        self.expired += (before - self.items.len()) as u64;
    }
}

fn name(number: u8) -> String {
    format!("n{number}")
}

struct Scene {
    b: Bench,
    q: Ino,
    consumers: [HandleId; 3],
    list: List,
}

impl Scene {
    fn new() -> Self {
        let mut b = Bench::new();
        let q = b.queue("q");
        b.set(q, "ttl", "2").unwrap();
        b.set(q, "overflow", "drop-oldest").unwrap();
        let consumers = [(); 3].map(|()| b.consumer(q));
        Self { b, q, consumers, list: List::default() }
    }

    fn play(&mut self, op: Op) {
        let (b, q, list) = (&mut self.b, self.q, &mut self.list);
        match op {
            Op::Create(number) => {
                let name = name(number);
                let expected = match () {
                    () if list.find(&name).is_some() => Err(Reason::Exists),
                    () if list.publish(name.clone()) => Ok(()),
                    () => Err(Reason::OverQuota),
                };
                let made = b.tree.mknod(q, name.as_bytes(), 0o644, USER, b.now);
                assert_eq!(made.map(drop), expected);
            }
            Op::Unlink(number) => {
                let name = name(number);
                let there = list.visible().contains(&name);
                if there {
                    list.remove(&name);
                }
                assert_eq!(b.unlink(q, &name).is_ok(), there);
            }
            Op::PopHead | Op::PopTail => {
                let visible = list.visible();
                let by_head = matches!(op, Op::PopHead);
                let end = if by_head { visible.first() } else { visible.last() };
                if let Some(name) = end {
                    list.remove(name);
                }
                let popped = b.unlink(q, if by_head { "head" } else { "tail" });
                assert_eq!(popped.is_ok(), end.is_some());
            }
            Op::Rename(from, to) => {
                let (from, to) = (name(from), name(to));
                let visible = list.visible();
                let is_held = |name: &str| list.find(name).is_some_and(|i| i.holder.is_some());
                let expected = match () {
                    () if !visible.contains(&from) => Err(Reason::NotFound),
                    () if is_held(&to) => Err(Reason::Exists),
                    () => Ok(()),
                };
                if expected.is_ok() && from != to {
                    list.remove(&to);
                    let item = list.items.iter_mut().find(|item| item.name == from);
                    item.expect("it is visible").name = to.clone();
                }
                assert_eq!(b.rename((q, &from), (q, &to)), expected);
            }
            Op::Stage(number) => {
                let name = name(number);
                let staged = b.rename((q, &name), (q, ".staged"));
                assert_eq!(staged.is_ok(), list.visible().contains(&name));
                if staged.is_ok() {
                    list.remove(&name);
                    let fits = list.publish(name.clone());
                    let published = b.rename((q, ".staged"), (q, &name));
                    assert_eq!(published.is_ok(), fits);
                    if !fits {
                        b.unlink(q, ".staged").unwrap();
                    }
                }
            }
            Op::Take { who, confirmed, most } => {
                list.settle(who, confirmed);
                // What returned too late goes before anybody sees it, here as there.
                b.take(self.consumers[who], confirmed, 0);
                b.pass(0);
                assert_eq!(
                    b.take(self.consumers[who], 0, most),
                    list.take(who, most as usize).join(" ")
                );
            }
            Op::Close { who } => {
                list.settle(who, 0);
                b.close_consumer(self.consumers[who]);
                b.pass(0);
                self.consumers[who] = b.consumer(q);
            }
            Op::Pass => {
                list.time += 1;
                list.expire();
                b.pass(SECOND_NS);
            }
            Op::Limit(max) => {
                list.max = usize::from(max);
                b.set(q, "max_events", &max.to_string()).unwrap();
            }
            Op::DropOldest(drops) => {
                list.rejects = !drops;
                b.set(q, "overflow", if drops { "drop-oldest" } else { "reject" }).unwrap();
            }
        }
    }

    fn compare(&mut self) {
        let (b, q, list) = (&mut self.b, self.q, &self.list);
        let visible = list.visible();
        assert_eq!(b.list(q), visible.join(" "));
        assert_eq!(b.points(q, "head").as_ref(), visible.first());
        assert_eq!(b.points(q, "tail").as_ref(), visible.last());
        assert_eq!(b.number(q, "depth"), list.items.len() as u64);
        assert_eq!(b.number(q, "dropped"), list.dropped);
        assert_eq!(b.number(q, "expired"), list.expired);
        assert_eq!(b.tree.space().events_used, list.items.len() as u64);
    }

    fn end(mut self) {
        for id in self.consumers {
            self.b.close_consumer(id);
        }
        assert!(self.b.is_clear_without(self.q, "q"));
    }
}

/// Plays a scene to its end.
pub(crate) fn play(ops: impl IntoIterator<Item = Op>) {
    let mut scene = Scene::new();
    for op in ops {
        scene.play(op);
        scene.compare();
    }
    scene.end();
}
