//! Starts the private server again when it dies while the collector runs.

use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::Private;

/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a start that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Private {
    /// Looks after the server until `shutdown`: one that was killed, or ended by the kernel for want of memory,
    /// is started again. What works on the database meets errors meanwhile and tries again.
    ///
    /// # Cancel safety
    /// May be dropped at any time; a start that has begun goes on.
    pub async fn keep_up(&self, shutdown: CancellationToken) {
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = LOOK_EVERY,
            }
            if self.is_alive() {
                continue;
            }
            tracing::warn!("the private PostgreSQL has died; starting it again");
            if let Err(error) = self.up().await {
                let error = wire::cause::chain(&error);
                tracing::error!(error, "cannot start the private PostgreSQL again: {error}");
                pause = TRY_AGAIN_AFTER;
            }
        }
    }

    /// Whether its main process is there. A process that took over its number is told apart by `up`.
    fn is_alive(&self) -> bool {
        self.pid().is_some_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
    }
}
