//! `audit`: who did what to tokens, enrolments and hosts. Only ever appended to.

use std::net::IpAddr;

use sqlx::{PgExecutor, Postgres, Row as _, Transaction};
use uuid::Uuid;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

/// One thing that was done, or tried.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// When.
    pub at: Stamp,
    /// Who: `token:ID NAME`, `host:ID`, `collector` or `anonymous`.
    pub actor: &'a str,
    /// What, as noun and verb: `token.create`.
    pub action: &'static str,
    /// What it was done to.
    pub about: &'a str,
    /// Where the call came from.
    pub address: Option<IpAddr>,
    /// Whether it was done.
    pub outcome: Outcome,
    /// More, in words. Never a secret.
    pub detail: Option<&'a str>,
}

/// An entry as it is stored.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id; later entries have greater ones.
    pub id: Uuid,
    /// When.
    pub at: Stamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// What it was done to.
    pub about: String,
    /// Where the call came from.
    pub address: Option<String>,
    /// `done` or `refused`.
    pub outcome: String,
    /// More, in words.
    pub detail: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

pub(super) const STATEMENTS: &[Statement] = &[APPEND, BEFORE];

const APPEND: Statement = maintenance(
    "audit.append",
    "insert into audit (id, at, actor, action, about, address, outcome, detail) values ($1, $2, $3, $4, $5, $6, $7, $8)",
);

const BEFORE: Statement = maintenance(
    "audit.before",
    "select id, at, actor, action, about, address, outcome, detail from audit
         where id < $1 order by id desc limit $2",
);

/// Appends the entry that tells of the transaction's changes, and commits both.
///
/// # Errors
/// When the database fails; nothing is done then.
pub async fn commit(
    mut transaction: Transaction<'static, Postgres>,
    entry: Entry<'_>,
) -> Result<(), StoreError> {
    append(&mut *transaction, entry).await?;
    transaction.commit().await?;
    Ok(())
}

/// The last `limit` entries before this one, or of all, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn before(
    db: impl PgExecutor<'_>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(BEFORE.sql)
        .bind(before.unwrap_or(Uuid::max()))
        .bind(i64::from(limit))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Record {
                id: row.try_get("id")?,
                at: row.try_get("at")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                about: row.try_get("about")?,
                address: row.try_get("address")?,
                outcome: row.try_get("outcome")?,
                detail: row.try_get("detail")?,
            })
        })
        .collect()
}

/// Appends an entry.
///
/// # Errors
/// When the database fails; what was to be recorded should then not be done.
pub async fn append(db: impl PgExecutor<'_>, entry: Entry<'_>) -> Result<(), StoreError> {
    let outcome = match entry.outcome {
        Outcome::Done => "done",
        Outcome::Refused => "refused",
    };
    sqlx::query(APPEND.sql)
        .bind(Uuid::now_v7())
        .bind(entry.at)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.about)
        .bind(entry.address.map(|address| address.to_string()))
        .bind(outcome)
        .bind(entry.detail)
        .execute(db)
        .await?;
    Ok(())
}
