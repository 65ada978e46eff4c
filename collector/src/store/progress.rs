//! `merge`: how far each group's fresh segments have been merged, and who does it.

use sqlx::Row;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::statements::{Statement, insert, routed};
use super::{Group, Stamp, StoreError};

pub(super) const STATEMENTS: &[Statement] = &[ENSURE, UPTO, LEASE, ADVANCE];

const ENSURE: Statement = insert(
    "merge.ensure",
    "insert into merge (bucket, merged_upto, holder, held_until) values ($1, $2, $3, $2)
         on conflict (bucket) do nothing",
);

const UPTO: Statement = routed("merge.upto", "select merged_upto from merge where bucket = $1");

const LEASE: Statement = routed(
    "merge.lease",
    "update merge set holder = $2, held_until = $4
      where bucket = $1 and (holder = $2 or held_until < $3) returning merged_upto",
);

// With the holder, so that one whose lease ran out while it worked changes nothing.
const ADVANCE: Statement = routed(
    "merge.advance",
    "update merge set merged_upto = $4 where bucket = $1 and holder = $2 and merged_upto = $3",
);

/// Makes the group's row, merged up to the minute of `now`.
///
/// # Errors
/// When the database fails.
pub async fn ensure(conn: &mut PgConnection, group: Group, now: Stamp) -> Result<(), StoreError> {
    let minute = now.start_of(super::partitions::MINUTE_US);
    sqlx::query(ENSURE.sql).bind(group.bucket()).bind(minute).bind(Uuid::nil()).execute(conn).await?;
    Ok(())
}

/// How far the group is merged.
///
/// # Errors
/// When the database fails.
pub async fn merged_upto(conn: &mut PgConnection, group: Group) -> Result<Stamp, StoreError> {
    Ok(sqlx::query(UPTO.sql).bind(group.bucket()).fetch_one(conn).await?.try_get("merged_upto")?)
}

/// Takes or keeps the lease until `until` and returns how far the group is merged; `None` if another has it.
///
/// # Errors
/// When the database fails.
pub async fn lease(
    conn: &mut PgConnection,
    group: Group,
    holder: Uuid,
    now: Stamp,
    until: Stamp,
) -> Result<Option<Stamp>, StoreError> {
    let row = sqlx::query(LEASE.sql)
        .bind(group.bucket())
        .bind(holder)
        .bind(now)
        .bind(until)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| row.try_get("merged_upto")).transpose()?)
}

/// Records that the group is merged up to `to`; false when someone else was faster.
///
/// # Errors
/// When the database fails.
pub async fn advance(
    conn: &mut PgConnection,
    group: Group,
    holder: Uuid,
    from: Stamp,
    to: Stamp,
) -> Result<bool, StoreError> {
    let done =
        sqlx::query(ADVANCE.sql).bind(group.bucket()).bind(holder).bind(from).bind(to).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}
