//! What a sensor that knows 50,000 processes takes of a host's memory.
//!
//! In a file of its own, so that nothing else runs in the process that is measured.

use uuid::Uuid;
use vedette_sensor::account::Start;
use vedette_sensor::enrich::Origin;
use vedette_sensor::pipeline::{Pipeline, PipelineConfig};
use vedette_sensor::record::{Body, Class, Exit, Fork, Image, Place, Record, Task};
use vedette_sensor::redact::{Redaction, Redactor};
use vedette_sensor::seal::Bounds;
use vedette_sensor::table::{Limits, Table};
use vedette_sensor::user::Names;
use wire::id::{BootId, Epoch, HostId, ProcessKey};
use wire::time::BootTime;

const N_PROCESSES: u32 = 50_000;

fn rss_anon_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon since 4.5");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn at(ms: u64) -> BootTime {
    BootTime::from_ns(ms * 1_000_000)
}

fn task(n: u32, image: u32) -> Task {
    Task { key: ProcessKey { start: at(n.into()), pid: n }, image }
}

/// The strings of a process image as a busy host of many services has them.
struct Strings {
    executable: String,
    args: String,
    cwd: String,
    cgroup: String,
}

impl Strings {
    fn of(n: u32) -> Self {
        let service = n % 300;
        Self {
            executable: format!("/usr/lib/service-{service}/bin/worker"),
            args: format!(
                "/usr/lib/service-{service}/bin/worker\0--instance\0{n}\0--config\0/etc/{service}.toml\0"
            ),
            cwd: format!("/var/lib/service-{service}"),
            cgroup: format!("/system.slice/service-{service}.service"),
        }
    }

    fn image(&self, task: Task) -> Image<'_> {
        Image {
            just_executed: true,
            task: Some(task),
            parent: None,
            executable: self.executable.as_bytes(),
            args: self.args.as_bytes(),
            args_bytes: self.args.len() as u64,
            args_count: 5,
            cwd: self.cwd.as_bytes(),
            cgroup: self.cgroup.as_bytes(),
            cgroup_id: u64::from(task.key.pid % 300),
            session: task.key.pid,
            ..Image::default()
        }
    }
}

fn fill(table: &mut Table) {
    for n in 2..=N_PROCESSES {
        let strings = Strings::of(n);
        let parent = task(1 + n % 100, 1 + u32::from(n % 100 > 0));
        table.fork(&Fork { child: task(n, 1), parent, cgroup_id: 0 }, at(n.into()));
        table.image(&strings.image(task(n, 2)), at(n.into()));
        table.expire(at(n.into()));
    }
}

#[test]
fn fifty_thousand_processes_fit() {
    let before = rss_anon_bytes();
    let mut table = Table::new(Limits::default());
    fill(&mut table);
    table.expire(at(3_600_000));
    let taken = rss_anon_bytes() - before;
    let per_entry = (taken as usize - table.string_bytes()) / table.n_entries();
    println!(
        "{} entries: {} kB, of which strings {} kB; {per_entry} bytes an entry beyond strings",
        table.n_entries(),
        taken / 1024,
        table.string_bytes() / 1024,
    );
    assert!(table.n_living() >= N_PROCESSES as usize - 1);
    assert!(per_entry <= 200, "{per_entry} bytes an entry");
    drop(table);

    let origin = Origin { host: HostId::new(Uuid::nil()), boot: BootId::new(Uuid::nil()) };
    let config = PipelineConfig {
        origin,
        epoch: Epoch::new(Uuid::nil()),
        start: Start::Fresh,
        limits: Limits::default(),
        bounds: Bounds::default(),
        collection: [0; 16],
        redactor: Redactor::new(&Redaction::default()).expect("the built-in rules"),
        host: vedette_sensor::escape::Host::default(),
    };
    let mut pipeline = Pipeline::new(config, at(0));
    let names = Names::default();
    for n in 2..=N_PROCESSES {
        let strings = Strings::of(n);
        pipeline.seed(&strings.image(task(n, 2)), at(0));
    }
    // A minute of 5,000 short lives a second on top.
    let mut seq = 0;
    let mut take = |pipeline: &mut Pipeline, body: Body<'_>, now: BootTime| {
        let record = Record { at: Place { class: Class::Process, cpu: 0, seq }, time: now, body };
        pipeline.take(&record, &names, now);
        seq += 1;
        std::iter::from_fn(|| pipeline.next_batch()).map(|ready| ready.batch.n_events).sum::<u32>()
    };
    let mut n_sealed = 0;
    for i in 0..100_000u32 {
        let now = at(u64::from(i / 5));
        let child =
            Task { key: ProcessKey { start: at(100_000 + u64::from(i)), pid: 100_000 + i }, image: 2 };
        let strings = Strings::of(i);
        let parent = task(2 + i % 1000, 2);
        n_sealed += take(&mut pipeline, Body::Fork(Fork { child, parent, cgroup_id: 0 }), now);
        let run = Task { image: 3, ..child };
        n_sealed += take(&mut pipeline, Body::Image(Box::new(strings.image(run))), now);
        let exit = Exit { task: run, code: 0, signal: 0, duration_ns: 1 };
        n_sealed += take(&mut pipeline, Body::Exit(exit), now);
        if i % 500 == 0 {
            pipeline.seal_due(&names, now);
        }
    }
    let taken = rss_anon_bytes();
    println!("with 300,000 events on top ({n_sealed} sealed): {} kB RssAnon in all", taken / 1024);
    assert!(n_sealed > 290_000);
    assert!(taken < 20 << 20, "{taken} bytes");
}
