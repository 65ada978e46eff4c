//! Writes what sessions report of their hosts into the host table, gathered, so that thousands of
//! heartbeats are one statement. There all collectors see where each host is connected; one that is heard at two of them
//! at once is found out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;
use wire::enrolment::HostFacts;
use wire::frame::sensor::{Facts, Hello, MAX_CAPABILITY_BYTES};
use wire::id::HostId;
use wire::time::WallTime;

use crate::enrolment::facts::tidy;
use crate::listener::{Connected, Finding, HostReport, Sessions};
use crate::store::findings::{Found, Kind};
use crate::store::hosts::whereabouts::{self, Elsewhere, Whereabouts};
use crate::store::hosts::{Called, Certificated, Sighting, TrustSeen};
use crate::store::{self, Pool, Stamp, StoreError, audit};

/// How often what was gathered may be written.
const TICK: Duration = Duration::from_millis(250);
/// How many ticks heartbeats are gathered for. Who has just connected is written at the next tick: people
/// watch for it.
const TICKS: u32 = 40;
/// How many findings wait at most for a database that does not answer.
const MAX_FINDINGS: usize = 1000;

/// For whom, and into what, is written.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// This run of this collector.
    pub run: Uuid,
    /// Who is connected here.
    pub sessions: Arc<Sessions>,
}

/// Gathers reports and writes them, until the last sender is gone.
pub async fn run(config: Config, mut reports: mpsc::Receiver<HostReport>) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut gathered = Gathered::default();
    loop {
        tokio::select! {
            report = reports.recv() => match report {
                Some(report) => gathered.take(report),
                None => return write(&config, &mut gathered).await,
            },
            _ = every.tick() => {
                gathered.n_ticks += 1;
                if gathered.urgent || gathered.n_ticks >= TICKS {
                    write(&config, &mut gathered).await;
                }
            }
        }
    }
}

/// What has been reported and not yet written: at most one sighting for each host.
#[derive(Debug, Default)]
struct Gathered {
    hosts: HashMap<HostId, Sighting>,
    /// When each of them was last heard.
    heard: HashMap<HostId, Instant>,
    /// Newer sessions elsewhere that were told of: each is one finding.
    elsewhere: HashMap<HostId, i64>,
    /// Who called since the last time, by which certificate.
    callers: Vec<Certificated>,
    findings: Vec<Found>,
    urgent: bool,
    n_ticks: u32,
}

impl Gathered {
    fn take(&mut self, report: HostReport) {
        match report {
            HostReport::Connected { host, address, at, hello } => {
                self.heard.insert(host.host, Instant::now());
                let called = called(address.to_string(), &hello);
                self.callers.push(Certificated {
                    id: host.host,
                    serial: host.serial,
                    certified_until: Stamp::from_unix_us(host.not_after.saturating_mul(1_000_000)),
                    facts: called.facts.clone(),
                });
                self.of(host.host, at).called = Some(called);
                self.urgent = true;
            }
            HostReport::Heartbeat { host, at, facts } => {
                self.heard.insert(host.host, Instant::now());
                let sighting = self.of(host.host, at);
                sighting.clock = clock(&facts);
                sighting.facts = facts_json(&facts);
            }
            HostReport::Trusts { host, at, issuer, authorities } => {
                self.of(host.host, at).standing = Some(TrustSeen { issuer, trusts: authorities });
                self.urgent = true;
            }
            HostReport::Disconnected { host, at, .. } => {
                self.of(host.host, at);
                self.urgent = true;
            }
            HostReport::Finding { host, at, finding } => {
                self.findings.push(found(host.host, Stamp::floor(at), &finding));
                self.urgent = true;
            }
        }
    }

    /// A host that is heard here has a newer session at another collector.
    fn found_elsewhere(&mut self, ours: &Connected, elsewhere: Elsewhere) {
        let Elsewhere { host, since_us, boot, address } = elsewhere;
        if self.elsewhere.insert(host, since_us) == Some(since_us) {
            return;
        }
        if self.elsewhere.len() > MAX_FINDINGS {
            self.elsewhere.clear();
        }
        let evidence = json!({
            "boots": [Some(ours.boot.to_string()), boot.map(|boot| boot.to_string())],
            "addresses": [Some(ours.address.to_string()), address],
            "collectors": 2,
        });
        tracing::warn!(host.id = %host, %evidence, "host {host} is connected to two collectors at once");
        let at = Stamp::floor(ours.since);
        self.findings.push(Found { host, kind: Kind::Clone, about: "certificate".to_owned(), at, evidence });
    }

    fn of(&mut self, id: HostId, at: WallTime) -> &mut Sighting {
        let at = Stamp::floor(at);
        let sighting = self.hosts.entry(id).or_insert(Sighting {
            id,
            last_seen: at,
            called: None,
            facts: None,
            clock: None,
            standing: None,
        });
        sighting.last_seen = sighting.last_seen.max(at);
        sighting
    }
}

async fn write(config: &Config, gathered: &mut Gathered) {
    (gathered.urgent, gathered.n_ticks) = (false, 0);
    let placed = write_hosts(config, gathered).await;
    if let Err(error) = placed {
        // Kept, and written with the next: there is at most one for each host.
        let (n_hosts, error) = (gathered.hosts.len(), wire::cause::chain(&error));
        tracing::warn!(n_hosts, error, "cannot write down what {n_hosts} hosts reported: {error}");
    }
    if let Err(error) = write_findings(&config.pool, &mut gathered.findings).await {
        let (n, error) = (gathered.findings.len(), wire::cause::chain(&error));
        tracing::warn!(n, error, "cannot write down {n} findings: {error}");
        gathered.findings.truncate(MAX_FINDINGS);
    }
}

async fn write_hosts(config: &Config, gathered: &mut Gathered) -> Result<(), StoreError> {
    if gathered.hosts.is_empty() {
        return Ok(());
    }
    if let Err(error) = adopt(&config.pool, &mut gathered.callers).await {
        let error = wire::cause::chain(&error);
        tracing::warn!(error, "cannot look for hosts that the store does not know: {error}");
    }
    let mut conn = config.pool.acquire().await?;
    // In one order: another collector may write of the same hosts.
    let mut sightings: Vec<_> = gathered.hosts.values().cloned().collect();
    sightings.sort_unstable_by_key(|sighting| sighting.id);
    let newest = |host| config.sessions.of(host).into_iter().max_by_key(|session| session.begun);
    let sessions: HashMap<HostId, Connected> =
        sightings.iter().filter_map(|s| Some((s.id, newest(s.id)?))).collect();
    let whereabouts: Vec<Whereabouts> = sightings
        .iter()
        .map(|sighting| Whereabouts {
            host: sighting.id,
            begun: sessions.get(&sighting.id).map(|session| session.begun.elapsed()),
            heard: gathered.heard.get(&sighting.id).map(Instant::elapsed),
        })
        .collect();
    // Before what this collector was told overwrites what the other was told.
    for elsewhere in whereabouts::place(&mut conn, config.run, &whereabouts).await? {
        if let Some(ours) = sessions.get(&elsewhere.host) {
            gathered.found_elsewhere(ours, elsewhere);
        }
    }
    store::hosts::sighted(&mut *conn, &sightings).await?;
    gathered.hosts.clear();
    gathered.heard.clear();
    Ok(())
}

/// Takes up hosts that were enrolled after the backup was made which the store came out of.
async fn adopt(pool: &Pool, callers: &mut Vec<Certificated>) -> Result<(), StoreError> {
    // One host may have called twice.
    callers.sort_by_key(|caller| (caller.id, std::cmp::Reverse(caller.certified_until)));
    callers.dedup_by_key(|caller| caller.id);
    let us = jiff::Timestamp::now().as_microsecond();
    let adopted = match callers.is_empty() {
        true => Vec::new(),
        false => store::hosts::adopt(pool, callers, Stamp::from_unix_us(us)).await?,
    };
    callers.clear();
    for host in adopted {
        tracing::warn!(host.id = %host, "took up host {host}, which was enrolled after the backup was made; its tags are lost");
        let entry = audit::Entry {
            at: Stamp::from_unix_us(us),
            actor: "collector",
            action: "host.adopt",
            about: &format!("host:{host}"),
            address: None,
            outcome: audit::Outcome::Done,
            detail: Some("enrolled after the backup that was restored"),
        };
        audit::append(pool, entry).await?;
    }
    Ok(())
}

async fn write_findings(pool: &Pool, findings: &mut Vec<Found>) -> Result<(), StoreError> {
    if findings.is_empty() {
        return Ok(());
    }
    let mut conn = pool.acquire().await?;
    while let Some(found) = findings.last() {
        store::findings::add(&mut conn, found).await?;
        findings.pop();
    }
    Ok(())
}

fn found(host: HostId, at: Stamp, finding: &Finding) -> Found {
    let (kind, about, evidence) = match finding {
        Finding::Cloned { boots: [older, newer], addresses: [first, second] } => (
            Kind::Clone,
            "certificate".to_owned(),
            json!({
                "boots": [older.to_string(), newer.to_string()],
                "addresses": [first.to_string(), second.to_string()],
            }),
        ),
        Finding::Skipped { epoch, lane, told, from } => {
            (Kind::Gap, format!("{epoch}.{lane}"), json!({"stored_up_to": told, "went_on_at": from}))
        }
        Finding::BrokenChain { epoch, lane, seq } => {
            (Kind::Chain, format!("{epoch}.{lane}"), json!({"seq": seq, "at": "tombstone"}))
        }
    };
    tracing::warn!(host.id = %host, kind = kind.name(), %evidence, "found something wrong with host {host}");
    Found { host, kind, about, at, evidence }
}

fn called(address: String, hello: &Hello) -> Called {
    Called {
        address,
        boot: hello.boot,
        capabilities: capabilities(hello),
        facts: HostFacts {
            name: tidy(&hello.host_name, 253),
            kernel: tidy(&hello.kernel_release, 128),
            arch: tidy(&hello.arch, 128),
            sensor_version: tidy(&hello.sensor_version, 128),
            boot: Some(hello.boot.uuid()),
        },
    }
}

/// One a line: no line holds another.
fn capabilities(hello: &Hello) -> String {
    let lines = hello.capabilities.iter().map(|capability| tidy(capability, MAX_CAPABILITY_BYTES));
    lines.collect::<Vec<_>>().join("\n")
}

fn clock(facts: &Facts) -> Option<(i64, i64)> {
    let uncertainty = i64::try_from(facts.clock_uncertainty_ns).ok()?;
    Some((facts.clock_offset_ns, uncertainty))
}

/// The facts as JSON that the database takes: without NUL, which its text cannot hold.
fn facts_json(facts: &Facts) -> Option<String> {
    let mut facts = facts.clone();
    for trouble in &mut facts.troubles {
        *trouble = tidy(trouble, 256);
    }
    serde_json::to_string(&facts).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::listener::HostIdentity;

    #[test]
    fn many_reports_of_a_host_become_one_sighting() {
        let id = HostId::new(Uuid::from_u128(1));
        let host = HostIdentity { host: id, serial: [1; 16], not_after: 0 };
        let mut gathered = Gathered::default();
        for second in [3, 1, 2] {
            gathered.take(HostReport::Heartbeat {
                host,
                at: WallTime::from_unix_ns(second * 1_000_000_000),
                facts: Box::new(Facts { troubles: vec!["a\0b".to_owned()], ..Facts::default() }),
            });
        }
        let sighting = gathered.hosts.get(&id).expect("one");
        assert_eq!(gathered.hosts.len(), 1);
        assert_eq!(sighting.last_seen, Stamp::from_unix_us(3_000_000));
        assert!(sighting.facts.as_deref().is_some_and(|json| json.contains("\"ab\"")));
    }
}
