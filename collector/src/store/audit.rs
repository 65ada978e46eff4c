//! `audit`: who did what to tokens, enrolments and hosts. Only ever appended to.

use std::net::IpAddr;

use sqlx::PgExecutor;
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

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

pub(super) const STATEMENTS: &[Statement] = &[APPEND];

const APPEND: Statement = maintenance(
    "audit.append",
    "insert into audit (id, at, actor, action, about, address, outcome, detail) values ($1, $2, $3, $4, $5, $6, $7, $8)",
);

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
