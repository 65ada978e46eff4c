//! `executable`: what the hashes in `process.executable` stand for, each path once a day.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

pub(super) const STATEMENTS: &[Statement] = &[ADD, PATHS];

// Sorted by the caller, so that two collectors wait for each other in one order.
const ADD: Statement = maintenance(
    "executable.add",
    "insert into executable (day, hash, path)
     select ($1::timestamptz at time zone 'UTC')::date, hash, path
       from unnest($2::bigint[], $3::bytea[]) as e (hash, path)
         on conflict (day, hash) do nothing",
);

const PATHS: Statement = maintenance(
    "executable.paths",
    "select distinct on (hash) hash, path from executable where hash = any($1)",
);

/// The paths that these hashes stand for; unknown ones are left out.
///
/// # Errors
/// When the database fails.
pub async fn paths(conn: &mut PgConnection, hashes: &[i64]) -> Result<HashMap<i64, Vec<u8>>, StoreError> {
    let rows = sqlx::query(PATHS.sql).bind(hashes).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("hash")?, row.try_get("path")?))).collect()
}

/// The hash that stands for a path (or a container's id): the first eight bytes of `blake3`, little endian.
pub fn hash(bytes: &[u8]) -> i64 {
    let mut out = [0; 8];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut out);
    i64::from_le_bytes(out)
}

/// Adds paths under the day of `received`, unless they are there already.
///
/// # Errors
/// When the database fails.
pub async fn add(
    conn: &mut PgConnection,
    received: Stamp,
    mut paths: Vec<(i64, &[u8])>,
) -> Result<(), StoreError> {
    paths.sort_unstable();
    paths.dedup_by_key(|(hash, _)| *hash);
    let (hashes, paths): (Vec<i64>, Vec<&[u8]>) = paths.into_iter().unzip();
    sqlx::query(ADD.sql).bind(received).bind(&hashes).bind(&paths).execute(conn).await?;
    Ok(())
}
