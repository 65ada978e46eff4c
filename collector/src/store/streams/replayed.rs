//! A stream whose refused batch is stored after all.

use sqlx::postgres::PgConnection;
use wire::id::StreamId;
use wire::ledger::Ledger;

use super::{Boundary, keyed};
use crate::store::StoreError;
use crate::store::statements::{Statement, routed};

pub(in crate::store) const STATEMENTS: &[Statement] = &[REPLAYED];

// Where the batch is the last of its stream, the sensor's counters after it hold.
const REPLAYED: Statement = routed(
    "stream.replayed",
    "update stream
        set n_stored = n_stored + $5, n_rejected = n_rejected - $5,
            generated = coalesce($6, generated), merged = coalesce($7, merged), lost = coalesce($8, lost),
            dropped = coalesce($9, dropped), boundary_seq = coalesce($10, boundary_seq),
            boundary_shed = coalesce($11, boundary_shed)
      where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and n_rejected >= $5",
);

/// A batch that was refused and is stored after all.
#[derive(Clone, Copy, Debug)]
pub struct Replayed {
    /// Its stream, locked.
    pub stream: StreamId,
    /// Its events.
    pub n_events: u64,
    /// What it says of the stream, and how many events were shed before it; only where no later batch has said it.
    pub boundary: Option<(Boundary, u64)>,
}

/// Books a batch's events as stored, no longer as refused; false where so many were never refused.
///
/// # Errors
/// When the database fails.
pub async fn replayed(conn: &mut PgConnection, replayed: Replayed) -> Result<bool, StoreError> {
    let Replayed { stream, n_events, boundary } = replayed;
    let counter = |f: fn(&Ledger) -> u64| boundary.map(|(b, _)| f(&b.ledger).cast_signed());
    let done = keyed(REPLAYED, stream)
        .bind(n_events.cast_signed())
        .bind(counter(|l| l.generated))
        .bind(counter(|l| l.merged))
        .bind(counter(|l| l.lost))
        .bind(counter(|l| l.dropped))
        .bind(boundary.map(|(b, _)| b.end_seq.cast_signed()))
        .bind(boundary.map(|(_, n_shed)| n_shed.cast_signed()))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
