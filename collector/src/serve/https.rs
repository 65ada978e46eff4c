//! The API's own listener: TLS, and bounds on what a caller can hold open.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(15);
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// Connections at once; a further one is closed before its handshake.
const MAX_CONNECTIONS: usize = 2000;
/// How long requests that are being answered have when the collector stops.
const GRACE: Duration = Duration::from_secs(5);

/// Serves `router` until `shutdown`.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    tls: RustlsConfig,
    router: Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let handle: Handle<SocketAddr> = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(
            RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE).acceptor(Bounded::new(MAX_CONNECTIONS)),
        )
        .handle(handle.clone());
    let http = server.http_builder();
    http.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD);
    http.http2()
        .timer(hyper_util::rt::TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Duration::from_secs(30));
    let serve = server.serve(router.into_make_service_with_connect_info::<SocketAddr>());
    let mut serve = std::pin::pin!(serve);
    tokio::select! {
        result = &mut serve => result,
        () = shutdown.cancelled() => {
            handle.graceful_shutdown(Some(GRACE));
            serve.await
        }
    }
}

/// Lets in so many connections at once.
#[derive(Clone)]
struct Bounded {
    places: Arc<Semaphore>,
}

/// A connection that has one of the places, for as long as it lives.
struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Bounded {
    fn new(n_places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(n_places)) }
    }
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = Placed;
    type Service = S;
    type Future = Ready<io::Result<(Placed, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(match self.places.clone().try_acquire_owned() {
            Ok(place) => Ok((Placed { stream, _place: place }, service)),
            Err(_) => {
                metrics::counter!("collector_api_connections_refused_total").increment(1);
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        })
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_connection_too_many_is_closed_until_another_ends() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = Bounded::new(1);
        let accept = async || {
            let (_client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
            bounded.accept(server.unwrap().0, ()).await
        };
        let first = accept().await.unwrap();
        assert!(accept().await.is_err());
        drop(first);
        assert!(accept().await.is_ok());
    }
}
