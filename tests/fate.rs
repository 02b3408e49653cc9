//! Which process a queue lives and dies with, and what is left when it dies: on real mounts.

#[path = "fate/attribute.rs"]
mod attribute;
#[path = "fate/binding.rs"]
mod binding;
#[path = "fate/bound.rs"]
mod bound;
mod common;
#[path = "fate/descriptors.rs"]
mod descriptors;
#[path = "fate/grace.rs"]
mod grace;
#[path = "fate/kid.rs"]
mod kid;
#[path = "fate/namespaces.rs"]
mod namespaces;
#[path = "fate/owners.rs"]
mod owners;
#[path = "fate/remains.rs"]
mod remains;
#[path = "fate/rule.rs"]
mod rule;
#[path = "fate/shell.rs"]
mod shell;
#[path = "fate/who.rs"]
mod who;
