//! A quarantined batch, read again by this version and stored in its place.
//!
//! Its stream passed it when it came, so the watermark and the chain stay as they are: what was booked as refused is
//! booked as stored, the run it left is filled, and it leaves the quarantine, all in one transaction. Of two that replay
//! one batch the second finds it gone.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::broadcast;
use uuid::Uuid;
use wire::batch::Sealed;
use wire::id::EventId;

use super::Committed;
use super::admit::{Admitted, Claim, admit};
use super::segments::{Built, Member};
use crate::presence::Tails;
use crate::store::candidates::Place;
use crate::store::connection::{self, ConnectionRow};
use crate::store::process::{self, ProcessRow};
use crate::store::quarantine::{self, Record};
use crate::store::streams::{self, Replayed};
use crate::store::{
    Begin as _, Conn, Fault, Pool, Stamp, StoreError, announce, audit, executables, exports, gaps, leases,
    partitions, segment,
};

/// What replaying needs.
#[derive(Clone)]
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// Takes what was stored.
    pub committed: broadcast::Sender<Arc<Committed>>,
    /// This run of this collector.
    pub run: Uuid,
    /// Whether other collectors have to be told.
    pub tails: Tails,
}

/// Who asks for it, for the audit log.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `token:ID NAME`.
    pub actor: String,
    /// Where the call came from.
    pub address: IpAddr,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its events are stored.
    Stored {
        /// How many.
        n_events: u64,
    },
    /// It is refused as before, and stays.
    Refused {
        /// Why, as this version says.
        reason: String,
    },
    /// It is not in quarantine, or not any more.
    Unknown,
}

/// Reads a quarantined batch again and stores it.
///
/// # Errors
/// When the database fails; nothing has changed then.
pub async fn replay(
    config: &Config,
    at: EventId,
    host_name: &str,
    asked: &Asked,
) -> Result<Outcome, StoreError> {
    let mut conn = config.pool.acquire().await?;
    let mut stored = store(config, &mut conn, at, asked).await;
    if stored.as_ref().is_err_and(|e| e.fault() == Fault::NoPartition) {
        let now = leases::now(&mut *conn).await?;
        partitions::ensure_ahead(&mut conn, now).await?;
        stored = store(config, &mut conn, at, asked).await;
    }
    let (record, sealed) = match stored {
        Ok(Step::Stored(record, sealed)) => (record, sealed),
        Ok(Step::Refused(reason)) => return keep(&mut conn, at, asked, reason).await,
        Ok(Step::Unknown) => return Ok(Outcome::Unknown),
        Err(e) if e.fault() == Fault::Data => {
            return keep(&mut conn, at, asked, wire::cause::chain(&e)).await;
        }
        Err(e) => return Err(e),
    };
    metrics::counter!("collector_event_replayed_total").increment(record.n_events);
    let committed = Committed {
        stream: at.stream,
        host_name: Arc::from(host_name),
        received: record.received.wall(),
        sealed,
    };
    // Nobody follows: just as well.
    drop(config.committed.send(Arc::new(committed)));
    Ok(Outcome::Stored { n_events: record.n_events })
}

enum Step {
    Stored(Record, Sealed),
    Refused(String),
    Unknown,
}

/// One transaction that stores it, or changes nothing.
async fn store(config: &Config, conn: &mut Conn, at: EventId, asked: &Asked) -> Result<Step, StoreError> {
    let mut tx = conn.begin().await?;
    let Some((record, sealed)) = quarantine::take(&mut tx, at).await? else { return Ok(Step::Unknown) };
    let refused = |reason: &str| Ok(Step::Refused(reason.to_owned()));
    let Some(sealed) = sealed else {
        return refused("its bytes were not kept, as its host had too many in quarantine");
    };
    let admitted = match read(&record, &sealed).await {
        Ok(admitted) => admitted,
        Err(reason) => return Ok(Step::Refused(reason)),
    };
    let Some(stream) = streams::lock(&mut tx, at.stream).await? else {
        return refused("its stream was forgotten by retention");
    };
    let boundary = match admitted.boundary.end_seq {
        end if end > stream.boundary_seq => {
            let end = EventId { seq: end, ..at };
            let n_shed_since = gaps::shed_from(&mut tx, end).await?;
            Some((admitted.boundary, stream.n_shed.saturating_sub(n_shed_since)))
        }
        _ => None,
    };
    let replayed = Replayed { stream: at.stream, n_events: record.n_events, boundary };
    if !streams::replayed(&mut tx, replayed).await? {
        return refused("fewer events of its stream are booked as refused than it holds");
    }
    let now = leases::now(&mut *tx).await?;
    write(config, &mut tx, now, &record, &sealed, &admitted).await?;
    gaps::filled(&mut tx, at).await?;
    quarantine::remove(&mut tx, at).await?;
    note(&mut tx, at, asked, now, &format!("stored {} events", record.n_events)).await?;
    tx.commit().await?;
    Ok(Step::Stored(record, sealed))
}

/// Reads it off the asynchronous threads.
async fn read(record: &Record, sealed: &Sealed) -> Result<Admitted, String> {
    let claim = Claim {
        stream: record.at.stream,
        first_seq: record.at.seq,
        n_events: u32::try_from(record.n_events).map_err(|_| "it claims too many events".to_owned())?,
        received: record.received.wall(),
    };
    let sealed = sealed.clone();
    let read = tokio::task::spawn_blocking(move || admit(&claim, &sealed)).await;
    match read {
        Ok(read) => read.map_err(|refusal| refusal.said),
        Err(error) => Err(format!("it was not read: {error}")),
    }
}

/// What ingest would have written beside the watermark.
async fn write(
    config: &Config,
    conn: &mut Conn,
    now: Stamp,
    record: &Record,
    sealed: &Sealed,
    admitted: &Admitted,
) -> Result<(), StoreError> {
    let EventId { stream, seq: first_seq } = record.at;
    let n_events = u32::try_from(record.n_events).unwrap_or(u32::MAX);
    let member = Member { stream, first_seq, n_events, received: record.received, sealed, admitted };
    let built = Built::alone(member);
    let row = built.row(now);
    if config.tails.are_elsewhere() {
        let key = row.key(Place::Merged(stream.host), stream.host.bucket());
        announce::stored(conn, config.run, &[key]).await?;
    }
    segment::add(conn, false, std::iter::once((stream.host, row))).await?;
    // Its stream has passed it, for the export too.
    let late = exports::late::Late { at: record.at, received: now, n_events: record.n_events };
    exports::late::add(conn, late).await?;
    let paths = admitted.rows.executables.iter().map(|(hash, path)| (*hash, &path[..])).collect();
    executables::add(conn, now, paths).await?;
    process::add(conn, admitted.rows.processes.iter().map(|p| ProcessRow { received: now, ..*p })).await?;
    let connections = admitted.rows.connections.iter();
    connection::add(conn, connections.map(|c| ConnectionRow { received: now, ..*c })).await?;
    Ok(())
}

/// Keeps it with the new reason.
async fn keep(conn: &mut Conn, at: EventId, asked: &Asked, reason: String) -> Result<Outcome, StoreError> {
    let mut tx = conn.begin().await?;
    quarantine::failed(&mut tx, at, &reason).await?;
    let now = leases::now(&mut *tx).await?;
    note(&mut tx, at, asked, now, &format!("refused again: {}", reason.replace('\0', "\\x00"))).await?;
    tx.commit().await?;
    Ok(Outcome::Refused { reason })
}

async fn note(
    conn: &mut Conn,
    at: EventId,
    asked: &Asked,
    now: Stamp,
    detail: &str,
) -> Result<(), StoreError> {
    let entry = audit::Entry {
        at: now,
        actor: &asked.actor,
        action: "quarantine.replay",
        about: &format!("batch:{at}"),
        address: Some(asked.address),
        outcome: audit::Outcome::Done,
        detail: Some(detail),
    };
    audit::append(conn, entry).await
}
