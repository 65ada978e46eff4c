//! Drives one session over one connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use metrics::{counter, gauge};
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};
use tracing::{debug, info, warn};
use wire::frame::collector::Watermark;
use wire::frame::data::Data;
use wire::frame::{Code, FromCollector, FromSensor, encode};
use wire::time::WallTime;

use super::delivery::{Delivery, Finding, HostIdentity, HostReport, LookupError, Outcome};
use super::read::{FrameReader, ReadFailure};
use super::sessions::{Connected, Registration};
use super::{Shared, admit};
use crate::session::{Limits, Now, Output, Session};

/// How long the last frames may take to be received before the connection is closed.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How many reports may wait before no more data is taken: a tombstone can cause one.
const MAX_REPORTS: usize = 16;

type LookedUp = Result<Vec<Watermark>, LookupError>;
type Answer = (u64, Result<Outcome, oneshot::error::RecvError>);

/// What a data stream's reader tells: a frame, or that there are no more.
type FromWire = (u64, Result<Data, Option<ReadFailure>>);

struct Driver<'a> {
    shared: &'a Shared,
    identity: HostIdentity,
    connection: Connection,
    control: SendStream,
    session: Session,
    host_name: Arc<str>,
    registration: Option<Registration<'a>>,
    /// What happens now, and what is behind.
    live: VecDeque<Delivery>,
    behind: VecDeque<Delivery>,
    /// What is to be told of this host: it waits here, so that the session goes on while nobody takes it.
    reports: VecDeque<HostReport>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    look_up: Option<BoxFuture<'a, LookedUp>>,
    ended: Option<(Code, String)>,
}

/// Until the session ends, for whatever reason.
pub(super) async fn drive(shared: &Shared, connection: Connection, identity: HostIdentity) {
    let streams = timeout(shared.limits.session.first_frame, connection.accept_bi()).await;
    let Ok(Ok((control, incoming))) = streams else {
        counter!("collector_session_ended_total", "code" => Code::TOO_SLOW.name()).increment(1);
        if let Some(n_suppressed) = shared.noise.may_log(Instant::now()) {
            let (host, address) = (identity.host, connection.remote_address());
            warn!(host.id = %host, %address, n_suppressed, "a connection without a session ended");
        }
        return connection.close(VarInt::from_u32(Code::TOO_SLOW.0), b"no control stream in time");
    };
    let window = shared.limits.window(shared.sessions.n_live() + 1);
    let limits = Limits { window, ..shared.limits.session };
    let expires_in = identity.not_after.saturating_sub(now().wall.unix_ns() / 1_000_000_000);
    let expires_in = Duration::from_secs(u64::try_from(expires_in).unwrap_or(0));
    let mut driver = Driver {
        shared,
        identity,
        control,
        session: Session::new(Instant::now(), limits, shared.collector, expires_in),
        host_name: Arc::from(""),
        registration: None,
        live: VecDeque::new(),
        behind: VecDeque::new(),
        reports: VecDeque::new(),
        answers: FuturesUnordered::new(),
        look_up: None,
        ended: None,
        connection,
    };
    let (code, reason) = driver.run(FrameReader::new(incoming, shared.limits.least_rate)).await;
    driver.finish(code, &reason).await;
}

impl Driver<'_> {
    async fn run(&mut self, mut control: FrameReader<FromSensor>) -> (Code, String) {
        let (to_us, mut frames) = mpsc::channel::<FromWire>(8);
        let mut announced = self.shared.sessions.announced();
        announced.mark_changed();
        let mut last_wire = 0;
        let mut is_stopping = false;
        loop {
            if let Err(lost) = self.act().await {
                return lost;
            }
            if let Some(ended) = self.ended.take() {
                return ended;
            }
            let wake = self.session.poll_timeout().unwrap_or_else(Instant::now);
            let cut = async {
                match &self.registration {
                    Some(registration) => registration.cut().await,
                    None => std::future::pending().await,
                }
            };
            let look_up = async {
                match &mut self.look_up {
                    Some(look_up) => look_up.await,
                    None => std::future::pending().await,
                }
            };
            // What waits to be read comes before the deadlines: when we come late, that says nothing of the sensor. What
            // a sensor sends is bounded by its credit and rates, so what comes after it gets its turn.
            tokio::select! {
                biased;
                code = cut => self.session.close(code, "this session was cut"),
                () = self.shared.shutdown.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    self.session.close(Code::SHUTDOWN, "the collector stops");
                }
                frame = control.next() => match frame {
                    Ok(Some(frame)) => self.session.handle_control(now(), frame),
                    Ok(None) => self.session.close(Code::OUT_OF_ORDER, "the control stream has ended"),
                    Err(e) => self.failed(&e),
                },
                Some((wire, frame)) = frames.recv(), if self.reports.len() < MAX_REPORTS => match frame {
                    Ok(frame) => self.session.handle_data(now(), wire, frame),
                    Err(None) => self.session.handle_wire_closed(wire),
                    Err(Some(e)) => self.failed(&e),
                },
                stream = self.connection.accept_uni() => match stream {
                    Ok(stream) => {
                        last_wire += 1;
                        self.session.handle_wire(now(), last_wire);
                        let reader = FrameReader::new(stream, self.shared.limits.least_rate);
                        tokio::spawn(read_wire(last_wire, reader, to_us.clone()));
                    }
                    Err(e) => return lost(&e),
                },
                Some((delivery, outcome)) = self.answers.next(), if !self.answers.is_empty() => {
                    self.session.handle_outcome(now(), delivery, outcome.ok());
                }
                permit = self.shared.sink.deliveries.of(false).reserve(), if !self.live.is_empty() => {
                    let delivery = self.live.pop_front();
                    self.hand_on(permit, delivery);
                }
                permit = self.shared.sink.deliveries.of(true).reserve(), if !self.behind.is_empty() => {
                    let delivery = self.behind.pop_front();
                    self.hand_on(permit, delivery);
                }
                Ok(()) = announced.changed() => {
                    if let Some(authorities) = announced.borrow_and_update().clone() {
                        self.session.handle_authorities(authorities);
                    }
                }
                found = look_up => {
                    self.look_up = None;
                    if let Err(e) = &found {
                        warn!(host.id = %self.identity.host, error = %wire::cause::chain(e), "cannot look up watermarks");
                    }
                    self.session.handle_watermarks(now(), found.ok());
                }
                permit = self.shared.sink.reports.reserve(), if !self.reports.is_empty() => {
                    let report = self.reports.pop_front();
                    self.hand_on(permit, report);
                }
                () = sleep_until(wake.into()) => self.session.handle_timeout(now()),
            }
        }
    }

    /// Puts the first that waits into its queue, which has room for it, or is closed as the collector stops.
    fn hand_on<T>(
        &mut self,
        permit: Result<mpsc::Permit<'_, T>, mpsc::error::SendError<()>>,
        first: Option<T>,
    ) {
        match (permit, first) {
            (Ok(permit), Some(first)) => permit.send(first),
            _ => self.session.close(Code::SHUTDOWN, "the collector stops"),
        }
    }

    /// A stream gave something that cannot be read, or nothing.
    fn failed(&mut self, failure: &ReadFailure) {
        match failure {
            ReadFailure::Frame(e) => self.session.close(Code::BAD_FRAME, &e.to_string()),
            ReadFailure::Slow => self.session.close(Code::TOO_SLOW, &failure.to_string()),
            ReadFailure::Lost(quinn::ReadError::ConnectionLost(e)) => self.ended = Some(lost(e)),
            ReadFailure::Lost(_) => self.session.close(Code::OUT_OF_ORDER, "a stream was reset"),
        }
    }

    /// Does all that the session asks for.
    async fn act(&mut self) -> Result<(), (Code, String)> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(frame) => self.say(&frame).await?,
                Output::LookUp(keys) => {
                    let shared = self.shared;
                    self.look_up = Some(shared.sink.streams.watermarks(self.identity.host, keys));
                }
                Output::Deliver { delivery, key: (epoch, lane), received_at, is_behind, item } => {
                    counter!("collector_batch_received_total").increment(1);
                    counter!("collector_batch_received_bytes_total").increment(item.n_bytes());
                    let (reply, answer) = oneshot::channel();
                    self.answers.push(async move { (delivery, answer.await) }.boxed());
                    let (host, host_name) = (self.identity, self.host_name.clone());
                    let queue = if is_behind { &mut self.behind } else { &mut self.live };
                    queue.push_back(Delivery {
                        host,
                        host_name,
                        received_at,
                        is_behind,
                        epoch,
                        lane,
                        item,
                        reply,
                    });
                }
                Output::Connected(hello) => self.connected(hello)?,
                Output::Heartbeat(facts) => {
                    let window = self.shared.limits.window(self.shared.sessions.n_live());
                    self.session.handle_window(window);
                    let (host, at) = (self.identity, now().wall);
                    // The next one says more, so a full channel loses nothing.
                    drop(self.shared.sink.reports.try_send(HostReport::Heartbeat { host, at, facts }));
                    self.look_for_clones();
                }
                // Said once in a session; who says it again and again is not listened to.
                Output::Trusts(authorities) if self.reports.len() < MAX_REPORTS => {
                    let (host, at) = (self.identity, now().wall);
                    let issuer = admit::issuer(&self.connection);
                    self.reports.push_back(HostReport::Trusts { host, at, issuer, authorities });
                }
                Output::Trusts(_) => {}
                Output::Finding(finding) => self.found(finding),
                Output::Ended { code, reason } => self.ended = Some((code, reason)),
            }
        }
        Ok(())
    }

    fn connected(&mut self, hello: Box<wire::frame::sensor::Hello>) -> Result<(), (Code, String)> {
        let address = self.connection.remote_address();
        let at = now().wall;
        self.host_name = Arc::from(hello.host_name.as_str());
        let connected = Connected {
            identity: self.identity,
            address,
            since: at,
            begun: Instant::now(),
            boot: hello.boot,
            sensor_version: hello.sensor_version.clone(),
            host_name: hello.host_name.clone(),
        };
        let registration = self.shared.sessions.enter(connected, self.shared.limits.max_sessions_per_host);
        self.registration = Some(registration);
        // Who was revoked between the handshake and the line above was not among those cut.
        if let Err(refusal) = admit::identify(&self.connection, self.shared) {
            return Err((Code::REVOKED, refusal.to_string()));
        }
        gauge!("collector_session_live").set(self.shared.sessions.n_live() as f64);
        counter!("collector_session_started_total").increment(1);
        info!(host.id = %self.identity.host, %address, sensor.version = hello.sensor_version.escape_debug().to_string(),
            "host {} connected", self.identity.host);
        self.reports.push_back(HostReport::Connected { host: self.identity, address, at, hello });
        Ok(())
    }

    /// Whether another session of this certificate began while this one lived on.
    fn look_for_clones(&mut self) {
        let Some(registration) = &self.registration else { return };
        if let Some((ours, theirs)) = registration.take_challenger(Instant::now()) {
            let finding = Finding::Cloned {
                boots: [ours.boot, theirs.boot],
                addresses: [self.connection.remote_address(), theirs.address],
            };
            self.found(finding);
        }
    }

    fn found(&mut self, finding: Finding) {
        let name = match finding {
            Finding::Cloned { .. } => "cloned",
            Finding::BrokenChain { .. } => "broken_chain",
            Finding::Skipped { .. } => "skipped",
        };
        counter!("collector_finding_total", "finding" => name).increment(1);
        if let Some(n_suppressed) = self.shared.noise.may_log(Instant::now()) {
            warn!(host.id = %self.identity.host, ?finding, n_suppressed, "what should not be");
        }
        self.reports.push_back(HostReport::Finding { host: self.identity, at: now().wall, finding });
    }

    async fn say(&mut self, frame: &FromCollector) -> Result<(), (Code, String)> {
        match timeout(self.shared.limits.session.idle, self.control.write_all(&encode(frame))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(quinn::WriteError::ConnectionLost(e))) => Err(lost(&e)),
            Ok(Err(_)) => Err((Code::OUT_OF_ORDER, "the control stream was stopped".into())),
            Err(_) => Err((Code::TOO_SLOW, "the sensor does not read the control stream".into())),
        }
    }

    /// Lets the last frames arrive, closes the connection, and tells whom it concerns.
    async fn finish(mut self, code: Code, reason: &str) {
        drop(self.control.finish());
        drop(timeout(LAST_WORDS, self.control.stopped()).await);
        self.connection.close(VarInt::from_u32(code.0), reason.as_bytes());
        counter!("collector_session_ended_total", "code" => code.name()).increment(1);
        let is_odd = ![Code::DONE, Code::SHUTDOWN].contains(&code);
        if is_odd && let Some(n_suppressed) = self.shared.noise.may_log(Instant::now()) {
            let reason = reason.escape_debug().to_string();
            warn!(host.id = %self.identity.host, %code, reason, n_suppressed, "a session ended");
        } else {
            debug!(host.id = %self.identity.host, %code, "a session ended");
        }
        if self.registration.take().is_some() {
            gauge!("collector_session_live").set(self.shared.sessions.n_live() as f64);
            self.reports.push_back(HostReport::Disconnected { host: self.identity, at: now().wall, code });
        }
        for report in self.reports {
            // An error means that the collector stops.
            drop(self.shared.sink.reports.send(report).await);
        }
    }
}

/// Reads a data stream to its end. The channel holds it back while the session is busy.
async fn read_wire(wire: u64, mut reader: FrameReader<Data>, to_session: mpsc::Sender<FromWire>) {
    loop {
        let (frame, is_last) = match reader.next().await {
            Ok(Some(frame)) => (Ok(frame), false),
            Ok(None) => (Err(None), true),
            Err(e) => (Err(Some(e)), true),
        };
        if to_session.send((wire, frame)).await.is_err() || is_last {
            return;
        }
    }
}

fn lost(error: &quinn::ConnectionError) -> (Code, String) {
    match error {
        quinn::ConnectionError::ApplicationClosed(close) => {
            let code = Code(u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX));
            (code, String::from_utf8_lossy(&close.reason).chars().take(200).collect())
        }
        quinn::ConnectionError::TimedOut => (Code::TOO_SLOW, "nothing was heard for too long".into()),
        other => (Code::DONE, other.to_string()),
    }
}

fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let wall = WallTime::from_unix_ns(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX));
    Now { at: Instant::now(), wall }
}
