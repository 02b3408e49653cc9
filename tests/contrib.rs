//! What is in contrib/, and what `make` installs and packs: tried as it is.

mod common;
#[path = "contrib/consumers.rs"]
mod consumers;
#[path = "contrib/containers.rs"]
mod containers;
#[path = "contrib/files.rs"]
mod files;
#[path = "contrib/gluster.rs"]
mod gluster;
#[path = "contrib/help.rs"]
mod help;
#[path = "contrib/install.rs"]
mod install;
#[path = "contrib/killed.rs"]
mod killed;
#[path = "contrib/manager.rs"]
mod manager;
