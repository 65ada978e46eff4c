//! Drives one session over one connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use metrics::{counter, gauge};
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use wire::frame::sensor::{Facts, FromSensor, Hello};
use wire::frame::{Code, Decoder, FromCollector, encode};
use wire::time::BootTime;

use super::{End, Link, note_up, now, wire as data};
use crate::outbox::Outbox;
use crate::session::{Output, Session, Wire};

/// How long a control frame may take to leave: the collector always reads them, if it runs.
const WRITE: Duration = Duration::from_secs(15);
/// How long what is held may take to be acknowledged when the sensor stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a session's driver needs.
pub(super) struct Run<'a> {
    pub(super) collector: &'a str,
    pub(super) outbox: &'a Outbox,
    pub(super) link: &'a Link,
    pub(super) facts: &'a watch::Receiver<Facts>,
    pub(super) tls: &'a mut watch::Receiver<Arc<rustls::ClientConfig>>,
    pub(super) shutdown: &'a CancellationToken,
    /// Since when nothing was heard of a collector.
    pub(super) out_since: BootTime,
    /// How many times as long as usual the collector may be silent.
    pub(super) silence: u32,
}

struct Driver {
    connection: Connection,
    control: SendStream,
    opener: data::Opener,
    session: Session,
    wires: HashMap<Wire, data::Handle>,
    written: mpsc::UnboundedSender<Wire>,
    /// When something was last heard of a collector that has welcomed us.
    heard: Option<BootTime>,
    ended: Option<(Code, String)>,
}

impl Run<'_> {
    /// Until the session ends, for whatever reason. `on_live` is called when the collector has welcomed us.
    pub(super) async fn drive(self, connection: Connection, hello: Hello, mut on_live: impl FnMut()) -> End {
        let (control, mut incoming) = match timeout(WRITE, connection.open_bi()).await {
            Ok(Ok(streams)) => streams,
            Ok(Err(e)) => return lost(&e, None),
            Err(_) => return lost(&ConnectionError::TimedOut, None),
        };
        let (written, mut written_wires) = mpsc::unbounded_channel();
        let session = Session::new(now(), hello, &self.outbox.holdings())
            .with_patience(self.silence)
            .with_trusts(self.link.trusts());
        let mut driver = Driver {
            opener: data::Opener::new(connection.clone()),
            connection,
            control,
            session,
            wires: HashMap::new(),
            written,
            heard: None,
            ended: None,
        };
        let mut trusts = self.link.trusts_changes();
        let mut decoder = Decoder::<FromCollector>::default();
        let mut last_call: Option<Instant> = None;
        let mut is_renewal = false;
        let mut can_renew = true;
        loop {
            if let Err(e) = driver.act(&self, &mut on_live).await {
                return lost(&e, driver.heard);
            }
            if let Some((code, reason)) = driver.ended.take() {
                driver.connection.close(VarInt::from_u32(code.0), reason.as_bytes());
                return End { code, reason, heard: driver.heard, is_renewal };
            }
            if last_call.is_some_and(|at| Instant::now() >= at || self.is_all_acknowledged()) {
                driver.session.close(Code::DONE, "the sensor stops".into());
                continue;
            }
            let wake = wake_at(driver.session.poll_timeout(), last_call);
            // What waits to be read comes before the deadlines: when we come late, that says nothing of the collector.
            // They come before what we have to send, of which there may always be more.
            tokio::select! {
                biased;
                () = self.shutdown.cancelled(), if last_call.is_none() => {
                    last_call = Some(Instant::now() + LAST_WORDS);
                }
                chunk = read(&mut incoming) => match chunk {
                    Ok(Some(bytes)) => driver.take(&mut decoder, &bytes),
                    Ok(None) => driver.session.close(Code::OUT_OF_ORDER, "the control stream has ended".into()),
                    Err(e) => return lost(&e, driver.heard),
                },
                () = sleep_until(wake) => driver.session.handle_timeout(now()),
                changed = self.tls.changed(), if can_renew => {
                    can_renew = changed.is_ok();
                    is_renewal = can_renew;
                    if can_renew {
                        driver.session.close(Code::DONE, "the certificate was renewed".into());
                    }
                }
                Ok(()) = trusts.changed() => {
                    driver.session.handle_trusts(trusts.borrow_and_update().clone());
                }
                Some(wire) = written_wires.recv() => driver.session.handle_written(wire),
                () = self.outbox.changed() => driver.session.handle_holdings(&self.outbox.holdings()),
            }
        }
    }

    fn is_all_acknowledged(&self) -> bool {
        self.outbox.holdings().streams.iter().all(|held| held.acked == held.end)
    }
}

impl Driver {
    /// Takes bytes of the control stream.
    fn take(&mut self, decoder: &mut Decoder<FromCollector>, bytes: &[u8]) {
        decoder.push(bytes);
        self.heard = self.heard.map(|_| now().boot);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => self.session.handle_frame(now(), frame),
                Ok(None) => return,
                Err(e) => return self.session.close(Code::BAD_FRAME, e.to_string()),
            }
        }
    }

    /// Does all that the session asks for.
    async fn act(&mut self, run: &Run<'_>, on_live: &mut impl FnMut()) -> Result<(), ConnectionError> {
        let mut has_acknowledged = false;
        loop {
            while let Some(output) = self.session.poll_output() {
                has_acknowledged |= matches!(output, Output::Acknowledged { .. });
                self.carry_out(output, run, on_live).await?;
            }
            if has_acknowledged {
                // A stream that is drained is no longer held, and gives its place to the next.
                has_acknowledged = false;
                self.session.handle_holdings(&run.outbox.holdings());
                continue;
            }
            let Some(want) = self.session.poll_want() else { return Ok(()) };
            // What is read from disk is asked for again when the outbox says that it has changed.
            let Poll::Ready(parcel) = run.outbox.parcel(want.stream, want.seq) else { return Ok(()) };
            self.session.handle_parcel(want, parcel);
        }
    }

    async fn carry_out(
        &mut self,
        output: Output,
        run: &Run<'_>,
        on_live: &mut impl FnMut(),
    ) -> Result<(), ConnectionError> {
        match output {
            Output::Control(frame) => self.say(&frame).await?,
            Output::Open(wire, frame) => {
                let handle = self.opener.start(wire, self.written.clone());
                handle.give(frame);
                self.wires.insert(wire, handle);
            }
            Output::Data(wire, frame) => {
                counter!("sensor_batch_sent_total").increment(1);
                if let Some(handle) = self.wires.get(&wire) {
                    handle.give(frame);
                }
            }
            Output::Finish(wire) => drop(self.wires.remove(&wire)),
            Output::WantFacts => self.session.handle_facts(now(), facts(run)),
            Output::Acknowledged { stream, next_seq, digest } => {
                counter!("sensor_batch_acknowledged_total").increment(1);
                run.outbox.acknowledge(stream, next_seq, digest);
            }
            Output::Rejected { stream, first_seq, n_events, reason } => {
                warn!(epoch = %stream.epoch, lane = %stream.lane, first_seq, n_events, %reason,
                    "the collector refused a batch for good; its events are counted as rejected");
                run.outbox.book_rejected(stream.lane, n_events, reason.name());
            }
            Output::Welcomed { collector } => {
                self.heard = Some(now().boot);
                debug!(%collector, "welcomed");
                note_up(run);
                on_live();
            }
            Output::Offset(offset) => {
                gauge!("sensor_clock_uncertainty_seconds").set(offset.uncertainty_ns as f64 / 1e9);
                run.link.set_offset(offset);
            }
            Output::Authorities(authorities) => run.link.set_authorities(authorities),
            Output::NewEpoch => run.outbox.ask_for_new_epoch(),
            Output::Finding(finding) => {
                counter!("sensor_finding_total").increment(1);
                error!(collector = run.collector, %finding, "the collector's account of a stream is not ours");
            }
            Output::Ended { code, reason } => self.ended = Some((code, reason)),
        }
        Ok(())
    }

    async fn say(&mut self, frame: &FromSensor) -> Result<(), ConnectionError> {
        match timeout(WRITE, self.control.write_all(&encode(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(quinn::WriteError::ConnectionLost(e))) => Err(e),
            Ok(Err(_)) => Err(ConnectionError::Reset),
            Err(_) => Err(ConnectionError::TimedOut),
        }
    }
}

/// Some bytes of the control stream; `None` at its end. May be dropped and called again.
async fn read(stream: &mut RecvStream) -> Result<Option<bytes::Bytes>, ConnectionError> {
    match stream.read_chunk(64 << 10, true).await {
        Ok(chunk) => Ok(chunk.map(|chunk| chunk.bytes)),
        Err(quinn::ReadError::ConnectionLost(e)) => Err(e),
        Err(_) => Ok(None),
    }
}

/// The counters of the moment, with what the uplink knows filled in.
fn facts(run: &Run<'_>) -> Facts {
    let mut facts = run.facts.borrow().clone();
    facts.lanes.truncate(8);
    for lane in &mut facts.lanes {
        let totals = run.outbox.totals(lane.lane);
        (lane.shed, lane.rejected) = (totals.shed, totals.rejected);
    }
    facts.troubles.truncate(16);
    facts.troubles.iter_mut().for_each(|trouble| *trouble = super::cut(trouble, 256));
    facts.held_bytes = run.outbox.n_bytes();
    facts.clock_uncertainty_ns = u64::MAX;
    if let Some(offset) = run.link.offset() {
        let clock = offset.clock(boot_to_wall_ns());
        (facts.clock_offset_ns, facts.clock_uncertainty_ns) = (clock.offset_ns, clock.uncertainty_ns);
    }
    facts
}

fn boot_to_wall_ns() -> i64 {
    let now = now();
    now.wall.unix_ns().saturating_sub(i64::try_from(now.boot.ns()).unwrap_or(i64::MAX))
}

fn wake_at(deadline: Option<BootTime>, last_call: Option<Instant>) -> Instant {
    let ns = deadline.map_or(0, |t| t.ns().saturating_sub(now().boot.ns()));
    // A little late rather than a little early: woken early, there is nothing to do but sleep again.
    let at = Instant::now() + Duration::from_nanos(ns) + Duration::from_millis(1);
    last_call.map_or(at, |last| at.min(last))
}

fn lost(error: &ConnectionError, heard: Option<BootTime>) -> End {
    let (code, reason) = match error {
        ConnectionError::ApplicationClosed(close) => {
            let code = Code(u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX));
            let text: String = String::from_utf8_lossy(&close.reason).chars().take(200).collect();
            (code, format!("the collector closed the connection: {code}: {}", text.escape_debug()))
        }
        ConnectionError::TimedOut => (Code::TOO_SLOW, "the collector does not answer any more".into()),
        other => (Code::DONE, format!("the connection was lost: {other}")),
    };
    End { code, reason, heard, is_renewal: false }
}
