//! How the programs read system calls that return: which calls, and where their arguments stand.
//!
//! By name here; numbers are those of this architecture's tables, for 64-bit callers and for 32-bit ones. Only the calls are
//! read of which a sight has no better way on this kernel: else one thing would be told twice.

use aya::maps::{Array, Map, MapData};
use sensor_bpf::event::{
    EVENT_CHROOT, EVENT_FILE_CHMOD, EVENT_FILE_CHOWN, EVENT_FILE_CREATE, EVENT_FILE_LINK,
    EVENT_FILE_MMAP_EXEC, EVENT_FILE_OPEN, EVENT_FILE_RENAME, EVENT_FILE_SETXATTR, EVENT_FILE_SYMLINK,
    EVENT_FILE_TRUNCATE, EVENT_FILE_UNLINK, EVENT_KEXEC_FILE, EVENT_MOUNT, EVENT_PIVOT_ROOT, EVENT_UNMOUNT,
    SYSCALL_ACCEPT, SYSCALL_BPF, SYSCALL_CAPSET, SYSCALL_CONNECT, SYSCALL_KEXEC, SYSCALL_MEMFD,
    SYSCALL_MPROTECT, SYSCALL_NAMESPACE, SYSCALL_NUMBERS, SYSCALL_PART_ACCEPT, SYSCALL_PART_OBJECT,
    SYSCALL_PART_PROGRAM, SYSCALL_PART_SOCKET, SYSCALL_PTRACE, SYSCALL_SETGID, SYSCALL_SETUID,
    SYSCALL_SOCKET, SYSCALL_SOCKETCALL, SYSCALL_VM_WRITE, syscall_shape,
};
use zerocopy::IntoBytes;

use super::sight::{Sight, Way};
use super::{Hook, ProbeError};
use crate::call::{number, number_32};

type Bytes = [u8; size_of::<syscall_shape>()];

const N_ROWS: usize = 2 * SYSCALL_NUMBERS as usize;

/// Fills the programs' table, for these attached programs.
pub(super) fn fill(map: MapData, is_attached: impl Fn(&Hook) -> bool) -> Result<(), ProbeError> {
    let mut table = Array::<_, Bytes>::try_from(Map::Array(map)).map_err(failed)?;
    let mut rows = (0..).zip(rows(|sight| is_read(sight, &is_attached)));
    rows.try_for_each(|(index, row)| table.set(index, row, 0)).map_err(failed)
}

/// Whether the table is as it was filled.
pub(super) fn is_intact(map: MapData, is_attached: impl Fn(&Hook) -> bool) -> Result<bool, ProbeError> {
    let table = Array::<_, Bytes>::try_from(Map::Array(map)).map_err(failed)?;
    for (index, row) in (0..).zip(rows(|sight| is_read(sight, &is_attached))) {
        if table.get(&index, 0).map_err(failed)? != row {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a sight is seen by the calls' return, with these attached programs.
fn is_read(sight: &Sight, is_attached: impl Fn(&Hook) -> bool) -> bool {
    sight.way(is_attached).is_some_and(Way::reads_calls)
}

/// The whole table, for the sights that are seen by the calls' return.
fn rows(is_read: impl Fn(&Sight) -> bool) -> Vec<Bytes> {
    let mut rows = vec![Bytes::default(); N_ROWS];
    let read: Vec<&str> = Sight::all().filter(|sight| is_read(sight)).map(|sight| sight.name).collect();
    for (name, shape) in SHAPES {
        let of_call = SIGHTS.iter().filter(|(_, actions)| actions.contains(&u32::from(shape.action)));
        let of_call = of_call.filter(|(sight, _)| read.contains(sight));
        let parts = of_call.map(|(sight, _)| part(sight)).fold(0, |parts, part| parts | part);
        if parts == 0 {
            continue;
        }
        let row = Bytes::try_from(syscall_shape { parts, ..*shape }.as_bytes()).unwrap_or_default();
        // The old mmap of 32-bit programs takes its arguments in memory.
        let of_32 = number_32(name).filter(|_| *name != "mmap");
        let numbers = number(name).into_iter().chain(of_32.map(|number| number + SYSCALL_NUMBERS));
        for to in numbers.filter_map(|index| usize::try_from(index).ok()) {
            if let Some(to) = rows.get_mut(to) {
                *to = row;
            }
        }
    }
    rows
}

/// What each sight reads of which calls, where it is seen by their return.
const SIGHTS: &[(&str, &[u32])] = &[
    ("network.accept", &[SYSCALL_ACCEPT, SYSCALL_SOCKETCALL]),
    ("network.socket", &[SYSCALL_SOCKET, SYSCALL_SOCKETCALL]),
    ("kernel.bpf_load", &[SYSCALL_BPF]),
    ("sensor.tamper", &[SYSCALL_BPF]),
    ("process.credentials", &[SYSCALL_SETUID, SYSCALL_SETGID, SYSCALL_CAPSET]),
    ("process.ptrace", &[SYSCALL_PTRACE, SYSCALL_VM_WRITE]),
    ("process.memfd_create", &[SYSCALL_MEMFD]),
    ("process.mprotect_exec", &[SYSCALL_MPROTECT, EVENT_FILE_MMAP_EXEC]),
    ("kernel.namespace_change", &[SYSCALL_NAMESPACE]),
    ("kernel.mount", &[EVENT_MOUNT, EVENT_UNMOUNT, EVENT_CHROOT, EVENT_PIVOT_ROOT]),
    ("kernel.kexec", &[SYSCALL_KEXEC, EVENT_KEXEC_FILE]),
    ("kernel.control", &[EVENT_FILE_OPEN]),
    ("escape.outside_root", &[EVENT_FILE_OPEN]),
    ("escape.runtime_socket", &[SYSCALL_CONNECT]),
    ("file.open", &[EVENT_FILE_OPEN]),
    ("file.mmap_exec", &[EVENT_FILE_MMAP_EXEC]),
    ("file.create", &[EVENT_FILE_CREATE]),
    ("file.unlink", &[EVENT_FILE_UNLINK]),
    ("file.rename", &[EVENT_FILE_RENAME]),
    ("file.link", &[EVENT_FILE_LINK, EVENT_FILE_SYMLINK]),
    ("file.attributes", &[EVENT_FILE_CHMOD, EVENT_FILE_CHOWN, EVENT_FILE_TRUNCATE]),
    ("file.setxattr", &[EVENT_FILE_SETXATTR]),
];

/// What a sight reads of a call that shows several things.
fn part(sight: &str) -> u8 {
    let part = match sight {
        "network.accept" => SYSCALL_PART_ACCEPT,
        "network.socket" => SYSCALL_PART_SOCKET,
        "sensor.tamper" => SYSCALL_PART_OBJECT,
        _ => SYSCALL_PART_PROGRAM,
    };
    part as u8
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
    parts: 0,
    reserved: [0; 3],
};

/// Its return is all that is looked at.
const fn only(action: u32) -> syscall_shape {
    syscall_shape { action: action as u8, ..NONE }
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
    ("accept", only(SYSCALL_ACCEPT)),
    ("accept4", only(SYSCALL_ACCEPT)),
    ("socket", only(SYSCALL_SOCKET)),
    ("socketcall", only(SYSCALL_SOCKETCALL)),
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
    ("kexec_load", only(SYSCALL_KEXEC)),
    ("kexec_file_load", of_file(EVENT_KEXEC_FILE, 0)),
    ("memfd_create", only(SYSCALL_MEMFD)),
    ("mprotect", only(SYSCALL_MPROTECT)),
    ("pkey_mprotect", only(SYSCALL_MPROTECT)),
    ("connect", only(SYSCALL_CONNECT)),
    ("ptrace", only(SYSCALL_PTRACE)),
    ("process_vm_writev", only(SYSCALL_VM_WRITE)),
    ("open", of_path(EVENT_FILE_OPEN, 0)),
    ("creat", of_path(EVENT_FILE_OPEN, 0)),
    ("openat", of_path_at(EVENT_FILE_OPEN, 0, 1)),
    ("openat2", of_path_at(EVENT_FILE_OPEN, 0, 1)),
    ("open_by_handle_at", only(EVENT_FILE_OPEN)),
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
    ("mmap", only(EVENT_FILE_MMAP_EXEC)),
    ("mmap2", only(EVENT_FILE_MMAP_EXEC)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_one_of_some_table_and_fits_into_ours() {
        for (name, shape) in SHAPES {
            let numbers: Vec<u32> = number(name).into_iter().chain(number_32(name)).collect();
            assert!(!numbers.is_empty(), "{name}");
            assert!(numbers.iter().all(|number| *number < SYSCALL_NUMBERS), "{name}");
            assert!(shape.action != 0, "{name}");
        }
    }

    /// Each sight that can be seen by the calls' return has calls, and only such a sight; of each call something is told.
    #[test]
    fn sights_and_calls_belong_together() {
        for sight in Sight::all() {
            let is_listed = SIGHTS.iter().any(|(name, _)| *name == sight.name);
            let has_way = sight.ways.iter().any(|way| way.reads_calls());
            assert_eq!(is_listed, has_way, "{}", sight.name);
        }
        for (name, shape) in SHAPES {
            let action = u32::from(shape.action);
            assert!(SIGHTS.iter().any(|(_, actions)| actions.contains(&action)), "{name}");
        }
        for (sight, actions) in SIGHTS {
            for action in *actions {
                assert!(SHAPES.iter().any(|(_, shape)| u32::from(shape.action) == *action), "{sight}");
            }
        }
    }

    #[test]
    fn a_call_is_read_only_for_the_sights_that_need_it() {
        let read = |sights: &[&str]| -> Vec<(usize, u8)> {
            let rows = rows(|sight| sights.contains(&sight.name));
            let rows = rows.iter().enumerate().filter(|(_, row)| **row != Bytes::default());
            rows.map(|(index, row)| (index, row[8])).collect()
        };
        assert_eq!(read(&[]), []);
        let bpf = number("bpf").and_then(|index| usize::try_from(index).ok());
        let of = |sights: &[&str]| read(sights).into_iter().find(|(index, _)| Some(*index) == bpf);
        let of = |sights: &[&str]| of(sights).map_or(0, |(_, parts)| parts);
        let (program, object) = (SYSCALL_PART_PROGRAM as u8, SYSCALL_PART_OBJECT as u8);
        assert_eq!(of(&["kernel.bpf_load"]), program);
        assert_eq!(of(&["sensor.tamper"]), object);
        assert_eq!(of(&["kernel.bpf_load", "sensor.tamper"]), program | object);
        assert!(read(&["file.open"]).iter().all(|(index, _)| Some(*index) != bpf));
        let all: Vec<&str> = SIGHTS.iter().map(|(name, _)| *name).collect();
        assert!(read(&all).len() > SHAPES.len());
    }
}
