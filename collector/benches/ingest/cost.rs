//! What something cost: time, CPU of this process and of the server, bytes of write-ahead log.

use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;
use vedette_collector::postgres::scratch::Server;

/// A stretch of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    started: Instant,
    took: Duration,
    own: Duration,
    wal: i64,
}

impl Span {
    pub(crate) async fn begin(pool: &PgPool) -> Self {
        Self { wal: wal(pool).await, own: own_cpu(), started: Instant::now(), took: Duration::ZERO }
    }

    pub(crate) async fn end(mut self, pool: &PgPool) -> Self {
        self.took = self.started.elapsed();
        self.own = own_cpu() - self.own;
        self.wal = wal(pool).await - self.wal;
        self
    }
}

/// What a number of events cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) n_events: u64,
    span: Span,
    server: Duration,
}

impl Cost {
    pub(crate) async fn of(server: &Server, n_events: u64, work: impl Future<Output = Span>) -> Self {
        let before = server_cpu(server);
        let span = work.await;
        Self { n_events, span, server: server_cpu(server).saturating_sub(before) }
    }

    pub(crate) fn events_per_s(&self) -> f64 {
        self.n_events as f64 / self.span.took.as_secs_f64()
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        (self.span.own + self.server).as_secs_f64() * 1e6 / self.n_events as f64
    }

    pub(crate) fn server_us(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.n_events as f64
    }

    pub(crate) fn wal_bytes(&self) -> f64 {
        self.span.wal as f64 / self.n_events as f64
    }

    /// The one in the middle by CPU, which neighbours on the machine disturb least.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let mut costs = costs.to_vec();
        costs.sort_by(|a, b| a.cpu_us().total_cmp(&b.cpu_us()));
        costs[costs.len() / 2]
    }
}

async fn wal(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        .fetch_one(pool)
        .await
        .unwrap()
}

fn own_cpu() -> Duration {
    ticks("/proc/self/stat")
}

/// Of the server and its processes, those that have ended too.
fn server_cpu(server: &Server) -> Duration {
    let pid = server.pid().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let all =
        children.split_whitespace().map(|child| ticks(&format!("/proc/{child}/stat"))).sum::<Duration>();
    all + with_ended(&format!("/proc/{pid}/stat"))
}

fn ticks(path: &str) -> Duration {
    fields(path, &[11, 12])
}

fn with_ended(path: &str) -> Duration {
    fields(path, &[11, 12, 13, 14])
}

/// The sum of these fields after the name, in clock ticks of 10 ms.
fn fields(path: &str, which: &[usize]) -> Duration {
    let Ok(stat) = std::fs::read_to_string(path) else { return Duration::ZERO };
    let after: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = which.iter().map(|n| after[*n].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
