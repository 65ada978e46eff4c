//! Collectors and sensors as processes.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::Rng as _;

use super::Mend;
use tests::site::host::Host;
use tests::site::pace::{again_and_again, lasts};
use tests::site::{Collector, Site};

/// Some of the hosts, at least one.
fn some_hosts(site: &mut Site) -> Vec<usize> {
    let n = site.hosts.len();
    let sure = site.random.random_range(0..n);
    (0..n).filter(|i| *i == sure || site.random.random_bool(0.5)).collect()
}

fn collectors(
    site: &mut Site,
    which: Vec<usize>,
    begin: fn(&mut Collector) -> anyhow::Result<()>,
) -> anyhow::Result<Mend> {
    which.iter().try_for_each(|i| begin(&mut site.collectors[*i]))?;
    Ok(Box::new(move |site| {
        for i in &which {
            site.collectors[*i].program.start()?;
        }
        // A database that is being mended too may come after this.
        Ok(())
    }))
}

fn hosts(site: &mut Site, begin: fn(&mut Host) -> anyhow::Result<()>) -> anyhow::Result<Mend> {
    let which = some_hosts(site);
    which.iter().try_for_each(|i| begin(&mut site.hosts[*i]))?;
    Ok(Box::new(move |site| which.iter().try_for_each(|i| site.hosts[*i].program.start())))
}

fn one_collector(site: &mut Site) -> Vec<usize> {
    vec![site.random.random_range(0..site.collectors.len())]
}

pub(super) fn kill_collector(site: &mut Site) -> anyhow::Result<Mend> {
    let which = one_collector(site);
    collectors(site, which, |collector| {
        collector.program.kill();
        Ok(())
    })
}

pub(super) fn kill_collectors(site: &mut Site) -> anyhow::Result<Mend> {
    collectors(site, vec![0, 1], |collector| {
        collector.program.kill();
        Ok(())
    })
}

pub(super) fn stop_collector(site: &mut Site) -> anyhow::Result<Mend> {
    let which = one_collector(site);
    collectors(site, which, |collector| collector.program.stop())
}

pub(super) fn freeze_collector(site: &mut Site) -> anyhow::Result<Mend> {
    let which = one_collector(site);
    collectors(site, which, |collector| {
        collector.program.signal(Signal::SIGSTOP);
        Ok(())
    })
}

/// Stopped and let go on many times: everything takes several times as long, and nothing is dead.
pub(super) fn flicker_collector(site: &mut Site) -> anyhow::Result<Mend> {
    let pids: Vec<_> = site.collectors.iter().filter_map(|collector| collector.program.pid()).collect();
    let mut runs = true;
    let stop = again_and_again(Duration::from_millis(300), move || {
        runs = !runs;
        let signal = if runs { Signal::SIGCONT } else { Signal::SIGSTOP };
        for pid in &pids {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid as i32), signal);
        }
    });
    Ok(Box::new(move |site| {
        stop();
        site.collectors.iter().for_each(|collector| collector.program.signal(Signal::SIGCONT));
        Ok(())
    }))
}

pub(super) fn kill_sensors(site: &mut Site) -> anyhow::Result<Mend> {
    hosts(site, |host| {
        host.program.kill();
        Ok(())
    })
}

pub(super) fn stop_sensors(site: &mut Site) -> anyhow::Result<Mend> {
    hosts(site, |host| host.program.stop())
}

pub(super) fn freeze_sensors(site: &mut Site) -> anyhow::Result<Mend> {
    hosts(site, |host| {
        host.program.signal(Signal::SIGSTOP);
        Ok(())
    })
}

/// Told to stop, and another file is started in its place.
pub(super) fn upgrade_sensors(site: &mut Site) -> anyhow::Result<Mend> {
    hosts(site, |host| {
        host.program.stop()?;
        let new = host.folder.join("numbered");
        let beside = host.folder.join("numbered.part");
        std::fs::copy(&host.program.path, &beside)?;
        std::fs::rename(&beside, &new)?;
        host.program.path = new;
        Ok(())
    })
}

/// Everything on some hosts stands still for longer than anybody waits.
pub(super) fn suspend_hosts(site: &mut Site) -> anyhow::Result<Mend> {
    freeze_sensors(site)
}

/// What was in memory is gone.
pub(super) fn reboot_hosts(site: &mut Site) -> anyhow::Result<Mend> {
    hosts(site, |host| {
        host.program.kill();
        host.forget_memory();
        host.set("boot", serde_json::json!(uuid::Uuid::new_v4()))
    })
}

/// The same when nobody has answered for some seconds: then batches are on disk, and only the last of them are lost.
pub(super) fn reboot_in_an_outage(site: &mut Site) -> anyhow::Result<Mend> {
    let away = kill_collectors(site)?;
    lasts(Duration::from_secs(10));
    let up = reboot_hosts(site)?;
    Ok(Box::new(move |site| {
        away(site)?;
        up(site)
    }))
}
