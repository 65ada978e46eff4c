//! Memory, and settings of the kernel.

use bytes::Bytes;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::value::Value;

use crate::record::{Memory, Setting};

pub(super) fn row(memory: &Memory<'_>) -> Row {
    let mut row = Row::default();
    row.set(Field::EventSource, if memory.from_syscall { "syscall" } else { "kernel" });
    if memory.action == Kind::MEMFD_CREATE {
        // As the path of a process that runs it has it.
        row.set(Field::FilePath, Bytes::from([b"/", memory.name].concat()));
        row.set(Field::FileInode, memory.inode);
        return row;
    }
    let bits = [(1, "read"), (2, "write"), (4, "exec")];
    let may = bits.into_iter().filter(|(bit, _)| memory.protection & bit != 0);
    let may: Vec<Bytes> = may.map(|(_, name)| Bytes::from_static(name.as_bytes())).collect();
    row.set(Field::MemoryProtection, Value::List(may));
    row
}

/// The name is that of sysctl(8), where a dot in a part (an interface's name) is a slash.
pub(super) fn setting_row(setting: &Setting<'_>) -> Row {
    let name: Vec<u8> = setting
        .name
        .iter()
        .map(|byte| match byte {
            b'/' => b'.',
            b'.' => b'/',
            other => *other,
        })
        .collect();
    let value = setting.value.strip_suffix(b"\n").unwrap_or(setting.value);
    Row::default()
        .with(Field::FilePath, Bytes::from([b"/proc/sys/", setting.name].concat()))
        .with(Field::KernelObjectName, Bytes::from(name))
        .with(Field::KernelObjectValue, Bytes::copy_from_slice(value))
}
