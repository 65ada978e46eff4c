//! Who used how much: the collector, PostgreSQL and the hosts are processes of their own.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tests::usage::{cpu, cpu_with_children};
use vedette_collector::postgres::scratch::Server;

/// CPU time of each side, and bytes of write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) collector: Duration,
    pub(crate) server: Duration,
    pub(crate) hosts: Duration,
    pub(crate) wal: i64,
    at: Instant,
}

impl Share {
    /// What was used up to now.
    pub(crate) async fn now(server: &Server, collector: u32, pool: &PgPool) -> Self {
        let wal = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
            .fetch_one(pool)
            .await
            .unwrap();
        Self {
            collector: cpu(collector),
            server: cpu_with_children(server.pid().unwrap() as u32),
            hosts: cpu(std::process::id()),
            wal,
            at: Instant::now(),
        }
    }

    /// What was used from `before` to this.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            // A process of the server that ended in between counts as soon as it was waited for.
            server: self.server.saturating_sub(before.server),
            collector: self.collector - before.collector,
            hosts: self.hosts - before.hosts,
            wal: self.wal - before.wal,
            at: self.at,
        }
    }
}
