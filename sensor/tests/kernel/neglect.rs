use std::time::{Duration, Instant};

use vedette_sensor::probe::Probe;
use vedette_sensor::record::{Class, Record};

use crate::bench::{run, with_root};

const LIMIT: Duration = Duration::from_millis(400);

#[test]
fn programs_that_nobody_reads_stop_to_tell_and_count() {
    with_root("neglect", async |mut bench| {
        bench.close();
        Probe::unload_named(&bench.config.name).unwrap();
        bench.config.unread = LIMIT;
        bench.reopen();
        let (seen, _) = run(&mut bench.command("/bin/true"));
        bench.exit_of(seen).await;
        assert_eq!(bench.probe().take_neglect().unwrap(), None);

        // Nobody reads from here on.
        let start = Instant::now();
        let mut pids = Vec::new();
        let unread = |bench: &mut crate::bench::Bench| {
            let counters = bench.probe().counters().unwrap();
            Class::ALL.map(|class| counters.of(class).unread)
        };
        while unread(&mut bench) == [0; 3] {
            assert!(start.elapsed() < Duration::from_secs(20), "the programs tell on");
            pids.push(run(&mut bench.command("/bin/true")).0);
        }
        assert!(start.elapsed() > LIMIT / 2, "they stopped too early");
        run(&mut bench.command("/bin/true"));
        let [process, ..] = unread(&mut bench);
        assert!(process >= 2, "the exec and the end of the last one");

        bench.look();
        let (again, _) = run(&mut bench.command("/bin/true"));
        bench.exit_of(again).await;
        let neglect = bench.probe().take_neglect().unwrap().unwrap();
        let unread = unread(&mut bench);
        assert!(neglect.passed > LIMIT);
        assert_eq!(neglect.n_records, unread.iter().sum::<u64>());
        assert_eq!(bench.probe().take_neglect().unwrap(), None, "it is told once");
        let counters = bench.probe().counters().unwrap();
        for (class, unread) in Class::ALL.into_iter().zip(unread) {
            let of_class = |record: &Record<'_>| record.at.class == class;
            let n_seen = bench.seen().filter(|record| of_class(record)).count() as u64;
            let counters = counters.of(class);
            assert_eq!(
                counters.generated(),
                n_seen + counters.lost,
                "{class:?}: attempted = received + lost"
            );
            assert_eq!(counters.lost, unread, "{class:?}: nothing else was lost");
        }
    });
}

#[test]
fn the_next_sensor_tells_for_how_long_nobody_read() {
    with_root("neglect-next", async |mut bench| {
        bench.close();
        Probe::unload_named(&bench.config.name).unwrap();
        bench.config.unread = LIMIT;
        assert_eq!(bench.reopen().take_neglect().unwrap(), None, "nobody could have read before");
        bench.close();
        let start = Instant::now();
        while start.elapsed() < LIMIT * 2 {
            run(&mut bench.command("/bin/true"));
        }
        assert!(bench.reopen().is_reopened());
        let neglect = bench.probe().take_neglect().unwrap().unwrap();
        assert!(neglect.n_records > 0 && neglect.passed >= LIMIT * 2, "{neglect:?}");
        let (again, _) = run(&mut bench.command("/bin/true"));
        bench.exit_of(again).await;
    });
}
