//! `merge`: how far each group's fresh segments have been merged. Who does it is in [`super::leases`].

use sqlx::Row;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::statements::{Statement, insert, routed};
use super::{Group, Stamp, StoreError};

pub(super) const STATEMENTS: &[Statement] = &[ENSURE, UPTO, ADVANCE];

const ENSURE: Statement = insert(
    "merge.ensure",
    "insert into merge (bucket, merged_upto, holder, held_until) values ($1, $2, $3, $2)
         on conflict (bucket) do nothing",
);

const UPTO: Statement = routed("merge.upto", "select merged_upto from merge where bucket = $1");

// From where it was: of two that merged the same minutes, one changes nothing, and takes back what it wrote. (`holder` and
// `held_until` are of versions whose lease was here.)
const ADVANCE: Statement =
    routed("merge.advance", "update merge set merged_upto = $3 where bucket = $1 and merged_upto = $2");

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

/// Records that the group is merged up to `to`; false when someone else was faster.
///
/// # Errors
/// When the database fails.
pub async fn advance(
    conn: &mut PgConnection,
    group: Group,
    from: Stamp,
    to: Stamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(ADVANCE.sql).bind(group.bucket()).bind(from).bind(to).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}
