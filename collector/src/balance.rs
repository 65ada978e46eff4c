//! The equation of the whole store, for Prometheus: one for each lane, over all epochs and over the live ones.

use std::time::Duration;

use metrics::gauge;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store::accounts::{self, LaneTotals};
use crate::store::{Pool, StoreError, exports, findings, quarantine};

/// How often the tables are asked.
const EVERY: Duration = Duration::from_secs(15);

/// Keeps the gauges as the store is, until `shutdown`.
pub async fn run(pool: Pool, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    while shutdown.run_until_cancelled(every.tick()).await.is_some() {
        let Some(shown) = shutdown.run_until_cancelled(show(&pool)).await else { return };
        if let (Err(error), false) = (&shown, failing) {
            warn!(error = %wire::cause::chain(error), "cannot ask the store for its counters, those shown are old");
        }
        failing = shown.is_err();
    }
}

async fn show(pool: &Pool) -> Result<(), StoreError> {
    let mut conn = pool.acquire().await?;
    for totals in accounts::of_lanes(&mut conn).await? {
        show_lane(&totals);
    }
    gauge!("collector_finding_open").set(findings::n_open(&mut conn).await? as f64);
    if exports::is_begun(&mut conn).await? {
        let behind = exports::totals(&mut conn).await?;
        gauge!("collector_export_behind_events").set(behind.n_events as f64);
        gauge!("collector_export_behind_streams").set(behind.n_streams as f64);
        gauge!("collector_export_refused_events").set(exports::refused::n(&mut conn).await? as f64);
    }
    gauge!("collector_quarantine_batches").set(quarantine::n(&mut conn).await? as f64);
    Ok(())
}

fn show_lane(totals: &LaneTotals) {
    let epochs = if totals.is_live { "live" } else { "all" };
    let lane = totals.lane.to_string();
    let account = totals.account;
    for (part, n) in [
        ("generated", account.generated),
        ("stored", account.stored),
        ("merged", account.merged),
        ("lost", account.lost),
        ("dropped", account.dropped),
        ("rejected", account.rejected),
    ] {
        gauge!("collector_ledger_events", "lane" => lane.clone(), "epochs" => epochs, "part" => part)
            .set(n as f64);
    }
    gauge!("collector_ledger_residue_events", "lane" => lane.clone(), "epochs" => epochs)
        .set(account.residue() as f64);
    gauge!("collector_ledger_residue_streams", "lane" => lane, "epochs" => epochs)
        .set(totals.n_residues as f64);
}
