//! How much is stored, for people: never exact, never slow.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes on disk, of everything in the database.
    pub n_bytes: u64,
    /// The start of the oldest event's segment partition that has anything; `None` for an empty store.
    pub oldest: Option<Stamp>,
}

pub(super) const STATEMENTS: &[Statement] = &[BYTES, OLDEST];

const BYTES: Statement = maintenance("size.bytes", "select pg_database_size(current_database()) as n_bytes");

// Goes along the index, partition by partition.
const OLDEST: Statement = maintenance(
    "size.oldest",
    "select least((select latest from segment order by latest limit 1), (select latest from fresh order by latest limit 1))
         as oldest",
);

/// How much there is.
///
/// # Errors
/// When the database fails.
pub async fn size(conn: &mut PgConnection) -> Result<Size, StoreError> {
    let n_bytes: i64 = sqlx::query(BYTES.sql).fetch_one(&mut *conn).await?.try_get("n_bytes")?;
    let oldest = sqlx::query(OLDEST.sql).fetch_one(conn).await?.try_get("oldest")?;
    Ok(Size { n_bytes: n_bytes.cast_unsigned(), oldest })
}
