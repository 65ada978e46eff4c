//! A store in memory that commits what the listener delivers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use vedette_collector::listener::{Delivery, HostReport, Item, LookupError, Outcome, Sink, Streams, intake};
use wire::batch::Digest;
use wire::frame::collector::Watermark;
use wire::id::{Epoch, HostId, Lane, StreamId};

#[derive(Default)]
struct Tables {
    watermarks: HashMap<StreamId, (u64, Digest)>,
    /// First sequence and payload of what was stored, in the order of the commits.
    stored: HashMap<StreamId, Vec<(u64, Bytes)>>,
    reports: Vec<HostReport>,
}

/// Shared by any number of listeners, as one database is.
#[derive(Clone, Default)]
pub(crate) struct Store {
    tables: Arc<Mutex<Tables>>,
    n_events: Arc<watch::Sender<u64>>,
    n_reports: Arc<watch::Sender<usize>>,
}

impl Store {
    /// Begins to take deliveries.
    pub(crate) fn sink(&self) -> Sink {
        let (deliveries, mut delivered) = intake(64);
        let (reports, mut reported) = mpsc::channel(64);
        let store = self.clone();
        tokio::spawn(async move {
            while let Some(delivery) = delivered.next().await {
                let outcome = store.commit(&delivery);
                let _ = delivery.reply.send(outcome);
            }
        });
        let store = self.clone();
        tokio::spawn(async move {
            while let Some(report) = reported.recv().await {
                let reports = &mut store.tables.lock().unwrap().reports;
                reports.push(report);
                store.n_reports.send_replace(reports.len());
            }
        });
        Sink { deliveries, reports, streams: Arc::new(self.clone()) }
    }

    fn commit(&self, delivery: &Delivery) -> Outcome {
        let mut tables = self.tables.lock().unwrap();
        let stream = delivery.stream();
        let (next_seq, digest) = tables.watermarks.get(&stream).copied().unwrap_or((0, Digest::START));
        if delivery.item.end() <= next_seq {
            return Outcome::Duplicate { next_seq, digest };
        }
        if delivery.item.first_seq() != next_seq {
            return Outcome::Gap;
        }
        let (first_seq, end) = (delivery.item.first_seq(), delivery.item.end());
        let digest = match &delivery.item {
            Item::Batch { sealed, .. } => {
                tables.stored.entry(stream).or_default().push((first_seq, sealed.payload.clone()));
                digest.after(sealed)
            }
            Item::Tombstone { n_events, .. } => digest.after_tombstone(first_seq, *n_events),
        };
        tables.watermarks.insert(stream, (end, digest));
        self.n_events.send_modify(|n| *n += delivery.item.n_events());
        Outcome::Stored { next_seq: end, digest }
    }

    /// Waits until at least so many events are stored.
    pub(crate) async fn wait_for_events(&self, n: u64) {
        let mut n_events = self.n_events.subscribe();
        let waited = tokio::time::timeout(super::PATIENCE, n_events.wait_for(|now| *now >= n)).await;
        assert!(waited.is_ok(), "{} of {n} events were stored", *self.n_events.borrow());
    }

    /// Waits for a report for which `pick` gives something.
    pub(crate) async fn wait_for_report<T>(&self, pick: impl Fn(&HostReport) -> Option<T>) -> T {
        let mut n_reports = self.n_reports.subscribe();
        let waiting = async {
            loop {
                n_reports.borrow_and_update();
                let found = self.tables.lock().unwrap().reports.iter().find_map(&pick);
                if let Some(found) = found {
                    return found;
                }
                n_reports.changed().await.unwrap();
            }
        };
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("the report comes")
    }

    pub(crate) fn n_stored(&self) -> u64 {
        *self.n_events.borrow()
    }

    pub(crate) fn n_sessions_begun(&self) -> usize {
        let tables = self.tables.lock().unwrap();
        tables.reports.iter().filter(|report| matches!(report, HostReport::Connected { .. })).count()
    }

    /// What is stored of a stream.
    pub(crate) fn stored(&self, stream: StreamId) -> Vec<(u64, Bytes)> {
        self.tables.lock().unwrap().stored.get(&stream).cloned().unwrap_or_default()
    }
}

impl Streams for Store {
    fn watermarks(
        &self,
        host: HostId,
        streams: Vec<(Epoch, Lane)>,
    ) -> BoxFuture<'_, Result<Vec<Watermark>, LookupError>> {
        let tables = self.tables.lock().unwrap();
        let known = streams.into_iter().filter_map(|(epoch, lane)| {
            let (next_seq, digest) = *tables.watermarks.get(&StreamId { host, epoch, lane })?;
            Some(Watermark { epoch, lane, next_seq, digest })
        });
        let known: Vec<_> = known.collect();
        Box::pin(std::future::ready(Ok(known)))
    }
}
