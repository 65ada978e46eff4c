//! `syscall`: system calls that have returned, where a collection asks for them. The action is the call's name.
//!
//! Each name is a kind of its own, whatever numbers it has on an architecture; what has a number and no name that this
//! version knows is called `syscall_NNN`. So a call is looked up, grouped and found as every other kind is.

use std::sync::LazyLock;

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

/// Numbers of calls are below this: no architecture has more.
pub const N_NUMBERS: u16 = 512;

impl Kind {
    /// The call with this name, which is one of [`NAMES`]; of the others it is `syscall_NNN`.
    pub fn call(name: &str) -> Option<Kind> {
        let nameless = || name.strip_prefix("syscall_")?.parse().ok();
        match NAMES.iter().position(|known| *known == name) {
            Some(at) => Some(Kind(FIRST + u16::try_from(at).ok()?)),
            None => nameless()
                .map(Kind::nameless_call)
                .filter(|kind| kind.info().is_some_and(|i| i.action == name)),
        }
    }

    /// The call with this number, where it has no name: `syscall_NNN`. The number is below [`N_NUMBERS`].
    pub const fn nameless_call(number: u16) -> Kind {
        Kind(FIRST_NAMELESS.saturating_add(number))
    }

    /// Whether it is a system call.
    pub const fn is_call(self) -> bool {
        matches!(self.0, FIRST..END)
    }
}

/// The kind of the first name; room for as many as there may ever be.
const FIRST: u16 = 512;
/// The kind of a nameless call with the number 0.
const FIRST_NAMELESS: u16 = 1536;
/// Behind the last.
pub(crate) const END: u16 = FIRST_NAMELESS + N_NUMBERS;

const COLUMNS: &[Field] =
    &[Field::EventOutcome, Field::ErrorCode, Field::SyscallNumber, Field::SyscallArgs, Field::SyscallResult];

/// What is known of a call, if it is one.
pub(super) fn info(kind: Kind) -> Option<&'static KindInfo> {
    let named = kind.0.checked_sub(FIRST).filter(|_| kind.0 < FIRST_NAMELESS).map(usize::from);
    let nameless = || Some(NAMES.len() + usize::from(kind.0.checked_sub(FIRST_NAMELESS)?));
    let at = match named {
        Some(at) => Some(at).filter(|at| *at < NAMES.len()),
        None => nameless(),
    };
    KINDS.get(at?)
}

pub(super) static KINDS: LazyLock<Vec<KindInfo>> = LazyLock::new(|| {
    let named = (FIRST..).zip(NAMES.iter().copied());
    let nameless = (0..N_NUMBERS).map(|number| {
        let name: &'static str = Box::leak(format!("syscall_{number}").into_boxed_str());
        (FIRST_NAMELESS + number, name)
    });
    let of = |(number, action)| KindInfo {
        kind: Kind(number),
        category: "syscall",
        action,
        lane: Lane::Bulk,
        columns: COLUMNS,
    };
    named.chain(nameless).map(of).collect()
});

/// The names of Linux's calls on the architectures that a sensor runs on. A name's place is its kind's number: new ones
/// come last.
#[rustfmt::skip]
pub const NAMES: &[&str] = &[
    "_llseek", "_newselect", "_sysctl", "accept", "accept4", "access", "acct", "add_key", "adjtimex",
    "afs_syscall", "alarm", "arch_prctl", "bdflush", "bind", "bpf", "brk", "cachestat", "capget", "capset",
    "chdir", "chmod", "chown", "chown32", "chroot", "clock_adjtime", "clock_adjtime64", "clock_getres",
    "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
    "clock_settime", "clock_settime64", "clone", "clone3", "close", "close_range", "connect", "copy_file_range",
    "creat", "create_module", "delete_module", "dup", "dup2", "dup3", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd",
    "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64",
    "fadvise64_64", "fallocate", "fanotify_init", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2",
    "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "file_getattr",
    "file_setattr", "finit_module", "flistxattr", "flock", "fork", "fremovexattr", "fsconfig", "fsetxattr",
    "fsmount", "fsopen", "fspick", "fstat", "fstat64", "fstatat", "fstatat64", "fstatfs", "fstatfs64", "fsync",
    "ftime", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
    "futex_wake", "futimesat", "get_kernel_syms", "get_mempolicy", "get_robust_list", "get_thread_area",
    "getcpu", "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
    "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid",
    "getpmsg", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32",
    "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid",
    "getuid32", "getxattr", "getxattrat", "gtty", "idle", "init_module", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents",
    "io_pgetevents_time64", "io_setup", "io_submit", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioctl", "ioperm", "iopl", "ioprio_get", "ioprio_set", "ipc", "kcmp", "kexec_file_load", "kexec_load",
    "keyctl", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown",
    "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr", "listxattrat", "llistxattr",
    "lock", "lookup_dcookie", "lremovexattr", "lseek", "lsetxattr", "lsm_get_self_attr", "lsm_list_modules",
    "lsm_set_self_attr", "lstat", "lstat64", "madvise", "map_shadow_stack", "mbind", "membarrier",
    "memfd_create", "memfd_secret", "migrate_pages", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock",
    "mlock2", "mlockall", "mmap", "mmap2", "modify_ldt", "mount", "mount_setattr", "move_mount", "move_pages",
    "mprotect", "mpx", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
    "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv",
    "msgsnd", "msync", "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat",
    "nfsservctl", "nice", "oldfstat", "oldlstat", "oldolduname", "oldstat", "olduname", "open",
    "open_by_handle_at", "open_tree", "open_tree_attr", "openat", "openat2", "pause", "perf_event_open",
    "personality", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pivot_root", "pkey_alloc",
    "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64", "preadv", "preadv2",
    "prlimit64", "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev", "prof",
    "profil", "pselect6", "pselect6_time64", "ptrace", "putpmsg", "pwrite64", "pwritev", "pwritev2",
    "query_module", "quotactl", "quotactl_fd", "read", "readahead", "readdir", "readlink", "readlinkat", "readv",
    "reboot", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr",
    "removexattrat", "rename", "renameat", "renameat2", "request_key", "restart_syscall", "rmdir", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
    "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "security", "select", "semctl", "semget",
    "semop", "semtimedop", "semtimedop_time64", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto",
    "set_mempolicy", "set_mempolicy_home_node", "set_robust_list", "set_thread_area", "set_tid_address",
    "setdomainname", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups",
    "setgroups32", "sethostname", "setitimer", "setns", "setpgid", "setpriority", "setregid", "setregid32",
    "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid",
    "setsockopt", "settimeofday", "setuid", "setuid32", "setxattr", "setxattrat", "sgetmask", "shmat", "shmctl",
    "shmdt", "shmget", "shutdown", "sigaction", "sigaltstack", "signal", "signalfd", "signalfd4", "sigpending",
    "sigprocmask", "sigreturn", "sigsuspend", "socket", "socketcall", "socketpair", "splice", "ssetmask", "stat",
    "stat64", "statfs", "statfs64", "statmount", "statx", "stime", "stty", "swapoff", "swapon", "symlink",
    "symlinkat", "sync", "sync_file_range", "syncfs", "sysfs", "sysinfo", "syslog", "tee", "tgkill", "time",
    "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "times", "tkill", "truncate", "truncate64", "tuxcall", "ugetrlimit", "ulimit", "umask",
    "umount", "umount2", "uname", "unlink", "unlinkat", "unshare", "uprobe", "uretprobe", "uselib",
    "userfaultfd", "ustat", "utime", "utimensat", "utimensat_time64", "utimes", "vfork", "vhangup", "vm86",
    "vm86old", "vmsplice", "vserver", "wait4", "waitid", "waitpid", "write", "writev",
    "break",
];

const _: () =
    assert!(NAMES.len() < (FIRST_NAMELESS - FIRST) as usize, "names would reach into the nameless ones");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let number = |name| Kind::call(name).map(Kind::number);
        assert_eq!(number("_llseek"), Some(512));
        assert_eq!(number("keyctl"), Some(685));
        assert_eq!(number("writev"), Some(981));
        assert_eq!(number("syscall_0"), Some(1536));
        assert_eq!(number("syscall_511"), Some(2047));
        for name in ["syscall_512", "syscall_01", "syscall_", "keyctl ", ""] {
            assert_eq!(number(name), None, "{name}");
        }
    }

    #[test]
    fn each_call_leads_back_to_its_name() {
        assert_eq!(KINDS.len(), NAMES.len() + usize::from(N_NUMBERS));
        for known in KINDS.iter() {
            assert_eq!(Kind::call(known.action), Some(known.kind));
            assert_eq!(known.kind.info().map(|info| info.action), Some(known.action));
            assert!(known.kind.is_call());
        }
        for number in [0, 511, 512 + NAMES.len() as u16, 1535, 2048, u16::MAX] {
            assert!(Kind::new(number).info().is_none(), "{number}");
        }
    }
}
