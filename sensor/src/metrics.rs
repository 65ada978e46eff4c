//! What the sensor counts, for Prometheus: `http://127.0.0.1:7445/metrics`, if that address is asked for; beside it `/healthz`,
//! which says whether the sensor reads what its programs see.
//!
//! Served to anybody who asks on loopback, so nothing in it names a user, a program or a query. Whoever lives on
//! the host may call, and must not cost the sensor more than this: one caller is answered at a time, and each has a
//! moment and a few bytes to say what it wants. (The exporter's own listener has no such bounds.)

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use wire::time::BootTime;

use crate::clock::boot_time;

/// How long one caller may take, from its connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most bytes of a request that are read; Prometheus sends some 300.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// When the rings were read last, in ns on the boot clock; 0: not yet.
static LAST_READ_NS: AtomicU64 = AtomicU64::new(0);
/// A sensor that has not read them for so long is not well: it reads several times a second.
const UNREAD: Duration = Duration::from_secs(20);

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

/// Notes that the rings were read.
pub fn note_read(now: BootTime) {
    LAST_READ_NS.store(now.ns(), Ordering::Relaxed);
}

/// For how long the rings have not been read; `None`: no sensor has begun.
fn unread() -> Option<Duration> {
    let last = LAST_READ_NS.load(Ordering::Relaxed);
    let now = boot_time().ok()?.ns();
    (last > 0).then(|| Duration::from_nanos(now.saturating_sub(last)))
}

/// Asks the sensor that serves at this address whether it reads.
///
/// # Errors
/// When it does not answer, or says that it does not.
pub fn ask(address: SocketAddr) -> Result<(), HealthError> {
    use std::io::{Read as _, Write as _};
    let exchange = || {
        let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE * 2))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(MAX_HEAD_BYTES as u64).read_to_string(&mut answer)?;
        io::Result::Ok(answer)
    };
    let answer = exchange().map_err(|source| HealthError::Silent { address, source })?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let said = answer.rsplit("\r\n\r\n").next().unwrap_or_default().trim();
    Err(HealthError::Unwell(said.to_owned()))
}

/// A sensor is not well.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// None answers.
    #[error("no sensor answers at http://{address}/healthz")]
    Silent {
        /// Where it was asked for.
        address: SocketAddr,
        /// What came instead.
        #[source]
        source: io::Error,
    },
    /// It says so.
    #[error("the sensor is not well: {0}")]
    Unwell(String),
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
    caller.write_all(respond(&head, unread(), || handle.render()).as_bytes()).await?;
    caller.shutdown().await
}

/// Whether the request's head has ended; a body is not waited for.
fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n")
}

/// The answer to a request, after which the connection is closed.
fn respond(head: &[u8], unread: Option<Duration>, render: impl FnOnce() -> String) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        _ if !is_whole(head) => ("400 Bad Request", "expected a request of at most 8 KiB\n".to_owned()),
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", render()),
        (Some(b"GET"), Some(b"/healthz")) => match unread {
            Some(unread) if unread < UNREAD => ("200 OK", "ok\n".to_owned()),
            Some(unread) => (
                "503 Service Unavailable",
                format!("what programs see was not read for {} s\n", unread.as_secs()),
            ),
            None => ("503 Service Unavailable", "its programs are not at work yet\n".to_owned()),
        },
        (Some(b"GET"), _) => ("404 Not Found", "only /metrics and /healthz are here\n".to_owned()),
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
    fn a_sensor_is_well_while_it_reads() {
        let says = |seconds| {
            respond(b"GET /healthz HTTP/1.1\r\n\r\n", Some(Duration::from_secs(seconds)), String::new)
        };
        assert!(says(1).starts_with("HTTP/1.1 200 "));
        assert!(says(21).contains("503") && says(21).contains("not read for 21 s"));
        let deserted = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(super::ask(deserted), Err(HealthError::Silent { .. })));
    }

    #[test]
    fn only_a_whole_get_of_the_one_page_is_answered() {
        let status = |request: &[u8]| {
            let answer = respond(request, None, || "counted\n".to_owned());
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(status(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "200");
        assert_eq!(status(b"GET /healthz HTTP/1.1\r\n\r\n"), "503", "not begun");
        assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status(b"POST /metrics HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(status(b"GET /metrics HTTP/1.1\r\n"), "400");
        assert_eq!(status(&[b'x'; MAX_HEAD_BYTES]), "400");
        assert_eq!(status(b"\r\n\r\n"), "405");
    }
}
