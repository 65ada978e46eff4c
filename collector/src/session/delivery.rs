//! Data streams: what comes on them goes to the store, and its answers come back.

use wire::frame::collector::Rejected;
use wire::frame::data::{Data, Open};
use wire::frame::{Code, MAX_STREAMS_NAMED};

use super::stream::Stall;
use super::{Key, Now, Output, Phase, Session};
use crate::listener::{Finding, Item, Outcome};

/// A delivery that the store has not answered.
#[derive(Debug)]
pub(super) struct Sent {
    key: Key,
    wire: u64,
    first_seq: u64,
    n_events: u64,
    bytes: u64,
    /// What a tombstone says the chain comes to.
    digest: Option<wire::batch::Digest>,
}

impl Session {
    /// Takes note of a new data stream. Later ones have greater numbers.
    pub fn handle_wire(&mut self, now: Now, wire: u64) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if !self.wire_rate.take(now.at) {
            return self.close(Code::TOO_MANY_STREAMS, "data streams opened too fast");
        }
        self.wires.insert(wire, Err(now.at + self.limits.first_frame));
    }

    /// Takes a frame of a data stream.
    pub fn handle_data(&mut self, now: Now, wire: u64, frame: Data) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if !matches!(self.phase, Phase::Live) {
            return self.close(Code::OUT_OF_ORDER, "data before the welcome");
        }
        self.last_heard = now.at;
        match (self.wires.get(&wire).copied(), frame) {
            (Some(Err(_)), Data::Open(open)) => self.opened(wire, open),
            (Some(Ok(key)), Data::Batch(b)) => {
                let item = Item::Batch { first_seq: b.first_seq, n_events: b.n_events, sealed: b.sealed };
                self.arrived(now, wire, key, item);
            }
            (Some(Ok(key)), Data::Tombstone(t)) => {
                let item = Item::Tombstone { first_seq: t.first_seq, n_events: t.n_events, digest: t.digest };
                self.arrived(now, wire, key, item);
            }
            (Some(Ok(_)), Data::Open(_)) => self.close(Code::OUT_OF_ORDER, "a second open"),
            (Some(Err(_)), _) => self.close(Code::OUT_OF_ORDER, "data before open"),
            (None, _) => self.close(Code::OUT_OF_ORDER, "data on a stream that is not open"),
        }
    }

    /// Takes note that a data stream has ended.
    pub fn handle_wire_closed(&mut self, wire: u64) {
        if let Some(Ok(key)) = self.wires.remove(&wire)
            && let Some(stream) = self.streams.get_mut(&key)
        {
            stream.wire_closed(wire);
        }
        // A sensor that opens stream after stream is not remembered for ever.
        let may_wait = self.streams.len() <= MAX_STREAMS_NAMED;
        self.streams.retain(|_, stream| stream.is_needed() || (may_wait && stream.was_told()));
    }

    /// Takes the store's answer to a delivery; `None` if none will come.
    pub fn handle_outcome(&mut self, now: Now, delivery: u64, outcome: Option<Outcome>) {
        let Some(sent) = self.deliveries.remove(&delivery) else { return };
        self.ration.resolve(sent.bytes);
        let Some(stream) = self.streams.get_mut(&sent.key) else { return };
        stream.outstanding = stream.outstanding.saturating_sub(1);
        let retry = Outcome::Retry { after: self.limits.retry };
        match outcome.unwrap_or(retry) {
            Outcome::Stored { next_seq, digest } => {
                stream.acknowledge(next_seq, digest);
                let is_ours = next_seq == sent.first_seq.saturating_add(sent.n_events);
                if is_ours && sent.digest.is_some_and(|claimed| claimed != digest) {
                    let (epoch, lane) = sent.key;
                    let finding = Finding::BrokenChain { epoch, lane, seq: sent.first_seq };
                    self.out.push_back(Output::Finding(finding));
                }
            }
            Outcome::Duplicate { next_seq, digest } => stream.acknowledge(next_seq, digest),
            Outcome::Rejected { reason, next_seq, digest } => {
                stream.acknowledge(next_seq, digest);
                let (epoch, lane) = sent.key;
                let Sent { first_seq, n_events, .. } = sent;
                let rejected = Rejected { epoch, lane, first_seq, n_events, reason };
                self.out.push_back(Output::Send(rejected.into()));
                self.n_rejected += 1;
                if self.n_rejected >= self.limits.max_rejected {
                    self.flush();
                    self.close(Code::REJECTED, "too many batches were refused");
                }
            }
            // The sensor has started anew since: what did not fit then says nothing of now.
            Outcome::Gap | Outcome::Retry { .. } if stream.wire != sent.wire => {}
            Outcome::Gap => stream.stall(now.at),
            Outcome::Retry { after } => stream.stall(now.at + after.min(self.limits.idle)),
        }
        self.look_up(now);
    }

    fn opened(&mut self, wire: u64, open: Open) {
        let key = (open.epoch, open.lane);
        self.newest = self.newest.max(Some(open.epoch));
        self.wires.insert(wire, Ok(key));
        let stream = self.streams.entry(key).or_default();
        if let Some(told) = stream.skips(wire, open.from) {
            let finding = Finding::Skipped { epoch: open.epoch, lane: open.lane, told, from: open.from };
            self.out.push_back(Output::Finding(finding));
        }
        let let_go = stream.opened(wire, open.from);
        let_go.into_iter().for_each(|bytes| self.ration.resolve(bytes));
    }

    fn arrived(&mut self, now: Now, wire: u64, key: Key, item: Item) {
        let (first_seq, n_events, bytes) = (item.first_seq(), item.n_events(), item.n_bytes());
        if bytes > u64::from(self.limits.max_batch_bytes) {
            return self.close(Code::BAD_FRAME, "a batch larger than the welcome allows");
        }
        if !self.ration.receive(bytes, u64::from(self.limits.max_batch_bytes)) {
            return self.close(Code::OVER_CREDIT, "more was sent than credit was given for");
        }
        let Some(stream) = self.streams.get_mut(&key).filter(|stream| stream.wire == wire) else {
            return self.ration.resolve(bytes);
        };
        match stream.stall {
            Some(Stall::Told) => return self.ration.resolve(bytes),
            Some(_) => return stream.let_go(bytes),
            None => {}
        }
        if first_seq != stream.next {
            return self.close(Code::OUT_OF_ORDER, "a batch that does not follow the one before");
        }
        stream.next = item.end();
        let is_behind = stream.is_behind(first_seq, self.newest.is_some_and(|newest| key.0 < newest));
        stream.outstanding += 1;
        let digest = match &item {
            Item::Tombstone { digest, .. } => Some(*digest),
            Item::Batch { .. } => None,
        };
        self.last_delivery += 1;
        let delivery = self.last_delivery;
        self.deliveries.insert(delivery, Sent { key, wire, first_seq, n_events, bytes, digest });
        self.out.push_back(Output::Deliver { delivery, key, received_at: now.wall, is_behind, item });
    }
}
