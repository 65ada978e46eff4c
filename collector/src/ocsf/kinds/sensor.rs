//! `sensor`: what the sensor says about itself.

use wire::event::{Kind, Row};
use wire::field::Field;

use super::super::class::{APPLICATION, DETECTION};
use super::super::mapping::{Case, Mapping, text};
use crate::shape::{Attribute, From};

const MEDIUM: u32 = 3;
const HIGH: u32 = 4;

const SENSOR: &[Attribute] = &[
    Attribute {
        name: "app",
        from: From::Required(&[
            Attribute::always("name", r#""Vedette Sensor""#),
            Attribute::always("vendor_name", r#""Vedette""#),
            Attribute::plain("version", Field::SensorVersion),
        ]),
    },
    Attribute::plain("status_detail", Field::SensorReason),
];

const DISABLE_TOOLS: &str = concat!(
    r#"[{"tactic":{"uid":"TA0005","name":"Defense Evasion"},"#,
    r#""technique":{"uid":"T1562","name":"Impair Defenses"},"#,
    r#""sub_technique":{"uid":"T1562.001","name":"Disable or Modify Tools"}}]"#
);

const TAMPER: &[Attribute] = &[Attribute {
    name: "finding_info",
    from: From::Required(&[
        Attribute { name: "uid", from: From::Id },
        Attribute::always("title", r#""Sensor tampered with""#),
        Attribute::plain("desc", Field::SensorReason),
        Attribute::always("analytic", r#"{"name":"sensor.tamper","type_id":1,"type":"Rule"}"#),
        Attribute::always("types", r#"["Tamper"]"#),
        Attribute::always("attacks", DISABLE_TOOLS),
    ]),
}];

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(Kind::SENSOR_STARTED, &APPLICATION, &[Case::new(3, SENSOR)]),
    Mapping::new(Kind::SENSOR_STOPPED, &APPLICATION, &[Case::new(4, SENSOR)]),
    Mapping::new(Kind::SENSOR_HEARTBEAT, &APPLICATION, &[Case::other("Heartbeat", SENSOR)]),
    Mapping::new(Kind::SENSOR_LOSS, &APPLICATION, &[Case::other("Loss", SENSOR).severity(MEDIUM)]),
    Mapping::new(
        Kind::SENSOR_CANARY,
        &APPLICATION,
        &[Case::other("Canary", SENSOR), Case::other("Canary", SENSOR).severity(HIGH)],
    )
    .choose(whether_it_came_back),
    Mapping::new(Kind::SENSOR_TAMPER, &DETECTION, &[Case::new(1, TAMPER).alert(HIGH)]),
];

fn whether_it_came_back(row: &Row) -> usize {
    usize::from(text(row, Field::EventOutcome) == b"failure")
}
