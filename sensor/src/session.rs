//! The sensor's side of a connection to a collector: a pure state machine.
//!
//! Bytes, files and clocks are the driver's ([`crate::uplink`]): it hands in what came and what time
//! it is (`handle_*`), carries out what it is told (`poll_output`), and calls again when
//! `poll_timeout` says. The time is the boot clock, so that a host that slept notices.
//!
//! What holds at all times:
//! - Of each stream, batches leave in order and without gaps; what is no longer held leaves as a
//!   tombstone.
//! - A stream is acknowledged only up to an end of something sent, with the digest that follows from
//!   what was sent, or where the collector's own watermark stands after it was checked as far as
//!   the stream is still held.
//! - Where the two sides disagree there is a [`Finding`], and sending goes on from where the
//!   collector stands: a host must not fall silent because a database was restored.

mod clock;
mod finding;
mod output;
mod reconnect;
mod stream;

pub use finding::Finding;
pub use output::{Output, Want, Wire};
pub use reconnect::{Attempt, Reconnect};

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use wire::authority::{AuthorityId, Trusts};
use wire::frame::collector::{Credit, FromCollector, HeartbeatReply, Watermark, Welcome};
use wire::frame::sensor::{Facts, Goodbye, Heartbeat, Hello};
use wire::frame::{Code, MAX_DATA_STREAMS, MAX_STREAMS_NAMED, VERSION};
use wire::id::Epoch;
use wire::time::{BootTime, WallTime};

use self::clock::ClockFilter;
use self::stream::Stream;
use crate::outbox::Holdings;
use crate::spool::{Parcel, StreamKey};

/// How long a collector may take to answer a `Hello`: it asks its store.
pub const WELCOME_DEADLINE: Duration = Duration::from_secs(15);
/// A deadline seen this much too late says that we did not run, and nothing of the collector. Less than what a deadline
/// comes after a heartbeat: whoever sleeps from before the one until after the other is seen to have slept.
const OVERSLEPT: Duration = Duration::from_millis(250);
/// Restarts of one stream without anything new acknowledged, after which the session ends.
const MAX_IDLE_RESTARTS: u32 = 8;

/// A moment, on both of the host's clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The clock that never jumps: all deadlines.
    pub boot: BootTime,
    /// The host's wall clock: only told to the collector.
    pub wall: WallTime,
}

/// One connection's session.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    live: Option<Epoch>,
    in_doubt: Vec<Epoch>,
    /// The streams in the order in which they may send.
    order: Vec<StreamKey>,
    streams: HashMap<StreamKey, Stream>,
    credit: Credit,
    used: Credit,
    max_batch_bytes: u64,
    last_wire: u64,
    heartbeat: Duration,
    next_heartbeat: BootTime,
    last_heard: BootTime,
    patience: u32,
    probe: Option<Now>,
    clock: ClockFilter,
    /// The authorities that this host trusts; none: nothing is told of them.
    trusts: Vec<AuthorityId>,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// `Hello` is out; nothing else may leave.
    Greeting,
    Live,
    Closed,
}

impl Session {
    /// Begins with a `Hello`. `hello.streams` is filled in from what is held.
    pub fn new(now: Now, mut hello: Hello, holdings: &Holdings) -> Self {
        hello.versions = vec![VERSION];
        hello.streams = holdings.streams.iter().copied().take(MAX_STREAMS_NAMED).collect();
        let mut session = Self {
            phase: Phase::Greeting,
            live: None,
            in_doubt: Vec::new(),
            order: Vec::new(),
            streams: HashMap::new(),
            credit: Credit::default(),
            used: Credit::default(),
            max_batch_bytes: 0,
            last_wire: 0,
            heartbeat: WELCOME_DEADLINE,
            next_heartbeat: now.boot,
            last_heard: now.boot,
            patience: 1,
            probe: Some(now),
            clock: ClockFilter::default(),
            trusts: Vec::new(),
            out: VecDeque::new(),
        };
        session.handle_holdings(holdings);
        session.out.push_back(Output::Control(hello.into()));
        session
    }

    /// Lets the collector be silent for so many times as long as usual.
    #[must_use]
    pub fn with_patience(mut self, patience: u32) -> Self {
        self.patience = patience;
        self
    }

    /// Tells the collector that this host trusts these authorities.
    #[must_use]
    pub fn with_trusts(mut self, trusts: Vec<AuthorityId>) -> Self {
        self.trusts = trusts;
        self
    }

    /// Takes note of what the outbox holds now.
    pub fn handle_holdings(&mut self, holdings: &Holdings) {
        self.live = holdings.live;
        self.in_doubt.clone_from(&holdings.in_doubt);
        self.order.clear();
        for held in &holdings.streams {
            let key = StreamKey { epoch: held.epoch, lane: held.lane };
            self.order.push(key);
            let stream = self.streams.entry(key).or_insert_with(|| Stream::new(held));
            stream.set_end(held.end);
            if self.phase == Phase::Live && !stream.is_started() {
                // Not named in the Hello: begin where we last saw it; the collector corrects us.
                stream.start_as_we_left_it();
            }
        }
        let order = &self.order;
        let out = &mut self.out;
        self.streams.retain(|key, stream| {
            let stays = order.contains(key);
            if !stays {
                out.extend(stream.close_wire().map(Output::Finish));
            }
            stays
        });
        self.schedule();
    }

    /// Tells the collector that this host trusts other authorities now.
    pub fn handle_trusts(&mut self, authorities: Vec<AuthorityId>) {
        match self.phase {
            Phase::Greeting => self.trusts = authorities,
            Phase::Live if !authorities.is_empty() => {
                self.out.push_back(Output::Control(Trusts { authorities }.into()));
            }
            Phase::Live | Phase::Closed => {}
        }
    }

    /// Takes a frame from the control stream.
    pub fn handle_frame(&mut self, now: Now, frame: FromCollector) {
        if self.phase == Phase::Closed {
            return;
        }
        self.last_heard = now.boot;
        match (self.phase, frame) {
            (_, FromCollector::Goodbye(bye)) => self.end(bye.code, bye.reason),
            (Phase::Greeting, FromCollector::Welcome(welcome)) => self.welcomed(now, welcome),
            (Phase::Live, FromCollector::Ack(ack)) => self.acked(ack.watermark),
            (Phase::Live, FromCollector::Resend(resend)) => self.restart(resend.watermark),
            (Phase::Live, FromCollector::Rejected(r)) => {
                let stream = StreamKey { epoch: r.epoch, lane: r.lane };
                self.out.push_back(Output::Rejected {
                    stream,
                    first_seq: r.first_seq,
                    n_events: r.n_events,
                    reason: r.reason,
                });
            }
            (Phase::Live, FromCollector::Credit(credit)) => {
                self.credit.bytes = self.credit.bytes.max(credit.bytes);
                self.credit.batches = self.credit.batches.max(credit.batches);
            }
            (Phase::Live, FromCollector::HeartbeatReply(reply)) => self.replied(now, reply),
            (Phase::Live, FromCollector::Authorities(authorities)) => {
                self.out.push_back(Output::Authorities(authorities));
            }
            (_, frame) => self.close(Code::OUT_OF_ORDER, format!("unexpected {}", name_of(&frame))),
        }
        self.schedule();
    }

    /// What parcel the session can send or check next, if any. Ask again after each parcel.
    pub fn poll_want(&self) -> Option<Want> {
        if self.phase != Phase::Live {
            return None;
        }
        let left = Credit {
            bytes: self.credit.bytes.saturating_sub(self.used.bytes),
            batches: self.credit.batches.saturating_sub(self.used.batches),
        };
        let has_credit = left.bytes > 0 && left.batches > 0;
        let want = |key: &StreamKey| {
            let stream = self.streams.get(key)?;
            let is_behind = stream.is_behind() || self.live.is_some_and(|live| live != key.epoch);
            let may = has_credit && (!is_behind || self.leaves_some(left));
            let seq = stream.wants(may)?;
            Some(Want { stream: *key, seq })
        };
        self.order.iter().find_map(want)
    }

    /// Whether more than a quarter of what may be in flight is left. What an outage left behind takes no more than the rest,
    /// so that what happens now need not wait until the store has answered it.
    fn leaves_some(&self, left: Credit) -> bool {
        let in_flight =
            self.streams.values().map(Stream::in_flight).fold(Credit::default(), |all, one| Credit {
                bytes: all.bytes.saturating_add(one.bytes),
                batches: all.batches.saturating_add(one.batches),
            });
        let more = |left: u64, in_flight: u64| left.saturating_mul(3) > in_flight;
        more(left.bytes, in_flight.bytes) && more(left.batches, in_flight.batches)
    }

    /// Takes the parcel that was wanted; `None` if the outbox has none there.
    pub fn handle_parcel(&mut self, want: Want, parcel: Option<Parcel>) {
        let Some(stream) = self.streams.get_mut(&want.stream) else { return };
        let mut sink = stream::Sink {
            key: want.stream,
            used: &mut self.used,
            last_wire: &mut self.last_wire,
            max_batch_bytes: self.max_batch_bytes,
            out: &mut self.out,
        };
        stream.take(want.seq, parcel, &mut sink);
        self.schedule();
    }

    /// Takes note that the last frame given for this data stream is out of the driver's hands.
    pub fn handle_written(&mut self, wire: Wire) {
        for stream in self.streams.values_mut() {
            stream.written(wire);
        }
        self.schedule();
    }

    /// Sends a heartbeat, as [`Output::WantFacts`] asked.
    pub fn handle_facts(&mut self, now: Now, facts: Facts) {
        if self.phase == Phase::Live {
            self.probe = Some(now);
            self.out.push_back(Output::Control(Heartbeat { sent: now.wall, facts }.into()));
        }
    }

    /// Acts on the deadlines that have passed. When that is much later than they asked for, we were stopped or starved
    /// of CPU: what the collector said meanwhile may still wait to be read, so its silence counts from now.
    pub fn handle_timeout(&mut self, now: Now) {
        let Some(asked) = self.poll_timeout() else { return };
        if now.boot >= after(asked, OVERSLEPT) {
            self.last_heard = now.boot;
        }
        if now.boot >= self.deadline() {
            let reason = match self.phase {
                Phase::Greeting => "no welcome came in time",
                _ => "nothing was heard for too long",
            };
            return self.close(Code::TOO_SLOW, reason.into());
        }
        if self.phase == Phase::Live && now.boot >= self.next_heartbeat {
            self.next_heartbeat = after(now.boot, self.heartbeat);
            self.out.push_back(Output::WantFacts);
        }
    }

    /// Says goodbye, for a restart or because the driver lost the connection's use.
    pub fn close(&mut self, code: Code, reason: String) {
        if self.phase != Phase::Closed {
            let reason_out: String = reason.chars().take(60).collect();
            self.out.push_back(Output::Control(Goodbye { code, reason: reason_out }.into()));
            self.end(code, reason);
        }
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Session::handle_timeout`] at the latest; `None` once closed.
    pub fn poll_timeout(&self) -> Option<BootTime> {
        match self.phase {
            Phase::Greeting => Some(self.deadline()),
            Phase::Live => Some(self.deadline().min(self.next_heartbeat)),
            Phase::Closed => None,
        }
    }

    /// Whether a `Welcome` came and the session has not ended.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    fn deadline(&self) -> BootTime {
        match self.phase {
            Phase::Greeting => after(self.last_heard, WELCOME_DEADLINE),
            // One reply may get lost in a restart of the network; a second is a dead collector.
            _ => after(self.last_heard, (self.heartbeat * 2 + Duration::from_millis(500)) * self.patience),
        }
    }

    fn welcomed(&mut self, now: Now, welcome: Welcome) {
        if welcome.version != VERSION {
            return self.close(Code::VERSION, format!("version {} is not spoken here", welcome.version));
        }
        self.phase = Phase::Live;
        self.heartbeat = Duration::from_millis(u64::from(welcome.heartbeat_ms));
        self.next_heartbeat = now.boot;
        self.credit = welcome.credit;
        self.max_batch_bytes = u64::from(welcome.max_batch_bytes);
        self.out.push_back(Output::Welcomed { collector: welcome.collector });
        if !self.trusts.is_empty() {
            let authorities = std::mem::take(&mut self.trusts);
            self.out.push_back(Output::Control(Trusts { authorities }.into()));
        }
        // The Welcome is a clock probe too, if a coarse one: the look-up is in its round trip.
        self.measure(now, welcome.time, welcome.time);
        for watermark in welcome.watermarks {
            self.start(watermark);
        }
        for stream in self.streams.values_mut().filter(|stream| !stream.is_started()) {
            stream.start_as_we_left_it();
        }
    }

    fn start(&mut self, watermark: Watermark) {
        let key = StreamKey { epoch: watermark.epoch, lane: watermark.lane };
        let kin = match key.epoch {
            epoch if self.live == Some(epoch) => stream::Kin::Live,
            epoch if self.in_doubt.contains(&epoch) => stream::Kin::InDoubt,
            _ => stream::Kin::Before,
        };
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.start(key, watermark, kin, &mut self.out);
        }
    }

    fn restart(&mut self, watermark: Watermark) {
        let key = StreamKey { epoch: watermark.epoch, lane: watermark.lane };
        let Some(stream) = self.streams.get_mut(&key) else { return };
        if stream.count_restart() > MAX_IDLE_RESTARTS {
            return self.close(Code::OUT_OF_ORDER, format!("stream {} does not get on", key.lane));
        }
        self.start(watermark);
    }

    fn acked(&mut self, watermark: Watermark) {
        let key = StreamKey { epoch: watermark.epoch, lane: watermark.lane };
        let Some(stream) = self.streams.get_mut(&key) else { return };
        match stream.acked(key, watermark, &mut self.out) {
            stream::Acked::Done => {}
            stream::Acked::Elsewhere => self.start(watermark),
            stream::Acked::Diverged => {
                self.close(Code::DIGEST, format!("acknowledged digest of {} differs", key.lane));
            }
        }
    }

    fn replied(&mut self, now: Now, reply: HeartbeatReply) {
        if self.probe.is_some_and(|probe| probe.wall == reply.sent) {
            self.measure(now, reply.received, reply.replied);
        }
    }

    fn measure(&mut self, now: Now, received: WallTime, replied: WallTime) {
        if let Some(probe) = self.probe.take()
            && let Some(offset) = self.clock.add(probe.boot, received, replied, now.boot)
        {
            self.out.push_back(Output::Offset(offset));
        }
    }

    /// Closes the data streams that are done or have to yield to a stream before them.
    fn schedule(&mut self) {
        let mut places = MAX_DATA_STREAMS;
        for key in &self.order {
            let Some(stream) = self.streams.get_mut(key) else { continue };
            let is_live = self.live == Some(key.epoch);
            let may_send = places > 0 && (is_live || stream.is_busy());
            places -= usize::from(may_send);
            stream.set_may_send(may_send);
            if !may_send {
                self.out.extend(stream.close_wire().map(Output::Finish));
            }
        }
    }

    fn end(&mut self, code: Code, reason: String) {
        self.phase = Phase::Closed;
        self.out.push_back(Output::Ended { code, reason });
    }
}

fn after(t: BootTime, d: Duration) -> BootTime {
    BootTime::from_ns(t.ns().saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
}

fn name_of(frame: &FromCollector) -> &'static str {
    match frame {
        FromCollector::Welcome(_) => "welcome",
        FromCollector::Ack(_) => "ack",
        FromCollector::Rejected(_) => "rejected",
        FromCollector::Resend(_) => "resend",
        FromCollector::Credit(_) => "credit",
        FromCollector::HeartbeatReply(_) => "heartbeat reply",
        FromCollector::Goodbye(_) => "goodbye",
        FromCollector::Authorities(_) => "authorities",
    }
}

#[cfg(test)]
mod tests;
