//! What the server answers to which request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, Request as HttpRequest, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connections::Busy;
use super::guard::TEST;
use super::server::Shared;
use super::{BODY_BYTES_MAX, Request, Taken, socket};
use crate::decode::gluster::event_name;
use crate::sys::clock;
use crate::tap::gluster::inbox::Item;

/// Longest wait for a body.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// Longest wait for the tap's thread; it is this long busy only when the file system hangs.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Where the daemons of the design post to each other.
const LISTEN: &str = "/v1/listen";

/// A short answer.
type Answer = (StatusCode, &'static str);

/// The routes; whatever is no route takes events.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/events", get(events).fallback(post))
        .route("/v1/peers", get(peers).fallback(post))
        .fallback(post)
        .with_state(shared)
}

/// Takes an event, or a ping.
async fn post(
    State(shared): State<Arc<Shared>>,
    Extension(from): Extension<SocketAddr>,
    Extension(busy): Extension<Busy>,
    request: HttpRequest,
) -> Response {
    if request.method() != Method::POST {
        let allow = [(header::ALLOW, "POST")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "events are posted\n").into_response();
    }
    let listen = request.uri().path() == LISTEN;
    let (head, body) = request.into_parts();
    let body = match read_allowed(&shared, &head.headers, body).await {
        Ok(body) => body,
        Err(answer) => return answer.into_response(),
    };
    if body.trim_ascii().is_empty() {
        return (StatusCode::OK, "OK\n").into_response();
    }
    busy.set(true);
    let answer = hand_over(&shared, body, from, listen).await;
    busy.set(false);
    answer.into_response()
}

/// The body, from somebody who may post it.
async fn read_allowed(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Answer> {
    const UNAUTHORIZED: Answer = (StatusCode::UNAUTHORIZED, "a valid token is needed\n");
    let authorization = authorization(headers);
    if shared.guard.read().refuses_outright(authorization) {
        return Err(UNAUTHORIZED);
    }
    let body = read(headers, body).await?;
    let guard = shared.guard.read();
    let named = match body.trim_ascii().is_empty() {
        true => Some(TEST.to_owned()),
        // A name that is not there equals that of no token.
        false => Some(event_name(&body).unwrap_or_default()),
    };
    if guard.is_open() || guard.allows(authorization, named.as_deref()) {
        Ok(body)
    } else {
        Err(UNAUTHORIZED)
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Answer> {
    const TOO_LARGE: Answer = (StatusCode::PAYLOAD_TOO_LARGE, "at most 1 MiB\n");
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse().ok()).is_some_and(|n: u64| n > BODY_BYTES_MAX as u64)
    {
        return Err(TOO_LARGE);
    }
    match timeout(BODY_WAIT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_limit(&error) => Err(TOO_LARGE),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body ended early\n")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
    }
}

/// Whether a body was cut because it is too long.
fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("limit"))
}

async fn hand_over(shared: &Shared, body: Vec<u8>, from: SocketAddr, listen: bool) -> Answer {
    const FULL: Answer = (StatusCode::SERVICE_UNAVAILABLE, "no room\n");
    let (answer, taken) = oneshot::channel();
    let nanos = u64::try_from(clock::wall_ns()).unwrap_or(0);
    let from = from.ip().to_canonical();
    let request = Request::Event { body, nanos, from, listen, answer };
    if !shared.inbox.try_put(Item::Web(request)) {
        return FULL;
    }
    match timeout(ANSWER_WAIT, taken).await {
        Ok(Ok(Taken::Yes)) => (StatusCode::OK, "OK\n"),
        _ => FULL,
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

/// Whether somebody may listen or look.
fn may_look(shared: &Shared, headers: &HeaderMap) -> Result<(), Answer> {
    match shared.guard.read().allows(authorization(headers), None) {
        true => Ok(()),
        false => Err((StatusCode::UNAUTHORIZED, "a valid token is needed\n")),
    }
}

async fn peers(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Err(answer) = may_look(&shared, &headers) {
        return answer.into_response();
    }
    let known = Arc::clone(&shared.peers);
    // A few small files.
    let list = tokio::task::spawn_blocking(move || known.list()).await.unwrap_or_default();
    let body = serde_json::to_string(&list).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(busy): Extension<Busy>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    if let Err(answer) = may_look(&shared, &headers) {
        return answer.into_response();
    }
    let Ok(since) = since(uri.query().unwrap_or_default()) else {
        return (StatusCode::BAD_REQUEST, "since: a number is needed\n").into_response();
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejected(&headers, rejection),
    };
    busy.set(true);
    // Before the answer, so that a client that has it misses nothing.
    let Some(feed) = socket::Feed::begin(&shared, since).await else {
        busy.set(false);
        return (StatusCode::SERVICE_UNAVAILABLE, "too many clients\n").into_response();
    };
    upgrade
        .max_message_size(socket::MESSAGE_BYTES_MAX)
        .max_frame_size(socket::MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| socket::serve(socket, shared, feed))
}

/// 426 with the version that is spoken where the client's is another (RFC 6455 section 4.4), else 400 or
/// what the library says.
fn rejected(
    headers: &HeaderMap,
    rejection: axum::extract::ws::rejection::WebSocketUpgradeRejection,
) -> Response {
    let is_websocket = headers
        .get(header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if !is_websocket || version.is_some_and(|version| version != "13") {
        let wanted = [
            (header::SEC_WEBSOCKET_VERSION, "13"),
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "upgrade"),
        ];
        return (StatusCode::UPGRADE_REQUIRED, wanted, "a WebSocket is served here\n")
            .into_response();
    }
    rejection.into_response()
}

/// The number of `since=`; nothing without it.
fn since(query: &str) -> Result<Option<u64>, std::num::ParseIntError> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("since="));
    value.map(str::parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_number_or_absent() {
        assert_eq!(since(""), Ok(None));
        assert_eq!(since("since=12"), Ok(Some(12)));
        assert_eq!(since("a=b&since=0"), Ok(Some(0)));
        assert!(since("since=x").is_err());
        assert!(since("since=-1").is_err());
    }
}
