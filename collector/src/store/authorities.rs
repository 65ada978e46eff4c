//! `collector_authority`: which certificate authorities each collector holds.

use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;
use wire::authority::AuthorityId;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

/// What one collector said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which collector.
    pub collector: Uuid,
    /// The name of its host, for people.
    pub name: String,
    /// The authority that certifies it.
    pub serving: AuthorityId,
    /// All that it holds.
    pub held: Vec<AuthorityId>,
    /// When it last said so.
    pub seen: Stamp,
}

pub(super) const STATEMENTS: &[Statement] = &[NOTE, SINCE];

const NOTE: Statement = maintenance(
    "collector_authority.note",
    "insert into collector_authority (collector, name, serving, held, seen) values ($1, $2, $3, $4, $5)
         on conflict (collector) do update set name = excluded.name, serving = excluded.serving,
             held = excluded.held, seen = excluded.seen",
);

const SINCE: Statement = maintenance(
    "collector_authority.since",
    "select collector, name, serving, held, seen from collector_authority where seen >= $1 order by name, collector",
);

/// Writes down what this collector holds.
///
/// # Errors
/// When the database fails.
pub async fn note(db: impl PgExecutor<'_>, holder: &Holder) -> Result<(), StoreError> {
    sqlx::query(NOTE.sql)
        .bind(holder.collector)
        .bind(&holder.name)
        .bind(holder.serving.to_string())
        .bind(lines(&holder.held))
        .bind(holder.seen)
        .execute(db)
        .await?;
    Ok(())
}

/// What collectors have said since then, by name.
///
/// # Errors
/// When the database fails.
pub async fn since(db: impl PgExecutor<'_>, since: Stamp) -> Result<Vec<Holder>, StoreError> {
    let rows = sqlx::query(SINCE.sql).bind(since).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Holder {
                collector: row.try_get("collector")?,
                name: row.try_get("name")?,
                serving: row.try_get::<String, _>("serving")?.parse().unwrap_or(AuthorityId([0; 32])),
                held: ids(row.try_get("held")?),
                seen: row.try_get("seen")?,
            })
        })
        .collect()
}

/// Fingerprints as they are stored: one a line.
pub(super) fn lines(ids: &[AuthorityId]) -> String {
    ids.iter().map(AuthorityId::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads what [`lines`] wrote.
pub(super) fn ids(lines: &str) -> Vec<AuthorityId> {
    lines.lines().filter_map(|line| line.parse().ok()).collect()
}
