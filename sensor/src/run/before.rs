//! What was before this sensor: how far the one before had come, what another version's programs have left, and for how long
//! nobody read.

use bytes::Bytes;
use tracing::{info, warn};
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::id::Epoch;
use wire::time::BootTime;

use super::RunError;
use super::care::tampered;
use super::intake::Sink;
use super::outlet::Outlet;
use super::sensor::Sensor;
use crate::account::Start;
use crate::outbox::Doubt;
use crate::probe::{Counters, Neglect, Probe};
use crate::record::{Class, PerClass, Place};

/// How a sensor begins.
pub(super) struct Begin {
    /// The numberings that are read to their end, one after another, and then this version's own: what is known of each.
    pub(super) numberings: Vec<(u32, Start)>,
    /// Skipped program runs that are booked.
    pub(super) skipped: PerClass<u64>,
    pub(super) reason: &'static str,
}

impl Outlet {
    /// Begins an epoch, with what is known of the records to come: first those that another version's programs have left, if
    /// there are any. `skipped`: program runs that the kernel has skipped so far.
    pub(super) fn start(&mut self, probe: &mut Probe, skipped: PerClass<u64>, epoch: Epoch) -> Begin {
        let own = probe.numbering();
        let is_new = !probe.numbers_go_on();
        let Outlet::Outbox(shipping) = self else {
            let earlier = probe.earlier().iter().map(|earlier| (earlier.numbering(), Start::Unknown));
            let mut numberings: Vec<_> = earlier.collect();
            numberings.push((own, if is_new { Start::Fresh } else { Start::Unknown }));
            return Begin { numberings, skipped, reason: "programs loaded" };
        };
        shipping.outbox.begin(epoch);
        let kept = &mut shipping.kept;
        // A sensor before had read them to the end, and died before it could remove them.
        probe.skip_earlier(&kept.finished);
        let earlier =
            probe.earlier().iter().map(|earlier| (earlier.numbering(), kept.start(earlier.numbering())));
        let mut numberings: Vec<_> = earlier.collect();
        numberings.push((own, if is_new { Start::Fresh } else { kept.start(own) }));
        let known = numberings.iter().find_map(|(_, start)| match start {
            Start::Resumed(before) => Some(before.clean),
            Start::Fresh | Start::Unknown => None,
        });
        let reason = match known {
            Some(_) if !probe.is_reopened() => "programs replaced by those of this version or configuration",
            Some(true) => "the sensor was started again",
            Some(false) => "the sensor was started again after a crash",
            None if is_new && numberings.len() == 1 => "programs loaded",
            None => "programs found running, nothing known of the sensor before",
        };
        let skipped = if known.is_some() { kept.skipped } else { skipped };
        kept.skipped = skipped;
        if let Some((first, start)) = numberings.first() {
            kept.follow(*first, start);
        }
        shipping.keep();
        Begin { numberings, skipped, reason }
    }

    /// Goes on with another numbering; all records of the one before were taken and are shipped.
    fn follow(&mut self, numbering: u32, start: &Start) {
        if let Outlet::Outbox(shipping) = self {
            shipping.kept.finish();
            shipping.kept.follow(numbering, start);
            shipping.keep();
        }
    }
}

impl Sensor {
    /// Reads to the end what programs of other versions have left, and counts what of it cannot be read. Nobody writes there
    /// any more, so their counters are final. `then`: what is followed after each.
    pub(super) fn read_earlier(&mut self, then: Vec<(u32, Start)>, now: BootTime) -> Result<(), RunError> {
        for (n, (numbering, start)) in then.into_iter().enumerate() {
            let lost_before = self.n_lost();
            let (pipeline, care, names) = (&mut self.pipeline, &mut self.care, self.users.names());
            let Some(earlier) = self.probe.earlier().get_mut(n) else { break };
            self.intake.drain_earlier(earlier, Sink { pipeline, care, names, now });
            let (counters, is_readable) = (earlier.counters()?, earlier.is_readable());
            self.reached(&counters, now);
            self.pipeline.give_up_gaps();
            let n_lost = self.n_lost().saturating_sub(lost_before);
            info!(n_lost, is_readable, "read what the programs of another version had left");
            if n_lost > 0 {
                let reason = if is_readable {
                    "records of another version's programs had found no room"
                } else {
                    "this version cannot read the records that another version's programs have left"
                };
                let row = Row::default().with(Field::SensorReason, reason);
                self.pipeline.tell_loss(n_lost, row, self.users.names(), now);
            }
            self.pipeline.seal_all(self.users.names(), now);
            self.outlet.ship(&mut self.pipeline);
            self.outlet.follow(numbering, &start);
            self.pipeline.begin_numbering(start, now);
        }
        Ok(self.probe.forget_earlier()?)
    }

    /// Tells what was done to the programs while no sensor ran, and for how long they told nothing.
    pub(super) fn tell_of_before(&mut self, now: BootTime) -> Result<(), RunError> {
        if self.probe.was_changed() {
            let row = tampered("pins".into(), "pins were removed or added while no sensor ran".into());
            self.tell_tampered(row.with(Field::SensorRepaired, true), now);
        }
        self.tell_doubts(now);
        self.tell_neglect(now)
    }

    /// Tells which epochs have no known end: the host went down, or what lay in memory was removed. How many events that took is
    /// known only if the kernel counts on since: then they are counted as dropped.
    fn tell_doubts(&mut self, now: BootTime) {
        for Doubt { epoch, since, durable: [critical, bulk], rebooted } in self.outlet.doubts() {
            let why = match rebooted {
                true => "the host went down before the sensor could stop",
                false => "batches that waited in memory were removed while no sensor ran",
            };
            warn!(%epoch, %since, critical, bulk, "{why}: what was sealed since, from these numbers on, may be gone");
            let reason = format!(
                "{why}: of epoch {epoch}, what was sealed since {since} may be gone: from number {critical} on in the \
                 critical lane, from {bulk} on in the bulk lane"
            );
            let row = Row::default().with(Field::SensorReason, Bytes::from(reason));
            self.pipeline.tell(Kind::SENSOR_LOSS, row, self.users.names(), now);
        }
    }

    /// Tells for how long nobody had read, if the programs had stopped to tell.
    pub(super) fn tell_neglect(&mut self, now: BootTime) -> Result<(), RunError> {
        let Some(Neglect { passed, n_records }) = self.probe.take_neglect()? else { return Ok(()) };
        warn!(
            seconds = passed.as_secs(),
            n_records, "nobody had read for so long that the programs stopped to tell"
        );
        let ns = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        let row = Row::default()
            .with(Field::SensorUnreadNs, ns)
            .with(Field::SensorReason, "nobody had read for so long that the programs told nothing any more");
        self.pipeline.tell_loss(n_records, row, self.users.names(), now);
        Ok(())
    }

    /// Takes note of how far each sequence had come before the rings were read to their end.
    pub(super) fn reached(&mut self, counters: &Counters, now: BootTime) {
        for class in Class::ALL {
            for sequence in &counters.of(class).sequences {
                self.pipeline.reached(Place { class, cpu: sequence.cpu, seq: sequence.next }, now);
            }
        }
    }

    fn n_lost(&self) -> u64 {
        wire::id::Lane::ALL.iter().map(|lane| self.pipeline.ledger(*lane).lost).sum()
    }
}
