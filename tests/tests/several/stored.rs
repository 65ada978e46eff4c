//! What is in the store, batch by batch.

use sqlx::PgPool;
use vedette_collector::store::candidates::{self, PageEnd, Wanted};
use vedette_collector::store::{Group, Stamp, slices};
use wire::id::StreamId;

/// Every batch, as often as a search meets it, and how many events they have.
pub(crate) async fn stored(pool: &PgPool) -> (Vec<(StreamId, u64)>, u64) {
    let wanted = Wanted {
        buckets: (0..64).collect(),
        hosts: None,
        since: Stamp::from_unix_us(0),
        until: Stamp::from_unix_us(4_000_000_000_000_000),
        terms: vec![],
    };
    let mut conn = pool.acquire().await.unwrap();
    let (horizon, mut found) = candidates::fresh(&mut conn, Group::WHOLE, &wanted).await.unwrap();
    let mut after: Option<PageEnd> = None;
    loop {
        let page = candidates::merged(&mut conn, &wanted, horizon, after, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.into());
        found.extend(page);
    }
    let (mut batches, mut n_events) = (Vec::new(), 0);
    let keys: Vec<_> = found.iter().map(|candidate| candidate.key).collect();
    for entries in slices::directories(&mut conn, &keys).await.unwrap() {
        for entry in entries.expect("nothing is dropped that soon") {
            batches.push((entry.stream, entry.first_seq));
            n_events += u64::from(entry.n_events);
        }
    }
    (batches, n_events)
}
