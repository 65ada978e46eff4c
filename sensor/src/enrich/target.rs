//! What is done to other processes, to the kernel, and to the sensor.

use bytes::Bytes;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::value::Value;

use super::{Origin, program, set_outcome};
use crate::record::{KernelAction, Target, Touch};

/// The values of an action upon a process that runs this executable, as far as that is known.
pub(super) fn row(target: &Target, executable: &[u8], origin: Origin) -> Row {
    let mut row = Row::default()
        .with(Field::TargetProcessPid, u64::from(target.target.key.pid))
        .with(Field::EventSource, if target.from_syscall { "syscall" } else { "kernel" });
    if !target.from_syscall {
        let entity = target.target.key.entity(origin.host, origin.boot).to_string();
        row.set(Field::TargetProcessEntityId, Bytes::from(entity));
    }
    if !executable.is_empty() {
        row.set(Field::TargetProcessExecutable, Bytes::copy_from_slice(executable));
    }
    if target.signal != 0 {
        row.set(Field::SignalNumber, u64::from(target.signal));
    }
    set_outcome(&mut row, target.error);
    row
}

/// The values of an action upon the kernel.
pub(super) fn kernel_row(kernel: &KernelAction) -> Row {
    let mut row = Row::default();
    if !kernel.name.is_empty() {
        row.set(Field::KernelObjectName, Bytes::copy_from_slice(&kernel.name));
    }
    if let Some(loaded) = &kernel.program {
        row.set(Field::KernelObjectType, Bytes::from(program::type_name(loaded)));
        if let Some(attach) = program::attach(loaded) {
            row.set(Field::KernelObjectAttach, Bytes::from(attach));
        }
    }
    if kernel.action == Kind::KEXEC {
        set_outcome(&mut row, kernel.error);
    }
    row
}

/// The values of an event about who got hold of something of the sensor's own.
pub(super) fn touch_row(touch: &Touch) -> Row {
    let what = [touch.object.name().as_bytes(), b" ", &touch.name].concat();
    Row::default()
        .with(Field::SensorTampered, Value::List(vec![Bytes::from(what)]))
        .with(Field::SensorReason, "a process got hold of it, and could change it")
}
