//! `kernel`: what processes do to it.

use super::file::{OPENED, RETURNED};
use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const MODULE: Hook =
    Hook { program: "module_loaded", place: "module_load", class: Class::Bulk, kind: HookKind::Tracepoint };
const IO_URING: Hook = Hook {
    program: "io_uring_made",
    place: "io_uring_create",
    class: Class::Bulk,
    kind: HookKind::Tracepoint,
};

const fn after(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::File, kind: HookKind::Return }
}

const MOUNTED: Hook = after("mount_made", "path_mount");
const MOVED: Hook = after("mount_moved", "security_move_mount");
const UNMOUNTED: Hook = after("mount_gone", "security_sb_umount");
const CHROOT: Hook = after("root_changed", "security_path_chroot");
const PIVOT: Hook = after("root_pivoted", "security_sb_pivotroot");
const PLACES: Hook = Hook {
    program: "place_moving",
    place: "switch_task_namespaces",
    class: Class::Bulk,
    kind: HookKind::Entry,
};

const PROGRAM: Hook = Hook {
    program: "program_loaded",
    place: "perf_event_bpf_event",
    class: Class::Bulk,
    kind: HookKind::Entry,
};
const KEXEC: Hook = after("kexec_loaded", "security_kernel_load_data");
const KEXEC_FILE: Hook = after("kexec_file_read", "security_kernel_read_file");
const SETTING: Hook =
    Hook { program: "setting_written", place: "sysctl", class: Class::Bulk, kind: HookKind::Settings };
const SOCKET: Hook = after("socket_reached", "security_unix_stream_connect");

const BY_SYSCALL: Way = Way {
    name: "sys_exit",
    hooks: &[&RETURNED],
    blind: "paths of mounts and roots are the caller's arguments (event.source: syscall)",
};

pub(super) static SIGHTS: &[Sight] = &[
    Sight {
        name: "kernel.module_load",
        shows: "kernel modules loaded",
        without: "no kernel module is seen to be loaded",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&MODULE], blind: "" }],
    },
    Sight {
        name: "kernel.bpf_load",
        shows: "BPF programs loaded",
        without: "no BPF program is seen to be loaded",
        required: false,
        ways: &[
            Way { name: "fentry", hooks: &[&PROGRAM], blind: "" },
            Way { name: "sys_exit", hooks: &[&RETURNED], blind: "" },
        ],
    },
    Sight {
        name: "kernel.kexec",
        shows: "other kernels asked to be run",
        without: "kexec is not seen",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&KEXEC, &KEXEC_FILE], blind: "" },
            Way { name: "sys_exit", hooks: &[&RETURNED], blind: "" },
        ],
    },
    Sight {
        name: "kernel.sysctl",
        shows: "settings of the kernel that are written",
        without: "of settings only opened files below /proc/sys are seen, and not what is written",
        required: false,
        ways: &[Way { name: "cgroup", hooks: &[&SETTING], blind: "" }],
    },
    Sight {
        name: "kernel.control",
        shows: "files of ftrace and of control groups that are opened to be written",
        without: "of such files only those at their usual places are seen",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&OPENED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "files of ftrace and of control groups opened through io_uring are not seen",
            },
        ],
    },
    Sight {
        name: "escape.outside_root",
        shows: "files of the host opened from within another mount namespace",
        without: "a file of the host that a container opens is not told apart",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&OPENED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "files of the host that a container opens through io_uring are not seen",
            },
        ],
    },
    Sight {
        name: "escape.runtime_socket",
        shows: "connections to container runtimes' sockets from within another mount namespace",
        without: "a container that talks to its runtime is not seen",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&SOCKET], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "connections to container runtimes' sockets through io_uring are not seen",
            },
        ],
    },
    Sight {
        name: "kernel.io_uring_setup",
        shows: "io_urings made",
        without: "no io_uring is seen to be made",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&IO_URING], blind: "" }],
    },
    Sight {
        name: "kernel.mount",
        shows: "what is mounted, moved and unmounted, and changes of the root",
        without: "nothing is seen to be mounted",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&MOUNTED, &MOVED, &UNMOUNTED, &CHROOT, &PIVOT], blind: "" },
            BY_SYSCALL,
        ],
    },
    Sight {
        name: "kernel.namespace_change",
        shows: "processes that come to live in other namespaces",
        without: "setns and unshare are not seen",
        required: false,
        ways: &[
            Way { name: "fentry", hooks: &[&PLACES], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "of setns and unshare only where the process lives then is seen, and not which namespaces changed",
            },
        ],
    },
];
