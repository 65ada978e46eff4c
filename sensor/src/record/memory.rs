//! Memory that becomes code with no file behind it, and files that are memory only.

use std::mem::offset_of;

use sensor_bpf::event::{EVENT_MEMFD_CREATE, EVENT_MPROTECT_EXEC, event_memory};
use wire::event::Kind;

use super::decode::fixed;
use super::setting::text;
use super::{RecordError, Task};

/// What a process did with memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory<'a> {
    /// What was done.
    pub action: Kind,
    /// The process that did it.
    pub task: Task,
    /// The inode of a file in memory.
    pub inode: u64,
    /// `PROT_READ` (1), `PROT_WRITE` (2) and `PROT_EXEC` (4) of memory that becomes executable.
    pub protection: u32,
    /// Whether a file stands behind the memory was not seen.
    pub from_syscall: bool,
    /// The name of a file in memory, as /proc shows it: `memfd:NAME`.
    pub name: &'a [u8],
}

impl<'a> Memory<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let memory: event_memory = fixed(bytes)?;
        let action = match memory.action {
            EVENT_MPROTECT_EXEC => Kind::MPROTECT_EXEC,
            EVENT_MEMFD_CREATE => Kind::MEMFD_CREATE,
            value => return Err(RecordError::Value { field: "memory action", value }),
        };
        Ok(Self {
            action,
            task: Task::from(memory.task),
            inode: memory.inode,
            protection: memory.prot,
            from_syscall: memory.from_syscall != 0,
            name: text(bytes, offset_of!(event_memory, name), memory.name.len(), memory.name_len),
        })
    }
}
