//! `audit`: who did what to tokens, enrolments and hosts. Only ever appended to, each entry chained to the one before.

use std::net::IpAddr;

use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Postgres, Row as _, Transaction};
use uuid::Uuid;

use super::statements::{Statement, maintenance};
use super::{Conn, Stamp, StoreError};

pub mod chain;

pub use chain::{Head, Walk};

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
    /// Its place in the chain, from 1; none of what was there before there was one.
    pub number: Option<u64>,
    /// The digest of it and all before it.
    pub digest: Option<chain::Digest>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

pub(super) const STATEMENTS: &[Statement] = &[APPEND, BEFORE, AFTER, HEAD];

const APPEND: Statement = maintenance(
    "audit.append",
    "with head as (
        update audit_head set number = number + 1, digest = sha256(digest || convert_to($9, 'UTF8')) returning number, digest)
     insert into audit (id, at, actor, action, about, address, outcome, detail, number, digest)
     select $1, $2, $3, $4, $5, $6, $7, $8, number, digest from head",
);

const BEFORE: Statement = maintenance(
    "audit.before",
    "select id, at, actor, action, about, address, outcome, detail, number, digest from audit
         where id < $1 and ($3::timestamptz is null or at >= $3) order by id desc limit $2",
);

const AFTER: Statement = maintenance(
    "audit.after",
    "select id, at, actor, action, about, address, outcome, detail, number, digest from audit
         where number > $1 order by number limit $2",
);

const HEAD: Statement = maintenance("audit.head", "select number, digest from audit_head");

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

/// The last `limit` entries before this one, or of all, not before `since`; the newest first.
///
/// # Errors
/// When the database fails.
pub async fn before(
    db: impl PgExecutor<'_>,
    before: Option<Uuid>,
    since: Option<Stamp>,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(BEFORE.sql)
        .bind(before.unwrap_or(Uuid::max()))
        .bind(i64::from(limit))
        .bind(since)
        .fetch_all(db)
        .await?;
    rows.iter().map(record).collect()
}

/// Follows the chain from its first entry to its last, and past an end that was noted earlier.
///
/// # Errors
/// When the database fails.
pub async fn verify(conn: &mut Conn, noted: Option<Head>) -> Result<Walk, StoreError> {
    // Entries come meanwhile: up to here it is followed.
    let row = sqlx::query(HEAD.sql).fetch_one(&mut *conn).await?;
    let stored = Head {
        number: row.try_get::<i64, _>("number")?.unsigned_abs(),
        digest: digest(row.try_get("digest")?),
    };
    let mut walk = Walk::new(noted);
    let mut after = 0;
    'pages: loop {
        let rows = sqlx::query(AFTER.sql).bind(after).bind(PAGE).fetch_all(&mut *conn).await?;
        for row in &rows {
            let record = record(row)?;
            if record.number.is_some_and(|number| number > stored.number) {
                break 'pages;
            }
            after = record.number.unwrap_or_default().cast_signed();
            walk.step(&record);
        }
        if rows.len() < PAGE as usize {
            break;
        }
    }
    walk.finish(stored);
    Ok(walk)
}

/// So many entries are read at a time.
const PAGE: i64 = 2_000;

fn record(row: &PgRow) -> Result<Record, StoreError> {
    let chained: Option<Vec<u8>> = row.try_get("digest")?;
    Ok(Record {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        about: row.try_get("about")?,
        address: row.try_get("address")?,
        outcome: row.try_get("outcome")?,
        detail: row.try_get("detail")?,
        number: row.try_get::<Option<i64>, _>("number")?.map(i64::unsigned_abs),
        digest: chained.map(digest),
    })
}

/// One of another length is none that was written here, and nothing's digest.
fn digest(bytes: Vec<u8>) -> chain::Digest {
    bytes.try_into().unwrap_or_default()
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
    let record = Record {
        id: Uuid::now_v7(),
        at: entry.at,
        actor: entry.actor.to_owned(),
        action: entry.action.to_owned(),
        about: entry.about.to_owned(),
        address: entry.address.map(|address| address.to_string()),
        outcome: outcome.to_owned(),
        detail: entry.detail.map(str::to_owned),
        number: None,
        digest: None,
    };
    sqlx::query(APPEND.sql)
        .bind(record.id)
        .bind(record.at)
        .bind(&record.actor)
        .bind(&record.action)
        .bind(&record.about)
        .bind(&record.address)
        .bind(&record.outcome)
        .bind(&record.detail)
        .bind(chain::said(&record))
        .execute(db)
        .await?;
    Ok(())
}
