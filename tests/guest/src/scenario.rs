//! The tables of scenarios: do one thing, expect exactly these events.
//!
//! One folder for each category of events. A scenario is a function that does the thing with real system calls and gives
//! back what must come of it; [`crate::judge`] compares. To add one, write the function and its line in the table.

use std::fmt;

use crate::expect::Expect;
use crate::stage::Stage;

pub(crate) mod container;
pub(crate) mod dns;
pub(crate) mod escape;
pub(crate) mod file;
pub(crate) mod kernel;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod sensor;
pub(crate) mod syscall;

/// The tables, each with its `event.category`.
pub(crate) const TABLES: &[(&str, &[Scenario])] = &[
    ("process", process::birth::SCENARIOS),
    ("process", process::exec::SCENARIOS),
    ("process", process::words::SCENARIOS),
    ("process", process::path::SCENARIOS),
    ("process", process::end::SCENARIOS),
    ("process", process::power::SCENARIOS),
    ("container", container::SCENARIOS),
    ("process", process::signal::SCENARIOS),
    ("process", process::enter::SCENARIOS),
    ("file", file::SCENARIOS),
    ("file", file::open::SCENARIOS),
    ("file", file::change::SCENARIOS),
    ("file", file::place::SCENARIOS),
    ("kernel", kernel::SCENARIOS),
    ("escape", escape::SCENARIOS),
    ("network", network::connect::SCENARIOS),
    ("network", network::failed::SCENARIOS),
    ("network", network::accept::SCENARIOS),
    ("network", network::serve::SCENARIOS),
    ("network", network::close::SCENARIOS),
    ("network", network::bind::SCENARIOS),
    ("network", network::datagram::SCENARIOS),
    ("network", network::socket::SCENARIOS),
    ("network", network::blind::SCENARIOS),
    ("dns", dns::SCENARIOS),
    ("dns", dns::odd::SCENARIOS),
    ("syscall", syscall::SCENARIOS),
    ("sensor", sensor::SCENARIOS),
];

/// One scenario.
pub(crate) struct Scenario {
    /// Its name, unique within its table.
    pub(crate) name: &'static str,
    /// What it does, in one sentence.
    pub(crate) about: &'static str,
    /// Does it. The process that runs this is the scenario's own, and it and its descendants answer for it.
    pub(crate) play: fn(&Stage) -> anyhow::Result<Expect>,
}

/// This kernel does not do what a scenario is about. Give it back as the error of [`Scenario::play`].
#[derive(Debug)]
pub(crate) struct Absent(pub(crate) &'static str);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Absent {}

/// All scenarios, each with its category.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static Scenario)> {
    TABLES.iter().flat_map(|(category, table)| table.iter().map(move |scenario| (*category, scenario)))
}

/// The scenario of this category and name.
pub(crate) fn find(category: &str, name: &str) -> Option<&'static Scenario> {
    all().find(|(of, scenario)| *of == category && scenario.name == name).map(|(_, scenario)| scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_tell_in_a_sentence() {
        for (category, scenario) in all() {
            let n_named = all().filter(|(of, other)| *of == category && other.name == scenario.name).count();
            assert_eq!(n_named, 1, "{category}: {}", scenario.name);
            assert!(scenario.about.ends_with('.'), "{}", scenario.about);
            assert!(!scenario.about.contains('|') && !scenario.name.contains('|'), "{}", scenario.name);
        }
    }
}
