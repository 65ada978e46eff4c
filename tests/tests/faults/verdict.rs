//! What must be true when a round is over: what was acknowledged is stored, nothing is stored twice or made up, and
//! what is not stored is counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::fault::Leaves;
use tests::site::Site;
use tests::site::host::Host;

/// A lane and the number of an event of it.
type Event = (String, u64);

/// What became of a round's events, of all hosts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) made: u64,
    pub(crate) found: u64,
    /// Events of batches that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Lost, dropped, shed or rejected, by the ledger.
    pub(crate) counted: u64,
}

/// A line of the journal of batches.
type Batch = (u64, String, String, u64, u64, u64);
/// A line of the journal of acknowledgements.
type Step = (String, String, u64);

/// Judges the round that has ended.
pub(crate) fn judge(site: &mut Site, leaves: Leaves) -> anyhow::Result<Tally> {
    let mut all = Tally::default();
    for i in 0..site.hosts.len() {
        let tally = one(site, i, leaves).with_context(|| site.hosts[i].name.clone())?;
        all.made += tally.made;
        all.found += tally.found;
        all.acknowledged += tally.acknowledged;
        all.counted += tally.counted;
    }
    let findings = site.server.sql("select host, kind, about, evidence from finding")?;
    ensure!(leaves > Leaves::Nothing || findings.trim().is_empty(), "there are findings: {findings}");
    Ok(all)
}

fn one(site: &mut Site, i: usize, leaves: Leaves) -> anyhow::Result<Tally> {
    let host = &site.hosts[i];
    let state = host.state().context("it says nothing")?;
    let made: HashSet<Event> = [("critical", 0), ("bulk", 1)]
        .into_iter()
        .flat_map(|(name, lane)| (site.began[i][lane]..state.made[lane]).map(move |n| (name.to_owned(), n)))
        .collect();
    let found = found(site, host)?;
    let gone = gone(site, host)?;
    let obliged = obliged(host, site.round)?;

    let twice: Vec<_> = found.iter().filter(|(_, n)| **n > 1).collect();
    ensure!(twice.is_empty(), "{} events are stored more than once, such as {:?}", twice.len(), twice[0]);
    let spurious: Vec<_> = found.keys().filter(|event| !made.contains(*event)).collect();
    ensure!(spurious.is_empty(), "{} events were never made, such as {:?}", spurious.len(), spurious[0]);
    let missing: Vec<_> =
        obliged.iter().filter(|(event, place)| !found.contains_key(*event) && !is_in(&gone, place)).collect();
    ensure!(
        missing.is_empty(),
        "{} acknowledged events are not stored, such as {:?}",
        missing.len(),
        missing[0]
    );
    let (counted, residues) = ledger(site, host)?;
    ensure!(residues.is_empty(), "the ledger does not close: {residues:?}");
    let counted_now = counted - site.counted[i];
    site.counted[i] = counted;

    let unstored = made.len() as u64 - found.len() as u64;
    match leaves {
        Leaves::Nothing => {
            ensure!(
                unstored == 0,
                "{unstored} of {} events are not stored ({counted_now} counted)",
                made.len()
            );
            ensure!(counted_now == 0, "{counted_now} events are counted as gone and all are stored");
        }
        Leaves::Crash | Leaves::Shed => {
            ensure!(unstored <= counted_now, "{unstored} events are not stored, and {counted_now} counted");
        }
        Leaves::Memory => {}
    }
    Ok(Tally {
        made: made.len() as u64,
        found: found.len() as u64,
        acknowledged: obliged.len() as u64,
        counted: counted_now,
    })
}

/// The round's events of a host as a search finds them, with how often.
fn found(site: &Site, host: &Host) -> anyhow::Result<HashMap<Event, usize>> {
    let query = format!("file.path:/numbered/{}/*", site.round);
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let mut counts = HashMap::new();
    let words = ["search", &query, "--host", &host.id, "--since", "12h", "--until", &tomorrow.to_string()];
    for event in site.json(&[&words[..], &["--limit", "1000000", "--output", "json"]].concat())? {
        let path = event.pointer("/file/path").and_then(Value::as_str).context("an event without a path")?;
        let mut parts = path.rsplit('/');
        let number = parts.next().and_then(|n| n.parse().ok()).context("a path without a number")?;
        let lane = parts.next().context("a path without a lane")?.to_owned();
        *counts.entry((lane, number)).or_default() += 1;
    }
    Ok(counts)
}

/// The events of the round whose batches were acknowledged, with their places in their streams.
fn obliged(host: &Host, round: u64) -> anyhow::Result<HashMap<Event, (String, String, u64)>> {
    let mut upto: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (epoch, lane, next) in host.journal::<Step>("acknowledged")? {
        let known = upto.entry((epoch, lane)).or_default();
        *known = next.max(*known);
    }
    let mut obliged = HashMap::new();
    for (of, epoch, lane, first_seq, n_events, first_number) in host.journal::<Batch>("batches")? {
        let acknowledged = upto.get(&(epoch.clone(), lane.clone())).copied().unwrap_or(0);
        if of != round || first_seq + n_events > acknowledged {
            continue;
        }
        for i in 0..n_events {
            obliged.insert((lane.clone(), first_number + i), (epoch.clone(), lane.clone(), first_seq + i));
        }
    }
    Ok(obliged)
}

/// What a host's streams have instead of events: first and last sequence, by stream.
type Gaps = HashMap<(String, String), Vec<(u64, u64)>>;

fn gone(site: &Site, host: &Host) -> anyhow::Result<Gaps> {
    let mut gaps = Gaps::new();
    let text = site.server.sql(&format!(
        "select epoch, case lane when 0 then 'critical' else 'bulk' end, first_seq, first_seq + n_events
           from gap where host = '{}'",
        host.id
    ))?;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let [epoch, lane, first, upto] = line.split('|').collect::<Vec<_>>()[..] else {
            anyhow::bail!("{line} is no gap")
        };
        gaps.entry((epoch.to_owned(), lane.to_owned())).or_default().push((first.parse()?, upto.parse()?));
    }
    Ok(gaps)
}

fn is_in(gaps: &Gaps, (epoch, lane, seq): &(String, String, u64)) -> bool {
    let of_stream = gaps.get(&(epoch.clone(), lane.clone()));
    of_stream.is_some_and(|gaps| gaps.iter().any(|(first, upto)| (first..upto).contains(&seq)))
}

/// What the ledger of all of a host's streams counts as not stored, and the streams of which `vedette hosts show` says that
/// it does not close.
fn ledger(site: &Site, host: &Host) -> anyhow::Result<(u64, Vec<Value>)> {
    let counted = site.server.sql(&format!(
        "select coalesce(sum(lost + dropped + n_shed + n_rejected), 0) from stream where host = '{}'",
        host.id
    ))?;
    let shown = site.json(&["hosts", "show", &host.id, "--output", "json"])?;
    let streams =
        shown.first().and_then(|host| host.get("streams")?.as_array()).context("no streams are shown")?;
    let is_open = |stream: &&Value| stream.get("residue").and_then(Value::as_i64) != Some(0);
    Ok((counted.trim().parse()?, streams.iter().filter(is_open).cloned().collect()))
}
