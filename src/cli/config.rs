//! `eventfs config`: settings of Gluster taps, as `gluster-eventsapi config-*` does it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::{Failed, Status};
use super::line::print_line;
use crate::tap::gluster::settings::{SETTINGS, Setting, find};
use crate::tap::gluster::store::{Store, default_directory};

#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// Directory of the state [default: /var/lib/eventfs/gluster]
    #[arg(long, global = true, value_name = "DIR")]
    webhook_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show settings as they hold
    Get {
        /// This one only
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// One JSON object a setting and line
        #[arg(long)]
        json: bool,
    },
    /// Change a setting; running taps follow at once
    Set {
        /// Its name
        name: String,
        /// Its new value
        value: String,
    },
    /// Put a setting, or all, back to the default
    Reset {
        /// Its name, or all
        name: String,
    },
}

pub(super) fn run(args: &ConfigArgs) -> Result<Status, Failed> {
    let store = Store::new(args.webhook_dir.clone().unwrap_or_else(default_directory));
    match &args.command {
        ConfigCommand::Get { name, json } => get(&store, name.as_deref(), *json)?,
        ConfigCommand::Set { name, value } => {
            let setting = known(name)?;
            let value = setting.parse(value).map_err(Failed::usage)?;
            store.set(setting, Some(value))?;
        }
        ConfigCommand::Reset { name } if name == "all" => store.reset()?,
        ConfigCommand::Reset { name } => store.set(known(name)?, None)?,
    }
    Ok(Status::Done)
}

fn known(name: &str) -> Result<&'static Setting, Failed> {
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    let nothing = || Failed::nothing(format!("{name}: no such setting; {}", names.join(", ")));
    find(name).ok_or_else(nothing)
}

/// All as a table; one alone as its value.
fn get(store: &Store, name: Option<&str>, as_json: bool) -> Result<(), Failed> {
    let changed = store.changed()?;
    let wanted: Vec<&Setting> = match name {
        Some(name) => vec![known(name)?],
        None => SETTINGS.iter().collect(),
    };
    for setting in wanted {
        let value = changed.get(setting.name).cloned().unwrap_or_else(|| setting.default());
        print_line(&match (as_json, name) {
            (true, _) => json!({"name": setting.name, "value": value}).to_string(),
            (false, Some(_)) => plain(&value),
            (false, None) => format!("{:<16} {}", setting.name, plain(&value)),
        })?;
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
