//! `quarantine`: batches that could not be stored, kept as they came.

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use wire::batch::Sealed;
use wire::id::{EventId, HostId, StreamId};

use super::statements::{Statement, fan_out, routed};
use super::streams::keyed_at;
use super::{Stamp, StoreError};

/// How many batches of one host are kept with their bytes; of later ones only the reason.
pub const MAX_KEPT_PER_HOST: i64 = 16;

pub(super) const STATEMENTS: &[Statement] = &[ADD, OF_HOST, ALL, TAKE, REMOVE, FAILED, COUNT, EXPIRE];

const ADD: Statement = routed(
    "quarantine.add",
    "insert into quarantine (bucket, host, epoch, lane, first_seq, n_events, received, reason, header, payload)
     select $1, $2, $3, $4, $5, $6, $7, $8, case when room then $9::bytea end, case when room then $10::bytea end
       from (select count(*) < $11 as room from quarantine
              where bucket = $1 and host = $2 and payload is not null) kept
         on conflict (bucket, host, epoch, lane, first_seq) do nothing",
);

const OF_HOST: Statement = routed(
    "quarantine.of_host",
    "select host, epoch, lane, first_seq, n_events, received, reason, n_tries,
            (octet_length(header) + octet_length(payload))::bigint as n_bytes
       from quarantine where bucket = $1 and host = $2
      order by received desc, first_seq desc limit $3",
);

const ALL: Statement = fan_out(
    "quarantine.all",
    "select host, epoch, lane, first_seq, n_events, received, reason, n_tries,
            (octet_length(header) + octet_length(payload))::bigint as n_bytes
       from quarantine order by received desc, host, first_seq desc limit $1",
);

const TAKE: Statement = routed(
    "quarantine.take",
    "select host, epoch, lane, first_seq, n_events, received, reason, n_tries, header, payload,
            (octet_length(header) + octet_length(payload))::bigint as n_bytes
       from quarantine where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and first_seq = $5
        for update",
);

const REMOVE: Statement = routed(
    "quarantine.remove",
    "delete from quarantine where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and first_seq = $5",
);

const FAILED: Statement = routed(
    "quarantine.failed",
    "update quarantine set reason = $6, n_tries = n_tries + 1
      where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and first_seq = $5",
);

const COUNT: Statement = fan_out("quarantine.count", "select count(*) from quarantine");

const EXPIRE: Statement =
    routed("quarantine.expire", "delete from quarantine where bucket = any($1) and received < $2");

/// Forgets what is older.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut PgConnection, buckets: &[i16], before: Stamp) -> Result<u64, StoreError> {
    Ok(sqlx::query(EXPIRE.sql).bind(buckets).bind(before).execute(conn).await?.rows_affected())
}

/// A batch that is refused.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// The stream it came in.
    pub stream: StreamId,
    /// Where it would have begun.
    pub first_seq: u64,
    /// How many events it claims.
    pub n_events: u64,
    /// When it came.
    pub received: Stamp,
    /// Why it is refused.
    pub reason: &'a str,
    /// Its bytes.
    pub sealed: &'a Sealed,
}

/// Keeps a refused batch.
///
/// # Errors
/// When the database fails.
pub async fn add(conn: &mut PgConnection, refused: &Refused<'_>) -> Result<(), StoreError> {
    sqlx::query(ADD.sql)
        .bind(refused.stream.host.bucket())
        .bind(refused.stream.host.uuid())
        .bind(refused.stream.epoch.uuid())
        .bind(refused.stream.lane as i16)
        .bind(refused.first_seq.cast_signed())
        .bind(refused.n_events.cast_signed())
        .bind(refused.received)
        // Text in PostgreSQL has no NUL.
        .bind(refused.reason.replace('\0', "\\x00"))
        .bind(&refused.sealed.header[..])
        .bind(&refused.sealed.payload[..])
        .bind(MAX_KEPT_PER_HOST)
        .execute(conn)
        .await?;
    Ok(())
}

/// A batch in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it belongs: its stream and first number.
    pub at: EventId,
    /// How many events it claims.
    pub n_events: u64,
    /// When it came.
    pub received: Stamp,
    /// Why it is refused: as of the last try.
    pub reason: String,
    /// How often it was replayed in vain.
    pub n_tries: u64,
    /// How large it is; `None` where the host's bound was reached and its bytes were not kept.
    pub n_bytes: Option<u64>,
}

/// A host's batches in quarantine, the one that came last first; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn of_host(conn: &mut PgConnection, host: HostId, limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(OF_HOST.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(record).collect()
}

/// The batches of all hosts in quarantine, the one that came last first; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn all(conn: &mut PgConnection, limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(ALL.sql).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter().map(record).collect()
}

/// How many batches are in quarantine.
///
/// # Errors
/// When the database fails.
pub async fn n(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let n: i64 = sqlx::query(COUNT.sql).fetch_one(conn).await?.try_get(0)?;
    Ok(n.unsigned_abs())
}

/// A batch with its bytes, locked until the transaction ends; `None` if it is not there (any more). The bytes are `None`
/// where they were not kept.
///
/// # Errors
/// When the database fails.
pub async fn take(
    conn: &mut PgConnection,
    at: EventId,
) -> Result<Option<(Record, Option<Sealed>)>, StoreError> {
    let Some(row) = keyed_at(TAKE, at).fetch_optional(conn).await? else { return Ok(None) };
    let (header, payload): (Option<Vec<u8>>, Option<Vec<u8>>) =
        (row.try_get("header")?, row.try_get("payload")?);
    let sealed = header
        .zip(payload)
        .map(|(header, payload)| Sealed { header: header.into(), payload: payload.into() });
    Ok(Some((record(&row)?, sealed)))
}

/// Takes a batch out: it is stored.
///
/// # Errors
/// When the database fails.
pub async fn remove(conn: &mut PgConnection, at: EventId) -> Result<(), StoreError> {
    keyed_at(REMOVE, at).execute(conn).await?;
    Ok(())
}

/// Keeps a batch that was replayed in vain, with the new reason.
///
/// # Errors
/// When the database fails.
pub async fn failed(conn: &mut PgConnection, at: EventId, reason: &str) -> Result<(), StoreError> {
    keyed_at(FAILED, at).bind(reason.replace('\0', "\\x00")).execute(conn).await?;
    Ok(())
}

fn record(row: &PgRow) -> Result<Record, StoreError> {
    Ok(Record {
        at: EventId {
            stream: super::streams::stream_id(row)?,
            seq: row.try_get::<i64, _>("first_seq")?.cast_unsigned(),
        },
        n_events: row.try_get::<i64, _>("n_events")?.cast_unsigned(),
        received: row.try_get("received")?,
        reason: row.try_get("reason")?,
        n_tries: u64::from(row.try_get::<i32, _>("n_tries")?.unsigned_abs()),
        n_bytes: row.try_get::<Option<i64>, _>("n_bytes")?.map(i64::unsigned_abs),
    })
}
