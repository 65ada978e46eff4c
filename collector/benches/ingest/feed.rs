//! Batches that are given to ingest directly, and how much is under way.

use std::collections::{HashSet, VecDeque};

use sqlx::postgres::PgPool;
use tokio::sync::oneshot::Receiver;
use vedette_collector::listener::Outcome;
use wire::batch::{Digest, Sealed};
use wire::id::HostId;

use crate::cost::Span;
use crate::support::{Ingest, header, stream};

/// Batches in the order they are sent.
pub(crate) type Batches = [(HostId, Sealed)];

/// How many events they hold.
pub(crate) fn n(batches: &Batches) -> u64 {
    batches.iter().map(|(_, batch)| u64::from(header(batch).n_events)).sum()
}

/// Moves each stream to where its batches begin.
pub(crate) async fn begin(ingest: &Ingest, batches: &Batches) {
    let mut seen = HashSet::new();
    let mut answers = Vec::new();
    for (host, sealed) in batches.iter().filter(|(host, _)| seen.insert(*host)) {
        let first = header(sealed).first_seq;
        if first > 0 {
            let digest = Digest::START.after_tombstone(0, first);
            answers.push(ingest.tombstone(stream(*host, sealed), 0, first, digest).await);
        }
    }
    for answer in answers {
        stored(Some(answer)).await;
    }
}

/// Has all of them stored, with so many under way at a time.
pub(crate) async fn feed(pool: &PgPool, ingest: Ingest, batches: &Batches, in_flight: usize) -> Span {
    begin(&ingest, batches).await;
    let span = Span::begin(pool).await;
    let mut waiting = VecDeque::new();
    for (host, sealed) in batches {
        if waiting.len() >= in_flight {
            stored(waiting.pop_front()).await;
        }
        waiting.push_back(ingest.batch(*host, sealed).await);
    }
    for answer in waiting {
        stored(Some(answer)).await;
    }
    let span = span.end(pool).await;
    ingest.finish().await;
    span
}

/// Waits until a batch is stored.
pub(crate) async fn stored(answer: Option<Receiver<Outcome>>) {
    let outcome = answer.unwrap().await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
}
