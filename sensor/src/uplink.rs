//! Ships what the outbox holds to a collector of the list: QUIC with mutual TLS.
//!
//! A thin driver round [`crate::session`]: it moves bytes and time, and decides nothing.
//!
//! An address that changes needs no care: the socket is bound to no address, so packets leave from
//! whichever one the host has now, and the collector lets a connection move.

mod connect;
mod connection;
mod link;
mod resolve;
mod transport;
mod wire;

pub use connect::ConnectError;
pub use link::{ClockOffset, Link, State};

use std::sync::Arc;
use std::time::Duration;

use ::wire::frame::Code;
use ::wire::frame::sensor::{Facts, Hello};
use ::wire::id::BootId;
use ::wire::time::BootTime;
use metrics::counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Reading;
use crate::outbox::Outbox;
use crate::session::{Attempt, Now, Reconnect};

/// An outage of this length, from the last that was heard of a collector, that left more than [`BACKLOG_BYTES`] asks for a
/// new epoch.
const OUTAGE: Duration = Duration::from_secs(5);
const BACKLOG_BYTES: u64 = 256 << 10;

/// What an uplink needs to know.
#[derive(Clone)]
pub struct UplinkConfig {
    /// The collectors, `host:port` each (`[…]:port` for IPv6), the preferred one first.
    pub collectors: Vec<String>,
    /// TLS: TLS 1.3 only, the fleet's CA pinned, this host's certificate, ALPN
    /// [`wire::frame::ALPN`](::wire::frame::ALPN). When it changes (the certificate was renewed),
    /// the session is moved to a new connection.
    pub tls: watch::Receiver<Arc<rustls::ClientConfig>>,
    /// What to say of this host.
    pub about: About,
    /// The counters to send with each heartbeat. The uplink fills in what it knows itself: what is
    /// held, shed and rejected, and the clock.
    pub facts: watch::Receiver<Facts>,
}

/// What a sensor says of its host when it connects.
#[derive(Clone, Debug)]
pub struct About {
    /// The host's name (`gethostname`).
    pub host_name: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -m`.
    pub arch: String,
    /// The current boot.
    pub boot: BootId,
    /// What this kernel and this sensor can do, as short words.
    pub capabilities: Vec<String>,
}

/// Keeps a session with one collector of the list until `shutdown`; then gives what is still held
/// a few seconds to be acknowledged.
///
/// # Panics
/// When the list of collectors is empty, or the kernel has no boot clock.
pub async fn run(config: UplinkConfig, outbox: Arc<Outbox>, link: Arc<Link>, shutdown: CancellationToken) {
    assert!(!config.collectors.is_empty(), "an uplink needs a collector to go to");
    let mut reconnect = Reconnect::new(config.collectors.len());
    let mut out_since = now().boot;
    let mut again = None;
    let mut ended = None;
    while !shutdown.is_cancelled() {
        // A session that ended only to take up a new certificate goes on where it was.
        let attempt =
            again.take().unwrap_or_else(|| reconnect.next_attempt(now().boot, ended.take(), rand::random()));
        let Some(address) = config.collectors.get(attempt.collector) else { continue };
        tokio::select! {
            () = tokio::time::sleep(attempt.pause) => {}
            () = shutdown.cancelled() => return,
        }
        let mut tls = config.tls.clone();
        let current = tls.borrow_and_update().clone();
        let connecting = connect::connect(address, current, attempt.patience);
        let connected = tokio::select! {
            connected = connecting => connected,
            () = shutdown.cancelled() => return,
        };
        let reason = match connected {
            Ok((connection, endpoint)) => {
                let run = connection::Run {
                    collector: address,
                    outbox: &outbox,
                    link: &link,
                    facts: &config.facts,
                    tls: &mut tls,
                    shutdown: &shutdown,
                    out_since,
                    silence: attempt.silence,
                };
                let hello = hello(&config.about);
                let end = run.drive(connection, hello, || reconnect.handle_up(now().boot)).await;
                // The close has to leave before the socket does.
                drop(tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await);
                counter!("sensor_session_ended_total", "code" => end.code.name()).increment(1);
                out_since = end.heard.unwrap_or(out_since);
                if end.is_renewal {
                    again = Some(Attempt { pause: Duration::ZERO, ..attempt });
                    continue;
                }
                ended = Some(end.code);
                end.reason
            }
            Err(e) => {
                counter!("sensor_connection_failed_total").increment(1);
                ::wire::cause::chain(&e)
            }
        };
        if shutdown.is_cancelled() {
            return;
        }
        note_down(&link, address, out_since, reason);
    }
}

/// Logs the first failure of an outage, and each new reason; not every attempt.
fn note_down(link: &Link, collector: &str, since: BootTime, reason: String) {
    let is_new = !matches!(&*link.state().borrow(), State::Down { reason: before, .. } if *before == reason);
    if is_new {
        warn!(collector, reason, "no session with {collector}; batches are kept and others are tried");
    }
    link.set_state(State::Down { since, reason });
}

fn note_up(run: &connection::Run<'_>) {
    let since = now().boot;
    let outage = Duration::from_nanos(since.ns().saturating_sub(run.out_since.ns()));
    let n_bytes = run.outbox.n_bytes();
    info!(
        collector = run.collector,
        outage_ms = outage.as_millis(),
        n_bytes,
        "session with {}",
        run.collector
    );
    counter!("sensor_session_started_total").increment(1);
    if outage >= OUTAGE && n_bytes > BACKLOG_BYTES {
        run.outbox.ask_for_new_epoch();
    }
    run.link.set_state(State::Up { collector: run.collector.to_owned(), since });
}

fn hello(about: &About) -> Hello {
    Hello {
        versions: Vec::new(),
        sensor_version: env!("CARGO_PKG_VERSION").into(),
        host_name: cut(&about.host_name, 256),
        kernel_release: cut(&about.kernel_release, 128),
        arch: cut(&about.arch, 32),
        boot: about.boot,
        capabilities: about.capabilities.iter().take(128).map(|c| cut(c, 64)).collect(),
        streams: Vec::new(),
    }
}

/// At most `max` bytes of a text, whole characters.
fn cut(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn now() -> Now {
    let Reading { boot, wall } = Reading::now().expect("a kernel with BTF has a boot clock");
    Now { boot, wall }
}

/// How a session ended.
struct End {
    code: Code,
    reason: String,
    /// When something was last heard of the collector, if it had welcomed us.
    heard: Option<BootTime>,
    is_renewal: bool,
}
