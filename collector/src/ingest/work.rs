//! What one transaction writes: the watermarks first, then what they stand for.

use std::collections::HashMap;

use crate::store::{Begin as _, Conn};
use wire::id::StreamId;

use super::parcel::{Content, Parcel};
use super::plan::{Track, Verdict};
use super::segments::{Built, Member};
use crate::store::connection::{self, ConnectionRow};
use crate::store::gaps::{self, Cause};
use crate::store::process::{self, ProcessRow};
use crate::store::quarantine::{self, Refused};
use crate::store::streams::{self, Advance};
use crate::store::{Group, Stamp, StoreError, findings, fresh, progress, segment};

/// What one transaction writes.
pub(super) struct Work<'a> {
    advances: Vec<Advance>,
    large: Vec<Member<'a>>,
    small: Vec<Member<'a>>,
    /// Tombstones and refused batches.
    passed: Vec<&'a Parcel>,
    findings: Vec<findings::Found>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        group: &'a [Parcel],
        verdicts: &[Verdict],
        before: &HashMap<StreamId, Track>,
        after: &HashMap<StreamId, Track>,
    ) -> Self {
        let mut advances: HashMap<StreamId, Advance> = HashMap::new();
        let mut work =
            Self { advances: vec![], large: vec![], small: vec![], passed: vec![], findings: vec![] };
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
                received,
            });
            advance.received = advance.received.max(received);
            match &parcel.content {
                Content::Batch(sealed, admitted) => {
                    advance.n_stored += parcel.n_events;
                    advance.boundary = Some(admitted.boundary);
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

    pub(super) async fn write(&self, conn: &mut Conn, group: Group, now: Stamp) -> Result<(), StoreError> {
        let mut tx = conn.begin().await?;
        let expected = self.advances.len();
        let n = if expected == 0 { 0 } else { streams::advance(&mut tx, &self.advances).await? as usize };
        if n != expected {
            return Err(StoreError::Moved { n, expected });
        }
        let large: Vec<Built> = self.large.iter().copied().map(Built::alone).collect();
        let large = large.iter().zip(&self.large).map(|(b, m)| (m.stream.host, b.row(now)));
        segment::add(&mut tx, false, large).await?;
        let small = Built::together(self.small.clone());
        fresh::add(&mut tx, group, small.iter().map(|built| built.row(now))).await?;
        let rows = || self.members().map(|member| &member.admitted.rows);
        let processes = rows().flat_map(|r| &r.processes).map(|p| ProcessRow { received: now, ..*p });
        process::add(&mut tx, processes).await?;
        let connections = rows().flat_map(|r| &r.connections).map(|c| ConnectionRow { received: now, ..*c });
        connection::add(&mut tx, connections).await?;
        for parcel in &self.passed {
            self.pass(&mut tx, parcel).await?;
        }
        for found in &self.findings {
            findings::add(&mut tx, found).await?;
        }
        if !small.is_empty() {
            // Asked after the rows were written: the merger waits for whoever has written into a minute
            // before it takes it, so what it has taken by now is what it took without us.
            let merged_upto = progress::merged_upto(&mut tx, group).await?;
            if merged_upto > now {
                return Err(StoreError::Merged { received: now, merged_upto });
            }
        }
        tx.commit().await?;
        Ok(())
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

fn found(parcel: &Parcel, kind: findings::Kind, at: Stamp) -> findings::Found {
    findings::Found {
        host: parcel.stream.host,
        kind,
        about: format!("{}.{}", parcel.stream.epoch, parcel.stream.lane),
        at,
        evidence: serde_json::json!({ "first_seq": parcel.first_seq, "n_events": parcel.n_events }),
    }
}
