//! Answers how far streams are stored, for sessions that begin.

use futures::future::BoxFuture;
use wire::frame::collector::Watermark;
use wire::id::{Epoch, HostId, Lane, StreamId};

use crate::listener::{LookupError, Streams};
use crate::store::{Pool, streams};

/// The store's streams.
#[derive(Clone, Debug)]
pub struct Watermarks {
    pool: Pool,
}

impl Watermarks {
    /// Those of this store.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

impl Streams for Watermarks {
    fn watermarks(
        &self,
        host: HostId,
        wanted: Vec<(Epoch, Lane)>,
    ) -> BoxFuture<'_, Result<Vec<Watermark>, LookupError>> {
        Box::pin(async move {
            let wanted: Vec<StreamId> =
                wanted.into_iter().map(|(epoch, lane)| StreamId { host, epoch, lane }).collect();
            let mut conn = self.pool.acquire().await.map_err(|e| LookupError(e.into()))?;
            let found = streams::positions(&mut conn, &wanted).await.map_err(|e| LookupError(e.into()))?;
            Ok(found
                .into_iter()
                .map(|(stream, at)| Watermark {
                    epoch: stream.epoch,
                    lane: stream.lane,
                    next_seq: at.next_seq,
                    digest: at.digest,
                })
                .collect())
        })
    }
}
