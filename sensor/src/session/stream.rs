//! One stream's progress on one connection.

use std::collections::VecDeque;

use wire::batch::Digest;
use wire::frame::collector::{Credit, Watermark};
use wire::frame::data::{Batch, Data, Open, Tombstone};
use wire::frame::sensor::Held;

use super::{Finding, Output, Wire};
use crate::outbox::UNKNOWN;
use crate::spool::{Parcel, StreamKey};

#[derive(Debug)]
pub(super) struct Stream {
    /// How far the outbox knows it acknowledged, and the chain there.
    acked: u64,
    digest: Option<Digest>,
    /// The number after the last sealed event.
    end: u64,
    /// What is before this was sealed before the session began.
    began: u64,
    place: Place,
    /// How far the collector has confirmed on this connection.
    confirmed: u64,
    in_flight: VecDeque<InFlight>,
    wire: Option<Wire>,
    /// The driver has a frame of this stream in its hands.
    is_writing: bool,
    may_send: bool,
    restarts: u32,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// The collector has not said where it stands.
    Unknown,
    /// Follows our own chain, without sending, to where the collector stands.
    Check { at: u64, digest: Digest, goal: Watermark },
    /// The next number to send, and the chain there, if known.
    Send { next: u64, digest: Option<Digest> },
    /// The collector claims what cannot be; nothing is sent.
    Void,
}

/// Something sent whose acknowledgement is to come.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    end: u64,
    bytes: u64,
    digest: Option<Digest>,
    /// A tombstone: what it stands for may have been sent before it was shed, and stored since.
    is_shed: bool,
}

/// Whose a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kin {
    /// Batches are added to it.
    Live,
    /// A sensor's before, or an epoch's.
    Before,
    /// The same, and a power cut took its end: that the collector has more of it is no wonder.
    InDoubt,
}

/// Where a stream puts what it sends.
pub(super) struct Sink<'a> {
    pub(super) key: StreamKey,
    pub(super) used: &'a mut Credit,
    pub(super) last_wire: &'a mut u64,
    pub(super) max_batch_bytes: u64,
    pub(super) out: &'a mut VecDeque<Output>,
}

/// What an acknowledgement came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Acked {
    /// Booked, or old.
    Done,
    /// It is at no end of anything sent here: the stream is to be started from there.
    Elsewhere,
    /// The digest is not ours.
    Diverged,
}

impl Stream {
    pub(super) fn new(held: &Held) -> Self {
        Self {
            acked: held.acked,
            digest: Some(held.digest).filter(|digest| *digest != UNKNOWN),
            end: held.end,
            began: held.end,
            place: Place::Unknown,
            confirmed: held.acked,
            in_flight: VecDeque::new(),
            wire: None,
            is_writing: false,
            may_send: false,
            restarts: 0,
        }
    }

    /// Begins, or begins again, where the collector stands.
    pub(super) fn start(
        &mut self,
        key: StreamKey,
        watermark: Watermark,
        kin: Kin,
        out: &mut VecDeque<Output>,
    ) {
        let (at, digest) = (watermark.next_seq, watermark.digest);
        out.extend(self.close_wire().map(Output::Finish));
        self.in_flight.clear();
        self.confirmed = at;
        if at > self.end {
            if kin != Kin::InDoubt {
                out.push_back(Output::Finding(Finding::Ahead { watermark, end: self.end }));
            }
            self.place = Place::Void;
            if kin == Kin::Live {
                out.push_back(Output::NewEpoch);
            } else {
                // A sensor before sent what this one no longer finds.
                out.push_back(Output::Acknowledged { stream: key, next_seq: at, digest });
            }
        } else if at > self.acked {
            match self.digest {
                Some(ours) => self.place = Place::Check { at: self.acked, digest: ours, goal: watermark },
                None => self.accept(key, watermark, out),
            }
        } else {
            if at < self.acked {
                out.push_back(Output::Finding(Finding::Forgotten { watermark, acked: self.acked }));
            } else if self.digest != Some(digest) {
                if self.digest.is_some() {
                    out.push_back(Output::Finding(Finding::Diverged(watermark)));
                }
                return self.accept(key, watermark, out);
            }
            self.place = Place::Send { next: at, digest: Some(digest) };
        }
    }

    /// Begins without knowing where the collector stands.
    pub(super) fn start_as_we_left_it(&mut self) {
        self.confirmed = self.acked;
        self.place = Place::Send { next: self.acked, digest: self.digest };
    }

    /// Takes the parcel at `seq`, which was wanted.
    pub(super) fn take(&mut self, seq: u64, parcel: Option<Parcel>, sink: &mut Sink<'_>) {
        match self.place {
            Place::Check { at, digest, goal } if at == seq => self.check(at, digest, goal, parcel, sink),
            Place::Send { next, digest } if next == seq => self.send(next, digest, parcel, sink),
            _ => {}
        }
    }

    pub(super) fn acked(
        &mut self,
        key: StreamKey,
        watermark: Watermark,
        out: &mut VecDeque<Output>,
    ) -> Acked {
        let at = watermark.next_seq;
        if !matches!(self.place, Place::Send { .. }) || at <= self.confirmed {
            return Acked::Done;
        }
        let Ok(n) = self.in_flight.binary_search_by_key(&at, |sent| sent.end) else {
            return Acked::Elsewhere;
        };
        let ours = self.in_flight.get(n).and_then(|sent| sent.digest);
        if ours.is_some_and(|ours| ours != watermark.digest) {
            // Then the collector has more than we hold, and nothing is left to compare it with.
            if self.in_flight.iter().take(n + 1).any(|sent| sent.is_shed) {
                return Acked::Elsewhere;
            }
            out.push_back(Output::Finding(Finding::Diverged(watermark)));
            return Acked::Diverged;
        }
        self.in_flight.drain(..=n);
        self.restarts = 0;
        self.confirmed = at;
        if at >= self.acked {
            self.acked = at;
            self.digest = Some(watermark.digest);
            out.push_back(Output::Acknowledged { stream: key, next_seq: at, digest: watermark.digest });
        }
        Acked::Done
    }

    pub(super) fn set_end(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    pub(super) fn set_may_send(&mut self, may_send: bool) {
        self.may_send = may_send;
    }

    pub(super) fn written(&mut self, wire: Wire) {
        if self.wire == Some(wire) {
            self.is_writing = false;
        }
    }

    /// Gives up the data stream, if there is one: it is to be finished.
    pub(super) fn close_wire(&mut self) -> Option<Wire> {
        self.is_writing = false;
        self.wire.take()
    }

    /// Counts a restart; how many there were since something new was acknowledged.
    pub(super) fn count_restart(&mut self) -> u32 {
        self.restarts += 1;
        self.restarts
    }

    pub(super) fn is_started(&self) -> bool {
        !matches!(self.place, Place::Unknown)
    }

    /// Whether there is something left to send or to hear about.
    pub(super) fn is_busy(&self) -> bool {
        match self.place {
            Place::Unknown | Place::Void => false,
            Place::Check { .. } => true,
            Place::Send { next, .. } => next < self.end || !self.in_flight.is_empty(),
        }
    }

    /// What is sent and not acknowledged.
    pub(super) fn in_flight(&self) -> Credit {
        Credit {
            bytes: self.in_flight.iter().map(|sent| sent.bytes).sum(),
            batches: self.in_flight.len() as u64,
        }
    }

    /// Whether what it sends next was sealed before the session began.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self.place, Place::Send { next, .. } if next < self.began)
    }

    /// The number whose parcel it needs next.
    pub(super) fn wants(&self, has_credit: bool) -> Option<u64> {
        match self.place {
            Place::Check { at, .. } => Some(at),
            Place::Send { next, .. } => {
                let can = has_credit && self.may_send && !self.is_writing && next < self.end;
                can.then_some(next)
            }
            Place::Unknown | Place::Void => None,
        }
    }

    fn check(
        &mut self,
        at: u64,
        digest: Digest,
        goal: Watermark,
        parcel: Option<Parcel>,
        sink: &mut Sink<'_>,
    ) {
        let is_here = |batch: &Batch| batch.first_seq == at;
        match parcel {
            Some(Parcel::Batch(batch)) if is_here(&batch) && batch.end() <= goal.next_seq => {
                let (at, digest) = (batch.end(), digest.after(&batch.sealed));
                if at < goal.next_seq {
                    self.place = Place::Check { at, digest, goal };
                    return;
                }
                if digest != goal.digest {
                    sink.out.push_back(Output::Finding(Finding::Diverged(goal)));
                }
            }
            Some(Parcel::Batch(_)) => sink.out.push_back(Output::Finding(Finding::Astride(goal))),
            // What was sent before was shed since: nothing is left to compare with.
            Some(Parcel::Tombstone { .. }) | None => {}
        }
        self.accept(sink.key, goal, sink.out);
    }

    fn accept(&mut self, key: StreamKey, watermark: Watermark, out: &mut VecDeque<Output>) {
        let Watermark { next_seq, digest, .. } = watermark;
        self.acked = next_seq;
        self.digest = Some(digest);
        self.place = Place::Send { next: next_seq, digest: Some(digest) };
        out.push_back(Output::Acknowledged { stream: key, next_seq, digest });
    }

    fn send(&mut self, next: u64, digest: Option<Digest>, parcel: Option<Parcel>, sink: &mut Sink<'_>) {
        let end = match parcel {
            Some(Parcel::Batch(batch)) if batch.first_seq == next => {
                let bytes = batch.credit_bytes();
                if bytes <= sink.max_batch_bytes {
                    let digest = digest.map(|digest| digest.after(&batch.sealed));
                    sink.used.bytes += bytes;
                    return self.put(batch.end(), bytes, digest, Data::Batch(batch), sink);
                }
                sink.out.push_back(Output::Finding(Finding::TooLarge { bytes, max: sink.max_batch_bytes }));
                batch.end()
            }
            Some(Parcel::Batch(batch)) => {
                let here = Watermark {
                    epoch: sink.key.epoch,
                    lane: sink.key.lane,
                    next_seq: next,
                    digest: digest.unwrap_or(UNKNOWN),
                };
                sink.out.push_back(Output::Finding(Finding::Astride(here)));
                batch.end()
            }
            Some(tombstone @ Parcel::Tombstone { .. }) => tombstone.end(),
            // The collector has forgotten what it had acknowledged, so it is no longer held.
            None if next < self.acked => self.acked,
            None => {
                self.end = next;
                return;
            }
        };
        let n_events = end.saturating_sub(next);
        let digest = digest.map(|digest| digest.after_tombstone(next, n_events));
        let tombstone = Tombstone { first_seq: next, n_events, digest: digest.unwrap_or(UNKNOWN) };
        self.put(end, 0, digest, Data::Tombstone(tombstone), sink);
    }

    fn put(&mut self, end: u64, bytes: u64, digest: Option<Digest>, frame: Data, sink: &mut Sink<'_>) {
        let Place::Send { next, .. } = self.place else { return };
        let wire = *self.wire.get_or_insert_with(|| {
            *sink.last_wire += 1;
            let wire = Wire(*sink.last_wire);
            let open = Open { epoch: sink.key.epoch, lane: sink.key.lane, from: next };
            sink.out.push_back(Output::Open(wire, Data::Open(open)));
            wire
        });
        sink.used.batches += 1;
        let is_shed = matches!(frame, Data::Tombstone(_));
        sink.out.push_back(Output::Data(wire, frame));
        self.in_flight.push_back(InFlight { end, bytes, digest, is_shed });
        self.place = Place::Send { next: end, digest };
        self.is_writing = true;
    }
}
