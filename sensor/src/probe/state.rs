//! What the sensor tells its programs: that it reads, who it is, and when it does what must come back.

use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use nix::time::{ClockId, clock_gettime};
use sensor_bpf::event::event_sensor;
use zerocopy::{FromBytes, IntoBytes};

use super::ProbeError;
use super::pins::Pins;

/// How often the programs are told that somebody reads, at most.
const BEAT: Duration = Duration::from_millis(100);

type Bytes = [u8; size_of::<event_sensor>()];

pub(super) struct State {
    map: Array<MapData, Bytes>,
    now: event_sensor,
    unread: Duration,
    neglected: Option<Duration>,
    before: Option<u32>,
}

impl State {
    /// Takes over: from now on this process reads. What is told so is the first thing that is done with an instance's maps.
    pub(super) fn take_over(pins: &Pins, unread: Duration) -> Result<Self, ProbeError> {
        let map = Array::<_, Bytes>::try_from(Map::Array(pins.map("sensor")?)).map_err(failed)?;
        let found = event_sensor::read_from_bytes(&map.get(&0, 0).map_err(failed)?).unwrap_or_default();
        let neglected = match found.drained_ns {
            0 => None,
            then => too_long(now_ns().saturating_sub(then), unread),
        };
        let now = event_sensor { told: found.told, tgid: std::process::id(), ..Default::default() };
        let before = (found.tgid != 0 && found.tgid != now.tgid).then_some(found.tgid);
        let mut state = Self { map, now, unread, neglected, before };
        state.now.drained_ns = now_ns();
        state.write()?;
        Ok(state)
    }

    /// For how long nobody had read, if that was so long that the programs had stopped to tell. Told once.
    pub(super) fn take_neglected(&mut self) -> Option<Duration> {
        self.neglected.take()
    }

    /// The pid of the sensor that read before.
    pub(super) fn before(&self) -> Option<u32> {
        self.before
    }

    /// How many of the records that were passed over some sensor has told of.
    pub(super) fn told(&self) -> u64 {
        self.now.told
    }

    pub(super) fn tell(&mut self, told: u64) -> Result<(), ProbeError> {
        self.now.told = told;
        self.write()
    }

    /// Programs were set to work just now, which may have taken long: nobody has missed anything.
    pub(super) fn begin(&mut self) -> Result<(), ProbeError> {
        self.now.drained_ns = now_ns();
        self.write()
    }

    /// The rings are being looked into.
    pub(super) fn beat(&mut self) -> Result<(), ProbeError> {
        let now = now_ns();
        let often = if self.unread.is_zero() { BEAT } else { BEAT.min(self.unread / 8) };
        let often = u64::try_from(often.as_nanos()).unwrap_or(u64::MAX);
        let passed = now.saturating_sub(self.now.drained_ns);
        if passed < often {
            return Ok(());
        }
        self.neglected = too_long(passed, self.unread).or(self.neglected);
        self.now.drained_ns = now;
        self.write()
    }

    /// What this thread does until it is told otherwise is seen whatever is left out.
    pub(super) fn canary(&mut self, thread: Option<u32>) -> Result<(), ProbeError> {
        self.now.canary = thread.unwrap_or(0);
        self.write()
    }

    /// Whether the map says what was last written.
    pub(super) fn is_intact(&self) -> Result<bool, ProbeError> {
        let found: Bytes = self.map.get(&0, 0).map_err(failed)?;
        Ok(found.as_slice() == self.now.as_bytes())
    }

    pub(super) fn write(&mut self) -> Result<(), ProbeError> {
        let bytes = Bytes::try_from(self.now.as_bytes()).unwrap_or_default();
        self.map.set(0, bytes, 0).map_err(failed)
    }
}

fn failed(source: aya::maps::MapError) -> ProbeError {
    ProbeError::Map { name: "sensor", source: Box::new(source) }
}

/// Whether the programs had stopped to tell by then.
fn too_long(passed_ns: u64, unread: Duration) -> Option<Duration> {
    let passed = Duration::from_nanos(passed_ns);
    (!unread.is_zero() && passed > unread).then_some(passed)
}

/// The clock that stands still while the machine sleeps: a sensor that slept with it has missed nothing.
fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| u64::try_from(Duration::from(now).as_nanos()).unwrap_or(u64::MAX))
}
