//! What is wrong now, one line each. Pure.

use crate::api::hosts::facts;
use crate::store::Stamp;
use crate::store::accounts::Totals;
use crate::store::collectors;
use crate::store::findings;
use crate::store::hosts::HostRecord;
use crate::store::partitions::MINUTE_US;

/// A host not heard of for so long is silent.
const SILENT_US: i64 = 10 * MINUTE_US;
/// A host not heard of for so long is gone, and no longer news.
const GONE_US: i64 = 7 * 86_400_000_000;
/// Merging this far behind is wrong: searches get slow.
const LATE_US: i64 = 5 * MINUTE_US;
/// A clock this far off, corrected or not, is worth a word.
const CLOCK_NS: u64 = 60_000_000_000;
/// At most so many hosts are named for one thing.
const MAX_NAMED: usize = 5;

/// At most so many findings have a line of their own.
pub(super) const MAX_FINDINGS: u32 = 10;
/// A collector silent for so long is no longer news.
const COLLECTOR_GONE_US: u128 = 3_600_000_000;

/// What is known when it is asked what is wrong.
pub(super) struct Seen<'a> {
    pub(super) now: Stamp,
    pub(super) merge_lag_us: i64,
    /// How long a host's certificate is valid.
    pub(super) certificate_us: i64,
    pub(super) records: &'a [HostRecord],
    pub(super) totals: &'a [Totals],
    pub(super) collectors: &'a [collectors::Record],
    /// The first of those that are open.
    pub(super) findings: &'a [findings::Record],
    pub(super) n_findings: u64,
    pub(super) n_quarantined: u64,
}

/// What is wrong, one line each. Pure.
pub(super) fn wrong(seen: &Seen<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    if seen.merge_lag_us > LATE_US {
        let minutes = seen.merge_lag_us / MINUTE_US;
        wrong.push(format!(
            "merging is {minutes} minutes behind, searches get slower: see the collector's log"
        ));
    }
    let age = |at: Stamp| seen.now.unix_us().saturating_sub(at.unix_us());
    let standing = || seen.records.iter().filter(|record| record.revoked.is_none());
    let silent = standing()
        .filter(|record| record.last_seen.is_some_and(|at| (SILENT_US..GONE_US).contains(&age(at))));
    wrong.extend(named("not heard of for over 10 minutes", silent));
    let never = standing().filter(|record| record.last_seen.is_none() && age(record.enrolled) > SILENT_US);
    wrong.extend(named("enrolled, but its sensor has never connected", never));
    let expiring = standing().filter(|record| {
        let is_live = record.last_seen.is_some_and(|at| age(at) < SILENT_US);
        // It is renewed at half of its life.
        is_live && age(record.certified_until) > -seen.certificate_us / 4
    });
    wrong.extend(named("its certificate ends soon and was not renewed", expiring));
    let clock =
        standing().filter(|record| record.clock_offset_ns.is_some_and(|ns| ns.unsigned_abs() > CLOCK_NS));
    wrong.extend(named("its clock is over a minute off (times are corrected)", clock));
    for record in standing() {
        let live = record.last_seen.is_some_and(|at| age(at) < SILENT_US);
        for trouble in facts(record).filter(|_| live).iter().flat_map(|facts| &facts.troubles) {
            wrong.push(format!("{}: {trouble}", record.name));
        }
    }
    wrong.extend(seen.collectors.iter().filter(|run| is_missed(run, seen.collectors)).map(|run| {
        let seconds = run.silent.as_secs();
        format!(
            "{} (a collector at {}): not heard of for {seconds} s, and it did not stop cleanly",
            run.name, run.listen
        )
    }));
    let by_id = |totals: &&Totals| seen.records.iter().find(|record| record.id == totals.host);
    let rejected = seen.totals.iter().filter(|totals| totals.account.rejected > 0);
    wrong.extend(named(
        "sent batches that were refused (see `vedette hosts show`)",
        rejected.filter_map(|t| by_id(&t)),
    ));
    let lost = seen.totals.iter().filter(|totals| totals.account.lost > 0 || totals.account.dropped > 0);
    wrong.extend(named(
        "events were lost or dropped (see `vedette hosts show`)",
        lost.filter_map(|t| by_id(&t)),
    ));
    let residue = seen.totals.iter().filter(|totals| totals.n_residues > 0);
    wrong.extend(named(
        "its ledger does not add up: events vanished or were made up",
        residue.filter_map(|t| by_id(&t)),
    ));
    if seen.n_quarantined > 0 {
        let n = seen.n_quarantined;
        wrong.push(format!("{n} batches could not be stored and are kept aside (see `vedette quarantine`)"));
    }
    for finding in seen.findings {
        let host = seen.records.iter().find(|record| record.id == finding.host);
        let name = host.map_or_else(|| finding.host.to_string(), |record| record.name.clone());
        wrong.push(format!("{name}: {}", finding.finding().summary()));
    }
    match seen.n_findings.saturating_sub(seen.findings.len() as u64) {
        0 => {}
        more => wrong.push(format!("{more} more findings (see `vedette findings`)")),
    }
    wrong
}

/// `web-1, web-2 and 3 more: what`.
/// Whether a collector went without a word, lately, and was not started again.
fn is_missed(run: &collectors::Record, all: &[collectors::Record]) -> bool {
    let is_back = all.iter().any(|other| other.id == run.id && other.is_alive());
    !run.is_alive() && !is_back && run.silent.as_micros() < COLLECTOR_GONE_US
}

fn named<'a>(what: &str, hosts: impl Iterator<Item = &'a HostRecord>) -> Option<String> {
    let names: Vec<&str> = hosts.map(|record| record.name.as_str()).collect();
    let (shown, rest) = names.split_at(names.len().min(MAX_NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!shown.is_empty()).then(|| format!("{}{more}: {what}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;
    use wire::id::HostId;

    use super::*;
    use crate::account::Account;
    use crate::store::partitions::DAY_US;

    const NOW: Stamp = Stamp::from_unix_us(1_700_000_000_000_000);

    fn record(n: u128) -> HostRecord {
        let (id, name) = (HostId::new(Uuid::from_u128(n)), format!("web-{n}"));
        HostRecord {
            certified_until: NOW.plus_us(DAY_US / 2),
            last_seen: Some(NOW),
            clock_offset_ns: Some(0),
            ..HostRecord::named(id, &name, NOW.plus_us(-GONE_US))
        }
    }

    fn totals(n: u128, account: Account) -> Totals {
        let host = HostId::new(Uuid::from_u128(n));
        let n_residues = u64::from(account.residue() != 0);
        Totals { host, n_streams: 1, account, n_residues, last_received: NOW }
    }

    fn seen<'a>(records: &'a [HostRecord], totals: &'a [Totals]) -> Seen<'a> {
        Seen {
            now: NOW,
            merge_lag_us: MINUTE_US,
            certificate_us: DAY_US,
            records,
            totals,
            collectors: &[],
            findings: &[],
            n_findings: 0,
            n_quarantined: 0,
        }
    }

    #[test]
    fn nothing_is_wrong_with_a_healthy_fleet() {
        let totals = [totals(1, Account { generated: 10, stored: 9, merged: 1, ..Account::default() })];
        let records = [record(1)];
        let seen = seen(&records, &totals);
        assert_eq!(wrong(&seen), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_each() {
        let mut records: Vec<HostRecord> = (1..=8).map(record).collect();
        records.iter_mut().for_each(|record| record.last_seen = Some(NOW.plus_us(-SILENT_US)));
        records.push(HostRecord { certified_until: NOW.plus_us(DAY_US / 5), ..record(9) });
        let totals = [totals(2, Account { generated: 10, stored: 8, lost: 1, ..Account::default() })];
        let run = |id, silent| collectors::Record {
            run: Uuid::from_u128(id),
            id: Uuid::from_u128(id % 10),
            name: format!("c{id}"),
            listen: "0.0.0.0:7443".into(),
            version: "0.1.0".into(),
            started: NOW,
            last_seen: NOW,
            silent: Duration::from_secs(silent),
            n_sessions: 1,
        };
        // The third is the second, started again; the fourth has been gone for long.
        let collectors = [run(1, 40), run(2, 50), run(12, 1), run(3, 4_000)];
        let finding = findings::Record {
            id: Uuid::nil(),
            host: HostId::new(Uuid::from_u128(3)),
            kind: "gap".into(),
            about: "E.bulk".into(),
            state: "open".into(),
            severity: 3,
            n: 1,
            first_found: NOW,
            last_found: NOW,
            evidence: serde_json::json!({"stored_up_to": 5, "went_on_at": 9}),
        };
        let seen = Seen {
            merge_lag_us: 7 * MINUTE_US,
            collectors: &collectors,
            findings: &[finding],
            n_findings: 3,
            n_quarantined: 2,
            ..seen(&records, &totals)
        };
        assert_eq!(
            wrong(&seen),
            [
                "merging is 7 minutes behind, searches get slower: see the collector's log",
                "web-1, web-2, web-3, web-4, web-5 and 3 more: not heard of for over 10 minutes",
                "web-9: its certificate ends soon and was not renewed",
                "c1 (a collector at 0.0.0.0:7443): not heard of for 40 s, and it did not stop cleanly",
                "web-2: events were lost or dropped (see `vedette hosts show`)",
                "web-2: its ledger does not add up: events vanished or were made up",
                "2 batches could not be stored and are kept aside (see `vedette quarantine`)",
                "web-3: E.bulk was stored up to 5, and its sensor went on at 9 without saying what became of the rest",
                "2 more findings (see `vedette findings`)",
            ]
        );
    }

    #[test]
    fn revoked_hosts_are_no_news() {
        let mut revoked = record(1);
        (revoked.revoked, revoked.last_seen) = (Some(NOW), None);
        let records = [revoked];
        let seen = seen(&records, &[]);
        assert_eq!(wrong(&seen), Vec::<String>::new());
    }
}
