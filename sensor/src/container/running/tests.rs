use super::*;
use crate::record::{Namespaces, Task};
use crate::table::Limits;

const RUNTIME: u32 = 1;
const INSIDE: u32 = 2;
const ID: &[u8] = b"web";

fn at(n: u64) -> BootTime {
    BootTime::from_ns(n * 1_000_000_000)
}

struct World {
    running: Running,
    table: Table,
}

impl World {
    fn new() -> Self {
        Self { running: Running::default(), table: Table::new(Limits::default()) }
    }

    /// A process of this pid, which began at the second of that number, executes something.
    fn executes(&mut self, pid: u32, image: u32, mnt: u32) -> (bool, Node) {
        let task = Task { key: ProcessKey { start: at(pid.into()), pid }, image };
        let namespaces = Namespaces { mnt, ..Namespaces::default() };
        let image = Image { task: Some(task), namespaces, executable: b"/bin/x", ..Image::default() };
        let node = self.table.image(&image, at(pid.into())).unwrap();
        (self.running.executed(ID, &image, node, &mut self.table), node)
    }

    fn is_found(&mut self, pid: u32) -> Node {
        let task = Task { key: ProcessKey { start: at(pid.into()), pid }, image: 1 };
        let node = self.table.image(&Image { task: Some(task), ..Image::default() }, at(pid.into())).unwrap();
        self.running.found(ID, node, &mut self.table);
        node
    }

    fn ends(&mut self, pid: u32, image: u32, code: u32) {
        let task = Task { key: ProcessKey { start: at(pid.into()), pid }, image };
        let exit = Exit { task, code, signal: 0, duration_ns: 0 };
        self.table.exit(&exit, at(100));
        self.running.exited(ID, &exit);
    }

    fn fills(&mut self, second: u64) {
        self.running.filled(ID, RUNTIME, at(second), &mut self.table);
    }

    /// The pid of the first process and its exit code, if that is a stop.
    fn empties(&mut self, second: u64) -> Option<(u32, Option<u32>)> {
        match self.running.emptied(ID, at(second)) {
            Emptied::Stopped(first) => {
                let found = self.table.task(first.node).map(|task| task.key.pid);
                assert_eq!(found, Some(first.key.pid), "it is still in the table");
                self.table.let_go(first.node);
                Some((first.key.pid, first.exit_code))
            }
            _ => None,
        }
    }
}

#[test]
fn a_container_starts_with_the_first_program_in_a_world_of_its_own() {
    let mut world = World::new();
    world.fills(10);
    // The runtime executes itself once more, already in the group.
    assert!(!world.executes(9, 1, RUNTIME).0);
    assert!(world.executes(11, 1, INSIDE).0);
    assert!(!world.executes(11, 2, INSIDE).0, "its next program");
    assert!(!world.executes(12, 1, INSIDE).0, "its child");
    world.ends(12, 1, 5);
    world.ends(11, 2, 3);
    // However long after the first process.
    world.table.expire(at(10_000));
    assert_eq!(world.empties(10_001), Some((11, Some(3))));
    assert_eq!(world.empties(10_002), None, "once");
    world.table.expire(at(20_000));
    assert_eq!((world.running.n_lives(), world.table.n_living()), (0, 1), "nothing is left but the runtime");
    assert_eq!(world.table.n_entries(), 1);
}

#[test]
fn what_was_only_made_has_neither_started_nor_stopped() {
    let mut world = World::new();
    world.fills(10);
    assert!(!world.executes(9, 1, RUNTIME).0);
    assert_eq!(world.running.emptied(ID, at(11)), Emptied::NeverStarted);
    assert_eq!(world.running.emptied(ID, at(12)), Emptied::Unknown);
}

#[test]
fn one_that_ran_before_the_sensor_stops_and_can_start_again() {
    let mut world = World::new();
    world.is_found(11);
    world.is_found(12);
    assert!(!world.executes(13, 1, INSIDE).0, "somebody enters it");
    assert_eq!(world.empties(20), Some((11, None)));
    world.fills(21);
    assert!(world.executes(22, 1, INSIDE).0);
    // The end was lost: the next beginning tells.
    world.fills(30);
    assert!(world.executes(31, 1, INSIDE).0);
    assert_eq!(world.empties(40), Some((31, None)));
}

#[test]
fn records_that_are_older_than_what_was_found_are_of_another_life() {
    let mut world = World::new();
    // A sensor that starts lists what lives first, and then reads what waited for it.
    world.is_found(31);
    assert_eq!(world.running.emptied(ID, at(20)), Emptied::Unknown);
    world.fills(30);
    assert!(world.executes(31, 2, INSIDE).0);
    assert_eq!(world.empties(40), Some((31, None)));
}

#[test]
fn after_a_loss_what_no_longer_lives_has_stopped() {
    let mut world = World::new();
    world.is_found(11);
    world.running.begin_census();
    world.is_found(11);
    assert_eq!(world.running.end_census(), []);
    world.running.begin_census();
    let gone = world.running.end_census();
    assert_eq!(gone.iter().map(|first| first.key.pid).collect::<Vec<_>>(), [11]);
    assert_eq!(world.running.n_lives(), 0);
}

#[test]
fn what_is_remembered_is_bounded_and_lets_go() {
    let mut world = World::new();
    let node = world.is_found(11);
    let n_entries = world.table.n_entries();
    for n in 0..2 * MAX_LIVES {
        world.running.filled(n.to_string().as_bytes(), RUNTIME, at(1), &mut world.table);
    }
    assert_eq!(world.running.n_lives(), MAX_LIVES);
    assert_eq!((world.table.n_entries(), world.table.task(node).is_some()), (n_entries, true));
    world.ends(11, 1, 0);
    world.table.expire(at(1_000));
    assert_eq!(world.table.n_entries(), n_entries - 1, "the container that was forgotten holds it no more");
}
