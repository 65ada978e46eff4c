use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use vedette_sensor::probe::{Filter, Probe, ProbeConfig, ProbeError};
use vedette_sensor::record::{Body, Class, Record};

use crate::bench::{run, with_root};
use crate::child;

#[test]
fn a_confined_sensor_sees_its_group_and_those_below_only() {
    with_root("confine", async |mut bench| {
        let (outside, _) = run(&mut Command::new("/bin/true"));
        let below = bench.group.below("below");
        let (inside_below, _) = run(&mut below.command("/bin/true"));
        let (inside, _) = run(&mut bench.command("/bin/true"));
        bench.exit_of(inside).await;
        let pids: BTreeSet<u32> = bench.seen().filter_map(|record| pid_of(&record)).collect();
        assert_eq!(pids, [inside, inside_below].into());
        assert!(!pids.contains(&outside));
    });
}

#[test]
fn what_is_filtered_is_not_even_numbered() {
    with_root("filter", async |mut bench| {
        let sleep = fs::metadata(fs::canonicalize("/bin/sleep").unwrap()).unwrap();
        let sleep_only = Filter { executables: [(sleep.dev(), sleep.ino())].into(), ..Filter::default() };
        bench.probe().set_filter(&sleep_only).unwrap();
        let (left_out, _) = run(bench.command("/bin/sleep").arg("0"));
        let (wanted, _) = run(&mut bench.command("/bin/true"));
        bench.exit_of(wanted).await;
        let of_process = bench.seen().filter(|record| record.at.class == Class::Process);
        assert!(
            of_process.filter_map(|record| pid_of(&record)).all(|pid| pid == wanted),
            "{left_out} was not left out"
        );

        for filter in [
            Filter { uids: [0].into(), ..Filter::default() },
            Filter { cgroups: [fs::metadata(&bench.group.0).unwrap().ino()].into(), ..Filter::default() },
        ] {
            bench.probe().set_filter(&filter).unwrap();
            bench.look();
            bench.forget();
            let before = bench.probe().counters().unwrap().of(Class::Process).generated();
            run(&mut bench.command("/bin/true"));
            let after = bench.probe().counters().unwrap().of(Class::Process).generated();
            bench.look();
            // Who takes hold of the sensor's own maps is told of whatever is filtered: another test's sensor may.
            let is_touch = |record: &Record<'_>| matches!(record.body, Body::Touch(_));
            let n_touches = bench.seen().filter(is_touch).count() as u64;
            assert!(after - before <= n_touches, "{filter:?}: {} were numbered", after - before);
        }
        bench.probe().set_filter(&Filter::default()).unwrap();
        let (again, _) = run(bench.command("/bin/sleep").arg("0"));
        bench.exit_of(again).await;
    });
}

#[test]
fn a_killed_sensor_loses_nothing() {
    with_root("kill", async |mut bench| {
        bench.close();
        Probe::unload_named(&bench.config.name).unwrap();
        let group = bench.group.0.to_str().unwrap();
        let mut sensor = child::command_outside("hold-probe", &[&bench.config.name, group, "30"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(sensor.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with("open")));
        let mut pids: BTreeSet<u32> = (0..20).map(|_| run(&mut bench.command("/bin/true")).0).collect();
        // Who took hold of a sensor's maps is told too, whichever sensor: of the probes of other tests.
        let mut n_touches = 0;
        let mut taken: BTreeSet<(u8, u32, u64)> = lines
            .take_while(|line| line != "done")
            .map(|line| {
                let mut words = line.split(' ').skip(1).map(|word| word.parse::<u64>().unwrap());
                let mut next = || words.next().unwrap();
                let place = (next() as u8, next() as u32, next());
                n_touches += next() as usize;
                place
            })
            .collect();
        assert_eq!(taken.len(), 30);
        sensor.kill().unwrap();
        sensor.wait().unwrap();
        pids.extend((0..20).map(|_| run(&mut bench.command("/bin/true")).0));

        assert!(bench.reopen().is_reopened());
        bench.look();
        let ends: BTreeSet<u32> = bench
            .seen()
            .filter_map(|record| match record.body {
                Body::Exit(exit) => Some(exit.task.key.pid),
                _ => None,
            })
            .collect();
        assert!(ends.is_subset(&pids) && ends.len() >= 20, "{ends:?}");
        for record in bench.seen() {
            let place = (record.at.class as u8, record.at.cpu, record.at.seq);
            assert!(taken.insert(place), "{place:?} came twice");
            n_touches += usize::from(matches!(record.body, Body::Touch(_)));
        }
        // An image and an end for each; the numbers of every CPU without a gap.
        let n_process = taken.iter().filter(|(class, ..)| *class == Class::Process as u8).count();
        assert_eq!(n_process - n_touches, 40 * 2);
        let mut next: BTreeMap<(u8, u32), u64> = BTreeMap::new();
        for (class, cpu, seq) in taken {
            let expected = next.entry((class, cpu)).or_default();
            assert_eq!(seq, *expected, "class {class} of CPU {cpu}");
            *expected += 1;
        }
        let counters = bench.probe().counters().unwrap();
        let process = counters.of(Class::Process);
        assert_eq!((process.generated(), process.lost), (n_process as u64, 0));
    });
}

#[test]
fn records_that_find_no_room_are_counted() {
    with_root("overflow", async |mut bench| {
        bench.close();
        *Class::Process.of_mut(&mut bench.config.ring_bytes) = 1;
        assert!(!bench.reopen().is_reopened(), "another size is another installation");
        // The first one's numbers are its own. A record of it is who took hold of its maps: another test's sensor, as it began.
        bench.forget();
        let argument = "x".repeat(16000);
        for _ in 0..10 {
            run(bench.command("/bin/true").arg(&argument));
        }
        bench.look();
        let counters = bench.probe().counters().unwrap().of(Class::Process).clone();
        // A run that the kernel skipped, as it had interrupted another one on its CPU, made no record.
        let made = counters.generated();
        assert!(made + counters.skipped >= 20, "{counters:?}");
        assert!(counters.lost > 0, "{counters:?}");
        let seen: Vec<_> = bench.seen().filter(|record| record.at.class == Class::Process).collect();
        let n_seen = seen.len() as u64;
        assert_eq!(n_seen + counters.lost, made, "attempted = received + lost: {counters:?}, {seen:#?}");
    });
}

#[test]
fn one_name_is_one_sensor() {
    with_root("twice", async |bench| {
        let again = Probe::open(&bench.config);
        assert!(matches!(again.err(), Some(ProbeError::Running { name }) if name == bench.config.name));
        let removed = Probe::unload_named(&bench.config.name);
        assert!(matches!(removed.err(), Some(ProbeError::Running { .. })));
    });
}

#[test]
fn a_broken_installation_is_replaced() {
    with_root("broken", async |mut bench| {
        let folder = bench.probe().folder().to_path_buf();
        bench.close();
        fs::remove_file(folder.join("link_process_exec")).unwrap();
        assert!(!bench.reopen().is_reopened());
        assert!(bench.probe().was_changed() && bench.probe().numbers_go_on());
        let (pid, _) = run(&mut bench.command("/bin/true"));
        bench.image_of(pid).await;
        bench.close();
        for pin in fs::read_dir(&folder).unwrap().map(|pin| pin.unwrap().path()) {
            if pin.file_name().unwrap().to_string_lossy().starts_with("identity") {
                fs::remove_file(pin).unwrap();
            }
        }
        assert!(!bench.reopen().is_reopened());
        let (pid, _) = run(&mut bench.command("/bin/true"));
        bench.image_of(pid).await;
    });
}

#[test]
fn unloading_leaves_nothing() {
    with_root("unload", async |mut bench| {
        let folder = bench.probe().folder().to_path_buf();
        assert!(folder.is_dir());
        bench.probe.take().unwrap().unload().unwrap();
        assert!(!folder.exists());
        assert!(!Probe::names().unwrap().contains(&bench.config.name));
        assert!(!Probe::unload_named(&bench.config.name).unwrap());
    });
}

#[test]
fn a_group_that_is_none_is_refused_with_its_name() {
    with_root("group", async |bench| {
        for path in ["/nowhere", "/tmp"] {
            let config = ProbeConfig {
                name: "test-group-2".into(),
                cgroup: Some(path.into()),
                ..bench.config.clone()
            };
            let error = Probe::open(&config).err().unwrap();
            assert!(error.to_string().contains(path), "{error}");
        }
        assert!(!Probe::names().unwrap().contains(&"test-group-2".to_owned()));
    });
}

fn pid_of(record: &Record<'_>) -> Option<u32> {
    match &record.body {
        Body::Image(image) => image.task.map(|task| task.key.pid),
        Body::Exit(exit) => Some(exit.task.key.pid),
        Body::Fork(fork) => Some(fork.child.key.pid),
        _ => None,
    }
}
