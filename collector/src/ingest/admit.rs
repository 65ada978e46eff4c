//! Whether a batch may be stored, and all that is stored beside it. Pure; costs CPU, so it runs off the
//! asynchronous threads.

use metrics::counter;
use wire::batch::{Batch, BatchError, Header, Sealed};
use wire::event::Kind;
use wire::frame::RejectReason;
use wire::id::StreamId;
use wire::term;
use wire::time::{BootTime, WallTime, indexed_time};

use super::rows::{self, Rows};
use crate::store::Stamp;
use crate::store::directory::PartEnds;
use crate::store::streams::Boundary;

/// What a frame says about the batch it carries; the header has to agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) stream: StreamId,
    pub(super) first_seq: u64,
    pub(super) n_events: u32,
    pub(super) received: WallTime,
}

/// A batch that can be read, and what its place in the store needs.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) boundary: Boundary,
    /// The indexed times of its events, rounded outwards.
    pub(super) earliest: Stamp,
    pub(super) latest: Stamp,
    pub(super) terms: Vec<i64>,
    pub(super) ends: Option<PartEnds>,
    pub(super) rows: Rows,
    /// Its events that tell of tampering with the sensor.
    pub(super) n_tampered: usize,
}

/// Why a batch is refused for good.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reason: RejectReason,
    /// For the quarantine.
    pub(super) said: String,
}

/// Reads all of a batch. One that makes the reader panic is refused like any other: its neighbours are not harmed, and it
/// does not come again.
pub(super) fn admit(claim: &Claim, sealed: &Sealed) -> Result<Admitted, Refusal> {
    caught(|| read(claim, sealed))
}

fn caught<T>(reading: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    // Nothing outlives the closure that it could have left half done.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(reading)).unwrap_or_else(|panic| {
        counter!("collector_batch_panicked_total").increment(1);
        let said =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Refusal {
            reason: RejectReason::Payload,
            said: format!("reading it failed, which is a bug: {}", said.unwrap_or("no reason was given")),
        })
    })
}

fn read(claim: &Claim, sealed: &Sealed) -> Result<Admitted, Refusal> {
    let batch = Batch::validate(sealed).map_err(|e| refusal(&e))?;
    contradiction(claim, batch.header())?;
    let header = batch.header();
    let (earliest, latest) = indexed(&batch, claim.received).map_err(|e| refusal(&e))?;
    Ok(Admitted {
        boundary: Boundary {
            ledger: header.ledger,
            end_seq: header.first_seq.saturating_add(u64::from(header.n_events)),
            sealed: Stamp::floor(header.clock.timestamp(header.sealed)),
            boot: header.boot,
        },
        earliest,
        latest,
        terms: term::of_batch(&batch).map_err(|e| refusal(&e))?,
        ends: PartEnds::of(&batch.spans(), u32::try_from(sealed.payload.len()).unwrap_or(u32::MAX)),
        rows: rows::of_batch(claim.stream.host, &batch).map_err(|e| refusal(&e))?,
        n_tampered: batch.groups().filter(|of| of.kind() == Kind::SENSOR_TAMPER).map(|of| of.n_rows()).sum(),
    })
}

fn contradiction(claim: &Claim, header: &Header) -> Result<(), Refusal> {
    let stream = claim.stream;
    let agrees = header.epoch == stream.epoch
        && header.lane == stream.lane
        && header.first_seq == claim.first_seq
        && header.n_events == claim.n_events;
    if agrees {
        return Ok(());
    }
    Err(Refusal {
        reason: RejectReason::Header,
        said: format!(
            "header says {}.{} {}+{}, expected {}.{} {}+{} as in its frame",
            header.epoch,
            header.lane,
            header.first_seq,
            header.n_events,
            stream.epoch,
            stream.lane,
            claim.first_seq,
            claim.n_events
        ),
    })
}

/// The earliest and the latest indexed time of a batch's events.
fn indexed(batch: &Batch, received: WallTime) -> Result<(Stamp, Stamp), BatchError> {
    let clock = batch.header().clock;
    let times = batch.times()?;
    let all = || times.iter().map(|ns| indexed_time(clock.timestamp(BootTime::from_ns(*ns)), received));
    let earliest = all().min().unwrap_or(received);
    let latest = all().max().unwrap_or(received);
    Ok((Stamp::floor(earliest), Stamp::ceil(latest)))
}

fn refusal(error: &BatchError) -> Refusal {
    let reason = match error {
        BatchError::HeaderVersion { .. } => RejectReason::Header,
        BatchError::Malformed { part: "header", .. } => RejectReason::Header,
        BatchError::Limit { .. } => RejectReason::Limit,
        _ => RejectReason::Payload,
    };
    Refusal { reason, said: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_the_reader_panic_is_refused() {
        let nothing: [u8; 0] = [];
        let at = std::hint::black_box(3);
        #[expect(clippy::indexing_slicing, reason = "it is to panic")]
        let refused = caught(|| Ok(nothing[at])).expect_err("a panic");
        assert!(refused.said.contains("out of bounds"), "{}", refused.said);
    }
}
