//! One stream as one connection sees it.

use std::time::Instant;

use wire::batch::Digest;
use wire::frame::collector::Watermark;

#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The newest data stream that carries it; older ones are let go. 0 before the first.
    pub(super) wire: u64,
    is_open: bool,
    /// The number that must come next on it.
    pub(super) next: u64,
    /// Deliveries the store has not answered.
    pub(super) outstanding: u32,
    /// What is before this the host had sealed when the session began.
    began: u64,
    was_behind: bool,
    pub(super) stall: Option<Stall>,
    pub(super) to_acknowledge: Option<(u64, Digest)>,
    /// Where the sensor was last told to begin, until it does.
    told: Option<u64>,
    /// The sizes of what was let go while stalled. Their credit is given back only when the sensor
    /// is told where to start, or it would go on sending for nothing.
    let_go: Vec<u64>,
}

/// Why what comes is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// The watermark is to be looked up, not before this.
    Until(Instant),
    /// It is being looked up.
    Asked,
    /// The sensor was told.
    Told,
}

impl Stream {
    /// Takes note of how much of it there was when the session began.
    pub(super) fn began_at(&mut self, end: u64) {
        self.began = end;
    }

    /// Whether a batch that begins here comes after what happens now: its epoch is not the newest, or it was sealed before the
    /// session began. What follows such a batch does not overtake it.
    pub(super) fn is_behind(&mut self, first_seq: u64, is_older: bool) -> bool {
        self.was_behind = is_older || first_seq < self.began || (self.was_behind && self.outstanding > 0);
        self.was_behind
    }

    /// Says where it stands: what comes next must begin there or before.
    pub(super) fn say(&mut self, next_seq: u64) {
        self.told = Some(next_seq);
    }

    /// Where the sensor was told to begin, if a data stream that begins at `from` leaves something out. Told once.
    pub(super) fn skips(&mut self, wire: u64, from: u64) -> Option<u64> {
        if wire <= self.wire {
            return None;
        }
        self.told.take().filter(|told| from > *told)
    }

    /// Takes note of a data stream that carries it. Gives the sizes of what was let go before.
    pub(super) fn opened(&mut self, wire: u64, from: u64) -> Vec<u64> {
        if wire > self.wire {
            self.wire = wire;
            self.is_open = true;
            self.next = from;
            self.stall = None;
            return std::mem::take(&mut self.let_go);
        }
        Vec::new()
    }

    pub(super) fn wire_closed(&mut self, wire: u64) {
        if self.wire == wire {
            self.is_open = false;
        }
    }

    /// Lets go of something that came while stalled.
    pub(super) fn let_go(&mut self, bytes: u64) {
        self.let_go.push(bytes);
    }

    /// Lets go what comes until the sensor starts anew.
    pub(super) fn stall(&mut self, until: Instant) {
        self.stall = match self.stall {
            Some(Stall::Until(before)) => Some(Stall::Until(before.max(until))),
            _ => Some(Stall::Until(until)),
        };
    }

    /// The sensor is being told where to start. Gives the sizes of what was let go.
    pub(super) fn tell(&mut self, watermark: Watermark) -> Vec<u64> {
        self.stall = Some(Stall::Told);
        self.say(watermark.next_seq);
        self.to_acknowledge = self.to_acknowledge.filter(|(next_seq, _)| *next_seq > watermark.next_seq);
        std::mem::take(&mut self.let_go)
    }

    /// Will acknowledge this, unless more is to be already.
    pub(super) fn acknowledge(&mut self, next_seq: u64, digest: Digest) {
        self.told = self.told.map(|told| told.max(next_seq));
        if self.to_acknowledge.is_none_or(|(before, _)| before < next_seq) {
            self.to_acknowledge = Some((next_seq, digest));
        }
    }

    /// Whether it is still to begin where it was told.
    pub(super) fn was_told(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn was_asked(&self) -> bool {
        self.stall == Some(Stall::Asked)
    }

    /// When the watermark may be looked up: only once every delivery is answered, as an answer may
    /// move it.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self.stall {
            Some(Stall::Until(at)) if self.outstanding == 0 => Some(at),
            _ => None,
        }
    }

    /// Whether anything depends on what is known of it.
    pub(super) fn is_needed(&self) -> bool {
        let is_asking = matches!(self.stall, Some(Stall::Until(_) | Stall::Asked));
        self.is_open || self.outstanding > 0 || self.to_acknowledge.is_some() || is_asking
    }
}
