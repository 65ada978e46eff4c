//! What a process does to the kernel.

use sensor_bpf::event;
use wire::event::Kind;

use super::decode::fixed;
use super::{RecordError, Task};

/// An action upon the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelAction {
    /// What was done.
    pub action: Kind,
    /// The process that did it.
    pub task: Task,
    /// The name of what was loaded; empty where there is none.
    pub name: Vec<u8>,
}

impl KernelAction {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let kernel: event::event_kernel = fixed(bytes)?;
        let action = match kernel.action {
            event::EVENT_KERNEL_MODULE_LOAD => Kind::MODULE_LOAD,
            event::EVENT_KERNEL_IO_URING_SETUP => Kind::IO_URING_SETUP,
            value => return Err(RecordError::Value { field: "kernel action", value }),
        };
        let name =
            kernel.name.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect();
        Ok(Self { action, task: Task::from(kernel.task), name })
    }
}
