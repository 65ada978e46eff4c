//! What may go wrong at a site. Each fault begins, lasts a while, and is mended; then nothing must be missing.

use std::time::Duration;

use tests::site::Site;

mod clock;
mod database;
mod disk;
mod network;
mod process;

/// Mends what a fault did.
pub(crate) type Mend = Box<dyn FnOnce(&mut Site) -> anyhow::Result<()>>;

/// One kind of fault.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) lasts: Duration,
    pub(crate) leaves: Leaves,
    pub(crate) begin: fn(&mut Site) -> anyhow::Result<Mend>,
}

/// What events may be missing afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Leaves {
    /// None: every event that was made is stored.
    Nothing,
    /// Those that a killed sensor had not sealed: they are counted as dropped.
    Crash,
    /// Those there was no room for: they are counted as dropped, by tombstones.
    Shed,
    /// Those that were only in memory when the host went down: nobody can count them.
    Memory,
}

const fn fault(
    name: &'static str,
    seconds: u64,
    leaves: Leaves,
    begin: fn(&mut Site) -> anyhow::Result<Mend>,
) -> Fault {
    Fault { name, lasts: Duration::from_secs(seconds), leaves, begin }
}

/// Every kind.
pub(crate) const ALL: &[Fault] = &[
    fault("partition", 8, Leaves::Nothing, network::partition),
    fault("partition_towards_collectors", 8, Leaves::Nothing, network::partition_up),
    fault("partition_towards_hosts", 8, Leaves::Nothing, network::partition_down),
    fault("loss", 6, Leaves::Nothing, network::loss),
    fault("delay", 6, Leaves::Nothing, network::delay),
    fault("reordering", 6, Leaves::Nothing, network::reordering),
    fault("duplication", 6, Leaves::Nothing, network::duplication),
    fault("damaged_packets", 6, Leaves::Nothing, network::damage),
    fault("large_packets_lost", 6, Leaves::Nothing, network::large_packets),
    fault("address_change", 6, Leaves::Nothing, network::address_change),
    fault("collectors_swapped", 6, Leaves::Nothing, network::swap),
    fault("collector_killed", 6, Leaves::Nothing, process::kill_collector),
    fault("collector_told_to_stop", 6, Leaves::Nothing, process::stop_collector),
    fault("collector_frozen", 9, Leaves::Nothing, process::freeze_collector),
    fault("collector_flickers", 6, Leaves::Nothing, process::flicker_collector),
    fault("all_collectors_killed", 8, Leaves::Nothing, process::kill_collectors),
    fault("sensor_killed", 3, Leaves::Crash, process::kill_sensors),
    fault("sensor_told_to_stop", 3, Leaves::Nothing, process::stop_sensors),
    fault("sensor_frozen", 9, Leaves::Nothing, process::freeze_sensors),
    fault("sensor_upgraded", 3, Leaves::Nothing, process::upgrade_sensors),
    fault("host_suspended", 35, Leaves::Nothing, process::suspend_hosts),
    fault("certificate_expired", 65, Leaves::Nothing, process::suspend_hosts),
    fault("host_rebooted", 3, Leaves::Memory, process::reboot_hosts),
    fault("host_rebooted_in_an_outage", 12, Leaves::Memory, process::reboot_in_an_outage),
    fault("database_killed", 4, Leaves::Nothing, database::kill),
    fault("database_restarted", 3, Leaves::Nothing, database::restart),
    fault("database_frozen", 8, Leaves::Nothing, database::freeze),
    fault("database_fails_over", 2, Leaves::Nothing, database::fail_over),
    fault("database_slow", 6, Leaves::Nothing, database::slow),
    fault("database_unreachable", 6, Leaves::Nothing, database::unreachable),
    fault("database_connections_cut", 6, Leaves::Nothing, database::cut),
    fault("database_backends_terminated", 6, Leaves::Nothing, database::terminate),
    fault("database_read_only", 6, Leaves::Nothing, database::read_only),
    fault("database_connections_taken", 8, Leaves::Nothing, database::connections_taken),
    fault("database_tables_locked", 8, Leaves::Nothing, database::locked),
    fault("commits_fail", 6, Leaves::Nothing, database::failed_commits),
    fault("full_database_disk", 8, Leaves::Nothing, database::full_disk),
    fault("full_spool", 10, Leaves::Shed, disk::full_spool),
    fault("damaged_spool", 6, Leaves::Shed, disk::damaged_spool),
    fault("sensor_clock_ahead", 6, Leaves::Nothing, clock::sensors_ahead),
    fault("sensor_clock_behind", 6, Leaves::Nothing, clock::sensors_behind),
    fault("collector_clock_ahead", 6, Leaves::Nothing, clock::collectors_ahead),
];

/// The fault of this name.
pub(crate) fn named(name: &str) -> Fault {
    *ALL.iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("there is no fault {name}"))
}
