//! `export_refused`: events that the sink refused.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use wire::id::EventId;

use crate::store::findings;
use crate::store::statements::{Statement, fan_out, routed};
use crate::store::streams::{event_id, keyed_at};
use crate::store::{Stamp, StoreError};

/// How many events of one host are listed; of more only the number is known.
pub const MAX_PER_HOST: i64 = 1_000;

/// An event that the sink refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub at: EventId,
    /// Where it was to go.
    pub topic: String,
    /// How large its record was.
    pub n_bytes: u64,
    /// When.
    pub refused: Stamp,
    /// Why.
    pub reason: String,
}

pub(in crate::store) const STATEMENTS: &[Statement] = &[ADD, ALL, COUNT, EXPIRE];

const ADD: Statement = routed(
    "export_refused.add",
    "insert into export_refused (bucket, host, epoch, lane, seq, topic, n_bytes, refused, reason)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9
       from (select count(*) < $10 as room from export_refused where bucket = $1 and host = $2) listed where room
         on conflict (bucket, host, epoch, lane, seq)
         do update set topic = excluded.topic, n_bytes = excluded.n_bytes, refused = excluded.refused, reason = excluded.reason",
);

const ALL: Statement = fan_out(
    "export_refused.all",
    "select host, epoch, lane, seq, topic, n_bytes, refused, reason from export_refused
      order by refused desc, host, epoch, lane, seq desc limit $1",
);

const COUNT: Statement =
    fan_out("export_refused.count", "select coalesce(sum(n_refused), 0)::bigint from export");

pub(super) const EXPIRE: Statement =
    routed("export_refused.expire", "delete from export_refused where bucket = any($1) and refused < $2");

/// Lists an event that the sink refused.
///
/// # Errors
/// When the database fails.
pub async fn add(conn: &mut PgConnection, refused: &Refused) -> Result<(), StoreError> {
    keyed_at(ADD, refused.at)
        .bind(&refused.topic)
        .bind(refused.n_bytes.cast_signed())
        .bind(refused.refused)
        .bind(refused.reason.replace('\0', "\\x00"))
        .bind(MAX_PER_HOST)
        .execute(conn)
        .await?;
    Ok(())
}

/// Those that are listed, the last first; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn all(conn: &mut PgConnection, limit: u32) -> Result<Vec<Refused>, StoreError> {
    let rows = sqlx::query(ALL.sql).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(Refused {
                at: event_id(row, "seq")?,
                topic: row.try_get("topic")?,
                n_bytes: row.try_get::<i64, _>("n_bytes")?.unsigned_abs(),
                refused: row.try_get("refused")?,
                reason: row.try_get("reason")?,
            })
        })
        .collect()
}

/// How many were refused: of the events of streams that are stored, and of findings.
///
/// # Errors
/// When the database fails.
pub async fn n(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let n: i64 = sqlx::query(COUNT.sql).fetch_one(&mut *conn).await?.try_get(0)?;
    Ok(n.unsigned_abs() + findings::n_refused(conn).await?)
}
