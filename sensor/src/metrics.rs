//! What the sensor counts, for Prometheus: `http://127.0.0.1:7445/metrics`, if that address is asked for.
//!
//! Served to anybody who asks on loopback, so nothing in it names a user, a program or a query. Whoever lives on
//! the host may call, and must not cost the sensor more than this: one caller is answered at a time, and each has a
//! moment and a few bytes to say what it wants. (The exporter's own listener has no such bounds.)

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long one caller may take, from its connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most bytes of a request that are read; Prometheus sends some 300.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// How often what was counted is tidied up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why nothing is counted.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The port cannot be had.
    #[error("cannot listen on TCP {address} (metrics); choose another address with --metrics")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// This process counts already.
    #[error("cannot count in this process")]
    Recorder(#[from] BuildError),
}

/// A bound port; the process counts from now on.
#[derive(Debug)]
pub struct Metrics {
    listener: TcpListener,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Binds the address and makes this process count. Once in a process.
    ///
    /// # Errors
    /// When the address cannot be had, or the process counts already.
    pub async fn bind(address: SocketAddr) -> Result<Self, MetricsError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| MetricsError::Bind { address, source })?;
        Ok(Self { listener, handle: PrometheusBuilder::new().install_recorder()? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers one caller after the other until `shutdown`.
    pub async fn serve(self, shutdown: CancellationToken) {
        let mut upkeep = interval(UPKEEP);
        loop {
            tokio::select! {
                caller = self.listener.accept() => match caller {
                    // A caller that fails, or is too slow, is its own problem.
                    Ok((caller, _)) => drop(timeout(PATIENCE, answer(caller, &self.handle)).await),
                    Err(error) => {
                        warn!(%error, "cannot take a call for metrics");
                        sleep(PATIENCE).await;
                    }
                },
                _ = upkeep.tick() => self.handle.run_upkeep(),
                () = shutdown.cancelled() => return,
            }
        }
    }
}

async fn answer(mut caller: TcpStream, handle: &PrometheusHandle) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while head.len() < MAX_HEAD_BYTES && !is_whole(&head) {
        if caller.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    caller.write_all(respond(&head, || handle.render()).as_bytes()).await?;
    caller.shutdown().await
}

/// Whether the request's head has ended; a body is not waited for.
fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n")
}

/// The answer to a request, after which the connection is closed.
fn respond(head: &[u8], render: impl FnOnce() -> String) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        _ if !is_whole(head) => ("400 Bad Request", "expected a request of at most 8 KiB\n".to_owned()),
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", render()),
        (Some(b"GET"), _) => ("404 Not Found", "only /metrics is here\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET works here\n".to_owned()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_is_counted_is_served_even_while_somebody_says_nothing() {
        let metrics = Metrics::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, shutdown) = (metrics.address().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(metrics.serve(shutdown.clone()));
        metrics::counter!("sensor_apple_total", "lane" => "bulk").increment(3);
        let silent = TcpStream::connect(address).await.unwrap();
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("sensor_apple_total{lane=\"bulk\"} 3"), "{answer}");
        drop(silent);
        shutdown.cancel();
        serving.await.unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = Metrics::bind(taken.local_addr().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("--metrics"), "{error}");
    }

    #[test]
    fn only_a_whole_get_of_the_one_page_is_answered() {
        let status = |request: &[u8]| {
            let answer = respond(request, || "counted\n".to_owned());
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(status(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "200");
        assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status(b"POST /metrics HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(status(b"GET /metrics HTTP/1.1\r\n"), "400");
        assert_eq!(status(&[b'x'; MAX_HEAD_BYTES]), "400");
        assert_eq!(status(b"\r\n\r\n"), "405");
    }
}
