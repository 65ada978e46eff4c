//! What is told of the export: metrics, and what `vedette status` shows.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use uuid::Uuid;
use wire::time::WallTime;

use crate::kafka::Failure;
use crate::store::Stamp;
use crate::store::exports::Fate;
use crate::store::exports::exporters::Exporter;

/// How this collector's exporting goes.
#[derive(Debug)]
pub(super) struct Report {
    run: Uuid,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    n_sent: u64,
    per_second: f64,
    measured: Option<(Instant, u64)>,
    oldest: Option<Stamp>,
    failure: Option<(String, Stamp)>,
    failing_since: Option<Instant>,
    logged: Option<(String, Instant)>,
}

/// After so long without anything taken, others may export instead.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// The same failure is logged again after so long.
const AGAIN: Duration = Duration::from_secs(300);
/// Over how long the rate is smoothed.
const SMOOTH: f64 = 10.0;

impl Report {
    pub(super) fn new(run: Uuid) -> Self {
        Self { run, inner: Mutex::default() }
    }

    /// The sink does not take what it is given.
    pub(super) fn failed(&self, failure: &Failure, now: WallTime) {
        let mut inner = self.lock();
        inner.failure = Some((failure.said.clone(), Stamp::floor(now)));
        inner.failing_since.get_or_insert_with(Instant::now);
        counter!("collector_export_failure_total").increment(1);
    }

    /// Something is wrong, and passes by itself.
    pub(super) fn noted(&self, failure: &Failure, now: WallTime) {
        self.lock().failure = Some((failure.said.clone(), Stamp::floor(now)));
    }

    /// There is a connection, as far as can be told.
    pub(super) fn connected(&self) {
        self.lock().failing_since = None;
    }

    /// Whether this failure has not been logged lately.
    pub(super) fn is_news(&self, failure: &Failure) -> bool {
        let mut inner = self.lock();
        let is_old =
            inner.logged.as_ref().is_none_or(|(said, at)| *said != failure.said || at.elapsed() > AGAIN);
        if is_old {
            inner.logged = Some((failure.said.clone(), Instant::now()));
        }
        is_old
    }

    /// So many records were taken since it was asked last.
    pub(super) fn arrived(&self, n: u64) {
        if n > 0 {
            let mut inner = self.lock();
            inner.n_sent += n;
            inner.failing_since = None;
            inner.logged = None;
        }
    }

    /// This became of events, and it is written down.
    pub(super) fn written(&self, fate: Fate) {
        for (became, n) in [
            ("sent", fate.n_sent),
            ("left_out", fate.n_left_out),
            ("refused", fate.n_refused),
            ("expired", fate.n_expired),
            ("gone", fate.n_gone),
        ] {
            counter!("collector_export_event_total", "became" => became).increment(n);
        }
    }

    /// Measures; `oldest` is the receipt of the oldest event that waits.
    pub(super) fn measure(&self, oldest: Option<Stamp>, waiting: (usize, usize), now: WallTime) {
        let mut inner = self.lock();
        let at = Instant::now();
        if let Some((since, n)) = inner.measured {
            let seconds = at.duration_since(since).as_secs_f64();
            if seconds < 0.5 {
                return;
            }
            let rate = (inner.n_sent - n) as f64 / seconds;
            let weight = (seconds / SMOOTH).min(1.0);
            inner.per_second += (rate - inner.per_second) * weight;
        }
        let is_stuck = waiting.0 > 0 && inner.measured.is_some_and(|(_, n)| n == inner.n_sent);
        if is_stuck {
            inner.failing_since.get_or_insert(at);
        }
        inner.measured = Some((at, inner.n_sent));
        inner.oldest = oldest;
        let lag_us = oldest.map_or(0, |at| Stamp::floor(now).unix_us().saturating_sub(at.unix_us()).max(0));
        gauge!("collector_export_lag_seconds").set(lag_us as f64 / 1e6);
        gauge!("collector_export_waiting_records").set(waiting.0 as f64);
        gauge!("collector_export_waiting_bytes").set(waiting.1 as f64);
        gauge!("collector_export_events_per_second").set(inner.per_second);
        gauge!("collector_export_works").set(f64::from(u8::from(inner.works())));
    }

    /// What the other collectors, and `vedette status`, are told.
    pub(super) fn exporter(&self) -> Exporter {
        let inner = self.lock();
        Exporter {
            run: self.run,
            works: inner.works(),
            n_sent: inner.n_sent,
            per_second: inner.per_second,
            oldest: inner.oldest,
            error: inner.failure.as_ref().map(|(said, _)| said.replace('\0', "\\x00")),
            error_at: inner.failure.as_ref().map(|(_, at)| *at),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn works(&self) -> bool {
        self.failing_since.is_none_or(|since| since.elapsed() < GIVEN_UP)
    }
}
