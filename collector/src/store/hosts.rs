//! `host`: who is enrolled, whether it still may, and what was last heard of it.

use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;
use wire::authority::AuthorityId;
use wire::enrolment::HostFacts;
use wire::id::{BootId, HostId};

use super::authorities::{ids, lines};
use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

pub mod whereabouts;

/// A certificate's serial number.
pub type Serial = [u8; 16];

/// A host about to be enrolled.
#[derive(Debug, Clone)]
pub struct NewHost<'a> {
    /// Its new id.
    pub id: HostId,
    /// What it says of itself.
    pub facts: &'a HostFacts,
    /// From the enrolment token.
    pub tags: &'a [String],
    /// The serial number of its first certificate.
    pub serial: Serial,
    /// When that certificate ends.
    pub certified_until: Stamp,
    /// The time of enrolment.
    pub now: Stamp,
}

/// A renewal about to be granted.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// Whose.
    pub host: HostId,
    /// The certificate that was shown.
    pub shown: Serial,
    /// The one that is given for it.
    pub given: Serial,
    /// When that one ends.
    pub certified_until: Stamp,
    /// When the one that was shown was made.
    pub made: Stamp,
}

/// A host that called by a valid certificate.
#[derive(Debug, Clone)]
pub struct Certificated {
    /// Which host.
    pub id: HostId,
    /// The serial number of its certificate.
    pub serial: Serial,
    /// When that ends.
    pub certified_until: Stamp,
    /// What it says of itself.
    pub facts: HostFacts,
}

/// What keeps a host from renewing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Good,
    /// It is not, or no longer, in the store.
    Unknown,
    /// An operator revoked it.
    Revoked,
    /// The certificate shown is older than the last two: another holder of its key has renewed since.
    Superseded,
}

/// What was heard of a host in a session, to be written down.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// Which host.
    pub id: HostId,
    /// When it was last heard.
    pub last_seen: Stamp,
    /// Where it called from, if it has called since the last sighting.
    pub called: Option<Called>,
    /// `wire::frame::sensor::Facts` as JSON, if a heartbeat has come since.
    pub facts: Option<String>,
    /// The clock's offset and its uncertainty in ns, if measured.
    pub clock: Option<(i64, i64)>,
    /// How it stands with the authorities, if it has said since.
    pub standing: Option<TrustSeen>,
}

/// How a host stands with the fleet's authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustSeen {
    /// The key that signed the certificate by which it connected (its authority key identifier).
    pub issuer: Vec<u8>,
    /// The authorities that it says it trusts.
    pub trusts: Vec<AuthorityId>,
}

/// What a host says of itself when it connects.
#[derive(Debug, Clone)]
pub struct Called {
    /// Its address and port.
    pub address: String,
    /// Its boot.
    pub boot: BootId,
    /// What can be seen on it, one sight a line, as `wire::frame::sensor::Hello` has them.
    pub capabilities: String,
    /// What else it says.
    pub facts: HostFacts,
}

/// A host as it is stored.
#[derive(Debug, Clone)]
pub struct HostRecord {
    /// Its id.
    pub id: HostId,
    /// Its name, a claim.
    pub name: String,
    /// `key=value`, from its enrolment token.
    pub tags: Vec<String>,
    /// When it was enrolled.
    pub enrolled: Stamp,
    /// When its last certificate ends.
    pub certified_until: Stamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Stamp>,
    /// When it was last heard, to the half minute.
    pub last_seen: Option<Stamp>,
    /// Where it last called from.
    pub address: Option<String>,
    /// The kernel's release.
    pub kernel: String,
    /// The architecture.
    pub arch: String,
    /// The sensor's version.
    pub sensor_version: String,
    /// What can be seen on it, one sight a line, as [`Called`] has it; none: it has not said.
    pub capabilities: Option<String>,
    /// Its last boot.
    pub boot: Option<BootId>,
    /// The collector's clock minus the host's, in ns.
    pub clock_offset_ns: Option<i64>,
    /// Half the round trip that was measured with, in ns.
    pub clock_uncertainty_ns: Option<i64>,
    /// `wire::frame::sensor::Facts` of its last heartbeat, as JSON.
    pub facts: Option<String>,
    /// Where it is connected now, if it is.
    pub connected: Option<ConnectedTo>,
    /// The key that signed the certificate by which it last connected; `None`: its sensor does not tell what it trusts.
    pub issuer: Option<Vec<u8>>,
    /// The authorities that it says it trusts.
    pub trusts: Vec<AuthorityId>,
}

/// The collector that a host is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedTo {
    /// The run of that collector.
    pub run: Uuid,
    /// Its machine's name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
}

impl HostRecord {
    /// A host of which nothing more is known.
    pub fn named(id: HostId, name: &str, enrolled: Stamp) -> Self {
        Self {
            id,
            name: name.to_owned(),
            tags: Vec::new(),
            enrolled,
            certified_until: enrolled,
            revoked: None,
            last_seen: None,
            address: None,
            kernel: String::new(),
            arch: String::new(),
            sensor_version: String::new(),
            capabilities: None,
            boot: None,
            clock_offset_ns: None,
            clock_uncertainty_ns: None,
            facts: None,
            connected: None,
            issuer: None,
            trusts: Vec::new(),
        }
    }
}

pub(super) const STATEMENTS: &[Statement] =
    &[ENROLL, RENEW, STANDING, REVOKE, REVOKED, SIGHTED, ADOPT, TRUSTED, ALL];

const ENROLL: Statement = maintenance(
    "host.enroll",
    "insert into host (id, bucket, name, tags, enrolled, certificate, certified_until, kernel, arch, sensor_version, boot)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
);

// A certificate tells when it was made to the second: one made in the second in which a backup was begun may be unknown to it.
const RENEW: Statement = maintenance(
    "host.renew",
    "update host set certificate = $3, previous = $2, certified_until = $4, unsure = null
         where id = $1 and revoked is null and (certificate = $2 or previous = $2 or date_trunc('second', unsure) <= $5)",
);

// Only into a store that came out of a backup: a host without a row was enrolled after that was made.
const ADOPT: Statement = maintenance(
    "host.adopt",
    "insert into host (id, bucket, name, tags, enrolled, certificate, certified_until, kernel, arch, sensor_version, boot)
     select a.id, a.bucket, a.name, '{}', $2, a.certificate, a.certified_until, a.kernel, a.arch, a.sensor_version, a.boot
       from unnest($1::uuid[], $3::smallint[], $4::text[], $5::bytea[], $6::timestamptz[], $7::text[], $8::text[],
                   $9::text[], $10::uuid[])
            as a (id, bucket, name, certificate, certified_until, kernel, arch, sensor_version, boot)
      where exists (select from restore)
         on conflict (id) do nothing
     returning id",
);

const STANDING: Statement = maintenance(
    "host.standing",
    "select revoked is not null as revoked, (certificate = $2 or coalesce(previous = $2, false)) as current
         from host where id = $1",
);

const REVOKE: Statement =
    maintenance("host.revoke", "update host set revoked = coalesce(revoked, $2) where id = $1");

const REVOKED: Statement = maintenance("host.revoked", "select id from host where revoked is not null");

const SIGHTED: Statement = maintenance(
    "host.sighted",
    "update host h set
             last_seen = greatest(h.last_seen, s.last_seen),
             address = coalesce(s.address, h.address),
             name = coalesce(s.name, h.name),
             kernel = coalesce(s.kernel, h.kernel),
             arch = coalesce(s.arch, h.arch),
             sensor_version = coalesce(s.sensor_version, h.sensor_version),
             capabilities = coalesce(s.capabilities, h.capabilities),
             boot = coalesce(s.boot, h.boot),
             facts = coalesce(s.facts::jsonb, h.facts),
             clock_offset_ns = coalesce(s.clock_offset_ns, h.clock_offset_ns),
             clock_uncertainty_ns = coalesce(s.clock_uncertainty_ns, h.clock_uncertainty_ns),
             issuer = coalesce(s.issuer, h.issuer),
             trusts = coalesce(s.trusts, h.trusts)
         from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::uuid[], $9::text[], $10::bigint[], $11::bigint[], $12::text[], $13::bytea[], $14::text[])
             as s (id, last_seen, address, name, kernel, arch, sensor_version, boot, facts,
                   clock_offset_ns, clock_uncertainty_ns, capabilities, issuer, trusts)
         where h.id = s.id",
);

const ALL: Statement = maintenance(
    "host.all",
    "select h.id, h.name, tags, enrolled, certified_until, revoked, h.last_seen, address, kernel, arch, sensor_version,
                capabilities, boot, issuer, trusts, clock_offset_ns, clock_uncertainty_ns, facts::text as facts,
                c.run as collector, c.name as collector_name, c.listen as collector_listen
         from host h
         left join collector c on c.run = h.collector and c.last_seen > clock_timestamp() - interval '15 s'
         order by h.name, h.id",
);

const TRUSTED: Statement = maintenance(
    "host.trusted",
    "select count(*) as n, array_agg(distinct trusts) filter (where trusts is not null) as trusts
       from host where revoked is null",
);

/// How many hosts may connect, and which authorities they say they trust, taken together.
///
/// # Errors
/// When the database fails.
pub async fn trusted(db: impl PgExecutor<'_>) -> Result<(usize, Vec<AuthorityId>), StoreError> {
    let row = sqlx::query(TRUSTED.sql).fetch_one(db).await?;
    let n = usize::try_from(row.try_get::<i64, _>("n")?).unwrap_or(0);
    let trusts: Option<Vec<String>> = row.try_get("trusts")?;
    Ok((n, trusts.unwrap_or_default().iter().flat_map(|lines| ids(lines)).collect()))
}

/// Writes down a new host.
///
/// # Errors
/// When the database fails.
pub async fn enroll(db: impl PgExecutor<'_>, host: NewHost<'_>) -> Result<(), StoreError> {
    sqlx::query(ENROLL.sql)
        .bind(host.id.uuid())
        .bind(host.id.bucket())
        .bind(&host.facts.name)
        .bind(host.tags)
        .bind(host.now)
        .bind(&host.serial[..])
        .bind(host.certified_until)
        .bind(&host.facts.kernel)
        .bind(&host.facts.arch)
        .bind(&host.facts.sensor_version)
        .bind(host.facts.boot)
        .execute(db)
        .await?;
    Ok(())
}

/// Replaces a host's certificate by the one given, if the one shown is its last or the one before, and the
/// host is not revoked. In a store that was restored, one made after the backup does, too, once. Returns whether it did;
/// [`standing`] says why not.
///
/// # Errors
/// When the database fails.
pub async fn renew(db: impl PgExecutor<'_>, renewal: Renewal) -> Result<bool, StoreError> {
    let done = sqlx::query(RENEW.sql)
        .bind(renewal.host.uuid())
        .bind(&renewal.shown[..])
        .bind(&renewal.given[..])
        .bind(renewal.certified_until)
        .bind(renewal.made)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a host that shows this certificate may renew.
///
/// # Errors
/// When the database fails.
pub async fn standing(db: impl PgExecutor<'_>, host: HostId, shown: Serial) -> Result<Standing, StoreError> {
    let row = sqlx::query(STANDING.sql).bind(host.uuid()).bind(&shown[..]).fetch_optional(db).await?;
    let Some(row) = row else { return Ok(Standing::Unknown) };
    Ok(match (row.try_get("revoked")?, row.try_get("current")?) {
        (true, _) => Standing::Revoked,
        (false, false) => Standing::Superseded,
        (false, true) => Standing::Good,
    })
}

/// Revokes a host, for ever. Returns whether there is one of this id; the first time stands.
///
/// # Errors
/// When the database fails.
pub async fn revoke(db: impl PgExecutor<'_>, host: HostId, now: Stamp) -> Result<bool, StoreError> {
    let done = sqlx::query(REVOKE.sql).bind(host.uuid()).bind(now).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// The revoked hosts.
///
/// # Errors
/// When the database fails.
pub async fn revoked(db: impl PgExecutor<'_>) -> Result<Vec<HostId>, StoreError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(REVOKED.sql).fetch_all(db).await?;
    Ok(ids.into_iter().map(HostId::new).collect())
}

/// Writes down what was heard of many hosts, in one statement.
///
/// # Errors
/// When the database fails.
pub async fn sighted(db: impl PgExecutor<'_>, sightings: &[Sighting]) -> Result<(), StoreError> {
    let column = |pick: &dyn Fn(&Called) -> String| -> Vec<Option<String>> {
        sightings.iter().map(|s| s.called.as_ref().map(pick)).collect()
    };
    sqlx::query(SIGHTED.sql)
        .bind(sightings.iter().map(|s| s.id.uuid()).collect::<Vec<_>>())
        .bind(sightings.iter().map(|s| s.last_seen).collect::<Vec<_>>())
        .bind(column(&|c| c.address.clone()))
        .bind(column(&|c| c.facts.name.clone()))
        .bind(column(&|c| c.facts.kernel.clone()))
        .bind(column(&|c| c.facts.arch.clone()))
        .bind(column(&|c| c.facts.sensor_version.clone()))
        .bind(sightings.iter().map(|s| s.called.as_ref().map(|c| c.boot.uuid())).collect::<Vec<_>>())
        .bind(sightings.iter().map(|s| s.facts.clone()).collect::<Vec<_>>())
        .bind(sightings.iter().map(|s| s.clock.map(|c| c.0)).collect::<Vec<_>>())
        .bind(sightings.iter().map(|s| s.clock.map(|c| c.1)).collect::<Vec<_>>())
        .bind(column(&|c| c.capabilities.clone()))
        .bind(sightings.iter().map(|s| s.standing.as_ref().map(|t| t.issuer.clone())).collect::<Vec<_>>())
        .bind(sightings.iter().map(|s| s.standing.as_ref().map(|t| lines(&t.trusts))).collect::<Vec<_>>())
        .execute(db)
        .await?;
    Ok(())
}

/// Gives rows to those of these hosts that have none, if the store came out of a backup; returns which.
///
/// # Errors
/// When the database fails.
pub async fn adopt(
    db: impl PgExecutor<'_>,
    hosts: &[Certificated],
    now: Stamp,
) -> Result<Vec<HostId>, StoreError> {
    let text =
        |pick: fn(&HostFacts) -> &String| hosts.iter().map(|h| pick(&h.facts).clone()).collect::<Vec<_>>();
    let ids: Vec<Uuid> = sqlx::query_scalar(ADOPT.sql)
        .bind(hosts.iter().map(|h| h.id.uuid()).collect::<Vec<_>>())
        .bind(now)
        .bind(hosts.iter().map(|h| h.id.bucket()).collect::<Vec<_>>())
        .bind(text(|facts| &facts.name))
        .bind(hosts.iter().map(|h| h.serial.to_vec()).collect::<Vec<_>>())
        .bind(hosts.iter().map(|h| h.certified_until).collect::<Vec<_>>())
        .bind(text(|facts| &facts.kernel))
        .bind(text(|facts| &facts.arch))
        .bind(text(|facts| &facts.sensor_version))
        .bind(hosts.iter().map(|h| h.facts.boot).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    Ok(ids.into_iter().map(HostId::new).collect())
}

/// Every host, by name and then id. A small table: thousands of rows.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<HostRecord>, StoreError> {
    sqlx::query(ALL.sql)
        .fetch_all(db)
        .await?
        .into_iter()
        .map(|row| {
            Ok(HostRecord {
                id: HostId::new(row.try_get("id")?),
                name: row.try_get("name")?,
                tags: row.try_get("tags")?,
                enrolled: row.try_get("enrolled")?,
                certified_until: row.try_get("certified_until")?,
                revoked: row.try_get("revoked")?,
                last_seen: row.try_get("last_seen")?,
                address: row.try_get("address")?,
                kernel: row.try_get("kernel")?,
                arch: row.try_get("arch")?,
                sensor_version: row.try_get("sensor_version")?,
                capabilities: row.try_get("capabilities")?,
                boot: row.try_get::<Option<Uuid>, _>("boot")?.map(BootId::new),
                clock_offset_ns: row.try_get("clock_offset_ns")?,
                clock_uncertainty_ns: row.try_get("clock_uncertainty_ns")?,
                facts: row.try_get("facts")?,
                connected: match row.try_get::<Option<Uuid>, _>("collector")? {
                    Some(run) => Some(ConnectedTo {
                        run,
                        name: row.try_get("collector_name")?,
                        listen: row.try_get("collector_listen")?,
                    }),
                    None => None,
                },
                issuer: row.try_get("issuer")?,
                trusts: row
                    .try_get::<Option<String>, _>("trusts")?
                    .map_or_else(Vec::new, |lines| ids(&lines)),
            })
        })
        .collect()
}
