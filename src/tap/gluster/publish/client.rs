//! One request to one webhook: in the form of the shipped daemon, with verified TLS, within a time.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde::Serialize;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use ureq::Agent;
use ureq::http::{StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::tap::Failure;
use crate::tap::gluster::store::Credentials;

/// Seconds for which a signed token holds: those of the shipped daemon.
const TOKEN_SECONDS: u64 = 60;

/// `sub` of the token of a request without an event.
const TEST: &str = "TEST";

/// Most of an answer that is read so that the connection can be used again, bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Longest pause that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Posts.
#[derive(Clone, Debug)]
pub(in crate::tap::gluster) struct Client {
    agent: Agent,
}

/// What is posted.
#[derive(Clone, Copy, Debug)]
pub(in crate::tap::gluster) struct Post<'a> {
    pub(in crate::tap::gluster) body: &'a [u8],
    /// None for the ping, which has no body.
    pub(in crate::tap::gluster) content_type: Option<&'static str>,
    /// Name of the event.
    pub(in crate::tap::gluster) subject: &'a str,
    /// Its time, seconds since 1970.
    pub(in crate::tap::gluster) ts: u64,
}

impl Post<'static> {
    /// What `webhook test` sends.
    pub(in crate::tap::gluster) fn ping() -> Self {
        Self { body: b"", content_type: None, subject: TEST, ts: get_current_timestamp() }
    }
}

/// Why a receiver has not taken a post.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::tap::gluster) struct Refused {
    /// A status or an error, for people.
    pub(in crate::tap::gluster) why: String,
    /// When it wants to be asked again.
    pub(in crate::tap::gluster) after: Option<Duration>,
}

/// In the order in which the shipped daemon writes them.
#[derive(Serialize)]
struct Claims<'a> {
    exp: u64,
    iat: u64,
    iss: &'a str,
    sub: &'a str,
}

impl Client {
    /// With certificates to trust in place of the system's, and the longest time of one try.
    ///
    /// # Errors
    /// One line with the file of certificates.
    pub(in crate::tap::gluster) fn new(
        ca: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let roots = match ca {
            Some(file) => RootCerts::Specific(Arc::new(certificates(file)?)),
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(roots)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A receiver that moves is told to the administrator: a token must not follow.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("eventfs/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent() })
    }

    /// Posts; every 2xx is a success.
    ///
    /// # Errors
    /// Anything else.
    pub(in crate::tap::gluster) fn post(
        &self,
        url: &str,
        credentials: &Credentials,
        post: &Post<'_>,
    ) -> Result<(), Refused> {
        let error = |error: ureq::Error| Refused { why: error.to_string(), after: None };
        let mut request = self.agent.post(url);
        if let Some(content_type) = post.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(token) = token(credentials, post) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut answer = request.send(post.body).map_err(error)?;
        let (status, after) = (answer.status(), retry_after(answer.headers()));
        let _ = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        match status {
            status if status.is_success() => Ok(()),
            status => Err(Refused { why: text(status), after }),
        }
    }
}

/// `401 Unauthorized`.
fn text(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("{} {reason}", status.as_u16()).trim_end().to_owned()
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let fail = |why: String| Failure(format!("{}: {why}", file.display()));
    let text = fs::read(file).map_err(|error| Failure::io(file.display(), &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| fail(error.to_string()))?;
    if found.is_empty() {
        return Err(fail("no certificate in it".to_owned()));
    }
    Ok(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

/// What stands behind `Bearer`; the signed token wins.
fn token(credentials: &Credentials, post: &Post<'_>) -> Option<String> {
    if credentials.secret.is_empty() {
        return (!credentials.token.is_empty()).then(|| credentials.token.clone());
    }
    let claims = Claims {
        exp: get_current_timestamp() + TOKEN_SECONDS,
        iat: post.ts,
        iss: "gluster",
        sub: post.subject,
    };
    let key = EncodingKey::from_secret(credentials.secret.as_bytes());
    match encode(&Header::default(), &claims, &key) {
        Ok(token) => Some(token),
        Err(error) => {
            log::error!("a token cannot be signed: {error}");
            None
        }
    }
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &ureq::http::HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let now = i64::try_from(get_current_timestamp()).ok()?;
            Duration::from_secs(u64::try_from(date.as_second() - now).unwrap_or(0))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderMap;

    #[test]
    fn a_receiver_may_say_when() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("99999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("Thu, 31 Dec 2150 23:59:59 GMT"), Some(RETRY_AFTER_MAX));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn the_signed_token_wins_and_is_the_shipped_one() {
        let post = Post { body: b"{}", content_type: None, subject: "VOLUME_SET", ts: 5 };
        let mut credentials = Credentials { token: "t".into(), secret: String::new() };
        assert_eq!(token(&credentials, &post).as_deref(), Some("t"));
        credentials.secret = "s".into();
        let signed = token(&credentials, &post).unwrap();
        let payload = signed.split('.').nth(1).unwrap();
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
        let text = String::from_utf8(payload).unwrap();
        assert!(text.starts_with("{\"exp\":"), "{text}");
        assert!(text.ends_with(",\"iat\":5,\"iss\":\"gluster\",\"sub\":\"VOLUME_SET\"}"), "{text}");
        assert_eq!(token(&Credentials::default(), &post), None);
    }

    #[test]
    fn of_an_endless_answer_only_so_much_is_read() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let receiver = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head).unwrap();
            let chunk = [b"1000\r\n", &[b'x'; 0x1000][..], b"\r\n"].concat();
            let mut sent = 0;
            // Until the other side has enough.
            while stream.write_all(&chunk).is_ok() {
                sent += chunk.len();
            }
            sent
        });
        let client = Client::new(None, Duration::from_secs(20)).unwrap();
        assert_eq!(client.post(&url, &Credentials::default(), &Post::ping()), Ok(()));
        assert!(receiver.join().unwrap() as u64 > ANSWER_BYTES_MAX / 2);
    }
}
