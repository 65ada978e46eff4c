//! The hash of an executable that runs for the first time is told with its exec.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::memfd::{MFdFlags, memfd_create};
use uuid::Uuid;
use vedette_sensor::account::Start;
use vedette_sensor::clock::boot_time;
use vedette_sensor::enrich::Origin;
use vedette_sensor::hash::worker::Worker;
use vedette_sensor::pipeline::{Pipeline, PipelineConfig};
use vedette_sensor::record::{Body, Image};
use vedette_sensor::redact::{Redaction, Redactor};
use vedette_sensor::seal::Bounds;
use vedette_sensor::table::Limits;
use vedette_sensor::user::Names;
use wire::batch::Batch;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::id::{BootId, Epoch, HostId};
use wire::value::Value;

use crate::bench::{Bench, run, with_root};

const PATIENCE: Duration = Duration::from_secs(20);

/// A pipeline that seals as soon as the hashes are there, and the thread that makes them.
struct Sensor {
    pipeline: Pipeline,
    worker: Worker,
    n_taken: usize,
    execs: Vec<(u32, Row)>,
}

impl Sensor {
    fn new() -> Self {
        let bounds = Bounds { wait_ns: 0, hash_wait_ns: 60_000_000_000, ..Bounds::default() };
        let config = PipelineConfig {
            collection: [0; 16],
            origin: Origin { host: HostId::new(Uuid::nil()), boot: BootId::new(Uuid::nil()) },
            epoch: Epoch::new(Uuid::nil()),
            start: Start::Fresh,
            limits: Limits::default(),
            bounds,
            redactor: Redactor::new(&Redaction::default()).unwrap(),
            host: vedette_sensor::escape::Host::default(),
        };
        Self {
            pipeline: Pipeline::new(config, boot_time().unwrap()),
            worker: Worker::start(64 << 20, NonZeroU32::new(1000).unwrap()).unwrap(),
            n_taken: 0,
            execs: Vec::new(),
        }
    }

    /// The exec of a program with this path, as it is told of: once, and with what was known by then.
    async fn exec_of(&mut self, bench: &mut Bench, path: &str) -> Row {
        let start = Instant::now();
        loop {
            self.look(bench);
            let wanted = Value::Keyword(path.to_owned().into());
            let is_it = |row: &Row| row.get(Field::ProcessExecutable) == Some(&wanted);
            if let Some((_, row)) = self.execs.iter().find(|(_, row)| is_it(row)) {
                return row.clone();
            }
            assert!(start.elapsed() < PATIENCE, "no exec of {path} among {:#?}", self.execs);
            bench.probe().ready().await;
        }
    }

    fn look(&mut self, bench: &mut Bench) {
        let (names, now) = (Names::default(), boot_time().unwrap());
        bench.look();
        for record in bench.seen().skip(self.n_taken) {
            self.pipeline.take(&record, &names, now);
            self.n_taken += 1;
        }
        while let Some((file, found)) = self.worker.next_answer() {
            self.pipeline.hashed(file, found);
        }
        while let Some(request) = self.pipeline.next_hash_request() {
            self.worker.ask(request);
        }
        self.pipeline.seal_due(&names, now);
        while let Some(ready) = self.pipeline.next_batch() {
            let batch = Batch::validate(&ready.batch.sealed).unwrap();
            for number in 0..batch.n_events() {
                let (event, subject) = batch.event(number).unwrap().unwrap();
                if event.kind == Kind::EXEC {
                    let subject = subject.unwrap();
                    let pid = batch.subjects().unwrap().key(subject).unwrap().pid;
                    self.execs.push((pid, batch.subject(subject).unwrap().unwrap().row));
                }
            }
        }
    }
}

fn hash(row: &Row) -> Option<String> {
    match row.get(Field::ProcessHashSha256) {
        Some(Value::Keyword(hash)) => Some(String::from_utf8_lossy(hash).into_owned()),
        _ => None,
    }
}

fn sha256sum(path: &Path) -> Option<String> {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned())
}

/// Waits until a change of the file would show in its change time.
fn settle(path: &Path) {
    let meta = fs::metadata(path).unwrap();
    let changed = Duration::new(meta.ctime() as u64, meta.ctime_nsec() as u32);
    let start = Instant::now();
    while std::time::UNIX_EPOCH.elapsed().unwrap() < changed + Duration::from_millis(50) {
        assert!(start.elapsed() < PATIENCE, "{} changes in the future", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_first_exec_carries_the_hash_of_its_file_even_if_that_is_deleted() {
    with_root("hash", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let mut sensor = Sensor::new();
        for (name, delete) in [("kept", false), ("deleted", true)] {
            let program = folder.path().join(name);
            fs::copy("/bin/cat", &program).unwrap();
            let expected = sha256sum(&program);
            let mut running = bench.command(&program).stdin(Stdio::piped()).spawn().unwrap();
            let pid = running.id();
            if delete {
                // Not before it runs: the shell in the group becomes the program.
                let is_it = |image: &Image<'_>| {
                    image.task.is_some_and(|task| task.key.pid == pid)
                        && image.executable == program.as_os_str().as_encoded_bytes()
                };
                bench
                    .find("the exec", |record| match &record.body {
                        Body::Image(image) => is_it(image).then_some(()),
                        _ => None,
                    })
                    .await;
                fs::remove_file(&program).unwrap();
            }
            let row = sensor.exec_of(&mut bench, program.to_str().unwrap()).await;
            assert_eq!(hash(&row), expected, "{name}");
            drop(running.stdin.take());
            running.wait().unwrap();
        }
    });
}

#[test]
fn a_process_that_has_ended_is_hashed_by_the_path_of_its_file() {
    with_root("hash-short", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let mut sensor = Sensor::new();
        let (kept, replaced) = (folder.path().join("kept"), folder.path().join("replaced"));
        for program in [&kept, &replaced] {
            fs::copy("/bin/true", program).unwrap();
            settle(program);
            run(&mut bench.command(program));
        }
        fs::remove_file(&replaced).unwrap();
        fs::copy("/bin/false", &replaced).unwrap();
        let row = sensor.exec_of(&mut bench, kept.to_str().unwrap()).await;
        assert_eq!(hash(&row), sha256sum(&kept));
        let row = sensor.exec_of(&mut bench, replaced.to_str().unwrap()).await;
        assert_eq!(hash(&row), None, "what lies there now is not what ran");
    });
}

#[test]
fn a_memfd_is_hashed_while_it_runs() {
    with_root("hash-memfd", async |mut bench| {
        let mut sensor = Sensor::new();
        let mut file = fs::File::from(memfd_create(c"ghost", MFdFlags::empty()).unwrap());
        file.write_all(&fs::read("/bin/cat").unwrap()).unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut running = bench.command(path).stdin(Stdio::piped()).spawn().unwrap();
        let row = sensor.exec_of(&mut bench, "/memfd:ghost").await;
        assert_eq!(hash(&row), sha256sum(&fs::canonicalize("/bin/cat").unwrap()));
        drop(running.stdin.take());
        running.wait().unwrap();
    });
}

#[test]
fn files_of_an_overlay_are_hashed_whether_of_its_lower_or_its_upper_layer() {
    with_root("hash-overlay", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // Layers of two file systems: then files have a device of their layer, not of the overlay.
        for name in ["lower", "disk", "merged"] {
            fs::create_dir(at(name)).unwrap();
        }
        mount(Some("x"), &at("lower"), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        fs::copy("/bin/cat", at("lower/below")).unwrap();
        fs::create_dir(at("disk/upper")).unwrap();
        fs::create_dir(at("disk/work")).unwrap();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower").display(),
            at("disk/upper").display(),
            at("disk/work").display()
        );
        let mounted =
            mount(Some("x"), &at("merged"), Some("overlay"), MsFlags::empty(), Some(options.as_str()));
        if mounted.is_err() {
            umount(&at("lower")).unwrap();
            return crate::bench::skip(
                "files_of_an_overlay_are_hashed_whether_of_its_lower_or_its_upper_layer",
                "this kernel mounts no overlay",
            );
        }
        fs::copy("/bin/cat", at("merged/above")).unwrap();
        let mut sensor = Sensor::new();
        let mut hashes = Vec::new();
        for name in ["merged/below", "merged/above"] {
            let program = at(name);
            settle(&program);
            let mut running = bench.command(&program).stdin(Stdio::piped()).spawn().unwrap();
            let row = sensor.exec_of(&mut bench, program.to_str().unwrap()).await;
            hashes.push((hash(&row), sha256sum(&program)));
            drop(running.stdin.take());
            running.wait().unwrap();
        }
        fs::copy("/bin/true", at("merged/short")).unwrap();
        settle(&at("merged/short"));
        run(&mut bench.command(at("merged/short")));
        let row = sensor.exec_of(&mut bench, at("merged/short").to_str().unwrap()).await;
        hashes.push((hash(&row), sha256sum(&at("merged/short"))));
        umount(&at("merged")).unwrap();
        umount(&at("lower")).unwrap();
        assert!(hashes.iter().all(|(told, true_one)| told == true_one), "{hashes:?}");
    });
}

#[test]
fn a_mount_namespace_of_its_own_is_looked_into_through_a_parent() {
    with_root("hash-namespace", async |mut bench| {
        let folder = tempfile::tempdir().unwrap();
        let mut sensor = Sensor::new();
        // A file that is only there within the namespace, run for a moment below a shell that lives on.
        let script = r#"mount -t tmpfs x "$0" && cp /bin/true "$0/inner" && echo there && read go && "$0/inner"; read end"#;
        let mut shell = bench.command("unshare");
        shell.args(["-m", "/bin/sh", "-c", script]).arg(folder.path());
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "there\n");
        let inner = folder.path().join("inner");
        settle(Path::new(&format!("/proc/{}/root{}", shell.id(), inner.display())));
        shell.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let row = sensor.exec_of(&mut bench, inner.to_str().unwrap()).await;
        assert_eq!(hash(&row), sha256sum(&fs::canonicalize("/bin/true").unwrap()));
        drop(shell.stdin.take());
        shell.wait().unwrap();
    });
}
