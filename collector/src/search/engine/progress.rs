//! How far a search has come, and what it hands out while it runs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;
use wire::event::FlatEvent;
use wire::time::WallTime;

use super::Stats;

/// How far a search has come; read while it runs.
#[derive(Debug)]
pub struct Progress {
    pub(super) n_batches: AtomicU64,
    pub(super) n_events: AtomicU64,
    pub(super) n_bytes: AtomicU64,
    pub(super) n_unreadable: AtomicU64,
    pub(super) reached: AtomicI64,
    pub(super) stopped: AtomicBool,
    begun: Instant,
    /// Who takes events as they are found; gone when the search has ended.
    found: Mutex<Option<mpsc::UnboundedSender<Vec<FlatEvent>>>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            n_batches: AtomicU64::new(0),
            n_events: AtomicU64::new(0),
            n_bytes: AtomicU64::new(0),
            n_unreadable: AtomicU64::new(0),
            reached: AtomicI64::new(i64::MAX),
            stopped: AtomicBool::new(false),
            begun: Instant::now(),
            found: Mutex::default(),
        }
    }
}

impl Progress {
    /// Of a search that hands out its events as soon as nothing newer can come: newest first, each once. The channel
    /// holds no more than the search's limit, and ends with the search; what it has not handed out is in its answer.
    pub fn handing_out() -> (Arc<Self>, mpsc::UnboundedReceiver<Vec<FlatEvent>>) {
        let (found, taken) = mpsc::unbounded_channel();
        (Arc::new(Self { found: Mutex::new(Some(found)), ..Self::default() }), taken)
    }

    /// What it took so far.
    pub fn stats(&self) -> Stats {
        Stats {
            n_batches: self.n_batches.load(Ordering::Relaxed),
            n_events: self.n_events.load(Ordering::Relaxed),
            n_bytes: self.n_bytes.load(Ordering::Relaxed),
            n_unreadable: self.n_unreadable.load(Ordering::Relaxed),
            elapsed: self.begun.elapsed(),
        }
    }

    /// Events after this have been looked through; `None` at the beginning.
    pub fn reached(&self) -> Option<WallTime> {
        let ns = self.reached.load(Ordering::Relaxed);
        (ns != i64::MAX).then_some(WallTime::from_unix_ns(ns))
    }

    /// Whether anybody takes events as they are found.
    pub(super) fn is_followed(&self) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Hands out events. Nobody may take them any more: then the search is about to be stopped.
    pub(super) fn hand_out(&self, events: Vec<FlatEvent>) {
        if let Some(found) = self.found.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = found.send(events);
        }
    }
}

/// Ends the threads of a search whose future is dropped, and tells who follows it that it has ended.
pub(super) struct StopOnDrop(pub(super) Arc<Progress>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
