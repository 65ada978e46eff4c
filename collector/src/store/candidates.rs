//! Reading, first step: which segments may hold what is searched for. Keys only, newest first.
//!
//! A search calls [`fresh`] once, which also fixes its [`Horizon`], and then [`merged`] page by page with that
//! horizon. So it meets every batch that was stored when it began exactly once, although the merger moves
//! batches meanwhile: what was fresh at the horizon is in the first answer, and is left out of all later ones.
//! Directories and payloads are read by key in a second step ([`super::slices`]); a fresh segment that has been
//! merged and dropped by then is found again with [`moved`].

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;
use wire::id::HostId;

use super::directory::host_term;
use super::statements::{Statement, fan_out, routed};
use super::{Group, Stamp, StoreError};

const DAY_US: i64 = 86_400_000_000;

/// What a segment must have to be a candidate.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The buckets of the hosts that are looked at; all 64 where no host is named.
    pub buckets: Vec<i16>,
    /// Only these hosts; all where `None`. A fresh segment holds other hosts too: its directory tells.
    pub hosts: Option<Vec<HostId>>,
    /// Indexed times from here on.
    pub since: Stamp,
    /// Indexed times up to and including this.
    pub until: Stamp,
    /// For each of these lists: at least one of its terms. Empty: everything is a candidate.
    pub terms: Vec<Vec<i64>>,
}

/// Which of the two tables a segment is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// The last minutes, many hosts a segment.
    Fresh,
    /// For good, one host a segment.
    Merged(HostId),
}

/// What finds a segment again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SegmentKey {
    /// Which table, and there which host.
    pub place: Place,
    /// Its bucket.
    pub bucket: i16,
    /// Its id.
    pub id: Uuid,
    /// The partition it is in.
    pub received: Stamp,
    /// The latest indexed time of its events.
    pub latest: Stamp,
}

/// A segment that may hold what is searched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Where it is.
    pub key: SegmentKey,
    /// The earliest indexed time of its events.
    pub earliest: Stamp,
    /// How many events it holds.
    pub n_events: u32,
}

/// How far a group was merged when a search began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Horizon {
    merged_upto: Stamp,
}

/// Where a page ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageEnd {
    /// The `latest` of its last candidate.
    pub latest: Stamp,
    /// The id of its last candidate.
    pub id: Uuid,
}

impl From<&Candidate> for PageEnd {
    fn from(candidate: &Candidate) -> Self {
        Self { latest: candidate.key.latest, id: candidate.key.id }
    }
}

pub(super) const STATEMENTS: &[Statement] = &[FRESH, MERGED, BY_TERM, MOVED, HOLDING_FRESH, HOLDING_MERGED];

// One statement, so one snapshot: what the merger has moved is either here or below the horizon. The subquery
// is asked before the scan starts, so partitions below it are not even opened.
const FRESH: Statement = routed(
    "candidates.fresh",
    "select m.merged_upto, f.bucket, f.id, f.received, f.latest, f.earliest, f.n_events
       from (select merged_upto from merge where bucket = $1) m
       left join lateral (
            select bucket, id, received, latest, earliest, n_events from fresh
             where bucket = $1
               and received >= (select merged_upto from merge where bucket = $1)
               and latest >= $2 and earliest <= $3 {terms}) f on true
      order by f.latest desc, f.id desc",
);

const MERGED: Statement = fan_out(
    "candidates.merged",
    "select bucket, host, id, received, latest, earliest, n_events from segment
      where bucket = any($1) {hosts}
        and received >= $2 and received < $3
        and latest >= $4 and earliest <= $5
        and (not merged or received < $6)
        {page} {terms}
      order by latest desc, id desc
      limit $7",
);

// The same by terms, over all hosts. Unpacking the terms of a row costs far more than the planner thinks, so only their
// index may be used: the fence (`offset 0`) keeps the order outside, sums hide columns from the other indexes, and the
// one by receipt is for statements that say `bucket >= 0`. However small the page, all candidates are found.
const BY_TERM: Statement = fan_out(
    "candidates.by_term",
    "select bucket, host, id, received, latest, earliest, n_events
       from (select bucket, host, id, received, latest, earliest, n_events from segment
              where bucket + 0 = any($1) {hosts}
                and received >= $2 and received < $3
                and latest + interval '0' >= $4 and earliest <= $5
                and (not merged or received < $6)
                {terms} offset 0) s
      where true {page}
      order by latest desc, id desc
      limit $7",
);

const MOVED: Statement = fan_out(
    "candidates.moved",
    "select bucket, host, id, received, latest, earliest, n_events from segment
      where bucket = any($1) and merged {hosts}
        and received >= $2 and received < $3
        and latest >= $4 and earliest <= $5 {terms}
      order by latest desc, id desc",
);

const HOLDING_FRESH: Statement = routed(
    "candidates.holding_fresh",
    "select bucket, id, received, latest, earliest, n_events from fresh
      where bucket = $1 and received = $2 and received >= (select merged_upto from merge where bucket = $1)",
);

// A merged segment is under the first commit of those it came out of. `bucket >= 0` opens the index by receipt.
const HOLDING_MERGED: Statement = routed(
    "candidates.holding_merged",
    "select bucket, host, id, received, latest, earliest, n_events from segment
      where bucket = $1 and bucket >= 0 and host = $2
        and (received = $3 or (merged and received >= $4 and received <= $3))",
);

/// The segments that may hold the batch a `process` or `connection` row came with: those of the commit at
/// `received`, wherever the merger has put them. They hold other batches too.
///
/// # Errors
/// When the database fails.
pub async fn holding(
    conn: &mut PgConnection,
    group: Group,
    host: HostId,
    received: Stamp,
) -> Result<Vec<Candidate>, StoreError> {
    let minute = received.start_of(super::partitions::MINUTE_US);
    let rows = sqlx::query(HOLDING_MERGED.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(received)
        .bind(minute)
        .fetch_all(&mut *conn)
        .await?;
    let mut found = rows.iter().map(merged_candidate).collect::<Result<Vec<_>, _>>()?;
    let rows = sqlx::query(HOLDING_FRESH.sql).bind(group.bucket()).bind(received).fetch_all(conn).await?;
    for row in &rows {
        found.push(candidate(row, Place::Fresh)?);
    }
    Ok(found)
}

/// Whether [`merged`] finds all candidates to give a page of them: then pages should be few.
pub fn is_by_term(wanted: &Wanted) -> bool {
    wanted.hosts.is_none() && !wanted.terms.is_empty()
}

/// Every fresh segment of the group that may match, newest first, and the horizon for [`merged`].
///
/// # Errors
/// When the database fails.
pub async fn fresh(
    conn: &mut PgConnection,
    group: Group,
    wanted: &Wanted,
) -> Result<(Horizon, Vec<Candidate>), StoreError> {
    let mut terms = wanted.terms.clone();
    terms.extend(wanted.hosts.as_ref().map(|hosts| hosts.iter().copied().map(host_term).collect()));
    let sql = FRESH.sql.replace("{terms}", &term_clauses(&terms, 4));
    let mut query =
        sqlx::query(AssertSqlSafe(sql)).bind(group.bucket()).bind(wanted.since).bind(wanted.until);
    for any in arrays(&terms) {
        query = query.bind(any);
    }
    let mut horizon = Horizon { merged_upto: Stamp::from_unix_us(i64::MIN) };
    let mut found = Vec::new();
    for row in query.fetch_all(conn).await? {
        horizon.merged_upto = row.try_get("merged_upto")?;
        if row.try_get::<Option<Uuid>, _>("id")?.is_some() {
            found.push(candidate(&row, Place::Fresh)?);
        }
    }
    Ok((horizon, found))
}

/// The next merged segments that may match, newest first (by their latest event, then id), at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn merged(
    conn: &mut PgConnection,
    wanted: &Wanted,
    horizon: Horizon,
    after: Option<PageEnd>,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let mut next = 8;
    let hosts = wanted.hosts.as_ref().map_or(String::new(), |_| clause("and host = any($#)", &mut next));
    let page = after.map_or(String::new(), |_| clause("and (latest, id) < ($#, $#)", &mut next));
    let statement = if is_by_term(wanted) { BY_TERM } else { MERGED };
    let sql = statement
        .sql
        .replace("{hosts}", &hosts)
        .replace("{page}", &page)
        .replace("{terms}", &term_clauses(&wanted.terms, next));
    let (from, to) = receipt(wanted);
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(&wanted.buckets)
        .bind(from)
        .bind(to)
        .bind(wanted.since)
        .bind(wanted.until)
        .bind(horizon.merged_upto)
        .bind(i64::from(limit));
    if let Some(hosts) = &wanted.hosts {
        query = query.bind(uuids(hosts));
    }
    if let Some(end) = after {
        query = query.bind(end.latest).bind(end.id);
    }
    for any in arrays(&wanted.terms) {
        query = query.bind(any);
    }
    query.fetch_all(conn).await?.iter().map(merged_candidate).collect()
}

/// The merged segments that a fresh segment's batches may have gone to: for a search that finds a fresh
/// segment dropped before it was read. They hold other batches too: match them by stream and first sequence.
///
/// # Errors
/// When the database fails.
pub async fn moved(
    conn: &mut PgConnection,
    wanted: &Wanted,
    gone: SegmentKey,
) -> Result<Vec<Candidate>, StoreError> {
    let mut next = 6;
    let hosts = wanted.hosts.as_ref().map_or(String::new(), |_| clause("and host = any($#)", &mut next));
    let sql = MOVED.sql.replace("{hosts}", &hosts).replace("{terms}", &term_clauses(&wanted.terms, next));
    let minute = gone.received.start_of(super::partitions::MINUTE_US);
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(&wanted.buckets)
        .bind(minute)
        .bind(minute.plus_us(super::partitions::MINUTE_US))
        .bind(wanted.since)
        .bind(wanted.until);
    if let Some(hosts) = &wanted.hosts {
        query = query.bind(uuids(hosts));
    }
    for any in arrays(&wanted.terms) {
        query = query.bind(any);
    }
    query.fetch_all(conn).await?.iter().map(merged_candidate).collect()
}

/// Indexed times lie within a day of receipt, so only those partitions are looked at.
fn receipt(wanted: &Wanted) -> (Stamp, Stamp) {
    (wanted.since.plus_us(-DAY_US - 1), wanted.until.plus_us(DAY_US + 1))
}

fn candidate(row: &PgRow, place: Place) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        key: SegmentKey {
            place,
            bucket: row.try_get("bucket")?,
            id: row.try_get("id")?,
            received: row.try_get("received")?,
            latest: row.try_get("latest")?,
        },
        earliest: row.try_get("earliest")?,
        n_events: row.try_get::<i32, _>("n_events")?.unsigned_abs(),
    })
}

fn merged_candidate(row: &PgRow) -> Result<Candidate, StoreError> {
    candidate(row, Place::Merged(HostId::new(row.try_get("host")?)))
}

fn uuids(hosts: &[HostId]) -> Vec<Uuid> {
    hosts.iter().map(|host| host.uuid()).collect()
}

/// `text` with each `$#` replaced by the next parameter.
fn clause(text: &str, next: &mut usize) -> String {
    let mut out = String::new();
    let mut parts = text.split('#');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(&next.to_string());
        out.push_str(part);
        *next += 1;
    }
    out
}

/// One `@>` for all the terms that must be there, and one `&&` for each list with a choice.
fn term_clauses(terms: &[Vec<i64>], first: usize) -> String {
    let mut next = first;
    let mut out = String::new();
    if terms.iter().any(|any| any.len() == 1) {
        out.push_str(&clause("and terms @> $#", &mut next));
    }
    for _ in terms.iter().filter(|any| any.len() != 1) {
        out.push_str(&clause(" and terms && $#", &mut next));
    }
    out
}

/// The arrays that [`term_clauses`] has parameters for, in their order.
fn arrays(terms: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let all: Vec<i64> = terms.iter().filter(|any| any.len() == 1).flatten().copied().collect();
    let choices = terms.iter().filter(|any| any.len() != 1).cloned();
    if all.is_empty() { choices.collect() } else { std::iter::once(all).chain(choices).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_clause_has_its_array() {
        let terms = vec![vec![1], vec![2, 3], vec![4], vec![]];
        assert_eq!(term_clauses(&terms, 4), "and terms @> $4 and terms && $5 and terms && $6");
        assert_eq!(arrays(&terms), [vec![1, 4], vec![2, 3], vec![]]);
        assert_eq!(term_clauses(&[], 4), "");
        assert!(arrays(&[]).is_empty());
    }
}
