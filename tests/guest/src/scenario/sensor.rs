//! `sensor`: what is done to the sensor itself.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use super::Scenario;
use crate::expect::{Event, Expect, Want};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "map opened",
        about: "A process opens one of the sensor's own maps, with which it could change it.",
        play: touch,
    },
    Scenario {
        name: "pin removed",
        about: "A process removes the pin that keeps one of the sensor's programs attached.",
        play: unpin,
    },
];

fn touch(stage: &Stage) -> anyhow::Result<Expect> {
    let pins =
        fs::read_dir(stage.pins())?.map(|pin| Ok(pin?.path())).collect::<anyhow::Result<Vec<PathBuf>>>()?;
    let is_it = |pin: &&PathBuf| {
        pin.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"counters-"))
    };
    let pin = pins.iter().find(is_it).context("the sensor's counters are pinned")?;
    let child = wait(sys::fork(|| {
        drop(sys::open_pin(pin)?);
        Ok(0)
    })?)?
    .with_code(0)?;
    let tampered = Want::Holds("map counters".into());
    Ok(Expect::nothing().event(Event::new("tamper").by(child.pid).want("sensor.tampered", tampered)))
}

fn unpin(stage: &Stage) -> anyhow::Result<Expect> {
    let pin = stage.pins().join("link_process_exit");
    let child = wait(sys::fork(|| {
        fs::remove_file(&pin)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let tampered = Want::Holds(format!("file {}", pin.display()).into());
    Ok(Expect::nothing().event(Event::new("tamper").by(child.pid).want("sensor.tampered", tampered)))
}
