//! `stream`, added up: the equation of every host, and of every lane.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use wire::id::{HostId, Lane};

use super::statements::{Statement, fan_out};
use super::{Stamp, StoreError};
use crate::account::Account;

/// The counters of all of a host's streams together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The host.
    pub host: HostId,
    /// How many streams.
    pub n_streams: u64,
    /// The sum of their equations, each at its last boundary.
    pub account: Account,
    /// How many of them have a residue.
    pub n_residues: u64,
    /// When anything was last received.
    pub last_received: Stamp,
}

/// The counters of one lane of all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneTotals {
    /// The lane.
    pub lane: Lane,
    /// Whether only each host's newest epoch is in it.
    pub is_live: bool,
    /// How many streams.
    pub n_streams: u64,
    /// The sum of their equations, each at its last boundary.
    pub account: Account,
    /// How many of them have a residue.
    pub n_residues: u64,
}

pub(super) const STATEMENTS: &[Statement] = &[HOSTS, LANES];

// Counters are whatever hosts say: sums are exact, and cut to what fits.
macro_rules! sums {
    () => {
        "count(*) as n_streams,
         least(greatest(sum(generated), 0), 9223372036854775807)::bigint as generated,
         least(greatest(sum(n_stored), 0), 9223372036854775807)::bigint as stored,
         least(greatest(sum(merged), 0), 9223372036854775807)::bigint as merged,
         least(greatest(sum(lost), 0), 9223372036854775807)::bigint as lost,
         least(greatest(sum(dropped) + sum(coalesce(boundary_shed, n_shed)), 0), 9223372036854775807)::bigint
            as dropped,
         least(greatest(sum(n_rejected) - sum(next_seq - coalesce(boundary_seq, next_seq)
            - (n_shed - coalesce(boundary_shed, n_shed))), 0), 9223372036854775807)::bigint as rejected,
         count(*) filter (where generated::numeric - merged - lost - dropped - coalesce(boundary_seq, next_seq)
            + next_seq - n_stored - n_shed - n_rejected <> 0) as n_residues"
    };
}

const HOSTS: Statement = fan_out(
    "account.hosts",
    concat!("select host, max(last_received) as last_received, ", sums!(), " from stream group by host"),
);

// The live ones are those of each host's newest epoch: epochs are in order of time.
const LANES: Statement = fan_out(
    "account.lanes",
    concat!(
        "select lane, is_live, ",
        sums!(),
        " from (select *, false as is_live from stream
                union all
                (select distinct on (host, lane) *, true from stream order by host, lane, epoch desc)) s
          group by lane, is_live order by lane, is_live"
    ),
);

/// The counters of every host that has streams.
///
/// # Errors
/// When the database fails.
pub async fn of_hosts(conn: &mut PgConnection) -> Result<Vec<Totals>, StoreError> {
    let rows = sqlx::query(HOSTS.sql).fetch_all(conn).await?;
    let total = |row: &PgRow| {
        Ok(Totals {
            host: HostId::new(row.try_get("host")?),
            n_streams: number(row, "n_streams")?,
            account: account(row)?,
            n_residues: number(row, "n_residues")?,
            last_received: row.try_get("last_received")?,
        })
    };
    rows.iter().map(total).collect()
}

/// The counters of each lane, of all epochs and of the live ones.
///
/// # Errors
/// When the database fails.
pub async fn of_lanes(conn: &mut PgConnection) -> Result<Vec<LaneTotals>, StoreError> {
    let rows = sqlx::query(LANES.sql).fetch_all(conn).await?;
    let total = |row: &PgRow| {
        let lane: i16 = row.try_get("lane")?;
        Ok(LaneTotals {
            lane: if lane == Lane::Critical as i16 { Lane::Critical } else { Lane::Bulk },
            is_live: row.try_get("is_live")?,
            n_streams: number(row, "n_streams")?,
            account: account(row)?,
            n_residues: number(row, "n_residues")?,
        })
    };
    rows.iter().map(total).collect()
}

fn account(row: &PgRow) -> Result<Account, StoreError> {
    Ok(Account {
        generated: number(row, "generated")?,
        stored: number(row, "stored")?,
        merged: number(row, "merged")?,
        lost: number(row, "lost")?,
        dropped: number(row, "dropped")?,
        rejected: number(row, "rejected")?,
    })
}

fn number(row: &PgRow, name: &str) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>(name)?.unsigned_abs())
}
