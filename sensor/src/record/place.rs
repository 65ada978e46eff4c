//! Where a process lives: its namespaces.

use sensor_bpf::event;

use super::decode::fixed;
use super::{RecordError, Task};

/// A process came to live in other namespaces, by its own doing or as a child of one that asked for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The process.
    pub task: Task,
    /// Where it, or its parent, lived before; not known where only a system call's return was seen.
    pub before: Option<Held>,
    /// Where it lives now.
    pub after: Held,
}

/// Inodes of the namespaces that a process lives in (of the pid namespace: that its children will live in).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Held {
    /// Mount.
    pub mnt: u32,
    /// Pid.
    pub pid: u32,
    /// Network.
    pub net: u32,
    /// Host name.
    pub uts: u32,
    /// System V IPC and POSIX message queues.
    pub ipc: u32,
    /// Control groups.
    pub cgroup: u32,
    /// Users.
    pub user: u32,
}

impl Move {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let moved: event::event_namespaces = fixed(bytes)?;
        let before = Held::from(moved.before);
        Ok(Self {
            task: Task::from(moved.task),
            before: (before != Held::default()).then_some(before),
            after: Held::from(moved.after),
        })
    }

    /// The kinds of those that are others now.
    pub fn changed(&self) -> Vec<&'static str> {
        let Some(before) = self.before else { return Vec::new() };
        let after = self.after;
        let pairs = [
            ("mnt", before.mnt, after.mnt),
            ("pid", before.pid, after.pid),
            ("net", before.net, after.net),
            ("uts", before.uts, after.uts),
            ("ipc", before.ipc, after.ipc),
            ("cgroup", before.cgroup, after.cgroup),
            ("user", before.user, after.user),
        ];
        pairs.into_iter().filter(|(_, before, after)| before != after).map(|(kind, ..)| kind).collect()
    }
}

impl From<event::event_namespaces_held> for Held {
    fn from(held: event::event_namespaces_held) -> Self {
        let event::event_namespaces_held { mnt, pid, net, uts, ipc, cgroup, user, .. } = held;
        Self { mnt, pid, net, uts, ipc, cgroup, user }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let task = Task::from(event::event_task::default());
        let before = Held { mnt: 1, net: 2, ..Held::default() };
        let after = Held { mnt: 3, net: 2, ..Held::default() };
        assert_eq!(Move { task, before: Some(before), after }.changed(), ["mnt"]);
        assert!(Move { task, before: None, after }.changed().is_empty());
    }
}
