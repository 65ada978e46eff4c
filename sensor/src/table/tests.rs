use proptest::prelude::*;

use super::*;

fn key(start: u64, pid: u32) -> ProcessKey {
    ProcessKey { start: BootTime::from_ns(start), pid }
}

fn task(start: u64, pid: u32, image: u32) -> Task {
    Task { key: key(start, pid), image }
}

fn at(seconds: u64) -> BootTime {
    BootTime::from_ns(seconds * 1_000_000_000)
}

fn fork(parent: Task, child: Task) -> Fork {
    Fork { child, parent, cgroup_id: 0 }
}

fn image<'a>(task: Task, executable: &'a str) -> Image<'a> {
    Image { just_executed: true, task: Some(task), executable: executable.as_bytes(), ..Image::default() }
}

fn exit(task: Task) -> Exit {
    Exit { task, code: 0, signal: 0, duration_ns: 1 }
}

fn names(table: &Table, node: Node) -> Vec<String> {
    table.ancestors(node).map(|n| String::from_utf8_lossy(table.executable(n)).into_owned()).collect()
}

#[test]
fn ancestry_keeps_the_images_of_the_fork() {
    let mut table = Table::new(Limits::default());
    let init = task(1, 1, 1);
    table.image(&image(init, "/sbin/init"), at(1));
    let shell = task(2, 10, 1);
    let forked = table.fork(&fork(init, shell), at(2));
    assert_eq!(table.executable(forked), b"/sbin/init", "a child runs what its parent runs");
    let shell = Task { image: 2, ..shell };
    table.image(&image(shell, "/bin/bash"), at(2));
    let child = task(3, 11, 2);
    table.fork(&fork(shell, child), at(3));
    table.image(&image(Task { image: 3, ..shell }, "/usr/bin/python"), at(3));
    let curl = table.image(&image(Task { image: 3, ..child }, "/usr/bin/curl"), at(4)).unwrap();
    assert_eq!(names(&table, curl), ["/bin/bash", "/sbin/init"]);
    table.expire_all();
    assert_eq!(names(&table, curl), ["/bin/bash", "/sbin/init"], "a replaced image stays for its child");
    table.check();
}

#[test]
fn the_ended_go_when_no_descendant_needs_them() {
    let mut table = Table::new(Limits::default());
    let (a, b, c) = (task(1, 1, 1), task(2, 2, 1), task(3, 3, 1));
    table.image(&image(a, "/a"), at(1));
    table.fork(&fork(a, b), at(2));
    table.fork(&fork(b, c), at(3));
    table.exit(&exit(b), at(4));
    table.expire_all();
    assert_eq!(table.n_entries(), 3, "b is c's parent");
    table.exit(&exit(c), at(5));
    assert_eq!(table.n_entries(), 3, "c has its grace");
    table.expire(at(6));
    assert_eq!(table.n_entries(), 3);
    table.expire(at(7));
    assert_eq!((table.n_entries(), table.n_living()), (1, 1));
    table.check();
}

#[test]
fn exec_without_fork_is_repaired_by_a_late_fork() {
    let mut table = Table::new(Limits::default());
    let (parent, child) = (task(1, 1, 4), task(2, 2, 4));
    table.image(&image(parent, "/parent"), at(1));
    let node = table.image(&image(Task { image: 5, ..child }, "/child"), at(2)).unwrap();
    assert_eq!(table.parent(node), None);
    table.fork(&fork(parent, child), at(2));
    assert_eq!(names(&table, node), ["/parent"]);
    assert_eq!(table.find(Task { image: 5, ..child }), Some(node));
    assert_eq!(table.n_living(), 2, "the late fork does not bring the old image back");
    table.check();
}

#[test]
fn exit_without_exec_leaves_nothing() {
    let mut table = Table::new(Limits::default());
    let node = table.exit(&exit(task(5, 5, 5)), at(1));
    assert_eq!(table.view(node), None);
    table.exit(&exit(task(5, 5, 5)), at(1));
    table.check();
    table.expire_all();
    assert_eq!((table.n_entries(), table.n_living()), (0, 0));
}

#[test]
fn a_late_exec_does_not_revive_the_dead() {
    let mut table = Table::new(Limits::default());
    table.fork(&fork(task(1, 1, 1), task(2, 2, 1)), at(1));
    table.exit(&exit(task(2, 2, 2)), at(2));
    table.image(&image(task(2, 2, 2), "/late"), at(2));
    assert_eq!(table.living_from(0), None);
    table.check();
}

#[test]
fn a_pid_used_again_within_a_second_is_another_process() {
    let mut table = Table::new(Limits::default());
    let (old, new) = (task(100, 7, 1), task(200, 7, 1));
    table.image(&image(old, "/old"), at(0));
    let node = table.image(&image(new, "/new"), at(0)).unwrap();
    assert_eq!(table.n_living(), 1, "the exit of the first was lost");
    assert_eq!(table.executable(node), b"/new");
    table.exit(&exit(old), at(0));
    assert_eq!(table.n_living(), 1, "its late exit does not end the second");
    assert_eq!(table.executable(table.find(old).unwrap()), b"/old");
    table.check();
}

#[test]
fn parents_that_are_not_older_are_refused() {
    let mut table = Table::new(Limits::default());
    let (a, b) = (task(1, 1, 1), task(2, 2, 1));
    table.fork(&fork(a, b), at(1));
    table.fork(&fork(b, a), at(1));
    table.fork(&fork(a, a), at(1));
    let a = table.find(a).unwrap();
    assert_eq!(table.parent(a), None);
    table.check();
}

#[test]
fn a_child_cloned_into_another_control_group_is_found_there() {
    let mut table = Table::new(Limits::default());
    let (here, there) = (task(1, 1, 1), task(2, 2, 1));
    table.image(&Image { cgroup: b"/here", cgroup_id: 10, ..image(here, "/init") }, at(1));
    table.image(&Image { cgroup: b"/there", cgroup_id: 20, ..image(there, "/bin/x") }, at(1));
    let moved = Fork { cgroup_id: 20, ..fork(here, task(3, 3, 1)) };
    let node = table.fork(&moved, at(2));
    let view = table.view(node).unwrap();
    assert_eq!((view.executable, view.cgroup), (&b"/init"[..], &b"/there"[..]));
    let node = table.fork(&Fork { cgroup_id: 30, ..fork(here, task(4, 4, 1)) }, at(2));
    assert_eq!(table.view(node).unwrap().cgroup, b"", "not the parent's");
}

#[test]
fn a_full_table_forgets_the_living_but_keeps_count() {
    let mut table = Table::new(Limits { entries: 100, ..Limits::default() });
    for i in 0..1000 {
        table.image(&image(task(i + 1, i as u32 + 1, 1), "/bin/sleep"), at(i));
        table.check();
    }
    assert_eq!((table.n_entries(), table.n_evicted()), (100, 900));
}

#[test]
fn a_chain_of_forks_whose_parents_all_ended_is_cut() {
    let mut table = Table::new(Limits { trim_entries: 500, ..Limits::default() });
    for i in 1..20_000u32 {
        let (parent, child) = (task(i.into(), i, 1), task(u64::from(i) + 1, i + 1, 1));
        table.fork(&fork(parent, child), at(i.into()));
        table.exit(&exit(parent), at(i.into()));
        table.expire(at(i.into()));
        assert!(table.n_entries() < 1100, "{}", table.n_entries());
    }
    let last = table.find(task(20_000, 20_000, 1)).unwrap();
    assert_eq!(table.ancestors(last).count(), MAX_ANCESTORS);
    table.check();
}

#[test]
fn a_census_ends_whose_exits_were_lost() {
    let mut table = Table::new(Limits::default());
    for i in 1..=3 {
        table.image(&image(task(i, i as u32, 1), "/x"), at(1));
    }
    table.begin_census();
    table.image(&Image { just_executed: false, ..image(task(2, 2, 1), "/x") }, at(2));
    table.fork(&fork(task(2, 2, 1), task(9, 9, 1)), at(2));
    assert_eq!(table.end_census(at(2)), 2);
    let living: Vec<_> = std::iter::successors(table.living_from(0), |(_, next)| table.living_from(*next))
        .map(|(node, _)| table.task(node).unwrap().key.pid)
        .collect();
    assert_eq!(living, [2, 9]);
    table.check();
}

#[test]
fn huge_strings_of_many_processes_stay_bounded() {
    let limits = Limits { string_bytes: 100_000, ..Limits::default() };
    let mut table = Table::new(limits);
    for i in 0..1000u32 {
        let args = vec![b'a' + (i % 26) as u8; 8000 + i as usize];
        let cwd = format!("/{i}/{}", "d".repeat(4000));
        let task = task(u64::from(i) + 1, i + 1, 1);
        let record = Image { args: &args, args_bytes: 8000, cwd: cwd.as_bytes(), ..image(task, "/x") };
        let node = table.image(&record, at(1)).unwrap();
        assert!(table.view(node).unwrap().truncated);
    }
    assert!(table.string_bytes() < 450_000, "{}", table.string_bytes());
}

impl Table {
    /// Checks every invariant, slowly.
    fn check(&self) {
        let mut holds = vec![0u32; self.entries.len()];
        let taken = || self.entries.iter().enumerate().filter(|(_, entry)| entry.life != Life::Free);
        for (_, entry) in taken() {
            if let Some(parent) = self.entries.get(entry.parent.0 as usize) {
                assert_ne!(parent.life, Life::Free, "a parent is kept");
                assert!((parent.start, parent.pid) < (entry.start, entry.pid));
                holds[entry.parent.0 as usize] += 1;
            }
        }
        for node in self.living.iter() {
            let entry = &self.entries[node.0 as usize];
            assert_eq!((self.lives(entry.pid), entry.life), (Some(node), Life::Living));
            holds[node.0 as usize] += 1;
        }
        for (_, node) in &self.parting {
            assert!(self.entries[node.0 as usize].parting);
            holds[node.0 as usize] += 1;
        }
        for (at, entry) in taken() {
            assert_eq!(entry.n_holds, holds[at], "{:?} is held as often as it says", entry.key());
            assert!(entry.n_holds > 0, "{:?} would never go", entry.key());
            assert_eq!(self.find(Task { key: entry.key(), image: entry.image }), Some(Node(at as u32)));
        }
        assert_eq!(taken().count(), self.n_entries);
        assert_eq!(self.by_image.len(), self.n_entries);
        assert!(self.n_entries <= self.limits.entries);
    }

    /// Ends every grace.
    fn expire_all(&mut self) {
        self.expire(BootTime::from_ns(u64::MAX));
    }
}

fn any_task() -> impl Strategy<Value = Task> {
    (0..12u64, 0..8u32, 0..4u32).prop_map(|(start, pid, image)| task(start, pid, image))
}

#[derive(Clone, Debug)]
enum Step {
    Fork(Task, Task, u64),
    Image(Task, Option<Task>, u8, bool),
    Exit(Task),
    Named(Task),
    Expire(u64),
    Census(Vec<Task>),
    Forget,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any_task(), any_task(), 0..3u64).prop_map(|(p, c, g)| Step::Fork(p, c, g)),
        4 => (any_task(), proptest::option::of(any_task()), any::<u8>(), any::<bool>())
            .prop_map(|(t, p, b, e)| Step::Image(t, p, b, e)),
        3 => any_task().prop_map(Step::Exit),
        2 => any_task().prop_map(Step::Named),
        1 => (0..20u64).prop_map(Step::Expire),
        1 => proptest::collection::vec(any_task(), 0..4).prop_map(Step::Census),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn any_sequence_of_records_keeps_the_invariants(
        steps in proptest::collection::vec(any_step(), 0..120),
        entries in 3usize..40,
        trim_entries in 1usize..20,
    ) {
        let mut table = Table::new(Limits { entries, trim_entries, ..Limits::default() });
        for (i, step) in steps.into_iter().enumerate() {
            let now = at(i as u64);
            match step {
                Step::Fork(parent, child, cgroup_id) => {
                    let node = table.fork(&Fork { child, parent, cgroup_id }, now);
                    prop_assert_eq!(table.task(node), Some(child));
                }
                Step::Image(task, parent, byte, just_executed) => {
                    let exe = vec![byte; usize::from(byte) % 5];
                    let record = Image {
                        task: Some(task), parent, just_executed, executable: &exe, cgroup_id: 1, ..Image::default()
                    };
                    let node = table.image(&record, now).unwrap();
                    prop_assert_eq!(table.executable(node), &exe[..]);
                }
                Step::Exit(task) => {
                    let node = table.exit(&exit(task), now);
                    prop_assert_eq!(table.task(node), Some(task));
                }
                Step::Named(task) => {
                    let node = table.named(task, now);
                    prop_assert_eq!(table.task(node), Some(task));
                    prop_assert!(table.ancestors(node).count() <= MAX_ANCESTORS);
                }
                Step::Expire(seconds) => table.expire(at(seconds)),
                Step::Census(tasks) => {
                    table.begin_census();
                    for task in tasks {
                        table.image(&image(task, "/seen"), now);
                    }
                    table.end_census(now);
                }
                Step::Forget => table.forget_announced(Lane::Bulk),
            }
            table.check();
        }
        table.begin_census();
        table.end_census(at(1000));
        table.expire_all();
        prop_assert_eq!(table.n_entries(), 0);
        let [contents, files, rights, cgroups, _] = table.contents.n_values();
        prop_assert_eq!([contents, files, rights, cgroups], [0; 4], "every shared part is released");
    }
}
