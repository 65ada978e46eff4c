//! Plays all scenarios before a sensor, and writes what came of them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::act::{Act, Company};
use crate::expect::{field, text};
use crate::report::Line;
use crate::scenario;
use crate::sensor::{self, Sensor};
use crate::stage::Place;
use crate::wait::poll;

/// How often a scenario is played again at most, while the sensor tells of loss.
const TIMES_AGAIN: usize = 2;
/// How long the last event may take to come, after everything was played.
const ARRIVE: Duration = Duration::from_secs(20);

/// Where and before whom to play.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) sensor: sensor::Settings,
    /// The control group to play in, which is there.
    pub(crate) group: PathBuf,
}

/// Plays everything and writes the lines. Whatever goes wrong is the last line.
pub(crate) fn run(settings: &Settings, out: &mut impl Write) -> anyhow::Result<()> {
    let done = play_all(settings, out);
    if let Err(error) = &done {
        Line::Broken { why: format!("{error:#}") }.write(out)?;
    }
    done
}

fn play_all(settings: &Settings, out: &mut impl Write) -> anyhow::Result<()> {
    let start = Instant::now();
    let say = |what: &str| eprintln!("guest: {what} after {:.1} s", start.elapsed().as_secs_f32());
    Line::Kernel { release: kernel_release()?, lsm: security_modules() }.write(out)?;
    let report = check(&settings.sensor.program)?;
    let pins = settings.sensor.pins();
    let place = Place { group: settings.group.clone(), hooks: hooks(&report), pins };
    Line::Check { report }.write(out)?;
    say("checked");
    let sensor = Sensor::start(&settings.sensor)?;
    Line::Attached { programs: sensor.attached()? }.write(out)?;
    say("sensor runs");

    // What is played from here on is played in the group, and a sensor that is confined to it sees it from its birth.
    fs::write(settings.group.join("cgroup.procs"), "0")
        .with_context(|| format!("cannot enter {}", settings.group.display()))?;
    let company = Company { program: std::env::current_exe().context("/proc is not mounted")?, place };
    let mut acts: Vec<_> = scenario::all().map(|(of, scenario)| company.play(of, scenario, 0)).collect();
    say("everything is played");
    await_events(&acts, &sensor);
    // What the sensor says is lost may have been any event: what lacks one is played again.
    for time in 1..=TIMES_AGAIN {
        let events = sensor.events();
        let lacking: Vec<_> = acts.iter_mut().filter(|act| act.has_failed(&events)).collect();
        if lacking.is_empty() || n_lost(&events) == 0 {
            break;
        }
        for act in lacking {
            say(&format!("as the sensor tells of loss, {} is played again", act.scenario.name));
            *act = company.play(act.category, act.scenario, time);
        }
        await_events(&acts, &sensor);
    }
    let events = sensor.stop()?;
    say("sensor has ended");
    for loss in losses(&events) {
        say(&format!("it told of loss: {}", loss.get("sensor").unwrap_or(loss)));
    }
    ensure!(events.iter().all(Value::is_object), "the sensor printed something that is not an event");
    for act in &acts {
        Line::Played(act.played(&events)).write(out)?;
    }
    canaries(&events)?;
    Ok(Line::Done { n_scenarios: acts.len(), n_lost: n_lost(&events) }.write(out)?)
}

/// What is under way comes; what never comes is waited for once, for all scenarios.
fn await_events(acts: &[Act], sensor: &Sensor) {
    let mut lacking: Vec<&Act> = acts.iter().collect();
    let mut n_then = 0;
    poll(ARRIVE, || {
        sensor.look(|events| {
            if events.len() > n_then {
                n_then = events.len();
                lacking.retain(|act| act.has_failed(events));
            }
        });
        lacking.is_empty().then_some(())
    });
}

/// What the sensor did only to see it told came back, whatever else happened meanwhile.
fn canaries(events: &[Value]) -> anyhow::Result<()> {
    let canaries: Vec<&Value> =
        events.iter().filter(|event| text(event, "event.action") == Some("canary")).collect();
    let n_well = canaries.iter().filter(|event| text(event, "event.outcome") == Some("success")).count();
    ensure!(n_well > 0, "the sensor does not tell what it does itself: {canaries:?}");
    ensure!(n_lost(events) > 0 || n_well == canaries.len(), "the sensor was blind for a time: {canaries:?}");
    Ok(())
}

/// What the sensor says it has lost so far.
fn n_lost(events: &[Value]) -> u64 {
    losses(events).filter_map(|event| field(event, "sensor.lost")?.as_u64()).sum()
}

fn losses(events: &[Value]) -> impl Iterator<Item = &Value> {
    events.iter().filter(|event| {
        text(event, "event.category") == Some("sensor") && text(event, "event.action") == Some("loss")
    })
}

fn check(sensor: &Path) -> anyhow::Result<Value> {
    let out = Command::new(sensor).args(["check", "--output", "json"]).output();
    let out = out.with_context(|| format!("cannot run {}", sensor.display()))?;
    serde_json::from_slice(&out.stdout)
        .with_context(|| format!("check ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr)))
}

fn kernel_release() -> anyhow::Result<String> {
    Ok(nix::sys::utsname::uname()?.release().to_string_lossy().into_owned())
}

/// The security modules that this kernel runs; none where it does not say.
fn security_modules() -> Vec<String> {
    let list = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    list.trim().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The places in the kernel that the report says programs are attached to.
fn hooks(report: &Value) -> Vec<String> {
    let rows = report.get("sights").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let ways = rows.iter().filter_map(|row| text(row, "way"));
    ways.flat_map(|way| way.split(" + ")).map(str::to_owned).collect()
}

/// Makes the control group, if it is not there.
pub(crate) fn make_group(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the control group {}", path.display()))
}
