//! Writes down how far streams are, and what was refused or lost on the way.

use uuid::Uuid;

use super::locate::Loss;
use super::queue::Queue;
use super::report::Report;
use super::round::Refusal;
use crate::store::exports::refused::Refused;
use crate::store::exports::{self, Advanced};
use crate::store::findings::{self, Found};
use crate::store::{Conn, Stamp, StoreError};

/// So many streams are moved on by one transaction.
const AT_ONCE: usize = 2_000;

/// What has to be written down beside how far streams are. Before it: so that a stream never has passed what is not told.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) refused: Vec<Refusal>,
    pub(super) lost: Vec<Loss>,
}

/// Writes everything down that was reported.
///
/// # Errors
/// When the database fails. What was not written is tried again.
pub(super) async fn commit(
    conn: &mut Conn,
    run: Uuid,
    queue: &mut Queue,
    notes: &mut Notes,
    report: &Report,
    now: Stamp,
) -> Result<Advanced, StoreError> {
    while let Some(Refusal { at, topic, n_bytes, reason }) = notes.refused.last() {
        let (topic, reason) = (topic.clone(), reason.clone());
        exports::refused::add(conn, &Refused { at: *at, topic, n_bytes: *n_bytes, refused: now, reason })
            .await?;
        notes.refused.pop();
    }
    while let Some(loss) = notes.lost.last() {
        findings::add(conn, &unexported(loss, now)).await?;
        notes.lost.pop();
    }
    loop {
        let advances = queue.unwritten(AT_ONCE);
        if advances.is_empty() {
            return Ok(Advanced::All);
        }
        match exports::advance(conn, run, &advances).await? {
            Advanced::All => {
                advances.iter().for_each(|advance| report.written(advance.fate));
                queue.written(&advances);
            }
            Advanced::Lost => return Ok(Advanced::Lost),
        }
    }
}

/// What is told of events that were dropped before they were exported.
pub(crate) fn unexported(loss: &Loss, at: Stamp) -> Found {
    let (stream, seq) = (loss.at.stream, loss.at.seq);
    Found {
        host: stream.host,
        kind: findings::Kind::Unexported,
        about: format!("{}.{} {seq}-{}", stream.epoch, stream.lane, seq.saturating_add(loss.n_events)),
        at,
        evidence: serde_json::json!({ "first_seq": seq, "n_events": loss.n_events }),
    }
}
