//! What a process does to another one.

use sensor_bpf::event;
use wire::event::Kind;

use super::decode::fixed;
use super::{RecordError, Task};

/// An action upon another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// What was done.
    pub action: Kind,
    /// The process that did it.
    pub task: Task,
    /// The process it was done to. Where only a call was seen its start is not known (0), and its pid is the caller's number
    /// for it.
    pub target: Task,
    /// Only a system call's arguments were seen.
    pub from_syscall: bool,
    /// The signal sent; 0 for other actions.
    pub signal: u32,
    /// Why it was refused, as an error number; 0 when it was not.
    pub error: u32,
}

impl Target {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let target: event::event_target = fixed(bytes)?;
        let (action, signal) = match target.action {
            event::EVENT_TARGET_PTRACE => (Kind::PTRACE, 0),
            event::EVENT_TARGET_VM_WRITE => (Kind::PROCESS_VM_WRITE, 0),
            event::EVENT_TARGET_SIGNAL => (Kind::SIGNAL, target.detail),
            value => return Err(RecordError::Value { field: "target action", value }),
        };
        Ok(Self {
            action,
            task: Task::from(target.task),
            target: Task::from(target.target),
            signal,
            error: target.error,
            from_syscall: target.from_syscall != 0,
        })
    }
}
