//! Reads what comes next and hands it over, as far as there is room.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wire::id::StreamId;

use super::Driver;
use crate::export::queue::Room;
use crate::export::round;
use crate::export::session::broken;
use crate::kafka::Failure;
use crate::store::StoreError;

/// Records on their way at most, and bytes.
const MAX_WAITING: (usize, usize) = (60_000, 48 << 20);
/// How much is read and handed over at a time.
const ROOM: Room = Room { n_events: 8_000, n_bytes: 4 << 20 };
/// How often it is looked for what is exported beside the streams.
const STRAYS_EVERY: Duration = Duration::from_secs(5);

impl Driver<'_> {
    /// Reads and hands over what comes next, if there is room for it; whether there was something.
    pub(super) async fn send(
        &mut self,
        shutdown: &CancellationToken,
    ) -> Result<Result<bool, Failure>, StoreError> {
        let (n_records, n_bytes) = self.sink.flight.waiting();
        if n_records >= MAX_WAITING.0 || n_bytes >= MAX_WAITING.1 || !self.memory.queue.has_items() {
            return Ok(Ok(false));
        }
        let items = self.memory.queue.take(ROOM);
        let firsts: Vec<(StreamId, u64)> = items.iter().map(|(stream, item)| (*stream, item.first)).collect();
        let read = async {
            let mut conn = self.config.pool.acquire().await?;
            let read = round::read(&mut conn, &items).await?;
            drop(conn);
            let wanted = items.iter().map(|(stream, _)| stream.host);
            Ok::<_, StoreError>((read, self.memory.hosts.shown(&self.config.pool, wanted).await?))
        };
        let (read, hosts) = match read.await {
            Ok(read) => read,
            Err(error) => {
                self.reread(firsts);
                return Err(error);
            }
        };
        let sink = Arc::clone(&self.sink);
        let task = tokio::task::spawn_blocking(move || round::hand_over(&sink, &hosts, items, read));
        let Some(mut handed) = self.unless_stopped(task, shutdown).await else { return Ok(Err(broken())) };
        self.slots.extend(handed.slots.drain(..));
        if let Some(failure) = handed.failure {
            return Ok(Err(failure));
        }
        for (stream, flying) in handed.flying {
            self.memory.queue.fly(stream, flying);
        }
        self.memory.notes.refused.extend(handed.refused);
        self.reread(handed.missing);
        Ok(Ok(true))
    }

    /// What was taken of these streams, from there on, was not handed over.
    fn reread(&mut self, firsts: Vec<(StreamId, u64)>) {
        let mut seen = HashSet::new();
        for (stream, first) in firsts.into_iter().filter(|(stream, _)| seen.insert(*stream)) {
            self.memory.queue.change(stream, |line| line.reread(first));
        }
    }

    pub(super) async fn send_strays(
        &mut self,
        shutdown: &CancellationToken,
    ) -> Result<Result<(), Failure>, StoreError> {
        if self.times.strayed.is_some_and(|at| at.elapsed() < STRAYS_EVERY) {
            return Ok(Ok(()));
        }
        self.times.strayed = Some(Instant::now());
        let memory = &mut *self.memory;
        let mut conn = self.config.pool.acquire().await?;
        let with_findings = self.config.settings.findings;
        let mut read = memory.strays.read(&mut conn, &memory.held, with_findings).await?;
        drop(conn);
        memory.notes.lost.append(&mut read.lost);
        if read.is_empty() {
            return Ok(Ok(()));
        }
        let hosts = memory.hosts.shown(&self.config.pool, read.hosts()).await?;
        let (sink, mut strays) = (Arc::clone(&self.sink), std::mem::take(&mut memory.strays));
        let task = tokio::task::spawn_blocking(move || {
            let handed = strays.hand_over(&sink, &hosts, read);
            (strays, handed)
        });
        let Some((strays, mut handed)) = self.unless_stopped(task, shutdown).await else {
            return Ok(Err(broken()));
        };
        self.memory.strays = strays;
        self.slots.extend(handed.slots.drain(..));
        self.memory.notes.refused.extend(handed.refused);
        Ok(handed.failure.map_or(Ok(()), Err))
    }

    /// Waits for a thread that hands records over. One that waits for room ends when everything does.
    async fn unless_stopped<T>(
        &self,
        mut task: tokio::task::JoinHandle<T>,
        shutdown: &CancellationToken,
    ) -> Option<T> {
        tokio::select! {
            done = &mut task => return done.ok(),
            () = shutdown.cancelled() => self.sink.stop.store(true, Ordering::Relaxed),
        }
        task.await.ok()
    }
}
