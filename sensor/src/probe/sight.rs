//! What a sensor can see, and the ways to see it, best first.
//!
//! Kernels differ in what they let a program do, so each sight has an ordered list of ways. The first whose programs this
//! kernel takes is used; what it misses that a better one shows is said in plain words.
//!
//! One file for each category of events.

use super::hook::Hook;

mod container;
mod dns;
mod file;
mod kernel;
mod network;
mod process;
mod sensor;
mod syscall;

/// Something the sensor can see.
#[derive(Debug, PartialEq, Eq)]
pub struct Sight {
    /// Its name, as an event has it: `process.exec`.
    pub name: &'static str,
    /// What it shows, for people.
    pub shows: &'static str,
    /// What is not seen without it.
    pub without: &'static str,
    /// Whether the sensor is of no use without it.
    pub required: bool,
    /// The ways to see it, best first.
    pub ways: &'static [Way],
}

/// One way to see something: programs that are needed together.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    /// What this way is called, in a word.
    pub name: &'static str,
    /// The programs, in the order they are attached. A program may be part of several ways.
    pub hooks: &'static [&'static Hook],
    /// What it does not see that a better way does; empty for the best, and for one that is as good on other kernels.
    pub blind: &'static str,
}

impl Sight {
    /// Every sight, in the order in which their programs are attached: what consumes before what produces, so that a
    /// process is not seen to end before it could be seen to begin.
    pub fn all() -> impl Iterator<Item = &'static Sight> {
        [
            process::SIGHTS,
            container::SIGHTS,
            network::SIGHTS,
            dns::SIGHTS,
            file::SIGHTS,
            kernel::SIGHTS,
            sensor::SIGHTS,
            syscall::SIGHTS,
        ]
        .into_iter()
        .flatten()
    }

    /// Whether it is seen only where the collection asks for it.
    pub fn is_on_demand(&self) -> bool {
        self.name == syscall::CALL
    }

    /// Which of its ways is the first whose programs are all there.
    pub fn way(&self, mut is_there: impl FnMut(&Hook) -> bool) -> Option<&'static Way> {
        self.ways.iter().find(|way| way.hooks.iter().all(|hook| is_there(hook)))
    }
}

impl Sight {
    /// As the host tells it to a collector: `network.accept=sys_exit; what this way does not see`; without a way only
    /// the name.
    pub fn told(&self, way: Option<&Way>) -> String {
        match way {
            Some(Way { name, blind: "", .. }) => format!("{}={name}", self.name),
            Some(Way { name, blind, .. }) => format!("{}={name}; {blind}", self.name),
            None => self.name.to_owned(),
        }
    }
}

impl Way {
    /// Whether system calls that return are looked at for it.
    pub(super) fn reads_calls(&self) -> bool {
        self.hooks.contains(&&file::RETURNED)
    }

    /// Its programs' places, as the kernel's documentation spells them.
    pub fn sections(&self) -> String {
        self.hooks.iter().map(|hook| hook.section()).collect::<Vec<_>>().join(" + ")
    }
}

/// Every program of every way, each once.
pub fn hooks() -> Vec<&'static Hook> {
    let mut hooks: Vec<&'static Hook> = Vec::new();
    for hook in Sight::all().flat_map(|sight| sight.ways).flat_map(|way| way.hooks) {
        if hooks.iter().all(|known| known.program != hook.program) {
            hooks.push(hook);
        }
    }
    hooks
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use wire::frame::sensor::{MAX_CAPABILITIES, MAX_CAPABILITY_BYTES};

    use super::*;

    #[test]
    fn names_are_told_apart_and_short_enough_to_be_sent() {
        let mut names = HashSet::new();
        for sight in Sight::all() {
            assert!(names.insert(sight.name), "{} stands twice", sight.name);
            assert!(!sight.ways.is_empty(), "{} cannot be seen", sight.name);
            assert!(sight.ways.first().is_some_and(|best| best.blind.is_empty()), "{}", sight.name);
        }
        assert!(names.len() <= MAX_CAPABILITIES);
        for sight in Sight::all() {
            assert!(
                sight.ways.iter().all(|way| sight.told(Some(way)).len() <= MAX_CAPABILITY_BYTES),
                "{}",
                sight.name
            );
        }
    }

    #[test]
    fn the_first_way_whose_programs_are_there_is_taken() {
        let accept = Sight::all().find(|sight| sight.name == "network.accept").expect("it is there");
        let (best, last) = (accept.way(|_| true), accept.way(|hook| hook.place == "sys_exit"));
        assert_eq!(best, accept.ways.first());
        assert_eq!(last, accept.ways.last());
        assert_eq!(accept.way(|_| false), None);
    }
}
