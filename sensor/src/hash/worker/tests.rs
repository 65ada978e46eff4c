use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wire::id::ProcessKey;
use wire::time::BootTime;

use super::*;
use crate::clock::boot_time;
use crate::record::Task;

const MANY: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// A copy of a program in a folder of its own, changed long enough ago.
struct Program {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

/// A process, ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::copy("/bin/cat", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let program = Self { _folder: folder, path };
        let changed = id(&program.path).changed_ns;
        let long_ago = |_: &()| Reading::now().unwrap().wall.unix_ns() > changed + 50_000_000;
        poll(long_ago);
        program
    }

    /// Runs until it is dropped.
    fn run(&self) -> Running {
        let child = Command::new(&self.path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let running = Running(child);
        // Between fork and exec it is still this test.
        let exe = format!("/proc/{}/exe", running.0.id());
        poll(|_| fs::read_link(&exe).is_ok_and(|path| path == self.path));
        running
    }

    fn sha256sum(&self) -> String {
        let output = Command::new("sha256sum").arg(&self.path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    }
}

fn poll(mut is: impl FnMut(&()) -> bool) {
    let start = Instant::now();
    while !is(&()) {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come true");
        thread::yield_now();
    }
}

fn id(path: &Path) -> FileId {
    let meta = fs::metadata(path).unwrap();
    FileId {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        changed_ns: meta.ctime() * 1_000_000_000 + meta.ctime_nsec(),
    }
}

fn request(program: &Program, pid: u32) -> Request {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let start = BootTime::from_ns(ticks * 10_000_000);
    Request {
        file: id(&program.path),
        task: Task { key: ProcessKey { start, pid }, image: 1 },
        executable: program.path.as_os_str().as_encoded_bytes().into(),
        mnt_ns: fs::metadata("/proc/self/ns/mnt").unwrap().ino() as u32,
        memfd: false,
        ran: Some(boot_time().unwrap()),
        witnesses: Vec::new(),
    }
}

/// What a thread answers to it.
fn answer(request: Request) -> Result<String, Skip> {
    let mut worker = Worker::start(64 << 20, MANY).unwrap();
    let file = request.file;
    worker.ask(request);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (answered, found) = runtime.block_on(worker.answered()).unwrap();
    assert_eq!(answered, file);
    found.map(|sha256| sha256.to_string())
}

#[test]
fn a_running_file_is_read_even_if_it_was_unlinked() {
    let program = Program::new();
    let expected = program.sha256sum();
    let running = program.run();
    let request = request(&program, running.0.id());
    assert_eq!(answer(request.clone()), Ok(expected.clone()));
    fs::remove_file(&program.path).unwrap();
    assert_eq!(answer(request), Ok(expected));
}

#[test]
fn a_file_that_ran_is_read_by_its_path_as_long_as_it_is_the_same() {
    let program = Program::new();
    let running = program.run();
    let request = request(&program, running.0.id());
    drop(running);
    assert_eq!(answer(request.clone()), Ok(program.sha256sum()));
    let found_running = Request { ran: None, ..request.clone() };
    assert_eq!(answer(found_running), Err(Skip::Gone), "when it was executed, nobody knows");
    let elsewhere = Request { mnt_ns: 1, ..request.clone() };
    assert_eq!(answer(elsewhere), Err(Skip::Gone), "of another mount namespace");
    // The same bytes, but nobody knows what was there in between.
    fs::set_permissions(&program.path, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(answer(request.clone()), Err(Skip::Gone));
    fs::remove_file(&program.path).unwrap();
    symlink("/bin/cat", &program.path).unwrap();
    assert_eq!(answer(request), Err(Skip::Gone));
}

#[test]
fn a_file_that_may_have_been_changed_unseen_since_it_ran_is_not_read() {
    let program = Program::new();
    let running = program.run();
    let request = request(&program, running.0.id());
    drop(running);
    // As if it had run just when it was changed: a change right after would have the same time.
    let reading = Reading::now().unwrap();
    let changed = u64::try_from(request.file.changed_ns - reading.boot_to_wall_ns()).unwrap();
    let at_once = Request { ran: Some(BootTime::from_ns(changed)), ..request };
    assert_eq!(answer(at_once), Err(Skip::Fresh));
}

#[test]
fn another_process_or_image_is_not_taken_for_the_one_that_is_meant() {
    let (program, other) = (Program::new(), Program::new());
    let running = other.run();
    let mut request = request(&program, running.0.id());
    request.ran = None;
    assert_eq!(answer(request.clone()), Err(Skip::Gone), "it runs another file by now");
    request.file = id(&other.path);
    request.file.device += 1;
    assert_eq!(answer(request.clone()), Err(Skip::Gone), "of another device under another path");
    request.executable = other.path.as_os_str().as_encoded_bytes().into();
    assert_eq!(answer(request.clone()), Ok(other.sha256sum()), "of another device, as overlayfs has it");
    request.task.key.start = BootTime::from_ns(request.task.key.start.ns() + 10_000_000);
    assert_eq!(answer(request), Err(Skip::Gone), "its number was used again");
}

#[test]
fn what_is_larger_than_it_seemed_or_no_file_of_a_disk_is_skipped() {
    let program = Program::new();
    let running = program.run();
    let request = request(&program, running.0.id());
    let mut worker = Worker::start(10, MANY).unwrap();
    worker.ask(request.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(worker.answered()).unwrap().1, Err(Skip::TooLarge));
    let proc = fs::metadata("/proc").unwrap().dev();
    let file = FileId { device: proc, ..request.file };
    assert_eq!(answer(Request { file, ..request }), Err(Skip::FileSystem));
}

#[test]
fn a_short_file_overtakes_a_long_one() {
    let (long, short) = (Program::new(), Program::new());
    fs::OpenOptions::new().write(true).open(&long.path).unwrap().set_len(60 << 20).unwrap();
    let (long_runs, short_runs) = (long.run(), short.run());
    let mut worker = Worker::start(64 << 20, NonZeroU32::MIN).unwrap();
    // A minute's work, of which nobody waits for the end.
    worker.ask(request(&long, long_runs.0.id()));
    let request = request(&short, short_runs.0.id());
    worker.ask(request.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(worker.answered()).unwrap().0, request.file);
}

#[test]
fn no_more_is_read_in_a_second_than_is_allowed() {
    let program = Program::new();
    let running = program.run();
    let request = request(&program, running.0.id());
    let mut worker = Worker::start(64 << 20, NonZeroU32::MIN).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let start = Instant::now();
    // Each counts 64 KiB at least: the first sixteen are free, the others wait their turn. A slow machine takes longer.
    for _ in 0..24 {
        worker.ask(request.clone());
        runtime.block_on(worker.answered()).unwrap().1.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
}
