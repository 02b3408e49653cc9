//! `eventfs webhook`: who a Gluster tap posts its events to, as `gluster-eventsapi webhook-*` does it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{Failed, Status};
use super::line::print_line;
use crate::tap::gluster::store::{Credentials, Store, Webhooks, default_directory};

#[derive(Args, Debug)]
pub(super) struct WebhookArgs {
    /// Directory of the state [default: /var/lib/eventfs/gluster]
    #[arg(long, global = true, value_name = "DIR")]
    webhook_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Post events to a webhook from now on
    Add {
        #[command(flatten)]
        hook: HookArgs,
    },
    /// Change the token or the secret of a webhook
    Mod {
        #[command(flatten)]
        hook: HookArgs,
    },
    /// Post nothing more to a webhook
    Del {
        /// The webhook
        #[arg(value_parser = parse_url)]
        url: String,
    },
    /// Show the webhooks
    List {
        /// One JSON object a webhook and line
        #[arg(long)]
        json: bool,
    },
    /// Ask webhooks whether they would take an event
    #[cfg(feature = "web")]
    Test(TestArgs),
}

#[derive(Args, Debug)]
struct HookArgs {
    /// Address of the webhook
    #[arg(value_parser = parse_url)]
    url: String,
    /// Token to bear
    #[arg(short = 't', long, alias = "bearer_token", value_name = "TOKEN")]
    bearer_token: Option<String>,
    /// Secret to sign a token with
    #[arg(short = 's', long, value_name = "SECRET")]
    secret: Option<String>,
}

#[cfg(feature = "web")]
#[derive(Args, Debug)]
struct TestArgs {
    /// A webhook; all that are known if absent
    #[arg(value_parser = parse_url)]
    url: Option<String>,
    /// Token to bear in place of the known one
    #[arg(short = 't', long, alias = "bearer_token", value_name = "TOKEN")]
    bearer_token: Option<String>,
    /// Secret to sign a token with in place of the known one
    #[arg(short = 's', long, value_name = "SECRET")]
    secret: Option<String>,
    /// Certificates to trust in place of the system's, PEM
    #[arg(long, value_name = "FILE")]
    publish_ca: Option<PathBuf>,
    /// One JSON object a webhook and line
    #[arg(long)]
    json: bool,
}

/// A URL with a scheme that can be posted to and a host.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("http://HOST... or https://HOST... is needed".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn run(args: &WebhookArgs) -> Result<Status, Failed> {
    let store = Store::new(args.webhook_dir.clone().unwrap_or_else(default_directory));
    match &args.command {
        WebhookCommand::Add { hook } => store.change_webhooks(|hooks| add(hooks, hook))?,
        WebhookCommand::Mod { hook } => store.change_webhooks(|hooks| modify(hooks, hook))?,
        WebhookCommand::Del { url } => store
            .change_webhooks(|hooks| hooks.remove(url).map(drop).ok_or_else(|| unknown(url)))?,
        WebhookCommand::List { json } => list(&store.webhooks()?, *json)?,
        #[cfg(feature = "web")]
        WebhookCommand::Test(args) => return test(&store, args),
    }
    Ok(Status::Done)
}

fn unknown(url: &str) -> Failed {
    Failed::nothing(format!("{url}: no such webhook"))
}

fn add(hooks: &mut Webhooks, hook: &HookArgs) -> Result<(), Failed> {
    if hooks.contains_key(&hook.url) {
        return Err(Failed::new(format!("{}: is there already; see webhook mod", hook.url)));
    }
    let credentials = Credentials {
        token: hook.bearer_token.clone().unwrap_or_default(),
        secret: hook.secret.clone().unwrap_or_default(),
    };
    hooks.insert(hook.url.clone(), credentials);
    Ok(())
}

/// Changes what is given; an empty text takes away.
fn modify(hooks: &mut Webhooks, hook: &HookArgs) -> Result<(), Failed> {
    let credentials = hooks.get_mut(&hook.url).ok_or_else(|| unknown(&hook.url))?;
    if let Some(token) = &hook.bearer_token {
        credentials.token.clone_from(token);
    }
    if let Some(secret) = &hook.secret {
        credentials.secret.clone_from(secret);
    }
    Ok(())
}

/// Says that there is a token, never which.
fn list(hooks: &Webhooks, as_json: bool) -> Result<(), Failed> {
    for (url, credentials) in hooks {
        let (token, secret) = (!credentials.token.is_empty(), !credentials.secret.is_empty());
        print_line(&match as_json {
            true => json!({"url": url, "token": token, "secret": secret}).to_string(),
            false => url.clone(),
        })?;
    }
    Ok(())
}

#[cfg(feature = "web")]
fn test(store: &Store, args: &TestArgs) -> Result<Status, Failed> {
    use crate::tap::gluster::{publish, settings};
    let known = store.webhooks()?;
    let urls: Vec<&String> = match &args.url {
        Some(url) => vec![url],
        None if known.is_empty() => return Err(Failed::nothing("there are no webhooks")),
        None => known.keys().collect(),
    };
    let timeout = settings::publish_timeout(store.changed()?);
    let mut status = Status::Done;
    for url in urls {
        let mut credentials = known.get(url).cloned().unwrap_or_default();
        if args.bearer_token.is_some() || args.secret.is_some() {
            credentials.token = args.bearer_token.clone().unwrap_or_default();
            credentials.secret = args.secret.clone().unwrap_or_default();
        }
        let outcome = publish::test(url, &credentials, args.publish_ca.as_deref(), timeout);
        let why = outcome.err();
        if why.is_some() {
            status = Status::Failure;
        }
        print_line(&match (args.json, &why) {
            (true, _) => json!({"url": url, "ok": why.is_none(), "error": why}).to_string(),
            (false, None) => format!("{url} OK"),
            (false, Some(why)) => format!("{url} NOT OK: {why}"),
        })?;
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for good in ["http://a", "https://a:9/b?c", "http://[::1]:9000/listen"] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        for bad in ["a", "ftp://a", "http://", "http:///x", "http://a b", "https://?x"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
