//! What this host says of itself.

use std::fs;
use std::io;

use wire::frame::sensor::{Facts, LaneFacts};
use wire::id::{BootId, Lane};

use crate::pipeline::Pipeline;

/// The current boot.
///
/// # Errors
/// When /proc is not there.
pub(super) fn boot_id() -> io::Result<BootId> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    text.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// The host's name.
pub(super) fn name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Resident anonymous memory of this process, in bytes; 0 where /proc does not say.
pub(super) fn rss_anon_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kb =
        line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kb| kb.trim().parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// The counters for the next heartbeat on the link.
pub(super) fn facts(pipeline: &Pipeline, events_per_second_milli: u64, troubles: Vec<String>) -> Facts {
    let lanes = Lane::ALL.map(|lane| LaneFacts {
        epoch: pipeline.epoch(),
        lane,
        ledger: pipeline.ledger(lane),
        end: pipeline.next_seq(lane),
        shed: 0,
        rejected: 0,
    });
    Facts {
        lanes: lanes.to_vec(),
        events_per_second_milli,
        rss_bytes: rss_anon_bytes(),
        n_processes: pipeline.table().n_living() as u64,
        clock_uncertainty_ns: u64::MAX,
        troubles,
        ..Facts::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn this_host_says_what_it_is() {
        boot_id().unwrap();
        assert!(!name().is_empty());
        assert!(rss_anon_bytes() > 100_000);
    }
}
