use super::*;
use crate::container::names::About;
use crate::record::{Namespaces, Populated};

const RUNTIME: u32 = 1;
const INSIDE: u32 = 2;
const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";
const GROUP: u64 = 77;

/// A pipeline, and the numbers of its records.
struct World {
    pipeline: Pipeline,
    next: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self { pipeline: pipeline(Start::Fresh, 100), next: 0 };
        world.pipeline.table = Table::new(Limits { container_names: true, ..Limits::default() });
        world
    }

    fn take(&mut self, body: Body<'_>) {
        let record = record(Class::Process, self.next, body);
        self.pipeline.take(&record, &Names::default(), at(self.next));
        self.next += 1;
    }

    fn flips(&mut self, is_populated: bool, below: &str) {
        let path = format!("/libpod_parent/libpod-{ID}{below}");
        let cgroup_id = GROUP + below.len() as u64;
        self.take(Body::Populated(Populated {
            is_populated,
            by_mnt_ns: RUNTIME,
            cgroup_id,
            path: path.as_bytes(),
            truncated: false,
        }));
    }

    fn executes(&mut self, pid: u32, mnt: u32) {
        let path = format!("/libpod_parent/libpod-{ID}/container");
        let namespaces = Namespaces { mnt, ..Namespaces::default() };
        let image = Image { cgroup: path.as_bytes(), cgroup_id: GROUP, namespaces, ..image(task(pid, 2)) };
        self.take(Body::Image(Box::new(image)));
    }

    fn ends(&mut self, pid: u32, code: u32) {
        self.take(Body::Exit(Exit { task: task(pid, 2), code, signal: 0, duration_ns: 1 }));
    }

    /// The events so far: of containers with their container's id and the pid of their subject.
    fn told(&mut self) -> Vec<(Kind, String, u32)> {
        let now = at(self.next);
        let mut told = Vec::new();
        for (lane, batch) in batches(&mut self.pipeline, now) {
            assert_eq!(lane, Lane::Critical);
            for n in 0..batch.n_events() {
                let (event, subject) = batch.event(n).unwrap().unwrap();
                let subject = subject.unwrap();
                let row = batch.subject(subject).unwrap().unwrap().row;
                let id = match row.get(Field::ContainerId) {
                    Some(Value::Keyword(id)) => String::from_utf8_lossy(id).into_owned(),
                    _ => String::new(),
                };
                told.push((event.kind, id, batch.subjects().unwrap().key(subject).unwrap().pid));
            }
        }
        told
    }
}

fn of(kind: Kind, pid: u32) -> (Kind, String, u32) {
    (kind, ID.to_owned(), pid)
}

#[test]
fn the_life_of_a_container_is_told_with_its_first_process() {
    let mut world = World::new();
    // The group within comes first, as it does from the kernel; it is not the container's own.
    world.flips(true, "/container");
    world.flips(true, "");
    world.executes(5, RUNTIME);
    world.executes(6, INSIDE);
    let request = world.pipeline.next_container_request().unwrap();
    assert_eq!(request.id.to_string(), ID);
    world.pipeline.named(request.id, Ok(About { name: "web".into(), ..About::default() }), at(3));
    assert_eq!(world.told(), [of(Kind::EXEC, 5), of(Kind::EXEC, 6), of(Kind::CONTAINER_START, 6)]);
    world.ends(6, 3);
    world.flips(false, "/container");
    world.flips(false, "");
    assert_eq!(world.told(), [of(Kind::EXIT, 6), of(Kind::CONTAINER_STOP, 6)]);
    let ledger = world.pipeline.ledger(Lane::Critical);
    assert_eq!((ledger.merged, ledger.lost, ledger.dropped), (4, 0, 0), "what told no event of its own");
}

#[test]
fn a_child_that_is_born_into_a_containers_group_is_of_it() {
    let mut world = World::new();
    world.flips(true, "");
    let (parent, child) = (task(5, 1), task(6, 1));
    world.take(Body::Image(Box::new(Image { cgroup: b"/outside", ..image(parent) })));
    world.take(Body::Fork(Fork { child, parent, cgroup_id: GROUP }));
    let told = world.told();
    assert_eq!(told.last(), Some(&of(Kind::FORK, 6)));
}

#[test]
fn a_container_that_was_gone_when_the_sensor_looked_has_stopped_all_the_same() {
    let mut world = World::new();
    world.ends(6, 0);
    world.flips(false, "");
    let told = world.told();
    assert_eq!(told.last(), Some(&of(Kind::CONTAINER_STOP, 0)), "of which the kernel tells");
    assert_eq!(told.len(), 2);
}

#[test]
fn after_a_loss_a_container_without_processes_has_stopped() {
    let mut world = World::new();
    world.flips(true, "");
    world.executes(6, INSIDE);
    world.told();
    world.pipeline.begin_census();
    let path = format!("/libpod_parent/libpod-{ID}");
    let found = Image { cgroup: path.as_bytes(), ..image(task(6, 2)) };
    world.pipeline.seed(&found, at(10));
    assert_eq!(world.pipeline.end_census(&Names::default(), at(10)), 0);
    assert_eq!((world.told(), world.pipeline.n_containers()), (vec![], 1));
    world.pipeline.begin_census();
    assert_eq!(world.pipeline.end_census(&Names::default(), at(20)), 1);
    assert_eq!(world.told(), [of(Kind::CONTAINER_STOP, 6)]);
}
