//! `finding`: what a person should look at; one row per host, kind and thing, however often.

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;
use wire::id::HostId;

use super::statements::{Statement, fan_out, insert, routed};
use super::{Stamp, StoreError};
use crate::record::Finding;

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A stream's digest chain does not hold: history was rewritten on one side.
    Chain,
    /// Other bytes came under a number that is stored already.
    Conflict,
    /// One certificate is used from two hosts at once.
    Clone,
    /// A host sends a stream under an epoch that is another host's.
    Impersonation,
    /// A sensor tells that somebody touched what is its own.
    Tamper,
    /// A stream's ledger does not add up: events vanished, or more came than were made.
    Residue,
    /// A sensor goes on beyond what is stored, and no tombstone says what became of the events between.
    Gap,
    /// Events were dropped by retention before they were exported.
    Unexported,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Chain,
        Self::Conflict,
        Self::Clone,
        Self::Impersonation,
        Self::Tamper,
        Self::Residue,
        Self::Gap,
        Self::Unexported,
    ];

    /// `finding.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Chain => "chain",
            Kind::Conflict => "conflict",
            Kind::Clone => "clone",
            Kind::Impersonation => "impersonation",
            Kind::Tamper => "tamper",
            Kind::Residue => "residue",
            Kind::Gap => "gap",
            Kind::Unexported => "unexported",
        }
    }

    fn severity(self) -> i16 {
        match self {
            Kind::Chain
            | Kind::Conflict
            | Kind::Clone
            | Kind::Impersonation
            | Kind::Tamper
            | Kind::Residue
            | Kind::Gap => 3,
            Kind::Unexported => 2,
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

/// A finding as it is stored.
#[derive(Clone, Debug)]
pub struct Record {
    /// `finding.id`.
    pub id: Uuid,
    /// The host it is about.
    pub host: HostId,
    /// `finding.kind`; of a later version one that is not known here.
    pub kind: String,
    /// Which stream, process, …
    pub about: String,
    /// `open` or `closed`.
    pub state: String,
    /// 0 information to 4 critical.
    pub severity: i16,
    /// How often it was found.
    pub n: u64,
    /// When it was found first.
    pub first_found: Stamp,
    /// When it was found last.
    pub last_found: Stamp,
    /// What showed it the first time.
    pub evidence: serde_json::Value,
}

impl Record {
    /// The finding by itself.
    pub fn finding(&self) -> Finding<'_> {
        Finding {
            id: self.id,
            host: self.host,
            kind: &self.kind,
            about: &self.about,
            is_open: self.state == "open",
            severity: self.severity,
            n: self.n,
            first_found: self.first_found.wall(),
            last_found: self.last_found.wall(),
            evidence: &self.evidence,
        }
    }
}

/// Why the sink did not take a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The record's.
    pub id: String,
    /// Where it was to go.
    pub topic: String,
    /// How large its record was.
    pub n_bytes: u64,
    /// When.
    pub at: Stamp,
    /// Why.
    pub reason: String,
}

/// The most rows of one kind for one host: a host that makes up streams must not fill the table. What is beyond is
/// counted in one row more.
pub const MAX_OF_KIND: i64 = 100;
/// What that row is about.
const OTHERS: &str = "others";

pub(super) const STATEMENTS: &[Statement] =
    &[ADD, OF_HOST, OPEN, COUNT, UNSENT, SENT, REFUSED, N_REFUSED, EXPIRE];

// A residue is found once, however often its sum is looked at.
const ADD: Statement = insert(
    "finding.add",
    "insert into finding (bucket, host, kind, about, id, state, severity, n, first_found, last_found, evidence)
     select $1, $2, $3,
            case when exists (select from finding where bucket = $1 and host = $2 and kind = $3 and about = $4)
                   or (select count(*) from finding where bucket = $1 and host = $2 and kind = $3) < $9
                 then $4 else $10 end,
            $5, 'open', $6, 1, $7, $7, $8::text::jsonb
         on conflict (bucket, host, kind, about)
         do update set n = finding.n + 1, last_found = greatest(finding.last_found, excluded.last_found)
         where finding.kind <> 'residue' or finding.about = $10",
);

const OF_HOST: Statement = routed(
    "finding.of_host",
    "select id, host, kind, about, state, severity, n, first_found, last_found, evidence::text as evidence
       from finding where bucket = $1 and host = $2
      order by severity desc, last_found desc limit $3",
);

const OPEN: Statement = fan_out(
    "finding.open",
    "select id, host, kind, about, state, severity, n, first_found, last_found, evidence::text as evidence
       from finding where state = 'open'
      order by severity desc, last_found desc limit $1",
);

const COUNT: Statement = fan_out("finding.count", "select count(*) from finding where state = 'open'");

const UNSENT: Statement = routed(
    "finding.unsent",
    "select id, host, kind, about, state, severity, n, first_found, last_found, evidence::text as evidence
       from finding where bucket = any($1) and n > n_exported
      order by last_found limit $2",
);

const SENT: Statement = routed(
    "finding.sent",
    "update finding
        set n_exported = greatest(n_exported, $5), refused = $6, refused_topic = $7, refused_n_bytes = $8, refused_reason = $9,
            refused_id = $10
      where bucket = $1 and host = $2 and kind = $3 and about = $4",
);

const REFUSED: Statement = fan_out(
    "finding.refused",
    "select refused_id, host, refused, refused_topic, refused_n_bytes, refused_reason
       from finding where refused is not null
      order by refused desc, host, refused_id limit $1",
);

const N_REFUSED: Statement =
    fan_out("finding.n_refused", "select count(*) from finding where refused is not null");

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
        .bind(MAX_OF_KIND)
        .bind(OTHERS)
        .execute(conn)
        .await?;
    Ok(())
}

/// A host's findings, the gravest first, then the latest; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn of_host(conn: &mut PgConnection, host: HostId, limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(OF_HOST.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(record).collect()
}

/// The open findings of all hosts, the gravest first, then the latest; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn open(conn: &mut PgConnection, limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(OPEN.sql).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter().map(record).collect()
}

/// How many findings are open.
///
/// # Errors
/// When the database fails.
pub async fn n_open(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let n: i64 = sqlx::query(COUNT.sql).fetch_one(conn).await?.try_get(0)?;
    Ok(n.unsigned_abs())
}

/// Findings of these buckets that have been found since they were exported last, the oldest first; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn unsent(conn: &mut PgConnection, buckets: &[i16], limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(UNSENT.sql).bind(buckets).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter().map(record).collect()
}

/// Notes that it is exported as it stood, or that the sink refused that.
///
/// # Errors
/// When the database fails.
pub async fn sent(
    conn: &mut PgConnection,
    finding: &Record,
    refusal: Option<&Refusal>,
) -> Result<(), StoreError> {
    let Record { host, kind, about, n, .. } = finding;
    sqlx::query(SENT.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(kind)
        .bind(about)
        .bind(n.cast_signed())
        .bind(refusal.map(|refusal| refusal.at))
        .bind(refusal.map(|refusal| &refusal.topic))
        .bind(refusal.map(|refusal| refusal.n_bytes.cast_signed()))
        .bind(refusal.map(|refusal| refusal.reason.replace('\0', "\\x00")))
        .bind(refusal.map(|refusal| &refusal.id))
        .execute(conn)
        .await?;
    Ok(())
}

/// The hosts of those that the sink refused when they were exported last, and why; the last first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn refused(conn: &mut PgConnection, limit: u32) -> Result<Vec<(HostId, Refusal)>, StoreError> {
    let rows = sqlx::query(REFUSED.sql).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let refusal = Refusal {
                id: row.try_get("refused_id")?,
                topic: row.try_get("refused_topic")?,
                n_bytes: row.try_get::<i64, _>("refused_n_bytes")?.unsigned_abs(),
                at: row.try_get("refused")?,
                reason: row.try_get("refused_reason")?,
            };
            Ok((HostId::new(row.try_get("host")?), refusal))
        })
        .collect()
}

/// How many of them there are.
///
/// # Errors
/// When the database fails.
pub async fn n_refused(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let n: i64 = sqlx::query(N_REFUSED.sql).fetch_one(conn).await?.try_get(0)?;
    Ok(n.unsigned_abs())
}

fn record(row: &PgRow) -> Result<Record, StoreError> {
    let evidence: String = row.try_get("evidence")?;
    Ok(Record {
        id: row.try_get("id")?,
        host: HostId::new(row.try_get("host")?),
        kind: row.try_get("kind")?,
        about: row.try_get("about")?,
        state: row.try_get("state")?,
        severity: row.try_get("severity")?,
        n: row.try_get::<i64, _>("n")?.unsigned_abs(),
        first_found: row.try_get("first_found")?,
        last_found: row.try_get("last_found")?,
        evidence: serde_json::from_str(&evidence).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use wire::flat::Outer;
    use wire::time::WallTime;

    use super::*;
    use crate::record::{Format, HostFacts, finding};

    #[test]
    fn every_kind_is_told_in_words_of_its_own() {
        let host = HostId::new(Uuid::nil());
        let outer =
            Outer { host, host_name: "h".into(), host_tags: Vec::new(), received: WallTime::default() };
        for kind in Kind::ALL {
            let found = Finding {
                id: Uuid::nil(),
                host,
                kind: kind.name(),
                about: "this",
                is_open: true,
                severity: kind.severity(),
                n: 1,
                first_found: WallTime::default(),
                last_found: WallTime::default(),
                evidence: &serde_json::Value::Null,
            };
            assert_ne!(found.summary(), format!("{}: this", kind.name()));
            let record = finding(Format::Ocsf, &found, &outer, &HostFacts::default());
            let json = String::from_utf8_lossy(&record.value).into_owned();
            assert!(!json.contains(r#""title":"A finding""#), "{json}");
        }
    }
}
