//! Who may do what: every cell of the tables in docs/SECURITY.md, tried under that very user; and where
//! names and paths that others choose may lead.

#[path = "security/cells.rs"]
#[macro_use]
mod cells;
mod common;
#[path = "security/control.rs"]
mod control;
#[path = "security/document.rs"]
mod document;
#[path = "security/help.rs"]
mod help;
#[path = "security/limits.rs"]
mod limits;
#[path = "security/links.rs"]
mod links;
#[path = "security/names.rs"]
mod names;
#[path = "security/private.rs"]
mod private;
#[path = "security/public.rs"]
mod public;
#[path = "security/root.rs"]
mod root;
#[path = "security/sticky_bit.rs"]
mod sticky_bit;
