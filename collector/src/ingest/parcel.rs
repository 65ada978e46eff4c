//! One delivery on its way through ingest.

use std::sync::Arc;

use tokio::sync::oneshot;
use wire::batch::{Digest, Sealed};
use wire::frame::RejectReason;
use wire::id::StreamId;
use wire::time::WallTime;

use super::admit::{Admitted, Claim, Refusal, admit};
use super::plan::{Given, Kind};
use crate::listener::Outcome;
use crate::listener::{Delivery, Item};
use crate::store::Stamp;

/// One delivery, looked into.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) stream: StreamId,
    pub(super) host_name: Arc<str>,
    /// To the microsecond, as it is stored.
    pub(super) received: WallTime,
    pub(super) first_seq: u64,
    pub(super) n_events: u64,
    pub(super) content: Content,
    reply: Option<oneshot::Sender<Outcome>>,
}

#[derive(Debug)]
pub(super) enum Content {
    Batch(Sealed, Box<Admitted>),
    Refused(Sealed, Refusal),
    Tombstone(Digest),
}

impl Parcel {
    /// Reads a delivery. Costs CPU.
    pub(super) fn new(delivery: Delivery) -> Self {
        let stream = delivery.stream();
        let received = Stamp::floor(delivery.received_at).wall();
        let (first_seq, n_events) = (delivery.item.first_seq(), delivery.item.n_events());
        let content = match delivery.item {
            Item::Tombstone { digest, .. } => Content::Tombstone(digest),
            Item::Batch { first_seq, n_events, sealed } => {
                let claim = Claim { stream, first_seq, n_events, received };
                match admit(&claim, &sealed) {
                    Ok(admitted) => Content::Batch(sealed, Box::new(admitted)),
                    Err(refusal) => Content::Refused(sealed, refusal),
                }
            }
        };
        let reply = Some(delivery.reply);
        Self { stream, host_name: delivery.host_name, received, first_seq, n_events, content, reply }
    }

    /// The store cannot take it.
    pub(super) fn refuse(&mut self, said: String) {
        if let Content::Batch(sealed, _) = &self.content {
            let refusal = Refusal { reason: RejectReason::Store, said };
            self.content = Content::Refused(sealed.clone(), refusal);
        }
    }

    /// Answers; only the first answer counts. A session that has ended does not wait for it.
    pub(super) fn answer(&mut self, outcome: Outcome) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(outcome);
        }
    }

    /// What the decision needs of it.
    pub(super) fn given(&self) -> Given<'_> {
        let kind = match &self.content {
            Content::Batch(sealed, _) => Kind::Batch(sealed),
            Content::Refused(sealed, _) => Kind::Refused(sealed),
            Content::Tombstone(digest) => Kind::Tombstone(*digest),
        };
        Given { stream: self.stream, first_seq: self.first_seq, n_events: self.n_events, kind }
    }

    /// Its bytes in memory.
    pub(super) fn n_bytes(&self) -> usize {
        match &self.content {
            Content::Batch(sealed, _) | Content::Refused(sealed, _) => {
                sealed.header.len() + sealed.payload.len()
            }
            Content::Tombstone(_) => 0,
        }
    }
}
