//! A made-up host's processes and what a sensor would say of them.

use bytes::Bytes;

use super::programs::{CONTAINERS, DAEMONS, Daemon, JOBS, WORDS};
use super::random::Random;
use crate::event::Row;
use crate::field::Field;
use crate::id::ProcessKey;
use crate::subject::SubjectNumber;
use crate::time::BootTime;
use crate::value::Value;

/// One image of one process.
pub(super) struct Process {
    pub(super) key: ProcessKey,
    pub(super) image: u32,
    /// Its parent's place among the host's processes.
    pub(super) parent: Option<usize>,
    pub(super) row: Row,
    pub(super) ports: &'static [u64],
    pub(super) jobs: &'static [usize],
    /// The batch it was last named in, what was told of it there, and its number there.
    pub(super) named: Option<(u64, Detail, SubjectNumber)>,
    /// Whether it was ever named.
    pub(super) known: bool,
    /// Whether it has done nothing since it was forked.
    pub(super) just_forked: bool,
}

/// How much is told of a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// Of a distant ancestor.
    Executable,
    /// Of a parent.
    Arguments,
    /// Of the process an event is about, and of any process that was never told of.
    Full,
}

impl Process {
    /// Its fields in so much detail.
    pub(super) fn told(&self, detail: Detail) -> Row {
        let fields: &[Field] = match detail {
            Detail::Executable => &[Field::ProcessExecutable],
            Detail::Arguments => &[Field::ProcessExecutable, Field::ProcessArgs],
            Detail::Full => return self.row.clone(),
        };
        let values = fields.iter().filter_map(|&field| Some((field, self.row.get(field)?.clone())));
        values.fold(Row::default(), |row, (field, value)| row.with(field, value))
    }

    /// A child that still runs its parent's image.
    pub(super) fn forked(from: &Process, at: usize, key: ProcessKey) -> Self {
        let (image, row, ports, jobs) = (from.image, from.row.clone(), from.ports, from.jobs);
        let (parent, just_forked) = (Some(at), true);
        Process { key, image, parent, row, ports, jobs, named: None, known: false, just_forked }
    }

    /// A child that runs one of its parent's jobs.
    pub(super) fn started(from: &Process, at: usize, key: ProcessKey, random: &mut Random) -> Option<Self> {
        let job = JOBS.get(*random.prefer(from.jobs))?;
        let mut process = Self::forked(from, at, key);
        image(&mut process.row, job.executable, arguments(job.args, random), job.directory);
        if random.percent(40) {
            process.row.set(Field::ProcessIoStdout, "pipe");
        }
        if job.executable.ends_with("curl") {
            process.ports = &[443];
        }
        (process.image, process.jobs, process.just_forked) = (from.image + 1, job.jobs, false);
        Some(process)
    }
}

/// The words of a template as arguments: the first word, the option of a shell, and the rest as one.
fn arguments(template: &str, random: &mut Random) -> Vec<Bytes> {
    let text = fill(template, random);
    let shell = text.split_once(" -c ").filter(|(first, _)| first.ends_with("sh"));
    let words: Vec<String> = match shell {
        Some((first, rest)) => vec![first.to_string(), "-c".to_string(), rest.to_string()],
        None => text.split(' ').map(str::to_string).collect(),
    };
    words.into_iter().map(Bytes::from).collect()
}

pub(super) fn fill(template: &str, random: &mut Random) -> String {
    let mut text = String::with_capacity(template.len() + 16);
    for c in template.chars() {
        match c {
            '#' => text.push_str(&random.low(40_000).to_string()),
            '%' => text.push_str(&format!("{:08x}", random.next() as u32)),
            '@' => text.push_str(random.prefer::<&str>(WORDS)),
            c => text.push(c),
        }
    }
    text
}

/// A stable number for a name, as an inode has.
pub(super) fn number_of(name: &[u8]) -> u64 {
    let [a, b, c, ..] = *blake3::hash(name).as_bytes();
    u64::from(u32::from_le_bytes([a, b, c, 0]))
}

pub(super) fn daemon(place: usize, daemon: &Daemon, host: u64, random: &mut Random) -> Process {
    let start = BootTime::from_ns(1_000_000_000 + 37_111_131 * place as u64 + random.below(30_000_000));
    let pid = if place == 0 { 1 } else { 400 + 61 * place as u32 };
    let mut row = Row::default();
    image(&mut row, daemon.executable, arguments(daemon.args, random), "/");
    let interactive = daemon.executable.ends_with("bash") || daemon.executable.ends_with("make");
    for field in [Field::ProcessUserId, Field::ProcessRealUserId, Field::ProcessGroupId] {
        row.set(field, daemon.user);
    }
    row.set(Field::ProcessUserName, user_name(daemon.user));
    row.set(Field::ProcessLoginUserId, if interactive { 1000 } else { u64::from(u32::MAX) });
    row.set(Field::ProcessSessionId, u64::from(pid));
    row.set(Field::ProcessCapabilities, if daemon.user == 0 { 0x1ff_ffff_ffff_u64 } else { 0 });
    row.set(Field::ProcessInteractive, interactive);
    if interactive {
        row.set(Field::ProcessTty, "pts0");
    }
    let namespaces = 4_026_531_836 + if daemon.container > 0 { 300 + daemon.container as u64 * 7 } else { 0 };
    for (at, field) in [Field::ProcessMntNs, Field::ProcessPidNs, Field::ProcessNetNs].into_iter().enumerate()
    {
        row.set(field, namespaces + at as u64);
    }
    row.set(Field::ProcessUserNs, 4_026_531_837_u64);
    row.set(Field::ProcessImageHostFile, daemon.container == 0);
    match daemon.container.checked_sub(1).and_then(|at| CONTAINERS.get(at)) {
        Some((runtime, image, name)) => {
            let id = blake3::hash(format!("{host} {name}").as_bytes()).to_hex();
            row.set(Field::ProcessCgroup, text(format!("/system.slice/{runtime}-{id}.scope")));
            row.set(Field::ContainerId, text(id.to_string()));
            row.set(Field::ContainerRuntime, *runtime);
            row.set(Field::ContainerImageName, *image);
            row.set(Field::ContainerName, *name);
        }
        None => row.set(Field::ProcessCgroup, daemon.cgroup),
    }
    let key = ProcessKey { start, pid };
    let parent = (place > 0).then_some(0);
    let (ports, jobs) = (daemon.ports, daemon.jobs);
    Process { key, image: 2, parent, row, ports, jobs, named: None, known: false, just_forked: false }
}

fn image(row: &mut Row, executable: &'static str, args: Vec<Bytes>, directory: &'static str) {
    let n_bytes: usize = args.iter().map(|arg| arg.len() + 1).sum();
    row.set(Field::ProcessExecutable, executable);
    row.set(Field::ProcessArgsCount, args.len() as u64);
    row.set(Field::ProcessArgsBytes, n_bytes as u64);
    row.set(Field::ProcessArgs, Value::List(args));
    row.set(Field::ProcessWorkingDirectory, directory);
    row.set(Field::ProcessImageInode, number_of(executable.as_bytes()));
    row.set(Field::ProcessImageDevice, 0xfd00_u64);
    row.set(Field::ProcessImageWritableMount, true);
    row.set(Field::ProcessIoStdin, "null");
    row.set(Field::ProcessIoStdout, "socket");
    row.set(Field::ProcessIoStderr, "socket");
}

fn user_name(user: u64) -> &'static str {
    match user {
        0 => "root",
        33 => "www-data",
        113 => "postgres",
        998 => "app",
        999 => "redis",
        1000 => "deploy",
        1001 => "node",
        _ => "nobody",
    }
}

fn text(text: String) -> Bytes {
    Bytes::from(text)
}

/// The daemons of a host.
pub(super) fn daemons(host: u64, random: &mut Random) -> Vec<Process> {
    DAEMONS.iter().enumerate().map(|(place, d)| daemon(place, d, host, random)).collect()
}
