//! The lives of containers, told from the lives of their processes and of their control groups.

use bytes::Bytes;
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::{Lane, ProcessKey};
use wire::time::BootTime;
use wire::value::Value;

use super::Pipeline;
use crate::container::names::{About, Miss, Request};
use crate::container::running::{Emptied, First};
use crate::container::{Container, Id};
use crate::record::{Exit, Image, Populated, Task};
use crate::seal::Who;
use crate::table::Node;
use crate::user::Names;

impl Pipeline {
    /// The next container to ask its runtime about.
    pub fn next_container_request(&mut self) -> Option<Request> {
        self.table.container_names_mut().next_request()
    }

    /// Takes what became of such a request.
    pub fn named(&mut self, id: Id, found: Result<About, Miss>, now: BootTime) {
        let found = found.map(std::sync::Arc::new);
        for sealer in [&mut self.critical, &mut self.bulk] {
            sealer.named(id, found.as_deref().ok());
        }
        self.table.container_names_mut().answer(id, found, now);
    }

    /// Asks for the names of all containers that live.
    pub fn ask_for_containers(&mut self, now: BootTime) {
        self.table.ask_for_containers(now);
    }

    /// How many containers run.
    pub fn n_containers(&self) -> usize {
        self.running.n_lives()
    }

    /// Notes a process that was found alive.
    pub(super) fn found_in_container(&mut self, image: &Image<'_>, node: Node) {
        if let Some(container) = Container::of(image.cgroup) {
            self.running.found(container.id, node, &mut self.table);
        }
    }

    /// Notes that a program is executed. Whether a container starts with it.
    pub(super) fn executed_in_container(&mut self, image: &Image<'_>, node: Node) -> bool {
        let Some(container) = Container::of(image.cgroup) else { return false };
        let starts = self.running.executed(container.id, image, node, &mut self.table);
        if starts && let Some(id) = Id::parse(container.id) {
            self.table.container_names_mut().ask_again(id);
        }
        starts
    }

    /// Notes that a process has ended.
    pub(super) fn exited_in_container(&mut self, exit: &Exit, node: Node) {
        if self.running.n_lives() == 0 {
            return;
        }
        let view = self.table.view(node);
        if let Some(container) = view.as_ref().and_then(|image| Container::of(image.cgroup)) {
            self.running.exited(container.id, exit);
        }
    }

    /// Tells of the start of a container, whose first program this is.
    pub(super) fn container_starts(&mut self, who: Who<'_>, time: BootTime, names: &Names, now: BootTime) {
        self.account.own(Lane::Critical);
        let event = Event { time, kind: Kind::CONTAINER_START, row: Row::default() };
        self.critical.push(&event, Some(Who { ran: None, ..who }), &mut self.table, names, now);
    }

    /// Takes the record of a control group that filled or emptied. It is no event by itself.
    pub(super) fn populated(&mut self, group: &Populated<'_>, time: BootTime, names: &Names, now: BootTime) {
        if !group.truncated {
            self.table.know_cgroup(group.cgroup_id, group.path);
        }
        let Some(container) = Container::of_group(group.path) else { return };
        if group.is_populated {
            self.running.filled(container.id, group.by_mnt_ns, time, &mut self.table);
            return;
        }
        match self.running.emptied(container.id, time) {
            Emptied::Stopped(first) => self.container_stops(first, time, names, now),
            Emptied::NeverStarted => {}
            Emptied::Unknown => self.unknown_container_stops(&container, group, time, now),
        }
        self.seal_if_due(Lane::Critical, names, now);
    }

    /// Tells of the stop of a container, and lets go of its first process.
    pub(super) fn container_stops(&mut self, first: First, time: BootTime, names: &Names, now: BootTime) {
        self.account.own(Lane::Critical);
        let mut row = Row::default();
        if let Some(code) = first.exit_code {
            row.set(Field::ProcessExitCode, Value::Int(code.into()));
        }
        let event = Event { time, kind: Kind::CONTAINER_STOP, row };
        let who = Who { node: first.node, image: None, ran: None };
        self.critical.push(&event, Some(who), &mut self.table, names, now);
        self.table.let_go(first.node);
    }

    /// The same where nothing is known but the group: it was there before this sensor, and gone when it looked. The
    /// subject is the kernel itself.
    fn unknown_container_stops(
        &mut self,
        container: &Container<'_>,
        group: &Populated<'_>,
        time: BootTime,
        now: BootTime,
    ) {
        self.account.own(Lane::Critical);
        let event = Event { time, kind: Kind::CONTAINER_STOP, row: Row::default() };
        // Several may stop in one batch: each is an image of its own.
        let image = (group.cgroup_id ^ group.cgroup_id >> 32) as u32;
        let kernel = Task { key: ProcessKey { start: BootTime::default(), pid: 0 }, image };
        let mut row = Row::default().with(Field::ProcessCgroup, Bytes::copy_from_slice(group.path));
        crate::enrich::set_container(&mut row, container);
        let name = self.table.container(group.path, now);
        self.critical.push_bare(&event, kernel, row, name, now);
    }
}
