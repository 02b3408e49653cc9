//! The server's thread: it accepts, shakes hands, and gives each connection a task of its own with limits
//! on everything that a client can draw out.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::connections::{Busy, Connections};
use super::guard::Guard;
use super::peers::Peers;
use super::socket::Clients;
use super::{Settings, routes, tls};
use crate::tap::Failure;
use crate::tap::gluster::inbox::Inbox;

/// Longest wait for a TLS handshake, and for the head of a request (also for the next one of a connection
/// that is kept).
const HEAD_WAIT: Duration = Duration::from_secs(15);

/// Longest head of a request, bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Connections that may wait to be accepted.
const WAITING_MAX: i32 = 1_024;

/// Pause after the system refused a connection, as when descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long connections may take to end when the tap does.
const END_WAIT: Duration = Duration::from_millis(800);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: Arc<Inbox>,
    pub(super) guard: RwLock<Guard>,
    pub(super) peers: Arc<Peers>,
    pub(super) ending: watch::Receiver<bool>,
    tls: RwLock<Option<Arc<ServerConfig>>>,
    connections: Connections,
    /// Of the WebSocket; their connections are no longer among the others.
    pub(super) clients: Clients,
}

/// The running server.
#[derive(Debug)]
pub(in crate::tap::gluster) struct Server {
    settings: Settings,
    shared: Arc<Shared>,
    end: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds its addresses and starts.
    ///
    /// # Errors
    /// One line with the address or the file that does not do.
    pub(in crate::tap::gluster) fn start(
        settings: Settings,
        inbox: Arc<Inbox>,
        peers: Arc<Peers>,
    ) -> Result<Self, Failure> {
        let listeners: Result<Vec<_>, Failure> =
            settings.addresses.iter().map(|address| bind(*address)).collect();
        let listeners = listeners?;
        let (end, ending) = watch::channel(false);
        let (guard, tls) = load(&settings)?;
        let shared = Arc::new(Shared {
            inbox,
            guard: RwLock::new(guard),
            peers,
            ending,
            tls: RwLock::new(tls),
            connections: Connections::new(),
            clients: Clients::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(16)
            .build()
            .map_err(|error| Failure::io("web server", &error))?;
        let for_thread = Arc::clone(&shared);
        let serve = move || runtime.block_on(serve(listeners, for_thread));
        let thread = thread::Builder::new().name("web".into()).spawn(serve);
        let thread = thread.map_err(|error| Failure::io("web server", &error))?;
        Ok(Self { settings, shared, end, thread: Some(thread) })
    }

    /// Reads tokens and certificates again; what cannot be read stays as it was.
    pub(in crate::tap::gluster) fn reload(&self) {
        match load(&self.settings) {
            Ok((guard, tls)) => {
                *self.shared.guard.write() = guard;
                *self.shared.tls.write() = tls;
            }
            Err(failure) => log::error!("{failure}: the old ones stay"),
        }
    }

    /// Accepts nothing more; requests that are under way are still answered.
    pub(in crate::tap::gluster) fn begin_end(&self) {
        self.end.send_replace(true);
    }

    /// Whether all connections have ended.
    pub(in crate::tap::gluster) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.begin_end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the web server's thread has ended early");
        }
    }
}

type Secrets = (Guard, Option<Arc<ServerConfig>>);

fn load(settings: &Settings) -> Result<Secrets, Failure> {
    let guard = Guard::load(settings.token_file.as_deref(), settings.secret_file.as_deref())?;
    let tls = match (&settings.tls_cert, &settings.tls_key) {
        (Some(cert), key) => Some(tls::load(cert, key.as_ref().unwrap_or(cert))?),
        (None, _) => None,
    };
    Ok((guard, tls))
}

fn bind(address: SocketAddr) -> Result<StdListener, Failure> {
    let new = || -> io::Result<StdListener> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        // std asks for 128 only; many nodes may come at once.
        let waiting = nix::sys::socket::Backlog::new(WAITING_MAX)?;
        nix::sys::socket::listen(&listener.as_fd(), waiting)?;
        Ok(listener)
    };
    new().map_err(|error| Failure::io(address, &error))
}

async fn serve(listeners: Vec<StdListener>, shared: Arc<Shared>) {
    let router = routes::router(Arc::clone(&shared));
    for listener in listeners {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                tokio::spawn(accept(listener, router.clone(), Arc::clone(&shared)));
            }
            Err(error) => log::error!("web server: {error}"),
        }
    }
    let mut ending = shared.ending.clone();
    ended(&mut ending).await;
    let all_ended = async {
        while shared.connections.count() > 0 || shared.clients.count() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(END_WAIT, all_ended).await;
}

/// Waits for the end. The sender lives as long as the server's handle, which tells before it goes.
pub(super) async fn ended(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn accept(listener: TcpListener, router: Router, shared: Arc<Shared>) {
    let mut ending = shared.ending.clone();
    loop {
        let accepted = tokio::select! {
            () = ended(&mut ending) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => admit(stream, from, &router, &shared),
            Err(error) => {
                log::debug!("accept: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(stream: TcpStream, from: SocketAddr, router: &Router, shared: &Arc<Shared>) {
    // An answer is one small segment; waiting for more would delay it.
    let _ = stream.set_nodelay(true);
    let busy = Busy::default();
    let router = router.clone().layer(Extension(from)).layer(Extension(busy.clone()));
    let task_shared = Arc::clone(shared);
    let admitted = shared.connections.admit(busy, |number| {
        let task = tokio::spawn(async move {
            let _leaving = Leaving { shared: Arc::clone(&task_shared), number };
            shake_hands(stream, router, &task_shared).await;
        });
        task.abort_handle()
    });
    if !admitted {
        log::warn!("{from}: too many connections");
    }
}

/// Leaves the table of connections however the task ends.
struct Leaving {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.shared.connections.leave(self.number);
    }
}

async fn shake_hands(stream: TcpStream, router: Router, shared: &Shared) {
    let config = shared.tls.read().clone();
    let Some(config) = config else { return converse(stream, router, shared).await };
    match timeout(HEAD_WAIT, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, router, shared).await,
        Ok(Err(error)) => log::debug!("TLS: {error}"),
        Err(_) => log::debug!("TLS: no handshake in time"),
    }
}

async fn converse<S>(stream: S, router: Router, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        // Whoever has sent a whole request and nothing more has sent an event.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut ending = shared.ending.clone();
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = ended(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        log::debug!("web server: {error}");
    }
}
