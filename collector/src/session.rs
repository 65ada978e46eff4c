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
mod delivery;
mod limits;
mod output;
pub(crate) mod rate;
mod stream;
mod watermarks;

pub use limits::Limits;
pub use output::Output;
pub use rate::Rate;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;
use wire::authority::Authorities;
use wire::frame::Code;
use wire::frame::collector::{Ack, FromCollector, HeartbeatReply, Watermark};
use wire::frame::sensor::{FromSensor, Goodbye, Heartbeat};
use wire::id::{Epoch, Lane};
use wire::time::WallTime;

use self::credit::Ration;
use self::delivery::Sent;
use self::rate::Bucket;
use self::stream::Stream;

/// A deadline seen this much too late says that we did not run, and nothing of the sensor.
pub(crate) const OVERSLEPT: Duration = Duration::from_millis(250);

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
    /// When the deadlines were last looked at.
    last_looked: Instant,
    control_rate: Bucket,
    wire_rate: Bucket,
    streams: HashMap<Key, Stream>,
    /// What each data stream carries; `Err` until its first frame, with the deadline for that.
    wires: HashMap<u64, Result<Key, Instant>>,
    deliveries: HashMap<u64, Sent>,
    /// The newest epoch that a data stream carried. Epochs are made in order ([RFC 9562], version 7).
    ///
    /// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
    newest: Option<Epoch>,
    last_delivery: u64,
    ration: Ration,
    n_rejected: u32,
    is_looking_up: bool,
    /// What the sensor is to be told of authorities, and was not yet.
    announcement: Option<Arc<Authorities>>,
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

impl Session {
    /// A connection whose handshake is done and whose certificate ends after `expires_in`.
    pub fn new(now: Instant, limits: Limits, collector: Uuid, expires_in: Duration) -> Self {
        let far = now + Duration::from_secs(365 * 86_400);
        Self {
            collector,
            phase: Phase::Greeting,
            expires: now.checked_add(expires_in).unwrap_or(far),
            last_heard: now,
            last_looked: now,
            control_rate: Bucket::new(now, limits.control_frames),
            wire_rate: Bucket::new(now, limits.data_streams),
            streams: HashMap::new(),
            wires: HashMap::new(),
            deliveries: HashMap::new(),
            last_delivery: 0,
            newest: None,
            ration: Ration::new(limits.window),
            n_rejected: 0,
            is_looking_up: false,
            announcement: None,
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
        // Frames come before deadlines, and this one holds however many come.
        if now.at >= self.expires {
            return self.close(Code::NOT_ALLOWED, "the certificate has ended");
        }
        if !self.control_rate.take(now.at) {
            return self.close(Code::TOO_MANY_STREAMS, "too many control frames");
        }
        match (&self.phase, frame) {
            (_, FromSensor::Goodbye(bye)) => self.end(bye.code, bye.reason),
            (Phase::Greeting, FromSensor::Hello(hello)) => self.greeted(hello),
            (Phase::Live, FromSensor::Heartbeat(heartbeat)) => self.alive(now, heartbeat),
            (Phase::Live, FromSensor::Trusts(trusts)) => {
                self.out.push_back(Output::Trusts(trusts.authorities));
            }
            (_, FromSensor::Trusts(_)) => self.close(Code::OUT_OF_ORDER, "authorities before the welcome"),
            (_, FromSensor::Hello(_)) => self.close(Code::OUT_OF_ORDER, "a second hello"),
            (_, FromSensor::Heartbeat(_)) => self.close(Code::OUT_OF_ORDER, "a heartbeat before the welcome"),
        }
    }

    /// Tells the sensor which authorities are in use, once the session is live.
    pub fn handle_authorities(&mut self, authorities: Arc<Authorities>) {
        self.announcement = Some(authorities);
    }

    /// Sets what may be in flight from now on.
    pub fn handle_window(&mut self, window: wire::frame::collector::Credit) {
        self.ration.set_window(window);
    }

    /// Acts on the deadlines that have passed. When that is much later than they asked for, we were stopped or starved
    /// of CPU: what the sensor said meanwhile may still wait to be read, so its silence counts from now.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.poll_timeout().is_some_and(|asked| now.at >= asked + OVERSLEPT) {
            self.last_heard = now.at;
            let first = now.at + self.limits.first_frame;
            self.wires.values_mut().filter_map(|wire| wire.as_mut().err()).for_each(|by| *by = first);
        }
        self.last_looked = now.at;
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
        // Asked for while a sensor is silent, so that it shows when we do not run.
        let look = self.last_heard.max(self.last_looked) + self.limits.heartbeat * 2;
        firsts.chain(stalls).chain([self.expires, self.deadline(), look]).min()
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

    fn alive(&mut self, now: Now, heartbeat: Heartbeat) {
        let reply = HeartbeatReply { sent: heartbeat.sent, received: now.wall, replied: now.wall };
        self.out.push_back(Output::Send(reply.into()));
        self.out.push_back(Output::Heartbeat(Box::new(heartbeat.facts)));
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
        if let Some(authorities) = self.announcement.take() {
            let authorities = Arc::unwrap_or_clone(authorities);
            self.out.push_back(Output::Send(FromCollector::Authorities(authorities)));
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
