//! What a process may do, and as whom.

use sensor_bpf::event;
use wire::event::Kind;

use super::decode::fixed;
use super::{RecordError, Task};

/// A change of a process's credentials, or an attempt at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// What was asked for.
    pub action: Kind,
    /// The process.
    pub task: Task,
    /// What it had; not known where only a system call's return was seen.
    pub before: Option<Ids>,
    /// What it has now, or asked for.
    pub after: Ids,
    /// Why it was refused, as an error number; 0 when it was not.
    pub error: u32,
}

/// Ids in the initial user namespace, and capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ids {
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Effective capabilities.
    pub capabilities: u64,
}

impl Credentials {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let changed: event::event_credentials = fixed(bytes)?;
        let action = match changed.action {
            event::EVENT_SETUID => Kind::SETUID,
            event::EVENT_SETGID => Kind::SETGID,
            event::EVENT_CAPSET => Kind::CAPSET,
            value => return Err(RecordError::Value { field: "credentials action", value }),
        };
        Ok(Self {
            action,
            task: Task::from(changed.task),
            before: (changed.from_syscall == 0).then(|| Ids::from(changed.before)),
            after: Ids::from(changed.after),
            error: changed.error,
        })
    }
}

impl From<event::event_ids> for Ids {
    fn from(ids: event::event_ids) -> Self {
        Self { uid: ids.uid, euid: ids.euid, gid: ids.gid, egid: ids.egid, capabilities: ids.effective }
    }
}
