//! What a delivery is answered, and counted as.

use std::time::Instant;

use metrics::counter;
use tracing::warn;

use super::parcel::{Content, Parcel};
use super::plan::Verdict;
use crate::listener::Outcome;
use crate::listener::noise::Noise;
use crate::store::streams::Position;

/// What a delivery is answered after the commit.
pub(super) fn outcome(parcel: &Parcel, verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Gap => Outcome::Gap,
        Verdict::Behind(Position { next_seq, digest }) | Verdict::Conflict(Position { next_seq, digest }) => {
            Outcome::Duplicate { next_seq, digest }
        }
        Verdict::Next(Position { next_seq, digest }) | Verdict::Broken(Position { next_seq, digest }) => {
            match &parcel.content {
                Content::Refused(_, refusal) => {
                    Outcome::Rejected { reason: refusal.reason, next_seq, digest }
                }
                _ => Outcome::Stored { next_seq, digest },
            }
        }
    }
}

/// Counts what became of a delivery, and says so now and then where it was refused.
pub(super) fn count(parcel: &Parcel, outcome: &Outcome, noise: &Noise) {
    match outcome {
        Outcome::Stored { .. } => {
            counter!("collector_batch_stored_total").increment(1);
            match parcel.content {
                Content::Tombstone(_) => counter!("collector_event_shed_total").increment(parcel.n_events),
                _ => counter!("collector_event_stored_total").increment(parcel.n_events),
            }
        }
        Outcome::Duplicate { .. } => counter!("collector_batch_duplicate_total").increment(1),
        Outcome::Gap => counter!("collector_batch_gap_total").increment(1),
        Outcome::Rejected { reason, .. } => {
            counter!("collector_batch_rejected_total", "reason" => reason.name()).increment(1);
            counter!("collector_event_rejected_total", "reason" => reason.name()).increment(parcel.n_events);
            if let Content::Refused(_, refusal) = &parcel.content
                && let Some(n_suppressed) = noise.may_log(Instant::now())
            {
                let (stream, first_seq, why) = (parcel.stream, parcel.first_seq, refusal.said.escape_debug());
                warn!(%stream, first_seq, reason = reason.name(), %why, n_suppressed, "refused a batch");
            }
        }
        Outcome::Retry { .. } => {}
    }
}
