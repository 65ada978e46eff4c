//! The parts of a running collector, in the order in which they end.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::ServeError;

/// How long each of the three groups has to end.
const PATIENCE: Duration = Duration::from_secs(12);

/// A part that has ended, and what it had to say.
pub(super) type Ended = (&'static str, Option<String>);

/// What runs: those who are called, those who take what callers leave, and those who keep house.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) callers: JoinSet<Ended>,
    pub(super) stop_callers: CancellationToken,
    /// They end by themselves once the callers have.
    pub(super) takers: JoinSet<Ended>,
    pub(super) keepers: JoinSet<Ended>,
    pub(super) stop_keepers: CancellationToken,
}

impl Parts {
    /// Waits for `shutdown`, or for a part that ends on its own; then ends them all, in order.
    pub(super) async fn run_until(mut self, shutdown: &CancellationToken) -> Result<(), ServeError> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = self.callers.join_next() => ended,
            ended = self.takers.join_next() => ended,
            ended = self.keepers.join_next() => ended,
        };
        self.stop_callers.cancel();
        wind_down("callers", self.callers).await;
        wind_down("takers", self.takers).await;
        self.stop_keepers.cancel();
        wind_down("keepers", self.keepers).await;
        match ended {
            None => Ok(()),
            Some(ended) => Err(early(ended)),
        }
    }
}

/// Names a part that ends without a word.
pub(super) async fn named(name: &'static str, part: impl Future<Output = ()>) -> Ended {
    part.await;
    (name, None)
}

/// Names a part that may fail.
pub(super) async fn named_io(name: &'static str, part: impl Future<Output = std::io::Result<()>>) -> Ended {
    (name, part.await.err().map(|e| e.to_string()))
}

async fn wind_down(group: &'static str, mut parts: JoinSet<Ended>) {
    let all = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::warn!(group, "some {group} did not end within {PATIENCE:?}");
    }
}

fn early(ended: Result<Ended, JoinError>) -> ServeError {
    match ended {
        Ok((part, reason)) => ServeError::Ended { part, reason },
        Err(error) => ServeError::Ended { part: "a part", reason: Some(error.to_string()) },
    }
}
