//! The container that an image is part of, and what its runtime calls it.

use wire::time::BootTime;

use super::{Node, Table};
use crate::container::names::{Answer, ContainerNames, Request};
use crate::container::{Container, Id};

impl Table {
    /// The container that a control group belongs to, and what is known of it; asked for if nothing is. `None` where
    /// there is none, or its runtime has no names but the one in the path.
    pub fn container(&mut self, cgroup: &[u8], now: BootTime) -> Option<(Id, Answer)> {
        let request = request(cgroup).filter(|_| self.container_names.is_on())?;
        Some((request.id, self.container_names.get(request, now)))
    }

    /// The same of an image.
    pub fn container_of(&mut self, node: Node, now: BootTime) -> Option<(Id, Answer)> {
        if !self.container_names.is_on() {
            return None;
        }
        let request = request(self.view(node)?.cgroup)?;
        Some((request.id, self.container_names.get(request, now)))
    }

    /// Asks for the names of the containers of every living process.
    pub fn ask_for_containers(&mut self, now: BootTime) {
        let mut place = 0;
        while let Some((node, next)) = self.living_from(place) {
            self.container_of(node, now);
            place = next;
        }
    }

    /// What is known of containers.
    pub fn container_names(&self) -> &ContainerNames {
        &self.container_names
    }

    /// The same, to take its requests and to answer them.
    pub fn container_names_mut(&mut self) -> &mut ContainerNames {
        &mut self.container_names
    }

    /// Remembers a control group's path, for processes that are born into it.
    pub fn know_cgroup(&mut self, id: u64, path: &[u8]) {
        self.contents.know_cgroup(id, path);
    }

    /// Keeps an image, whatever becomes of it, until it is [let go](Table::let_go) as often.
    pub fn keep(&mut self, node: Node) {
        self.hold(node);
    }
}

fn request(cgroup: &[u8]) -> Option<Request> {
    let container = Container::of(cgroup)?;
    Some(Request { id: Id::parse(container.id)?, runtime: container.runtime })
}
