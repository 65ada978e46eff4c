//! `finding`: what a person should look at; one row per host, kind and thing, however often.

use sqlx::postgres::PgConnection;
use uuid::Uuid;
use wire::id::HostId;

use super::statements::{Statement, insert, routed};
use super::{Stamp, StoreError};

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A stream's digest chain does not hold: history was rewritten on one side.
    Chain,
    /// Other bytes came under a number that is stored already.
    Conflict,
    /// One certificate is used from two hosts at once.
    Clone,
    /// A sensor tells that somebody touched what is its own.
    Tamper,
}

impl Kind {
    /// `finding.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Chain => "chain",
            Kind::Conflict => "conflict",
            Kind::Clone => "clone",
            Kind::Tamper => "tamper",
        }
    }

    fn severity(self) -> i16 {
        match self {
            Kind::Chain | Kind::Conflict | Kind::Clone | Kind::Tamper => 3,
        }
    }
}

/// Something found now.
#[derive(Clone, Debug)]
pub struct Found {
    /// The host it is about.
    pub host: HostId,
    /// What kind of thing.
    pub kind: Kind,
    /// Which stream, process, … (short: it is a key).
    pub about: String,
    /// When.
    pub at: Stamp,
    /// What shows it, kept of the first time.
    pub evidence: serde_json::Value,
}

pub(super) const STATEMENTS: &[Statement] = &[ADD, EXPIRE];

const ADD: Statement = insert(
    "finding.add",
    "insert into finding (bucket, host, kind, about, id, state, severity, n, first_found, last_found, evidence)
     values ($1, $2, $3, $4, $5, 'open', $6, 1, $7, $7, $8::text::jsonb)
         on conflict (bucket, host, kind, about)
         do update set n = finding.n + 1, last_found = greatest(finding.last_found, excluded.last_found)",
);

const EXPIRE: Statement =
    routed("finding.expire", "delete from finding where bucket = any($1) and last_found < $2");

/// Forgets what was not found again since.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut PgConnection, buckets: &[i16], before: Stamp) -> Result<u64, StoreError> {
    Ok(sqlx::query(EXPIRE.sql).bind(buckets).bind(before).execute(conn).await?.rows_affected())
}

/// Records it, or counts it where it is known.
///
/// # Errors
/// When the database fails.
pub async fn add(conn: &mut PgConnection, found: &Found) -> Result<(), StoreError> {
    sqlx::query(ADD.sql)
        .bind(found.host.bucket())
        .bind(found.host.uuid())
        .bind(found.kind.name())
        .bind(&found.about)
        .bind(Uuid::now_v7())
        .bind(found.kind.severity())
        .bind(found.at)
        .bind(found.evidence.to_string())
        .execute(conn)
        .await?;
    Ok(())
}
