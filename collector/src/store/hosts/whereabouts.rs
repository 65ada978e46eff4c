//! Which collector a host is connected to, as all of them see it.
//!
//! The host's row names the run of a collector and since when; it counts while that run is heard of. Ages are measured by
//! each collector on a clock that never jumps, and become times by the database's clock.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;
use wire::id::{BootId, HostId};

use crate::store::StoreError;
use crate::store::statements::{Statement, maintenance};

/// A host at one collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Which host.
    pub host: HostId,
    /// How long ago its newest session here began; `None`: it has none.
    pub begun: Option<Duration>,
    /// How long ago it was last heard here; `None`: not since it was last written down.
    pub heard: Option<Duration>,
}

/// The newer session at another collector of a host that is still heard here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Which host.
    pub host: HostId,
    /// When that session began, in µs since 1970: tells one such session from the next.
    pub since_us: i64,
    /// The boot it told there.
    pub boot: Option<BootId>,
    /// Where it called from.
    pub address: Option<String>,
}

pub(in crate::store) const STATEMENTS: &[Statement] = &[ELSEWHERE, PLACE];

// For two seconds what was on its way to the older session may still arrive.
const ELSEWHERE: Statement = maintenance(
    "host.elsewhere",
    "select h.id, h.boot, h.address, (extract(epoch from h.connected) * 1000000)::bigint as since_us
       from unnest($2::uuid[], $3::float8[], $4::float8[]) as s (id, begun_us, heard_us)
       join host h on h.id = s.id
       join collector c on c.run = h.collector and c.last_seen > clock_timestamp() - interval '15 s'
      where h.collector <> $1 and s.begun_us is not null
        and clock_timestamp() - s.begun_us * interval '1 microsecond' < h.connected
        and clock_timestamp() - s.heard_us * interval '1 microsecond' > h.connected + interval '2 s'",
);

// Where it has the newest session; another collector's word holds while that one lives.
const PLACE: Statement = maintenance(
    "host.place",
    "update host h
        set collector = case when s.begun_us is not null then $1 end,
            connected = case when s.begun_us is not null
                             then clock_timestamp() - s.begun_us * interval '1 microsecond' end
       from unnest($2::uuid[], $3::float8[]) as s (id, begun_us)
      where h.id = s.id
        and case when s.begun_us is null then h.collector = $1
                 else h.collector is null or h.collector = $1
                   or clock_timestamp() - s.begun_us * interval '1 microsecond' > h.connected
                   or not exists (select from collector c where c.run = h.collector
                                     and c.last_seen > clock_timestamp() - interval '15 s')
            end",
);

/// Writes down where these hosts are connected, as run `run` sees it, and returns those that are still heard here although
/// they have connected elsewhere since.
///
/// # Errors
/// When the database fails.
pub async fn place(
    conn: &mut PgConnection,
    run: Uuid,
    hosts: &[Whereabouts],
) -> Result<Vec<Elsewhere>, StoreError> {
    let us = |age: Duration| age.as_micros() as f64;
    let ids: Vec<Uuid> = hosts.iter().map(|h| h.host.uuid()).collect();
    let begun: Vec<Option<f64>> = hosts.iter().map(|h| h.begun.map(us)).collect();
    let heard: Vec<Option<f64>> = hosts.iter().map(|h| h.heard.map(us)).collect();
    let rows = sqlx::query(ELSEWHERE.sql)
        .bind(run)
        .bind(&ids)
        .bind(&begun)
        .bind(&heard)
        .fetch_all(&mut *conn)
        .await?;
    sqlx::query(PLACE.sql).bind(run).bind(&ids).bind(&begun).execute(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(Elsewhere {
                host: HostId::new(row.try_get("id")?),
                since_us: row.try_get("since_us")?,
                boot: row.try_get::<Option<Uuid>, _>("boot")?.map(BootId::new),
                address: row.try_get("address")?,
            })
        })
        .collect()
}
