//! What is the sensor's own, and who touches it.
//!
//! Pure. What the kernel shows of it is asked for by queries of the sensor's own, beside the collection's; what changes
//! without being seen is found by looking: at files here, at programs and maps in [`crate::probe`].
//!
//! - [`Own`]: folders and files, the queries for them, and the records that tell of them.
//! - [`Pace`]: whether the sensor was kept from running; [`Files`]: whether its files are as they were.

mod files;
mod pace;

pub use files::{Change, Files, State};
pub use pace::Pace;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use wire::event::Kind;
use wire::query::{Piece, Span, Word};
use wire::time::BootTime;

use crate::canary::Deeds;
use crate::record::{Body, Record, Task};

/// Signals that keep a sensor from telling its end: KILL, STOP, ABRT, QUIT. What asks it to end it tells itself.
const SIGNALS: [u32; 4] = [9, 19, 6, 3];

/// What is the sensor's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Its program.
    pub executable: PathBuf,
    /// Its pid.
    pub pid: u32,
    /// That of the sensor before it.
    pub before: Option<u32>,
    /// When it began; records of an earlier time may be about the one before.
    pub began: BootTime,
    /// Folders, all that is in them included: pins, identity, spool.
    pub folders: Vec<PathBuf>,
    /// Single files: settings, collection; those that freeze or kill its control group.
    pub files: Vec<PathBuf>,
}

/// Somebody did something to what is the sensor's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Who.
    pub task: Task,
    /// To what: `file /sys/fs/bpf/vedette/sensor/link_process_exec`, `process 77`.
    pub what: Vec<u8>,
    /// What.
    pub deed: String,
}

/// The file that the canary opens: one that is there wherever a sensor runs, and that few others open.
pub const CANARY_FILE: &str = "/sys/kernel/btf/vmlinux";

impl Own {
    /// The queries by which the kernel tells of it, whatever the collection asks for: what others than this program change
    /// there, and what the canary opens.
    pub fn queries(&self) -> Vec<String> {
        let by_us = word(self.executable.as_os_str(), false);
        let inside = self.folders.iter().map(|folder| word(folder.join("").as_os_str(), true));
        let places: Vec<String> =
            inside.chain(self.files.iter().map(|file| word(file.as_os_str(), false))).collect();
        let places = places.join(" or ");
        let changes = "(file.access:write or not event.action:(open or mmap_exec))";
        let mut queries =
            vec![format!("event.action:open and process.executable:{by_us} and file.path:{CANARY_FILE}")];
        if !places.is_empty() {
            queries.extend([
                format!("file.path:({places}) and {changes} and not process.executable:{by_us}"),
                format!(
                    "event.action:(rename or link) and file.target_path:({places}) and not process.executable:{by_us}"
                ),
            ]);
        }
        queries
    }

    /// Whether the record tells only that the sensor itself opened what is its own: it does so before it can say who it is.
    pub fn is_own_touch(&self, record: &Record<'_>) -> bool {
        matches!(&record.body, Body::Touch(touch) if self.is_ours(touch.task.key.pid, record))
    }

    /// Who is to blame for what the record tells, if it is about what is the sensor's own.
    pub fn blame(&self, record: &Record<'_>) -> Option<Blame> {
        let is_ours = |pid: u32| self.is_ours(pid, record);
        let blame = |task: Task, what: Vec<u8>, deed: String| {
            (!is_ours(task.key.pid)).then_some(Blame { task, what, deed })
        };
        match &record.body {
            Body::File(file) => {
                let is_change =
                    file.access.write || ![Kind::FILE_OPEN, Kind::FILE_MMAP_EXEC].contains(&file.action);
                let mut paths = [file.path, file.target].into_iter().filter(|_| is_change && file.error == 0);
                let path = paths.find(|path| self.holds(path))?;
                let action = file.action.info().map_or("change", |info| info.action);
                blame(file.task, [b"file ", path].concat(), format!("{action} by another program"))
            }
            Body::Target(target) if is_ours(target.target.key.pid) && !target.from_syscall => {
                let deed = match target.action {
                    Kind::PTRACE => "entered by another process".to_owned(),
                    _ if SIGNALS.contains(&target.signal) => format!("sent signal {}", target.signal),
                    _ => return None,
                };
                let what = format!("process {}", target.target.key.pid).into_bytes();
                (target.error == 0).then(|| blame(target.task, what, deed)).flatten()
            }
            _ => None,
        }
    }

    fn is_ours(&self, pid: u32, record: &Record<'_>) -> bool {
        pid == self.pid || self.before == Some(pid) && record.time < self.began
    }

    fn holds(&self, path: &[u8]) -> bool {
        let is_below = |folder: &PathBuf| {
            path.strip_prefix(folder.as_os_str().as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
        };
        self.folders.iter().any(is_below) || self.files.iter().any(|file| file.as_os_str().as_bytes() == path)
    }
}

/// What the canary has done, as it is expected to be told.
pub fn deeds(child: Option<u32>, port: Option<u16>, has_opened: bool) -> Deeds {
    Deeds { child, port, opened: has_opened.then(|| CANARY_FILE.into()) }
}

/// A path as a word of a query; `all_below`: whatever begins so.
fn word(path: &OsStr, all_below: bool) -> String {
    let mut pieces = vec![Piece::Bytes(path.as_bytes().to_vec())];
    if all_below {
        pieces.push(Piece::Any);
    }
    Word { span: Span { start: 0, end: 0 }, pieces, fold: false }.to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
