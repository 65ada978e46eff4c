//! How the programs read system calls that return: which calls, and where their arguments stand.
//!
//! By name here; numbers are those of this architecture's tables, for 64-bit callers and for 32-bit ones.

use aya::maps::{Array, Map, MapData};
use sensor_bpf::event::{
    EVENT_CHROOT, EVENT_FILE_CHMOD, EVENT_FILE_CHOWN, EVENT_FILE_CREATE, EVENT_FILE_LINK,
    EVENT_FILE_MMAP_EXEC, EVENT_FILE_OPEN, EVENT_FILE_RENAME, EVENT_FILE_SETXATTR, EVENT_FILE_SYMLINK,
    EVENT_FILE_TRUNCATE, EVENT_FILE_UNLINK, EVENT_KEXEC_FILE, EVENT_MOUNT, EVENT_PIVOT_ROOT, EVENT_UNMOUNT,
    SYSCALL_ACCEPT, SYSCALL_BPF, SYSCALL_CAPSET, SYSCALL_CONNECT, SYSCALL_KEXEC, SYSCALL_MEMFD,
    SYSCALL_MPROTECT, SYSCALL_NAMESPACE, SYSCALL_NUMBERS, SYSCALL_PTRACE, SYSCALL_SETGID, SYSCALL_SETUID,
    SYSCALL_SOCKET, SYSCALL_VM_WRITE, syscall_shape,
};
use zerocopy::IntoBytes;

use super::ProbeError;

type Bytes = [u8; size_of::<syscall_shape>()];

/// Fills the programs' table.
pub(super) fn fill(map: MapData) -> Result<(), ProbeError> {
    let mut table = Array::<_, Bytes>::try_from(Map::Array(map)).map_err(failed)?;
    rows().try_for_each(|(index, row)| table.set(index, row, 0)).map_err(failed)
}

/// Whether the table is as it was filled.
pub(super) fn is_intact(map: MapData) -> Result<bool, ProbeError> {
    let table = Array::<_, Bytes>::try_from(Map::Array(map)).map_err(failed)?;
    for (index, row) in rows() {
        if table.get(&index, 0).map_err(failed)? != row {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What stands in the table, and where.
fn rows() -> impl Iterator<Item = (u32, Bytes)> {
    SHAPES.iter().flat_map(|(name, shape)| {
        let row = Bytes::try_from(shape.as_bytes()).unwrap_or_default();
        let numbers = number(name).into_iter().chain(number_32(name).map(|number| number + SYSCALL_NUMBERS));
        numbers.map(move |index| (index, row))
    })
}

fn failed(source: aya::maps::MapError) -> ProbeError {
    ProbeError::Map { name: "syscall_shapes", source: Box::new(source) }
}

const NONE: syscall_shape = syscall_shape {
    action: 0,
    fd: -1,
    dir: -1,
    path: -1,
    target_dir: -1,
    target: -1,
    text: -1,
    name: -1,
    multiplexed: 0,
    reserved: [0; 3],
};

/// Its return is all that is looked at.
const fn only(action: u32) -> syscall_shape {
    syscall_shape { action: action as u8, ..NONE }
}

const fn accept() -> syscall_shape {
    syscall_shape { action: SYSCALL_ACCEPT as u8, ..NONE }
}

/// It acts on the file of descriptor `fd`.
const fn of_file(action: u32, fd: i8) -> syscall_shape {
    syscall_shape { action: action as u8, fd, ..NONE }
}

/// It acts on a path, from the working directory.
const fn of_path(action: u32, path: i8) -> syscall_shape {
    syscall_shape { action: action as u8, path, ..NONE }
}

/// It acts on a path, from the directory of descriptor `dir`.
const fn of_path_at(action: u32, dir: i8, path: i8) -> syscall_shape {
    syscall_shape { action: action as u8, dir, path, ..NONE }
}

const fn of_two(action: u32, path: i8, target: i8) -> syscall_shape {
    syscall_shape { action: action as u8, path, target, ..NONE }
}

const fn of_two_at(action: u32) -> syscall_shape {
    syscall_shape { action: action as u8, dir: 0, path: 1, target_dir: 2, target: 3, ..NONE }
}

/// The calls that are looked at.
const SHAPES: &[(&str, syscall_shape)] = &[
    ("accept", accept()),
    ("accept4", accept()),
    ("socket", only(SYSCALL_SOCKET)),
    ("socketcall", syscall_shape { multiplexed: 1, ..accept() }),
    ("bpf", only(SYSCALL_BPF)),
    ("setuid", only(SYSCALL_SETUID)),
    ("setreuid", only(SYSCALL_SETUID)),
    ("setresuid", only(SYSCALL_SETUID)),
    ("setfsuid", only(SYSCALL_SETUID)),
    ("setuid32", only(SYSCALL_SETUID)),
    ("setreuid32", only(SYSCALL_SETUID)),
    ("setresuid32", only(SYSCALL_SETUID)),
    ("setfsuid32", only(SYSCALL_SETUID)),
    ("setgid", only(SYSCALL_SETGID)),
    ("setregid", only(SYSCALL_SETGID)),
    ("setresgid", only(SYSCALL_SETGID)),
    ("setfsgid", only(SYSCALL_SETGID)),
    ("setgid32", only(SYSCALL_SETGID)),
    ("setregid32", only(SYSCALL_SETGID)),
    ("setresgid32", only(SYSCALL_SETGID)),
    ("setfsgid32", only(SYSCALL_SETGID)),
    ("capset", only(SYSCALL_CAPSET)),
    ("setns", only(SYSCALL_NAMESPACE)),
    ("unshare", only(SYSCALL_NAMESPACE)),
    ("mount", syscall_shape { text: 0, name: 2, ..of_path(EVENT_MOUNT, 1) }),
    (
        "move_mount",
        syscall_shape { action: EVENT_MOUNT as u8, dir: 2, path: 3, target_dir: 0, target: 1, ..NONE },
    ),
    ("umount", of_path(EVENT_UNMOUNT, 0)),
    ("umount2", of_path(EVENT_UNMOUNT, 0)),
    ("chroot", of_path(EVENT_CHROOT, 0)),
    ("pivot_root", of_two(EVENT_PIVOT_ROOT, 0, 1)),
    ("bpf", only(SYSCALL_BPF)),
    ("kexec_load", only(SYSCALL_KEXEC)),
    ("kexec_file_load", of_file(EVENT_KEXEC_FILE, 0)),
    ("memfd_create", only(SYSCALL_MEMFD)),
    ("mprotect", only(SYSCALL_MPROTECT)),
    ("pkey_mprotect", only(SYSCALL_MPROTECT)),
    ("connect", only(SYSCALL_CONNECT)),
    ("ptrace", syscall_shape { action: SYSCALL_PTRACE as u8, ..NONE }),
    ("process_vm_writev", syscall_shape { action: SYSCALL_VM_WRITE as u8, ..NONE }),
    ("open", of_path(EVENT_FILE_OPEN, 0)),
    ("creat", of_path(EVENT_FILE_OPEN, 0)),
    ("openat", of_path_at(EVENT_FILE_OPEN, 0, 1)),
    ("openat2", of_path_at(EVENT_FILE_OPEN, 0, 1)),
    ("open_by_handle_at", syscall_shape { action: EVENT_FILE_OPEN as u8, ..NONE }),
    ("mkdir", of_path(EVENT_FILE_CREATE, 0)),
    ("mkdirat", of_path_at(EVENT_FILE_CREATE, 0, 1)),
    ("mknod", of_path(EVENT_FILE_CREATE, 0)),
    ("mknodat", of_path_at(EVENT_FILE_CREATE, 0, 1)),
    ("unlink", of_path(EVENT_FILE_UNLINK, 0)),
    ("unlinkat", of_path_at(EVENT_FILE_UNLINK, 0, 1)),
    ("rmdir", of_path(EVENT_FILE_UNLINK, 0)),
    ("rename", of_two(EVENT_FILE_RENAME, 0, 1)),
    ("renameat", of_two_at(EVENT_FILE_RENAME)),
    ("renameat2", of_two_at(EVENT_FILE_RENAME)),
    ("link", of_two(EVENT_FILE_LINK, 0, 1)),
    ("linkat", of_two_at(EVENT_FILE_LINK)),
    ("symlink", syscall_shape { text: 0, ..of_path(EVENT_FILE_SYMLINK, 1) }),
    ("symlinkat", syscall_shape { text: 0, ..of_path_at(EVENT_FILE_SYMLINK, 1, 2) }),
    ("chmod", of_path(EVENT_FILE_CHMOD, 0)),
    ("fchmodat", of_path_at(EVENT_FILE_CHMOD, 0, 1)),
    ("fchmodat2", of_path_at(EVENT_FILE_CHMOD, 0, 1)),
    ("fchmod", of_file(EVENT_FILE_CHMOD, 0)),
    ("chown", of_path(EVENT_FILE_CHOWN, 0)),
    ("chown32", of_path(EVENT_FILE_CHOWN, 0)),
    ("lchown", of_path(EVENT_FILE_CHOWN, 0)),
    ("lchown32", of_path(EVENT_FILE_CHOWN, 0)),
    ("fchownat", of_path_at(EVENT_FILE_CHOWN, 0, 1)),
    ("fchown", of_file(EVENT_FILE_CHOWN, 0)),
    ("fchown32", of_file(EVENT_FILE_CHOWN, 0)),
    ("truncate", of_path(EVENT_FILE_TRUNCATE, 0)),
    ("truncate64", of_path(EVENT_FILE_TRUNCATE, 0)),
    ("ftruncate", of_file(EVENT_FILE_TRUNCATE, 0)),
    ("ftruncate64", of_file(EVENT_FILE_TRUNCATE, 0)),
    ("setxattr", syscall_shape { name: 1, ..of_path(EVENT_FILE_SETXATTR, 0) }),
    ("lsetxattr", syscall_shape { name: 1, ..of_path(EVENT_FILE_SETXATTR, 0) }),
    ("setxattrat", syscall_shape { name: 3, ..of_path_at(EVENT_FILE_SETXATTR, 0, 1) }),
    ("fsetxattr", of_file(EVENT_FILE_SETXATTR, 0)),
    ("mmap", syscall_shape { action: EVENT_FILE_MMAP_EXEC as u8, ..NONE }),
    ("mmap2", syscall_shape { action: EVENT_FILE_MMAP_EXEC as u8, ..NONE }),
];

fn number(name: &str) -> Option<u32> {
    newer(name).or_else(|| Some(name.parse::<syscalls::Sysno>().ok()?.id().cast_unsigned()))
}

#[cfg(target_arch = "x86_64")]
fn number_32(name: &str) -> Option<u32> {
    // The old mmap of 32-bit programs takes its arguments in memory.
    if name == "mmap" {
        return None;
    }
    newer(name).or_else(|| Some(name.parse::<syscalls::x86::Sysno>().ok()?.id().cast_unsigned()))
}

#[cfg(not(target_arch = "x86_64"))]
fn number_32(_name: &str) -> Option<u32> {
    None
}

/// Calls that are newer than the tables; since 5.1 a new call has one number on every architecture.
fn newer(name: &str) -> Option<u32> {
    match name {
        "fchmodat2" => Some(452),
        "setxattrat" => Some(463),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_have_the_numbers_of_their_table() {
        assert_eq!((number("openat"), number_32("openat")), (Some(257), Some(295)));
        assert_eq!((number("accept"), number_32("accept")), (Some(43), None));
        assert_eq!((number("socketcall"), number_32("socketcall")), (None, Some(102)));
        assert_eq!((number("mmap"), number_32("mmap"), number_32("mmap2")), (Some(9), None, Some(192)));
        assert_eq!(number("openat2"), Some(437));
    }

    #[test]
    fn every_call_is_one_of_some_table_and_fits_into_ours() {
        for (name, shape) in SHAPES {
            let numbers: Vec<u32> = number(name).into_iter().chain(number_32(name)).collect();
            assert!(!numbers.is_empty(), "{name}");
            assert!(numbers.iter().all(|number| *number < SYSCALL_NUMBERS), "{name}");
            assert!(shape.action != 0, "{name}");
        }
    }
}
