//! What should not be, seen from the sensor.

use wire::frame::collector::Watermark;

/// The collector's account of a stream contradicts the sensor's: a bug, a restored database, or
/// someone who rewrites history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Finding {
    /// The chain's digest is not what follows from what was sent.
    #[error("the collector's digest of lane {} at {} differs from ours", .0.lane, .0.next_seq)]
    Diverged(Watermark),
    /// It no longer has what it had acknowledged; that is gone.
    #[error("the collector stands at {} in lane {}, but had acknowledged {acked}", .watermark.next_seq, .watermark.lane)]
    Forgotten {
        /// What it has.
        watermark: Watermark,
        /// What it had acknowledged.
        acked: u64,
    },
    /// It has more than was ever sealed.
    #[error("the collector stands at {} in lane {}, but only {end} were sealed", .watermark.next_seq, .watermark.lane)]
    Ahead {
        /// What it has.
        watermark: Watermark,
        /// The number after the last sealed event.
        end: u64,
    },
    /// It stands within a batch.
    #[error("the collector stands at {} in lane {}, within a batch", .0.next_seq, .0.lane)]
    Astride(Watermark),
    /// A batch is larger than the collector takes; its events become a tombstone.
    #[error(
        "a batch of {bytes} bytes is larger than the {max} that the collector takes; its events are dropped"
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        max: u64,
    },
}
