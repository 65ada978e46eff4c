//! Carries what both sessions put out to the other side, until neither has anything more.

use std::task::Poll;

use vedette_collector::session as collector;
use vedette_sensor::session as sensor;
use vedette_sensor::spool::StreamKey;
use wire::frame::sensor::Facts;
use wire::frame::{Code, MAX_DATA_STREAMS};

use super::{Connection, Side, World};
use crate::network::Pipe;

impl World {
    /// Both drivers do what their sessions tell them.
    pub(super) fn pump(&mut self) {
        let (sensor_now, collector_now) = (self.sensor_now(), self.collector_now());
        let Some(mut connection) = self.connection.take() else { return };
        let (sensor_runs, collector_runs) =
            (self.paused != Some(Side::Sensor), self.paused != Some(Side::Collector));
        if sensor_runs && connection.sensor.poll_timeout().is_some_and(|t| t <= sensor_now.boot) {
            connection.sensor.handle_timeout(sensor_now);
        }
        if collector_runs && connection.collector.poll_timeout().is_some_and(|t| t <= collector_now.at) {
            connection.collector.handle_timeout(collector_now);
        }
        let is_alive = (!sensor_runs || self.pump_sensor(&mut connection))
            && (!collector_runs || self.pump_collector(&mut connection));
        self.connection = is_alive.then_some(connection);
    }

    fn pump_sensor(&mut self, connection: &mut Connection) -> bool {
        loop {
            while let Some(output) = connection.sensor.poll_output() {
                if !self.sensor_output(connection, output) {
                    return false;
                }
            }
            let Some(want) = connection.sensor.poll_want() else { break };
            // What is read from disk is there in a while.
            let Poll::Ready(parcel) = self.outbox().parcel(want.stream, want.seq) else { break };
            connection.sensor.handle_parcel(want, parcel);
        }
        while connection.wires.len() < MAX_DATA_STREAMS {
            let Some((number, (pipe, written))) = connection.waiting.pop_first() else { break };
            connection.wires.insert(number, pipe);
            connection.collector.handle_wire(self.collector_now(), number);
            written.into_iter().for_each(|wire| connection.sensor.handle_written(wire));
        }
        true
    }

    fn sensor_output(&mut self, connection: &mut Connection, output: sensor::Output) -> bool {
        match output {
            sensor::Output::Control(frame) => connection.up.write(&frame),
            sensor::Output::Open(wire, frame) => {
                let mut pipe = Pipe::new();
                pipe.write(&frame);
                connection.waiting.insert(wire.0, (pipe, Vec::new()));
            }
            sensor::Output::Data(wire, frame) => match connection.wires.get_mut(&wire.0) {
                Some(pipe) => {
                    pipe.write(&frame);
                    connection.sensor.handle_written(wire);
                }
                None => {
                    let (pipe, written) = connection.waiting.get_mut(&wire.0).expect("a wire that is open");
                    pipe.write(&frame);
                    written.push(wire);
                }
            },
            sensor::Output::Finish(wire) => {
                if let Some(pipe) = connection.wires.get_mut(&wire.0) {
                    pipe.finish();
                } else if let Some((pipe, _)) = connection.waiting.get_mut(&wire.0) {
                    pipe.finish();
                }
            }
            sensor::Output::WantFacts => {
                connection.sensor.handle_facts(self.sensor_now(), Facts::default());
            }
            sensor::Output::Acknowledged { stream, next_seq, digest } => {
                self.check_acknowledged(stream, next_seq, digest);
                self.outbox().acknowledge(stream, next_seq, digest);
                let holdings = self.outbox().holdings();
                connection.sensor.handle_holdings(&holdings);
            }
            sensor::Output::Rejected { n_events, .. } => self.rejected_booked += n_events,
            sensor::Output::Offset(offset) => {
                // The collector's clock is the virtual time itself, and so is the boot clock.
                assert!(offset.collector_minus_boot_ns.unsigned_abs() <= offset.uncertainty_ns + 1);
            }
            sensor::Output::Welcomed { .. } | sensor::Output::NewEpoch | sensor::Output::Authorities(_) => {}
            sensor::Output::Finding(sensor::Finding::Forgotten { .. }) if self.backup.is_some() => {
                self.n_forgotten += 1;
            }
            sensor::Output::Finding(finding) => panic!("seed {}: {finding}", self.seed),
            sensor::Output::Ended { code, reason } => return self.ended("sensor", code, &reason),
        }
        true
    }

    /// Nothing is acknowledged that the store has not.
    fn check_acknowledged(&self, stream: StreamKey, next_seq: u64, digest: wire::batch::Digest) {
        if self.backup.is_some() {
            return;
        }
        let (stored, at) = self.store.watermark((stream.epoch, stream.lane));
        assert!(next_seq <= stored, "seed {}: acknowledged {next_seq} of {stored}", self.seed);
        if next_seq == stored {
            assert_eq!(digest, at, "seed {}", self.seed);
        }
    }

    fn pump_collector(&mut self, connection: &mut Connection) -> bool {
        while let Some(output) = connection.collector.poll_output() {
            match output {
                collector::Output::Send(frame) => connection.down.write(&frame),
                collector::Output::LookUp(keys) => {
                    assert!(connection.look_up.is_none(), "one look-up at a time");
                    connection.look_up = Some(keys);
                }
                collector::Output::Deliver { delivery, key, item, .. } => {
                    self.store.queue.push_back((connection.number, delivery, key, item));
                }
                collector::Output::Finding(finding) => panic!("seed {}: {finding:?}", self.seed),
                collector::Output::Ended { code, reason } => return self.ended("collector", code, &reason),
                collector::Output::Connected(_)
                | collector::Output::Heartbeat(_)
                | collector::Output::Trusts(_) => {}
            }
        }
        true
    }

    /// A connection may only end because it was too slow, its store was away, or it refused a lot.
    fn ended(&self, side: &str, code: Code, reason: &str) -> bool {
        let expected = [Code::TOO_SLOW, Code::BUSY, Code::REJECTED];
        assert!(expected.contains(&code), "seed {}: the {side} ended it: {code}: {reason}", self.seed);
        false
    }
}
