//! What the service manager is told, if one has started the collector: that it serves, and, as long as it asks, that it lives.

use std::net::SocketAddr;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Says that sensors and callers are answered from now on.
pub(super) fn ready(listen: SocketAddr) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("serves sensors and the API on {listen}"))]);
}

/// Says that tasks are run, four times as often as would do, until `shutdown`. Whether the database answers is no part of
/// that: while it is away a collector waits, and to start it again would not help.
pub(super) async fn live(shutdown: CancellationToken) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return shutdown.cancelled().await };
    let mut every = tokio::time::interval(patience / 4);
    loop {
        tokio::select! {
            _ = every.tick() => tell(&[NotifyState::Watchdog]),
            () = shutdown.cancelled() => return,
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how the collector is");
    }
}
