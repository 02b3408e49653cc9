//! `eventfs tap gluster`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, ValueEnum};

use super::super::exit::{Failed, Status};
use super::args::CommonArgs;
use super::drive;
use crate::decode::gluster::{self as decode, Categories, Numbers};
use crate::tap::gluster::{Gluster, Listen, Options, store};
#[cfg(feature = "web")]
use crate::tap::gluster::{publish, web};

#[derive(Args, Debug)]
pub(super) struct GlusterArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Take datagrams here; default is IPv4 any and ::1 at port 55555
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_udp)]
    udp: Vec<Listen>,
    /// Take datagrams at this UNIX socket, and streams at PATH.stream
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Permission bits of the sockets, octal
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = super::super::args::parse_mode)]
    socket_mode: u32,
    /// Group of the sockets, a name or a number
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    #[cfg(feature = "web")]
    #[command(flatten)]
    web: WebArgs,
    /// Take events of these categories only: user, local, cluster
    #[arg(long, value_name = "LIST", value_parser = parse_categories)]
    category: Option<Categories>,
    /// Tell the same fact once in so many seconds, however many nodes report it
    #[arg(long, value_name = "SECONDS", value_parser = parse_merge)]
    merge: Option<Duration>,
    /// Release whose numbers of events the senders use
    #[arg(long, value_name = "RELEASE", value_enum, default_value_t = NumbersArg::Current)]
    numbers: NumbersArg,
    /// UUID of this node [default: that in glusterd.info]
    #[arg(long, value_name = "UUID")]
    nodeid: Option<String>,
    /// Directory of the management daemon
    #[arg(long, value_name = "DIR", default_value = "/var/lib/glusterd")]
    glusterd: PathBuf,
    /// Directory of eventfs webhook and eventfs config [default: /var/lib/eventfs/gluster]
    #[arg(long, value_name = "DIR")]
    webhook_dir: Option<PathBuf>,
}

/// Everything that speaks HTTP.
#[cfg(feature = "web")]
#[derive(Args, Debug)]
struct WebArgs {
    /// Be a webhook, and serve the WebSocket, here
    #[arg(long, value_name = "ADDR:PORT")]
    webhook: Vec<std::net::SocketAddr>,
    /// Certificate chain of the webhook, PEM: serve HTTPS
    #[arg(long, value_name = "FILE", requires = "webhook")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM [default: in the file of the certificate]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Tokens, one of which a request to the webhook has to bear
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Secrets, with one of which such a token has to be signed
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Post every event on to this webhook
    #[arg(long, value_name = "URL", value_parser = super::super::webhook::parse_url)]
    publish: Vec<String>,
    /// File whose first token is sent along
    #[arg(long, value_name = "FILE")]
    publish_token_file: Option<PathBuf>,
    /// File whose first secret signs a token that is sent along
    #[arg(long, value_name = "FILE")]
    publish_secret_file: Option<PathBuf>,
    /// Certificates to trust in place of the system's, PEM
    #[arg(long, value_name = "FILE")]
    publish_ca: Option<PathBuf>,
    /// Body of what is posted on [default: the setting publish-format]
    #[arg(long, value_name = "FORMAT", value_enum)]
    publish_format: Option<PublishFormat>,
    /// Directory of what is still to be posted [default: QUEUE.publish]
    #[arg(long, value_name = "DIR")]
    publish_spool: Option<PathBuf>,
}

/// `--numbers`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NumbersArg {
    /// 3.10 and later
    Current,
    /// 3.9.0
    #[value(name = "3.9.0")]
    V3_9_0,
}

/// `--publish-format`.
#[cfg(feature = "web")]
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PublishFormat {
    /// The object that Gluster's own daemon posts
    Gluster,
    /// The CloudEvents line
    Cloudevents,
}

fn parse_udp(text: &str) -> Result<Listen, String> {
    if text == "default" {
        return Ok(Listen::Default);
    }
    text.parse().map(Listen::At).map_err(|_| "ADDR:PORT or 'default' is needed".to_owned())
}

fn parse_categories(text: &str) -> Result<Categories, String> {
    Categories::parse(text).map_err(|word| format!("'{word}' is none of user, local and cluster"))
}

fn parse_merge(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds is needed".to_owned())
}

/// A pattern as Gluster's users write it, as a glob on types: `Volume.*`, `VOLUME_*`, `@user`.
fn pattern(text: &str) -> String {
    let Some(category) = decode::tag(text) else { return decode::glob(text) };
    let of_it = decode::TYPES.iter().filter(|event_type| event_type.category == category);
    let names: Vec<String> = of_it.map(|t| t.name.to_ascii_lowercase()).collect();
    format!("gluster.{{{}}}", names.join(","))
}

impl GlusterArgs {
    fn options(&self) -> Options {
        Options {
            udp: self.udp.clone(),
            socket: self.socket.clone(),
            socket_mode: self.socket_mode,
            socket_group: self.socket_group.clone(),
            numbers: match self.numbers {
                NumbersArg::Current => Numbers::Current,
                NumbersArg::V3_9_0 => Numbers::V3_9_0,
            },
            nodeid: self.nodeid.clone(),
            glusterd: self.glusterd.clone(),
            categories: self.category.clone(),
            merge: self.merge,
            store: self.webhook_dir.clone().unwrap_or_else(store::default_directory),
            #[cfg(feature = "web")]
            web: self.web.server(),
            #[cfg(feature = "web")]
            publish: self.web.publish(),
        }
    }

    fn has_input(&self) -> bool {
        #[cfg(feature = "web")]
        let webhook = !self.web.webhook.is_empty();
        #[cfg(not(feature = "web"))]
        let webhook = false;
        webhook || !self.udp.is_empty() || self.socket.is_some()
    }
}

#[cfg(feature = "web")]
impl WebArgs {
    fn server(&self) -> web::Settings {
        web::Settings {
            addresses: self.webhook.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            token_file: self.token_file.clone(),
            secret_file: self.secret_file.clone(),
        }
    }

    fn publish(&self) -> publish::Settings {
        // Without a server to guard, the shorter names can mean only this.
        let other = |file: &Option<PathBuf>| {
            file.clone().filter(|_| self.webhook.is_empty() && !self.publish.is_empty())
        };
        publish::Settings {
            urls: self.publish.clone(),
            token_file: self.publish_token_file.clone().or_else(|| other(&self.token_file)),
            secret_file: self.publish_secret_file.clone().or_else(|| other(&self.secret_file)),
            ca: self.publish_ca.clone(),
            cloudevents: self
                .publish_format
                .map(|format| matches!(format, PublishFormat::Cloudevents)),
            spool: self.publish_spool.clone(),
        }
    }
}

pub(super) fn run(args: &GlusterArgs, matches: &ArgMatches) -> Result<Status, Failed> {
    if !args.has_input() {
        return Err(Failed::usage("tap gluster: one of --udp, --socket and --webhook is needed"));
    }
    let options = args.common.options("gluster", matches, pattern)?;
    let gluster = args.options();
    drive(options, |sink| Gluster::open(&gluster, sink))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::rules::glob;

    #[test]
    fn a_tag_is_a_pattern_for_all_types_of_its_category() {
        let user = glob(&pattern("@user")).unwrap();
        assert!(user.is_match("gluster.volume_set"));
        assert!(!user.is_match("gluster.client_connect"));
        assert!(glob(&pattern("Volume.*")).unwrap().is_match("gluster.volume_set"));
    }

    #[test]
    fn addresses_are_numbers_or_the_default() {
        assert_eq!(parse_udp("default"), Ok(Listen::Default));
        assert_eq!(parse_udp("[::1]:1"), Ok(Listen::At("[::1]:1".parse().unwrap())));
        assert!(parse_udp("localhost:1").is_err());
        assert!(parse_merge("-1").is_err() && parse_merge("2.5").is_ok());
    }
}
