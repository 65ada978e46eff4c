//! `sensor`: what the sensor says about itself. Such events have no subject, but `tamper` where the kernel tells who did it.

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
    /// What the sensor does to see whether its programs still tell: how often it came back, once a minute; or that it did not.
    pub const SENSOR_CANARY: Kind = Kind(104);
    /// Something of the sensor's own was touched by somebody else: a program, map or link in the kernel, a file, its control group.
    pub const SENSOR_TAMPER: Kind = Kind(107);
}

pub(super) const KINDS: &[KindInfo] = &[
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
        columns: &[Field::SensorLost, Field::SensorDropped, Field::SensorReason, Field::SensorUnreadNs],
    },
    KindInfo {
        kind: Kind::SENSOR_CANARY,
        category: "sensor",
        action: "canary",
        lane: Lane::Critical,
        columns: &[
            Field::EventOutcome,
            Field::SensorReason,
            Field::SensorBlind,
            Field::SensorCanarySent,
            Field::SensorCanaryReturned,
            Field::SensorCanaryDelayNs,
        ],
    },
    KindInfo {
        kind: Kind::SENSOR_TAMPER,
        category: "sensor",
        action: "tamper",
        lane: Lane::Critical,
        columns: &[Field::SensorReason, Field::SensorTampered, Field::SensorRepaired],
    },
];
