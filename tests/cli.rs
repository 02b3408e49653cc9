//! The command line from outside: mounting and its failures, signals, ends, mkqueue, status.

#[path = "cli/access.rs"]
mod access;
#[path = "fate/binding.rs"]
mod binding;
mod common;
#[path = "cli/end.rs"]
mod end;
#[path = "cli/form.rs"]
mod form;
#[path = "fate/kid.rs"]
mod kid;
#[path = "cli/mkqueue.rs"]
mod mkqueue;
#[path = "cli/place.rs"]
mod place;
#[path = "cli/refuse.rs"]
mod refuse;
#[path = "cli/reload.rs"]
mod reload;
#[path = "fate/shell.rs"]
mod shell;
#[path = "cli/stale.rs"]
mod stale;
#[path = "cli/start.rs"]
mod start;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/unprivileged.rs"]
mod unprivileged;
#[path = "cli/words.rs"]
mod words;
