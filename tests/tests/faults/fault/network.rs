//! The network between hosts and collectors.

use std::time::Duration;

use super::Mend;
use tests::site::Site;
use tests::site::pace::again_and_again;
use tests::site::relay::Weather;

const BAD: f64 = 0.2;

/// Changes the weather, and afterwards what it changed back.
fn weather(
    site: &mut Site,
    change: fn(&mut Weather, &mut Weather),
    back: fn(&mut Weather),
) -> anyhow::Result<Mend> {
    site.weather(change);
    Ok(Box::new(move |site| {
        site.weather(|up, down| {
            back(up);
            back(down);
        });
        Ok(())
    }))
}

pub(super) fn partition(site: &mut Site) -> anyhow::Result<Mend> {
    weather(site, |up, down| (up.dark, down.dark) = (true, true), |weather| weather.dark = false)
}

pub(super) fn partition_up(site: &mut Site) -> anyhow::Result<Mend> {
    weather(site, |up, _| up.dark = true, |weather| weather.dark = false)
}

pub(super) fn partition_down(site: &mut Site) -> anyhow::Result<Mend> {
    weather(site, |_, down| down.dark = true, |weather| weather.dark = false)
}

pub(super) fn loss(site: &mut Site) -> anyhow::Result<Mend> {
    weather(site, |up, down| (up.loss, down.loss) = (BAD, BAD), |weather| weather.loss = 0.0)
}

pub(super) fn delay(site: &mut Site) -> anyhow::Result<Mend> {
    const LATE: Duration = Duration::from_millis(250);
    weather(site, |up, down| (up.delay, down.delay) = (LATE, LATE), |weather| weather.delay = Duration::ZERO)
}

pub(super) fn reordering(site: &mut Site) -> anyhow::Result<Mend> {
    const APART: Duration = Duration::from_millis(100);
    weather(
        site,
        |up, down| (up.jitter, down.jitter) = (APART, APART),
        |weather| weather.jitter = Duration::ZERO,
    )
}

pub(super) fn duplication(site: &mut Site) -> anyhow::Result<Mend> {
    weather(site, |up, down| (up.twice, down.twice) = (0.5, 0.5), |weather| weather.twice = 0.0)
}

pub(super) fn damage(site: &mut Site) -> anyhow::Result<Mend> {
    weather(site, |up, down| (up.damage, down.damage) = (BAD, BAD), |weather| weather.damage = 0.0)
}

/// As where a tunnel on the way lets less through than either end believes.
pub(super) fn large_packets(site: &mut Site) -> anyhow::Result<Mend> {
    const MOST: Option<usize> = Some(1220);
    weather(
        site,
        |up, down| (up.max_bytes, down.max_bytes) = (MOST, MOST),
        |weather| weather.max_bytes = None,
    )
}

pub(super) fn address_change(site: &mut Site) -> anyhow::Result<Mend> {
    let (relays, handle) = (site.relays.clone(), site.runtime.handle().clone());
    let stop = again_and_again(Duration::from_millis(700), move || {
        relays.iter().for_each(|relay| handle.block_on(relay.change_addresses()));
    });
    Ok(Box::new(move |_| {
        stop();
        Ok(())
    }))
}

/// Each collector is found at the other one's address.
pub(super) fn swap(site: &mut Site) -> anyhow::Result<Mend> {
    lead(site, true);
    Ok(Box::new(|site| {
        lead(site, false);
        Ok(())
    }))
}

fn lead(site: &Site, swapped: bool) {
    let mut addresses: Vec<_> = site.collectors.iter().map(|collector| collector.address).collect();
    if swapped {
        addresses.reverse();
    }
    for (relay, address) in site.relays.iter().zip(addresses) {
        site.runtime.block_on(relay.lead_to(address));
    }
}
