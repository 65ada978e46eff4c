//! Where the bench runs: a server for this run, or one that is kept for the next.

use std::path::PathBuf;
use std::time::Duration;

use vedette_collector::postgres::scratch::Server;
use vedette_collector::postgres::{Private, Status};
use vedette_collector::store::{self, Pool, Stamp};

/// A durable PostgreSQL and a database on it.
pub(crate) struct Stage {
    pub(crate) pool: Pool,
    server: i32,
    kept: Option<Private>,
    /// Goes with the run.
    _scratch: Option<Server>,
}

impl Stage {
    /// The server in the folder that `KEEP` names, made if need be; without `KEEP` one that goes with the run.
    pub(crate) async fn open(now: Stamp) -> Self {
        let Some(home) = std::env::var_os("KEEP").map(PathBuf::from) else {
            let scratch = Server::durable().await.unwrap();
            let pool = scratch.database().await.unwrap().pool;
            let server = scratch.pid().unwrap();
            return Self { pool, server, kept: None, _scratch: Some(scratch) };
        };
        std::fs::create_dir_all(&home).unwrap();
        let kept = Private::under(&home).unwrap();
        let pool = store::pool(&kept.up().await.unwrap(), 8).unwrap();
        store::migrate(&pool, now).await.unwrap();
        let Status::Running(server) = kept.status().unwrap() else { panic!("a server that runs") };
        Self { pool, server, kept: Some(kept), _scratch: None }
    }

    /// How many events are there from an earlier run.
    pub(crate) async fn n_events(&self) -> u64 {
        let n: i64 = sqlx::query_scalar("select coalesce(sum(n_events), 0)::bigint from segment")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        n.unsigned_abs()
    }

    /// CPU time so far: of this process, and of the server's processes.
    pub(crate) fn cpu(&self) -> (Duration, Duration) {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.server)).unwrap();
        let backends = children.split_whitespace().map(|child| ticks(child, &[11, 12])).sum::<Duration>();
        // Of those that have ended the server knows.
        (ticks("self", &[11, 12]), backends + ticks(&self.server.to_string(), &[11, 12, 13, 14]))
    }

    /// Stops a server that is kept.
    pub(crate) async fn close(self) {
        self.pool.close().await;
        if let Some(kept) = self.kept {
            kept.stop().await.unwrap();
        }
    }
}

/// The sum of these fields after the name in a process's `stat`, in clock ticks of 10 ms.
fn ticks(process: &str, which: &[usize]) -> Duration {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return Duration::ZERO };
    let after: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = which.iter().map(|n| after[*n].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
