//! Live tail: what has just been stored, judged and flattened for one listener.
//!
//! It reads what ingest announces after each commit ([`crate::ingest::Committed`]), here and, through [`crate::relay`], at
//! the other collectors of the store, so an event is shown only when it is durable. Nothing waits for a listener: one that is too slow is told how much it missed.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use wire::batch::{Batch, BatchError};
use wire::event::FlatEvent;
use wire::flat::{Flattener, Outer};
use wire::id::HostId;
use wire::predicate::Predicate;

use crate::ingest::Committed;
use crate::search::Engine;

/// One listener's view of what is stored.
pub struct Tail {
    predicate: Arc<Predicate>,
    host: Option<HostId>,
    engine: Arc<Engine>,
    committed: Receiver<Arc<Committed>>,
    /// How often what other collectors stored may have been missed.
    missed: watch::Receiver<u64>,
}

/// What a listener is told.
#[derive(Debug)]
pub enum Message {
    /// The matching events of one batch, in the order of its stream; at least one.
    Events(Vec<FlatEvent>),
    /// So many batches went by unseen, as the listener was too slow.
    Lagged {
        /// How many.
        n_batches: u64,
    },
    /// What other collectors have stored went by unseen for a while, as the database was away.
    Missed,
}

impl Tail {
    /// Listens from now on for what matches; only to `host` if one is given. `engine` knows the hosts' tags.
    pub fn new(
        predicate: Predicate,
        host: Option<HostId>,
        engine: Arc<Engine>,
        committed: Receiver<Arc<Committed>>,
    ) -> Self {
        let missed = watch::Sender::new(0).subscribe();
        Self { predicate: Arc::new(predicate), host, engine, committed, missed }
    }

    /// The same, told also when what other collectors stored may have been missed.
    #[must_use]
    pub fn told_of(self, missed: watch::Receiver<u64>) -> Self {
        Self { missed, ..self }
    }

    /// The next message; `None` when the collector stops.
    ///
    /// # Cancel safety
    /// Dropped while it judges a batch, that batch's events are not shown.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let received = tokio::select! {
                received = self.committed.recv() => received,
                Ok(()) = self.missed.changed() => return Some(Message::Missed),
            };
            let committed = match received {
                Ok(committed) => committed,
                Err(RecvError::Lagged(n_batches)) => return Some(Message::Lagged { n_batches }),
                Err(RecvError::Closed) => return None,
            };
            if self.host.is_some_and(|host| host != committed.stream.host) {
                continue;
            }
            let outer = self.outer(&committed).await;
            if !self.predicate.admits_host(&outer) {
                continue;
            }
            let (predicate, batch) = (Arc::clone(&self.predicate), Arc::clone(&committed));
            let matching = tokio::task::spawn_blocking(move || matching(&predicate, &batch, &outer)).await;
            match matching {
                Ok(Ok(events)) if events.is_empty() => {}
                Ok(Ok(events)) => return Some(Message::Events(events)),
                Ok(Err(error)) => {
                    let stream = committed.stream;
                    tracing::error!(%stream, %error, "a stored batch of {stream} does not decode: {error}");
                }
                Err(error) => tracing::error!(%error, "judging a batch for a tail panicked"),
            }
        }
    }

    async fn outer(&self, committed: &Committed) -> Outer {
        let host = committed.stream.host;
        // Without the database there are no tags, but the tail goes on.
        let mut outer = match self.engine.fleet().await {
            Ok(fleet) => fleet.outer(host, committed.received),
            Err(_) => Outer {
                host,
                host_name: bytes::Bytes::new(),
                host_tags: Vec::new(),
                received: committed.received,
            },
        };
        outer.host_name = committed.host_name.as_bytes().to_vec().into();
        outer
    }
}

fn matching(
    predicate: &Predicate,
    committed: &Committed,
    outer: &Outer,
) -> Result<Vec<FlatEvent>, BatchError> {
    let batch = Batch::open(&committed.sealed)?;
    let selected = predicate.select(&batch, outer)?;
    let mut flattener = Flattener::new(&batch, outer);
    let mut events = Vec::with_capacity(selected.len());
    for number in selected {
        events.extend(flattener.event(number)?);
    }
    Ok(events)
}
