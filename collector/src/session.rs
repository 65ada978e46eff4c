//! The collector's side of a connection with a sensor: a pure state machine.
//!
//! Sockets, the store and clocks are the driver's ([`crate::listener`]): it hands in what came and
//! what time it is (`handle_*`), carries out what it is told (`poll_output`), and calls again
//! when `poll_timeout` says.
//!
//! What holds at all times:
//! - Only what the store said is durable is acknowledged.
//! - What is delivered of one data stream is without gaps; whether it follows what is stored is for
//!   the store to say. When it does not, the stream is stalled: what still comes on that data
//!   stream is let go, the watermark is looked up once all deliveries are answered, and the sensor
//!   is told to start from there on a new data stream.
//! - What is in flight (received and not answered by the store) is within the credit given, or the
//!   connection is closed.

mod credit;
mod limits;
mod output;
pub(crate) mod rate;
mod stream;

pub use limits::Limits;
pub use output::Output;
pub use rate::Rate;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;
use wire::frame::collector::{Ack, FromCollector, HeartbeatReply, Rejected, Resend, Watermark, Welcome};
use wire::frame::data::{Data, Open};
use wire::frame::sensor::{FromSensor, Goodbye, Heartbeat, Hello};
use wire::frame::{Code, VERSION};
use wire::id::{Epoch, Lane};
use wire::time::WallTime;

use self::credit::Ration;
use self::rate::Bucket;
use self::stream::{Stall, Stream};
use crate::listener::{Finding, Item, Outcome};

/// A stream of the session's host.
pub type Key = (Epoch, Lane);

/// A moment, on both of the collector's clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The clock that never jumps: all deadlines.
    pub at: Instant,
    /// The wall clock: told to sensors, and the time of receipt.
    pub wall: WallTime,
}

/// One connection's session.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    collector: Uuid,
    phase: Phase,
    /// When the host's certificate ends.
    expires: Instant,
    last_heard: Instant,
    control_rate: Bucket,
    wire_rate: Bucket,
    streams: HashMap<Key, Stream>,
    /// What each data stream carries; `Err` until its first frame, with the deadline for that.
    wires: HashMap<u64, Result<Key, Instant>>,
    deliveries: HashMap<u64, Sent>,
    last_delivery: u64,
    ration: Ration,
    n_rejected: u32,
    is_looking_up: bool,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has come yet.
    Greeting,
    /// The watermarks for the `Welcome` are being looked up.
    LookingUp(Vec<Key>),
    Live,
    Closed,
}

/// A delivery that the store has not answered.
#[derive(Debug)]
struct Sent {
    key: Key,
    wire: u64,
    first_seq: u64,
    n_events: u64,
    bytes: u64,
    /// What a tombstone says the chain comes to.
    digest: Option<wire::batch::Digest>,
}

impl Session {
    /// A connection whose handshake is done and whose certificate ends after `expires_in`.
    pub fn new(now: Instant, limits: Limits, collector: Uuid, expires_in: Duration) -> Self {
        let far = now + Duration::from_secs(365 * 86_400);
        Self {
            collector,
            phase: Phase::Greeting,
            expires: now.checked_add(expires_in).unwrap_or(far),
            last_heard: now,
            control_rate: Bucket::new(now, limits.control_frames),
            wire_rate: Bucket::new(now, limits.data_streams),
            streams: HashMap::new(),
            wires: HashMap::new(),
            deliveries: HashMap::new(),
            last_delivery: 0,
            ration: Ration::new(limits.window),
            n_rejected: 0,
            is_looking_up: false,
            out: VecDeque::new(),
            limits,
        }
    }

    /// Takes a frame of the control stream.
    pub fn handle_control(&mut self, now: Now, frame: FromSensor) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.last_heard = now.at;
        if !self.control_rate.take(now.at) {
            return self.close(Code::TOO_MANY_STREAMS, "too many control frames");
        }
        match (&self.phase, frame) {
            (_, FromSensor::Goodbye(bye)) => self.end(bye.code, bye.reason),
            (Phase::Greeting, FromSensor::Hello(hello)) => self.greeted(hello),
            (Phase::Live, FromSensor::Heartbeat(heartbeat)) => self.alive(now, heartbeat),
            (_, FromSensor::Hello(_)) => self.close(Code::OUT_OF_ORDER, "a second hello"),
            (_, FromSensor::Heartbeat(_)) => self.close(Code::OUT_OF_ORDER, "a heartbeat before the welcome"),
        }
    }

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
        self.streams.retain(|_, stream| stream.is_needed());
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

    /// Takes the answer to [`Output::LookUp`]: the watermarks of those streams that are known.
    pub fn handle_watermarks(&mut self, now: Now, found: Option<Vec<Watermark>>) {
        self.is_looking_up = false;
        let of = |key: &Key, found: &[Watermark]| {
            let (epoch, lane) = *key;
            let start = Watermark { epoch, lane, next_seq: 0, digest: wire::batch::Digest::START };
            found.iter().copied().find(|w| (w.epoch, w.lane) == *key).unwrap_or(start)
        };
        match (&self.phase, found) {
            (Phase::LookingUp(keys), Some(found)) => {
                let watermarks = keys.iter().map(|key| of(key, &found)).collect();
                self.welcome(now, watermarks);
            }
            (Phase::LookingUp(_), None) => self.close(Code::BUSY, "the store does not answer"),
            (Phase::Live, Some(found)) => {
                for (key, stream) in &mut self.streams {
                    if stream.was_asked() {
                        let watermark = of(key, &found);
                        let let_go = stream.tell(watermark);
                        let_go.into_iter().for_each(|bytes| self.ration.resolve(bytes));
                        self.out.push_back(Output::Send(Resend { watermark }.into()));
                    }
                }
            }
            (Phase::Live, None) => {
                for stream in self.streams.values_mut().filter(|stream| stream.was_asked()) {
                    stream.stall(now.at + self.limits.retry);
                }
            }
            _ => {}
        }
        self.look_up(now);
    }

    /// Sets what may be in flight from now on.
    pub fn handle_window(&mut self, window: wire::frame::collector::Credit) {
        self.ration.set_window(window);
    }

    /// Acts on the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        let is_due = |at: Instant| now.at >= at;
        match self.phase {
            Phase::Closed => {}
            _ if is_due(self.expires) => self.close(Code::NOT_ALLOWED, "the certificate has ended"),
            _ if is_due(self.deadline()) => self.close(Code::TOO_SLOW, "nothing was heard for too long"),
            Phase::Live => {
                if self.wires.values().any(|wire| wire.is_err_and(is_due)) {
                    return self.close(Code::TOO_SLOW, "a data stream without its first frame");
                }
                self.look_up(now);
            }
            _ => {}
        }
    }

    /// Says goodbye and ends the session.
    pub fn close(&mut self, code: Code, reason: &str) {
        if !matches!(self.phase, Phase::Closed) {
            self.out.push_back(Output::Send(Goodbye { code, reason: reason.into() }.into()));
            self.end(code, reason.into());
        }
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.out.is_empty() {
            self.flush();
        }
        self.out.pop_front()
    }

    /// When to call [`Session::handle_timeout`] at the latest; `None` once closed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::Closed) {
            return None;
        }
        let firsts = self.wires.values().filter_map(|wire| wire.err());
        let stalls = self.streams.values().filter_map(Stream::retry_at).filter(|_| !self.is_looking_up);
        firsts.chain(stalls).chain([self.expires, self.deadline()]).min()
    }

    /// Whether a `Welcome` was sent and the session has not ended.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Greeting => self.last_heard + self.limits.first_frame,
            _ => self.last_heard + self.limits.idle,
        }
    }

    fn greeted(&mut self, hello: Hello) {
        if !hello.versions.contains(&VERSION) {
            return self.close(Code::VERSION, "no protocol version in common; this collector speaks 1");
        }
        let keys: Vec<Key> = hello.streams.iter().map(|held| (held.epoch, held.lane)).collect();
        self.out.push_back(Output::Connected(Box::new(hello)));
        self.out.push_back(Output::LookUp(keys.clone()));
        self.is_looking_up = true;
        self.phase = Phase::LookingUp(keys);
    }

    fn welcome(&mut self, now: Now, watermarks: Vec<Watermark>) {
        self.phase = Phase::Live;
        let welcome = Welcome {
            version: VERSION,
            collector: self.collector,
            collector_version: env!("CARGO_PKG_VERSION").into(),
            time: now.wall,
            heartbeat_ms: u32::try_from(self.limits.heartbeat.as_millis()).unwrap_or(u32::MAX),
            max_batch_bytes: self.limits.max_batch_bytes,
            watermarks,
            credit: self.ration.grant(),
        };
        self.out.push_back(Output::Send(welcome.into()));
    }

    fn alive(&mut self, now: Now, heartbeat: Heartbeat) {
        let reply = HeartbeatReply { sent: heartbeat.sent, received: now.wall, replied: now.wall };
        self.out.push_back(Output::Send(reply.into()));
        self.out.push_back(Output::Heartbeat(Box::new(heartbeat.facts)));
    }

    fn opened(&mut self, wire: u64, open: Open) {
        let key = (open.epoch, open.lane);
        self.wires.insert(wire, Ok(key));
        let stream = self.streams.entry(key).or_default();
        let let_go = stream.opened(wire, open.from);
        let_go.into_iter().for_each(|bytes| self.ration.resolve(bytes));
    }

    fn arrived(&mut self, now: Now, wire: u64, key: Key, item: Item) {
        let (first_seq, n_events, bytes) = (item.first_seq(), item.n_events(), item.n_bytes());
        if bytes > u64::from(self.limits.max_batch_bytes) {
            return self.close(Code::BAD_FRAME, "a batch larger than the welcome allows");
        }
        if !self.ration.receive(bytes) {
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
        stream.outstanding += 1;
        let digest = match &item {
            Item::Tombstone { digest, .. } => Some(*digest),
            Item::Batch { .. } => None,
        };
        self.last_delivery += 1;
        let delivery = self.last_delivery;
        self.deliveries.insert(delivery, Sent { key, wire, first_seq, n_events, bytes, digest });
        self.out.push_back(Output::Deliver { delivery, key, received_at: now.wall, item });
    }

    /// Asks for the watermarks of the stalled streams whose time has come.
    fn look_up(&mut self, now: Now) {
        if self.is_looking_up || !matches!(self.phase, Phase::Live) {
            return;
        }
        let mut keys = Vec::new();
        for (key, stream) in &mut self.streams {
            if stream.retry_at().is_some_and(|at| now.at >= at) {
                stream.stall = Some(Stall::Asked);
                keys.push(*key);
            }
        }
        if !keys.is_empty() {
            self.is_looking_up = true;
            self.out.push_back(Output::LookUp(keys));
        }
    }

    /// Puts out what is better said late and once: acknowledgements and credit.
    fn flush(&mut self) {
        if !matches!(self.phase, Phase::Live) {
            return;
        }
        for ((epoch, lane), stream) in &mut self.streams {
            if let Some((next_seq, digest)) = stream.to_acknowledge.take() {
                let watermark = Watermark { epoch: *epoch, lane: *lane, next_seq, digest };
                self.out.push_back(Output::Send(Ack { watermark }.into()));
            }
        }
        if let Some(credit) = self.ration.due() {
            self.out.push_back(Output::Send(FromCollector::Credit(credit)));
        }
    }

    fn end(&mut self, code: Code, reason: String) {
        self.phase = Phase::Closed;
        self.out.push_back(Output::Ended { code, reason });
    }
}

#[cfg(test)]
mod tests;
