//! One process image of a made-up host, with what a sensor says of it.

use bytes::Bytes;
use wire::event::Row;
use wire::field::Field;
use wire::id::ProcessKey;
use wire::subject::SubjectNumber;
use wire::value::Value;

use crate::lists::{Names, arguments, fill};
use crate::random::Random;

pub(crate) struct Process {
    pub(crate) key: ProcessKey,
    pub(crate) image: u32,
    pub(crate) parent: Option<usize>,
    pub(crate) row: Row,
    pub(crate) starts: &'static str,
    pub(crate) ports: Vec<u64>,
    /// The batch it was last named in, in how much detail (0 to 2), and its number there.
    pub(crate) named: Option<(u64, u8, SubjectNumber)>,
    pub(crate) known: bool,
}

/// As much of a process's fields as is told of an ancestor (0), a parent (1), or a process itself (2).
pub(crate) fn told(row: &Row, detail: u8) -> Row {
    let fields: &[Field] = match detail {
        0 => &[Field::ProcessExecutable],
        1 => &[Field::ProcessExecutable, Field::ProcessArgs],
        _ => return row.clone(),
    };
    let mut told = Row::default();
    for &field in fields {
        row.get(field).into_iter().for_each(|value| told.set(field, value.clone()));
    }
    told
}

/// What an exec changes: the executable, its arguments and what comes with them.
pub(crate) fn exec(
    row: &mut Row,
    executable: &str,
    args: &str,
    names: &Names,
    host: u64,
    random: &mut Random,
) {
    let executable = fill(executable, names, random);
    let mut args = arguments(&fill(args, names, random));
    if random.percent(3) {
        args.push(format!("--{}", random.one(&["verbose", "quiet", "debug", "help", "version", "force"])));
    }
    let n_bytes: usize = args.iter().map(|arg| arg.len() + 1).sum();
    row.set(Field::ProcessArgsCount, args.len() as u64);
    row.set(Field::ProcessArgsBytes, n_bytes as u64);
    row.set(Field::ProcessArgs, Value::List(args.into_iter().map(Bytes::from).collect()));
    row.set(Field::ProcessImageInode, inode(&executable, host));
    row.set(Field::ProcessExecutable, Bytes::from(executable));
}

/// Where the standard streams go and what else may differ from the parent's.
pub(crate) fn surroundings(row: &mut Row, names: &Names, random: &mut Random) {
    const STREAMS: &[&str] = &["pipe", "null", "socket", "file", "tty"];
    for field in [Field::ProcessIoStdin, Field::ProcessIoStdout, Field::ProcessIoStderr] {
        if random.percent(30) {
            row.set(field, *random.one::<&str>(STREAMS));
        }
    }
    if random.percent(30) {
        let directory = fill(random.one::<&str>(DIRECTORIES), names, random);
        row.set(Field::ProcessWorkingDirectory, Bytes::from(directory));
    }
}

/// Inodes lie near each other and differ from host to host.
pub(crate) fn inode(path: &str, host: u64) -> u64 {
    let hash =
        |bytes: &[u8]| u64::from_le_bytes(blake3::hash(bytes).as_bytes()[..8].try_into().unwrap_or_default());
    hash(&host.to_le_bytes()) % 4_000_000 + hash(format!("{host} {path}").as_bytes()) % 60_000
}

const DIRECTORIES: &[&str] = &[
    "/",
    "/",
    "/root",
    "/home/#user",
    "/home/#user/@",
    "/tmp",
    "/var/www/@",
    "/srv/@",
    "/opt/@",
    "/app",
    "/var/lib/@",
    "/usr/src/@",
    "/home/#user/work/@/@",
    "/var/spool/postfix",
    "/build",
    "/etc",
    "/var/log",
    "/data",
];
