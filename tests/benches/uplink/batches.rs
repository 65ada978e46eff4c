//! What the hosts send: made before anything is measured.

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Builder, Header, Sealed};
use wire::frame::data::Batch;
use wire::id::{Epoch, HostId, Lane};
use wire::sample::{Host, Mix};

/// A host's batches: the first, which name every daemon for the first time, are sent before the measurement.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) host: HostId,
    pub(crate) epoch: Epoch,
    pub(crate) lane: Lane,
    pub(crate) warm: Vec<Batch>,
    pub(crate) measured: Vec<Batch>,
}

/// How many hosts send how much.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) n_hosts: u64,
    /// Events a batch.
    pub(crate) n_events: u32,
    pub(crate) n_batches: usize,
    /// Batches before the measurement, of at most 200 events.
    pub(crate) n_warm: usize,
}

pub(crate) fn make(shape: Shape) -> Vec<Load> {
    let mut builder = Builder::new();
    (1..=shape.n_hosts)
        .map(|n| {
            let mut host = Host::new(n, Mix::BENCHMARK);
            let mut batch = |n_events| shared(host.batch(&mut builder, n_events));
            let warm: Vec<_> = (0..shape.n_warm).map(|_| batch(shape.n_events.min(200))).collect();
            let measured: Vec<_> = (0..shape.n_batches).map(|_| batch(shape.n_events)).collect();
            let header = Header::decode(&warm.iter().chain(&measured).next().unwrap().sealed.header).unwrap();
            Load { host: id(n), epoch: header.epoch, lane: header.lane, warm, measured }
        })
        .collect()
}

/// Events in what is measured.
pub(crate) fn n_events(loads: &[Load]) -> u64 {
    loads.iter().flat_map(|load| &load.measured).map(|batch| u64::from(batch.n_events)).sum()
}

fn id(n: u64) -> HostId {
    HostId::new(Uuid::from_u128(0xa000_0000_0000_0000_0000_0000_0000_0000 | u128::from(n)))
}

/// A batch as the outbox takes it, in no more memory than it needs: all of them are kept for all rounds.
fn shared(sealed: Sealed) -> Batch {
    let Header { first_seq, n_events, .. } = Header::decode(&sealed.header).unwrap();
    let tight = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    Batch {
        first_seq,
        n_events,
        sealed: Sealed { header: tight(&sealed.header), payload: tight(&sealed.payload) },
    }
}
