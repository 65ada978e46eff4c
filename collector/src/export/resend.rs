//! Hands records of the past to the sink, and waits until they have arrived: for `vedette export --to kafka`.

use std::sync::Arc;
use std::time::Duration;

use super::flight::{Flight, number};
use super::round::weight;
use crate::kafka::{self, Failure, Meaning, Producer, Reports, Settings, Unsent};
use crate::record::ExportRecord;

/// A connection of its own, beside that of the export.
pub struct Resend {
    settings: Settings,
    producer: Producer,
    flight: Arc<Flight>,
    max_bytes: usize,
    n_refused: u64,
}

/// So many records are on their way at most.
const MAX_WAITING: usize = 20_000;
const PAUSE: Duration = Duration::from_millis(2);

impl Resend {
    /// Connects. Blocks for some seconds.
    ///
    /// # Errors
    /// When Kafka is away, or something is wrong with the settings; says what.
    pub fn connect(settings: Settings) -> Result<Self, Failure> {
        let ready = kafka::prepare(&settings)?;
        let flight = Arc::new(Flight::default());
        let (delivered, troubled) = (Arc::clone(&flight), Arc::clone(&flight));
        let reports = Reports {
            delivered: Box::new(move |number, outcome| delivered.reported(number, outcome)),
            trouble: Box::new(move |failure| {
                if matches!(failure.meaning, Meaning::Setup | Meaning::Broken) {
                    troubled.failed(failure);
                }
            }),
        };
        let producer = Producer::connect(&settings, ready.max_bytes, reports)?;
        Ok(Self { settings, producer, flight, max_bytes: ready.max_bytes, n_refused: 0 })
    }

    /// Hands over records, in their order. Blocks while there is no room.
    ///
    /// # Errors
    /// When Kafka does not take them.
    pub fn send(&mut self, records: &[ExportRecord]) -> Result<(), Failure> {
        for record in records {
            let Some(topic) = self.settings.topics.get(&record.group) else { continue };
            if weight(record, &self.settings.source) > self.max_bytes {
                self.n_refused += 1;
                continue;
            }
            while self.flight.waiting().0 >= MAX_WAITING {
                self.pause()?;
            }
            let number = number(self.flight.begin(1), 0);
            loop {
                match self.producer.send(&topic.name, record, &self.settings.source, number) {
                    Ok(()) => break,
                    Err(Unsent::Full) => self.pause()?,
                    Err(Unsent::Failed(failure)) => return Err(failure),
                }
            }
        }
        drop(self.flight.take_finished());
        Ok(())
    }

    /// Waits until everything has arrived; how many records were too large for their topic.
    ///
    /// # Errors
    /// When something does not arrive.
    pub fn arrived(&mut self) -> Result<u64, Failure> {
        while self.flight.waiting().0 > 0 {
            self.pause()?;
        }
        drop(self.flight.take_finished());
        match self.flight.failure() {
            Some(failure) => Err(failure),
            None => Ok(self.n_refused),
        }
    }

    fn pause(&self) -> Result<(), Failure> {
        match self.flight.failure() {
            Some(failure) => Err(failure),
            None => {
                std::thread::sleep(PAUSE);
                Ok(())
            }
        }
    }
}
