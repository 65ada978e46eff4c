//! What is exported beside the streams: batches that were stored after their stream had passed them, and findings.

use std::collections::{BTreeSet, HashMap};

use tracing::warn;
use uuid::Uuid;
use wire::id::{EventId, StreamId};

use super::flight::Finished;
use super::hosts::Shown;
use super::line::{Flying, Item, Located};
use super::locate::Loss;
use super::report::Report;
use super::round::{self, Handed, Sink, Subject};
use crate::kafka::Failure;
use crate::record::{self, Group};
use crate::store::exports::find::{self, Page};
use crate::store::exports::{self, Fate, late};
use crate::store::findings;
use crate::store::leases::Share;
use crate::store::{Begin as _, Conn, Stamp, StoreError};

/// So many are taken at a time.
const AT_ONCE: u32 = 200;

/// What is on its way beside the streams, by slot.
#[derive(Debug, Default)]
pub(super) struct Strays {
    batches: HashMap<u32, (EventId, Fate)>,
    findings: HashMap<u32, Sent>,
    /// What has arrived, and is not written down.
    arrived: Vec<Arrived>,
}

#[derive(Debug)]
enum Arrived {
    Batch(EventId, Fate),
    /// The sink refused it if there is a reason.
    Finding(Sent, Option<String>),
}

/// A finding that was handed over.
#[derive(Debug)]
struct Sent {
    finding: findings::Record,
    /// Of the record.
    id: String,
    n_bytes: u64,
    topic: String,
}

/// What was read, to be handed over.
#[derive(Debug, Default)]
pub(super) struct Read {
    batches: Vec<((StreamId, Item), bytes::Bytes)>,
    findings: Vec<findings::Record>,
    pub(super) lost: Vec<Loss>,
}

impl Read {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.findings.is_empty()
    }

    /// The hosts that it is about.
    pub(super) fn hosts(&self) -> impl Iterator<Item = wire::id::HostId> {
        let batches = self.batches.iter().map(|((stream, _), _)| stream.host);
        batches.chain(self.findings.iter().map(|finding| finding.host))
    }
}

impl Strays {
    /// Reads what is waiting, and is not on its way already.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn read(
        &mut self,
        conn: &mut Conn,
        shares: &BTreeSet<Share>,
        with_findings: bool,
    ) -> Result<Read, StoreError> {
        let buckets: Vec<i16> = shares.iter().copied().flat_map(Share::buckets).collect();
        let mut read = Read::default();
        if buckets.is_empty() {
            return Ok(read);
        }
        if with_findings && self.findings.is_empty() {
            read.findings = findings::unsent(conn, &buckets, AT_ONCE).await?;
        }
        if !self.batches.is_empty() {
            return Ok(read);
        }
        for late in late::of_buckets(conn, &buckets, AT_ONCE).await? {
            match find(conn, late).await? {
                Some(located) => {
                    let wanted = [(late.at.stream, Item::batch(located))];
                    let bytes = round::read(conn, &wanted).await?.pop().flatten();
                    read.batches.extend(wanted.into_iter().zip(bytes));
                }
                None => {
                    warn!(batch = %late.at, "a batch that was stored late is not in the store any more, it is not exported");
                    read.lost.push(Loss { at: late.at, n_events: late.n_events.max(1) });
                    late::done(conn, late.at).await?;
                }
            }
        }
        Ok(read)
    }

    /// Hands over what was read. Blocks while the sink has no room. What is told of it is as of a round, with nothing flying.
    pub(super) fn hand_over(&mut self, sink: &Sink, hosts: &Shown, read: Read) -> Handed {
        let mut all = Handed::default();
        all.failure = self.hand_over_all(sink, hosts, read, &mut all).err();
        all
    }

    fn hand_over_all(
        &mut self,
        sink: &Sink,
        hosts: &Shown,
        read: Read,
        all: &mut Handed,
    ) -> Result<(), Failure> {
        for ((stream, item), bytes) in read.batches {
            let at = EventId { stream, seq: item.first };
            let handed = round::hand_over(sink, hosts, vec![(stream, item)], vec![Some(bytes)]);
            all.slots.extend(handed.slots);
            all.refused.extend(handed.refused);
            if let Some(failure) = handed.failure {
                return Err(failure);
            }
            for (_, Flying { fate, slot, .. }) in handed.flying {
                match slot {
                    Some(slot) => drop(self.batches.insert(slot, (at, fate))),
                    None => self.arrived.push(Arrived::Batch(at, fate)),
                }
            }
        }
        for finding in read.findings {
            let Some(topic) = sink.topics.get(&Group::Finding) else { continue };
            let (outer, facts) = hosts.outer(finding.host, finding.last_found.wall());
            let made = record::finding(topic.format, &finding.finding(), &outer, &facts);
            let slot = sink.flight.begin(1);
            sink.flight.weighs(slot, made.value.len());
            let subject = Subject::Finding(finding.id);
            all.slots.push((slot, subject));
            let is_alone = sink.doubts.contains_key(&subject);
            let (id, n_bytes) = (made.id.clone(), made.value.len() as u64);
            self.findings.insert(slot, Sent { finding, id, n_bytes, topic: topic.name.clone() });
            round::send(sink, slot, 0, topic, &made, is_alone)?;
        }
        Ok(())
    }

    /// Whether this was one of them.
    pub(super) fn arrived(&mut self, finished: &Finished) -> bool {
        let Finished { slot, refused } = finished;
        let batch = self.batches.remove(slot);
        let batch = batch.map(|(at, fate)| Arrived::Batch(at, fate.refused(refused.len() as u64)));
        let arrived = batch.or_else(|| {
            let why = refused.first().map(|(_, why)| why.clone());
            self.findings.remove(slot).map(|sent| Arrived::Finding(sent, why))
        });
        let is_ours = arrived.is_some();
        self.arrived.extend(arrived);
        is_ours
    }

    /// Writes down what has arrived, if this collector still has the leases.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn commit(
        &mut self,
        conn: &mut Conn,
        run: Uuid,
        report: &Report,
        now: Stamp,
    ) -> Result<(), StoreError> {
        while let Some(arrived) = self.arrived.last() {
            let mut tx = conn.begin().await?;
            let host = match arrived {
                Arrived::Batch(at, _) => at.stream.host,
                Arrived::Finding(sent, _) => sent.finding.host,
            };
            if exports::holds(&mut tx, run, std::iter::once(host)).await? {
                arrived.write(&mut tx, now).await?;
                tx.commit().await?;
                if let Arrived::Batch(_, fate) = arrived {
                    report.written(*fate);
                }
            }
            self.arrived.pop();
        }
        Ok(())
    }

    /// Nothing that is on its way will be reported.
    pub(super) fn rewind(&mut self) {
        self.batches.clear();
        self.findings.clear();
    }

    /// Whether nothing is on its way.
    pub(super) fn has_landed(&self) -> bool {
        self.batches.is_empty() && self.findings.is_empty() && self.arrived.is_empty()
    }
}

impl Arrived {
    async fn write(&self, conn: &mut Conn, now: Stamp) -> Result<(), StoreError> {
        match self {
            Arrived::Batch(at, fate) => {
                exports::recount(conn, at.stream, *fate).await?;
                late::done(conn, *at).await
            }
            Arrived::Finding(sent, why) => {
                let refusal = why.as_ref().map(|why| {
                    let Sent { id, n_bytes, topic, .. } = sent;
                    let (id, topic) = (id.clone(), topic.clone());
                    findings::Refusal { id, topic, n_bytes: *n_bytes, at: now, reason: why.clone() }
                });
                findings::sent(conn, &sent.finding, refusal.as_ref()).await
            }
        }
    }
}

/// Where a batch is that was stored late, alone in its segment.
async fn find(conn: &mut Conn, late: late::Late) -> Result<Option<Located>, StoreError> {
    let host = late.at.stream.host;
    let mut found = find::segments(conn, &[(host, Page::from(late.received))], 4).await?;
    let segments = found.pop().unwrap_or_default().into_iter();
    let mut entries = segments.flat_map(|found| {
        let key = found.key;
        found.entries.into_iter().map(move |entry| Located { key, entry })
    });
    let is_it =
        |located: &Located| located.entry.stream == late.at.stream && located.entry.first_seq == late.at.seq;
    Ok(entries.find(is_it))
}
