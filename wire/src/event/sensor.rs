//! `sensor`: what the sensor says about itself. Such events have no subject.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A sensor began an epoch.
    pub const SENSOR_STARTED: Kind = Kind(100);
    /// A sensor ended in good order.
    pub const SENSOR_STOPPED: Kind = Kind(101);
    /// A sensor is alive, with its counters, once a minute; it also carries the daily announcement of living processes.
    pub const SENSOR_HEARTBEAT: Kind = Kind(102);
    /// Records were lost or events dropped since the last such event.
    pub const SENSOR_LOSS: Kind = Kind(103);
}

pub(super) static KINDS: &[KindInfo] = &[
    KindInfo {
        kind: Kind::SENSOR_STARTED,
        category: "sensor",
        action: "started",
        lane: Lane::Critical,
        columns: &[Field::SensorVersion, Field::SensorReason],
    },
    KindInfo {
        kind: Kind::SENSOR_STOPPED,
        category: "sensor",
        action: "stopped",
        lane: Lane::Critical,
        columns: &[Field::SensorVersion, Field::SensorReason],
    },
    KindInfo {
        kind: Kind::SENSOR_HEARTBEAT,
        category: "sensor",
        action: "heartbeat",
        lane: Lane::Critical,
        columns: &[Field::SensorLost, Field::SensorDropped],
    },
    KindInfo {
        kind: Kind::SENSOR_LOSS,
        category: "sensor",
        action: "loss",
        lane: Lane::Critical,
        columns: &[Field::SensorLost, Field::SensorDropped, Field::SensorReason],
    },
];
