//! What a record means: the event's kind and values, and what is said of its subject.
//!
//! Pure. Bytes stay bytes.

use bytes::Bytes;
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::{BootId, HostId};
use wire::value::Value;

use crate::container::Container;
use crate::record::{Body, Exit, Image, Record, Stdio};
use crate::user::Names;

mod call;
mod container;
mod credentials;
mod dns;
mod file;
mod memory;
mod network;
mod program;
mod target;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use dns::dns_rows;

pub use container::{names, set_container};

/// Whose records these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The host.
    pub host: HostId,
    /// Its current boot.
    pub boot: BootId,
}

/// The event that a record becomes; `None` for a DNS message, of which [`crate::dns`] makes events. `executable`: what the
/// process runs that it is done to, if to one.
pub fn event(record: &Record<'_>, executable: &[u8], origin: Origin) -> Option<Event> {
    let (kind, row) = match &record.body {
        Body::Fork(_) => (Kind::FORK, Row::default()),
        Body::Image(_) => (Kind::EXEC, Row::default()),
        Body::Exit(exit) => (Kind::EXIT, exited(exit)),
        Body::Connection(connection) => network::connected(connection, origin),
        Body::Close(close) => (Kind::CLOSE, network::closed(close)),
        Body::Made(made) => (Kind::SOCKET, network::made(made)),
        Body::File(file) => (file.action, file::row(file)),
        Body::Target(target) => (target.action, target::row(target, executable, origin)),
        Body::Kernel(kernel) => (kernel.action, target::kernel_row(kernel)),
        Body::Move(moved) => (Kind::NAMESPACE_CHANGE, credentials::place_row(moved)),
        Body::Credentials(changed) => (changed.action, credentials::row(changed)),
        Body::Setting(setting) => (Kind::SYSCTL, memory::setting_row(setting)),
        Body::Memory(memory) => (memory.action, memory::row(memory)),
        Body::Call(it) => (it.kind, call::row(it)),
        Body::Dns(_) => return None,
        Body::Populated(group) if group.is_populated => (Kind::CONTAINER_START, Row::default()),
        Body::Populated(_) => (Kind::CONTAINER_STOP, Row::default()),
        Body::Touch(touch) => (Kind::SENSOR_TAMPER, target::touch_row(touch)),
    };
    Some(Event { time: record.time, kind, row })
}

/// All that is known of an image.
pub fn subject(image: &Image<'_>, names: &Names) -> Row {
    let mut row = Row::default();
    let mut set = |field, bytes: &[u8]| {
        if !bytes.is_empty() {
            row.set(field, Bytes::copy_from_slice(bytes));
        }
    };
    set(Field::ProcessExecutable, image.executable);
    set(Field::ProcessWorkingDirectory, image.cwd);
    set(Field::ProcessTty, image.tty);
    set(Field::ProcessScript, image.script);
    set(Field::ProcessCgroup, image.cgroup);
    set(Field::ProcessUserName, names.get(image.euid).unwrap_or_default());
    set_args(&mut row, image);
    row.set(Field::ProcessArgsCount, image.args_count);
    row.set(Field::ProcessArgsBytes, image.args_bytes);
    for (field, number) in [
        (Field::ProcessUserId, image.euid),
        (Field::ProcessRealUserId, image.uid),
        (Field::ProcessGroupId, image.egid),
        (Field::ProcessSessionId, image.session),
        (Field::ProcessMntNs, image.namespaces.mnt),
        (Field::ProcessPidNs, image.namespaces.pid),
        (Field::ProcessNetNs, image.namespaces.net),
        (Field::ProcessUserNs, image.namespaces.user),
    ] {
        row.set(field, u64::from(number));
    }
    if image.loginuid != u32::MAX {
        row.set(Field::ProcessLoginUserId, u64::from(image.loginuid));
    }
    row.set(Field::ProcessCapabilities, image.capabilities);
    row.set(Field::ProcessInteractive, !image.tty.is_empty());
    row.set(Field::ProcessTruncated, image.truncated);
    if image.redacted {
        row.set(Field::ProcessRedacted, true);
    }
    if !image.executable.is_empty() {
        row.set(Field::ProcessImageInode, image.inode);
        row.set(Field::ProcessImageDevice, image.device);
        row.set(Field::ProcessImageDeleted, image.deleted);
        row.set(Field::ProcessImageMemfd, image.memfd);
        row.set(Field::ProcessImageWritableMount, image.writable_mount);
    }
    let fields = [Field::ProcessIoStdin, Field::ProcessIoStdout, Field::ProcessIoStderr];
    for (field, kind) in fields.into_iter().zip(image.stdio) {
        if let Some(name) = stdio_name(kind) {
            row.set(field, name);
        }
    }
    if let Some(container) = Container::of(image.cgroup) {
        set_container(&mut row, &container);
    }
    row
}

/// What is said of a parent that the stream has told all about before.
pub fn parent(image: &Image<'_>) -> Row {
    let mut row = ancestor(image.executable);
    set_args(&mut row, image);
    row
}

/// What is said of a distant ancestor that the stream has told all about before.
pub fn ancestor(executable: &[u8]) -> Row {
    let mut row = Row::default();
    if !executable.is_empty() {
        row.set(Field::ProcessExecutable, Bytes::copy_from_slice(executable));
    }
    row
}

fn set_args(row: &mut Row, image: &Image<'_>) {
    if image.args.is_empty() {
        return;
    }
    // One allocation for all; each argument is a slice of it.
    let all = Bytes::copy_from_slice(image.args.strip_suffix(&[0]).unwrap_or(image.args));
    let args = all.split(|b| *b == 0).map(|arg| all.slice_ref(arg)).collect();
    row.set(Field::ProcessArgs, Value::List(args));
}

fn stdio_name(kind: Stdio) -> Option<&'static str> {
    match kind {
        Stdio::Other => None,
        Stdio::Tty => Some("tty"),
        Stdio::File => Some("file"),
        Stdio::Pipe => Some("pipe"),
        Stdio::Socket => Some("socket"),
        Stdio::Null => Some("null"),
    }
}

fn exited(exit: &Exit) -> Row {
    let mut row = Row::default();
    row.set(Field::ProcessExitCode, Value::Int(exit.code.into()));
    row.set(Field::ProcessDurationNs, exit.duration_ns);
    if exit.signal != 0 {
        row.set(Field::SignalNumber, u64::from(exit.signal));
    }
    row
}

/// Whether it was done; else why not.
fn set_outcome(row: &mut Row, error: u32) {
    row.set(Field::EventOutcome, if error == 0 { "success" } else { "failure" });
    set_error(row, error);
}

fn set_error(row: &mut Row, error: u32) {
    if error != 0 {
        let name = match nix::errno::Errno::from_raw(error.cast_signed()) {
            nix::errno::Errno::UnknownErrno => error.to_string(),
            known => format!("{known:?}"),
        };
        row.set(Field::ErrorCode, Bytes::from(name));
    }
}
