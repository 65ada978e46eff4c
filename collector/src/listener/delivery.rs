//! What the listener hands to ingest, and what it wants to hear back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use wire::authority::AuthorityId;
use wire::batch::{Digest, Sealed};
use wire::frame::collector::Watermark;
use wire::frame::sensor::{Facts, Hello};
use wire::frame::{Code, RejectReason};
use wire::id::{Epoch, HostId, Lane, StreamId};
use wire::time::WallTime;

use super::Intake;

/// Who is at the other end, as its certificate says and nothing else.
pub use crate::ca::CertifiedHost as HostIdentity;

/// One batch or tombstone on its way into the store.
#[derive(Debug)]
pub struct Delivery {
    /// Who sent it.
    pub host: HostIdentity,
    /// The host's name, as it said when it connected.
    pub host_name: Arc<str>,
    /// When its last byte came.
    pub received_at: WallTime,
    /// Whether it was sealed before the session, or its host has begun a newer epoch: what happens now comes first.
    pub is_behind: bool,
    /// The run of numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// What was sent.
    pub item: Item,
    /// Takes the answer, after the commit. Dropping it counts as [`Outcome::Retry`].
    pub reply: oneshot::Sender<Outcome>,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A batch, not looked into. That its header says the same numbers, epoch and lane as stand here
    /// is the receiver's to check ([`RejectReason::Header`]).
    Batch {
        /// The number of its first event, by its frame.
        first_seq: u64,
        /// How many events it holds, by its frame: at least 1, and the end does not overflow.
        n_events: u32,
        /// The batch.
        sealed: Sealed,
    },
    /// Events that will never come.
    Tombstone {
        /// The number of the first of them.
        first_seq: u64,
        /// How many: at least 1, and the end does not overflow.
        n_events: u64,
        /// What the sensor says its chain is at afterwards.
        digest: Digest,
    },
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable. The stream's watermark afterwards (or later).
    Stored {
        /// The next number expected.
        next_seq: u64,
        /// The chain there.
        digest: Digest,
    },
    /// All of it was stored before; nothing was done. The stream's watermark now.
    Duplicate {
        /// The next number expected.
        next_seq: u64,
        /// The chain there.
        digest: Digest,
    },
    /// It does not begin at the watermark (or straddles it); nothing was done. The session looks the
    /// watermark up once the stream's other deliveries have been answered, and asks for a resend.
    Gap,
    /// It will never be stored, is counted and quarantined, and the watermark has passed it.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// The next number expected.
        next_seq: u64,
        /// The chain there (it takes in refused batches too).
        digest: Digest,
    },
    /// Nothing was done; the same may work later.
    Retry {
        /// When to try again at the earliest.
        after: Duration,
    },
}

impl Delivery {
    /// The stream it belongs to.
    pub fn stream(&self) -> StreamId {
        StreamId { host: self.host.host, epoch: self.epoch, lane: self.lane }
    }
}

impl Item {
    /// The number of its first event.
    pub fn first_seq(&self) -> u64 {
        match self {
            Item::Batch { first_seq, .. } | Item::Tombstone { first_seq, .. } => *first_seq,
        }
    }

    /// How many events it stands for.
    pub fn n_events(&self) -> u64 {
        match self {
            Item::Batch { n_events, .. } => u64::from(*n_events),
            Item::Tombstone { n_events, .. } => *n_events,
        }
    }

    /// The number after its last event.
    pub fn end(&self) -> u64 {
        self.first_seq().saturating_add(self.n_events())
    }

    /// The bytes it holds in memory, and that credit is counted in.
    pub fn n_bytes(&self) -> u64 {
        match self {
            Item::Batch { sealed, .. } => (sealed.header.len() + sealed.payload.len()) as u64,
            Item::Tombstone { .. } => 0,
        }
    }
}

/// Facts for the host table. Claims of the host, except who it is and where it called from.
#[derive(Clone, Debug)]
pub enum HostReport {
    /// A session has begun.
    Connected {
        /// Who.
        host: HostIdentity,
        /// From where.
        address: SocketAddr,
        /// When.
        at: WallTime,
        /// What it says of itself.
        hello: Box<Hello>,
    },
    /// It is alive.
    Heartbeat {
        /// Who.
        host: HostIdentity,
        /// When.
        at: WallTime,
        /// Its counters.
        facts: Box<Facts>,
    },
    /// The sensor has told which authorities it trusts.
    Trusts {
        /// Who.
        host: HostIdentity,
        /// When.
        at: WallTime,
        /// The key that signed the certificate of this session (its authority key identifier).
        issuer: Vec<u8>,
        /// The authorities it says it trusts.
        authorities: Vec<AuthorityId>,
    },
    /// A session has ended.
    Disconnected {
        /// Who.
        host: HostIdentity,
        /// When.
        at: WallTime,
        /// Why.
        code: Code,
    },
    /// Something that should not be. Not more than a few a minute and host.
    Finding {
        /// Who.
        host: HostIdentity,
        /// When.
        at: WallTime,
        /// What.
        finding: Finding,
    },
}

/// Something that should not be: a bug, a mistake of an operator, or an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// One certificate is used from two hosts at once: a copied disk image or a stolen key.
    Cloned {
        /// The boots and addresses of both, the older connection first.
        boots: [wire::id::BootId; 2],
        /// See `boots`.
        addresses: [SocketAddr; 2],
    },
    /// A tombstone's digest does not follow from what is stored.
    BrokenChain {
        /// The run of numbering.
        epoch: Epoch,
        /// The lane.
        lane: Lane,
        /// Where.
        seq: u64,
    },
    /// The sensor goes on beyond where the collector had told it that its stream stands: of what lies between there is
    /// neither a batch nor a tombstone.
    Skipped {
        /// Which stream.
        epoch: Epoch,
        /// Which stream.
        lane: Lane,
        /// Where the collector had told it to begin.
        told: u64,
        /// Where it began.
        from: u64,
    },
}

/// Looks up how far streams are stored. Implemented by the store.
pub trait Streams: Send + Sync + 'static {
    /// The watermarks of those of a host's streams that are known; one that is not known stands at 0
    /// with [`Digest::START`] and may be left out.
    fn watermarks(
        &self,
        host: HostId,
        streams: Vec<(Epoch, Lane)>,
    ) -> BoxFuture<'_, Result<Vec<Watermark>, LookupError>>;
}

/// The store could not answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up the watermarks of a host's streams")]
pub struct LookupError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where the listener puts what it receives.
#[derive(Clone)]
pub struct Sink {
    /// Batches and tombstones.
    pub deliveries: Intake,
    /// Facts for the host table. When it is full, heartbeats are dropped; the rest waits.
    pub reports: mpsc::Sender<HostReport>,
    /// How far streams are stored.
    pub streams: Arc<dyn Streams>,
}
