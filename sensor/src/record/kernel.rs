//! What a process does to the kernel.

use std::ffi::c_char;

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
    /// What a BPF program is, where one was loaded.
    pub program: Option<Program>,
    /// Why it was refused, as an error number; 0 when it was not.
    pub error: u32,
}

/// A BPF program, as it was when it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// `enum bpf_prog_type` of include/uapi/linux/bpf.h.
    pub program_type: u32,
    /// `enum bpf_attach_type`: the expected one; 0 where none was said, or it is cgroup_inet_ingress.
    pub attach_type: u32,
    /// The kernel's function that it is for; empty where it is for none by name.
    pub function: Vec<u8>,
}

impl KernelAction {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let kernel: event::event_kernel = fixed(bytes)?;
        let action = match kernel.action {
            event::EVENT_KERNEL_MODULE_LOAD => Kind::MODULE_LOAD,
            event::EVENT_KERNEL_BPF_LOAD => Kind::BPF_LOAD,
            event::EVENT_KERNEL_KEXEC => Kind::KEXEC,
            event::EVENT_KERNEL_IO_URING_SETUP => Kind::IO_URING_SETUP,
            value => return Err(RecordError::Value { field: "kernel action", value }),
        };
        let program = (action == Kind::BPF_LOAD).then(|| Program {
            program_type: kernel.detail,
            attach_type: kernel.attach,
            function: text(&kernel.at),
        });
        let task = Task::from(kernel.task);
        Ok(Self { action, task, name: text(&kernel.name), program, error: kernel.error })
    }
}

/// Up to the first NUL, of characters that some architectures count with a sign.
pub(super) fn text(bytes: &[c_char]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| byte.to_ne_bytes()).take_while(|byte| *byte != 0).collect()
}
