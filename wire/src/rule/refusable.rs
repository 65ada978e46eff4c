//! What can be refused before it happens.

use crate::event::Kind;

/// Whether there is a place in some kernel at which what an event of this kind tells of can still be refused: what a rule
/// that denies or kills may ask for. What is only seen once it is over (a process's end, an accepted connection, an answer of a
/// name server, a signal of an escape) can be told and not refused; nor can a fork, as its place is also the kernel's own.
pub fn is_refusable(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::EXEC
            | Kind::SETUID
            | Kind::SETGID
            | Kind::CAPSET
            | Kind::PTRACE
            | Kind::PROCESS_VM_WRITE
            | Kind::SIGNAL
            | Kind::MEMFD_CREATE
            | Kind::MPROTECT_EXEC
            | Kind::FILE_OPEN
            | Kind::FILE_CREATE
            | Kind::FILE_UNLINK
            | Kind::FILE_RENAME
            | Kind::FILE_LINK
            | Kind::FILE_SYMLINK
            | Kind::FILE_CHMOD
            | Kind::FILE_CHOWN
            | Kind::FILE_TRUNCATE
            | Kind::FILE_SETXATTR
            | Kind::FILE_MMAP_EXEC
            | Kind::CONNECT
            | Kind::CONNECT_FAILED
            | Kind::SOCKET
            | Kind::SEND
            | Kind::BIND
            | Kind::LISTEN
            | Kind::MODULE_LOAD
            | Kind::BPF_LOAD
            | Kind::MOUNT
            | Kind::UNMOUNT
            | Kind::CHROOT
            | Kind::PIVOT_ROOT
            | Kind::NAMESPACE_CHANGE
            | Kind::KEXEC
            | Kind::SYSCTL
            | Kind::IO_URING_SETUP
    )
}
