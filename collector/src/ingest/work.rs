//! What one transaction writes: the watermarks first, then what they stand for.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;
use wire::id::StreamId;

use super::parcel::{Content, Parcel};
use super::plan::{Track, Verdict};
use super::segments::{Built, Member};
use crate::account::{self, Boundary, Residue};
use crate::store::candidates::{Place, SegmentKey};
use crate::store::connection::{self, ConnectionRow};
use crate::store::gaps::{self, Cause};
use crate::store::process::{self, ProcessRow};
use crate::store::quarantine::{self, Refused};
use crate::store::streams::{self, Advance};
use crate::store::{
    Begin as _, Conn, Group, Stamp, StoreError, announce, findings, fresh, progress, segment,
};

/// What one transaction writes.
pub(super) struct Work<'a> {
    advances: Vec<Advance>,
    large: Vec<Member<'a>>,
    small: Vec<Member<'a>>,
    /// Tombstones and refused batches.
    passed: Vec<&'a Parcel>,
    findings: Vec<findings::Found>,
    /// Of streams whose ledger does not add up somewhere: the ends of their batches.
    unbalanced: BTreeMap<StreamId, Vec<Boundary>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        group: &'a [Parcel],
        verdicts: &[Verdict],
        before: &HashMap<StreamId, Track>,
        after: &HashMap<StreamId, Track>,
    ) -> Self {
        let mut advances: HashMap<StreamId, Advance> = HashMap::new();
        let mut work = Self {
            advances: vec![],
            large: vec![],
            small: vec![],
            passed: vec![],
            findings: vec![],
            unbalanced: BTreeMap::new(),
        };
        for (parcel, verdict) in group.iter().zip(verdicts) {
            let received = Stamp::floor(parcel.received);
            match verdict {
                Verdict::Behind(_) | Verdict::Gap => continue,
                Verdict::Conflict(_) => {
                    work.findings.push(found(parcel, findings::Kind::Conflict, received));
                    continue;
                }
                Verdict::Broken(_) => work.findings.push(found(parcel, findings::Kind::Chain, received)),
                Verdict::Next(_) => {}
            }
            let (Some(from), Some(to)) = (before.get(&parcel.stream), after.get(&parcel.stream)) else {
                continue;
            };
            let advance = advances.entry(parcel.stream).or_insert(Advance {
                stream: parcel.stream,
                from: from.at,
                to: to.at,
                n_stored: 0,
                n_shed: 0,
                n_rejected: 0,
                boundary: None,
                n_shed_before: 0,
                received,
            });
            advance.received = advance.received.max(received);
            match &parcel.content {
                Content::Batch(sealed, admitted) => {
                    advance.n_stored += parcel.n_events;
                    advance.boundary = Some(admitted.boundary);
                    advance.n_shed_before = advance.n_shed;
                    let streams::Boundary { end_seq, ledger, .. } = admitted.boundary;
                    work.unbalanced.entry(parcel.stream).or_default().push(Boundary { end_seq, ledger });
                    if admitted.n_tampered > 0 {
                        work.findings.push(found(parcel, findings::Kind::Tamper, received));
                    }
                    let n_events = u32::try_from(parcel.n_events).unwrap_or(u32::MAX);
                    let (stream, first_seq) = (parcel.stream, parcel.first_seq);
                    let member = Member { stream, first_seq, n_events, received, sealed, admitted };
                    if member.is_large() { work.large.push(member) } else { work.small.push(member) }
                }
                Content::Refused(..) => {
                    advance.n_rejected += parcel.n_events;
                    work.passed.push(parcel);
                }
                Content::Tombstone(_) => {
                    advance.n_shed += parcel.n_events;
                    work.passed.push(parcel);
                }
            }
        }
        work.unbalanced.retain(|_, boundaries| boundaries.iter().any(|boundary| boundary.residue() != 0));
        work.advances = advances.into_values().collect();
        // Every collector locks rows in this order.
        work.advances.sort_by_cached_key(|a| (a.stream.host.bucket(), a.stream));
        work
    }

    pub(super) fn is_empty(&self) -> bool {
        self.advances.is_empty() && self.findings.is_empty()
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        self.large.iter().chain(&self.small)
    }

    /// Writes it all, or nothing; the segments that it went into. Tells `announce`, if given, that this run of a collector
    /// has stored it.
    pub(super) async fn write(
        &self,
        conn: &mut Conn,
        group: Group,
        now: Stamp,
        announce: Option<Uuid>,
    ) -> Result<Vec<SegmentKey>, StoreError> {
        let mut tx = conn.begin().await?;
        let residues = self.residues(&mut tx, now).await?;
        let expected = self.advances.len();
        let n = if expected == 0 { 0 } else { streams::advance(&mut tx, &self.advances).await? as usize };
        if n != expected {
            return Err(StoreError::Moved { n, expected });
        }
        let large: Vec<Built> = self.large.iter().copied().map(Built::alone).collect();
        let large: Vec<_> = large.iter().zip(&self.large).map(|(b, m)| (m.stream.host, b.row(now))).collect();
        let small = Built::together(self.small.clone());
        let small: Vec<_> = small.iter().map(|built| built.row(now)).collect();
        let of_large = large.iter().map(|(host, row)| row.key(Place::Merged(*host), host.bucket()));
        let of_small = small.iter().map(|row| row.key(Place::Fresh, group.bucket()));
        let keys: Vec<SegmentKey> = of_large.chain(of_small).collect();
        if let Some(run) = announce {
            announce::stored(&mut tx, run, &keys).await?;
        }
        let has_small = !small.is_empty();
        segment::add(&mut tx, false, large.into_iter()).await?;
        fresh::add(&mut tx, group, small.into_iter()).await?;
        let rows = || self.members().map(|member| &member.admitted.rows);
        let processes = rows().flat_map(|r| &r.processes).map(|p| ProcessRow { received: now, ..*p });
        process::add(&mut tx, processes).await?;
        let connections = rows().flat_map(|r| &r.connections).map(|c| ConnectionRow { received: now, ..*c });
        connection::add(&mut tx, connections).await?;
        for parcel in &self.passed {
            self.pass(&mut tx, parcel).await?;
        }
        for found in self.findings.iter().chain(&residues) {
            findings::add(&mut tx, found).await?;
        }
        if has_small {
            // Asked after the rows were written: the merger waits for whoever has written into a minute
            // before it takes it, so what it has taken by now is what it took without us.
            let merged_upto = progress::merged_upto(&mut tx, group).await?;
            if merged_upto > now {
                return Err(StoreError::Merged { received: now, merged_upto });
            }
        }
        tx.commit().await?;
        Ok(keys)
    }

    /// Where a ledger ceases to add up. Nobody moves these streams on meanwhile, or this transaction fails.
    async fn residues(&self, conn: &mut Conn, now: Stamp) -> Result<Vec<findings::Found>, StoreError> {
        let mut found = Vec::new();
        for (stream, boundaries) in &self.unbalanced {
            let before = streams::one(conn, *stream).await?.map(|record| record.boundary());
            let residues = account::residues(before.unwrap_or_default(), boundaries);
            found.extend(residues.iter().map(|residue| residual(*stream, residue, now)));
        }
        Ok(found)
    }

    async fn pass(&self, conn: &mut Conn, parcel: &Parcel) -> Result<(), StoreError> {
        let received = Stamp::floor(parcel.received);
        let (stream, first_seq, n_events) = (parcel.stream, parcel.first_seq, parcel.n_events);
        let cause = match &parcel.content {
            Content::Batch(..) => return Ok(()),
            Content::Tombstone(_) => Cause::Shed,
            Content::Refused(sealed, refusal) => {
                let reason = &refusal.said;
                let refused = Refused { stream, first_seq, n_events, received, reason, sealed };
                quarantine::add(conn, &refused).await?;
                Cause::Rejected
            }
        };
        gaps::add(conn, stream, first_seq, n_events, cause, received).await
    }
}

fn residual(stream: StreamId, residue: &Residue, at: Stamp) -> findings::Found {
    let Boundary { end_seq, ledger } = residue.end;
    findings::Found {
        host: stream.host,
        kind: findings::Kind::Residue,
        about: format!("{}.{} {}-{end_seq}", stream.epoch, stream.lane, residue.from_seq),
        at,
        evidence: serde_json::json!({
            "first_seq": residue.from_seq,
            "end_seq": end_seq,
            "generated": ledger.generated,
            "stored_shed_or_rejected": end_seq,
            "merged": ledger.merged,
            "lost": ledger.lost,
            "dropped": ledger.dropped,
            "residue": i64::try_from(residue.residue).unwrap_or(if residue.residue < 0 { i64::MIN } else { i64::MAX }),
        }),
    }
}

fn found(parcel: &Parcel, kind: findings::Kind, at: Stamp) -> findings::Found {
    findings::Found {
        host: parcel.stream.host,
        kind,
        about: format!("{}.{}", parcel.stream.epoch, parcel.stream.lane),
        at,
        evidence: serde_json::json!({ "first_seq": parcel.first_seq, "n_events": parcel.n_events }),
    }
}
