//! Which event tells of a function of the kernel, and what the function's arguments are there.

use std::fmt::Write as _;

use serde_json::Value as Json;
use wire::event::Kind;

use super::policy::text;

/// What an argument of a function is in the event that tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A text: the value of this field.
    Text(&'static str),
    /// A socket or a packet: its ends are the event's.
    Ends,
    /// A socket that waits, or an address: what it calls its source is the event's destination.
    Own,
    /// What a file is opened for: 2 to write, 4 to read.
    Access,
    /// It says no more than the event itself if it has this value.
    Always(&'static str),
}

/// What tells of some functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Means {
    /// Which events, as a condition.
    pub(super) base: String,
    pub(super) arguments: Vec<(u64, Meaning)>,
    /// What is different about them; empty if nothing is.
    pub(super) note: &'static str,
    /// Whether an executable that is asked for is the one before.
    pub(super) is_exec: bool,
}

struct Place {
    calls: &'static [&'static str],
    base: &'static str,
    arguments: &'static [(u64, Meaning)],
    note: &'static str,
}

use Meaning::{Access, Always, Ends, Own, Text};

const PATH: Meaning = Text("file.path");
const TARGET: Meaning = Text("file.target_path");
const IMAGE: Meaning = Text("process.executable");

const ONCE_OPENED: &str =
    "Decided when the file is opened, for what it is opened for, and not at each read and write";
const RESOLVED: &str = "The path is the one that the kernel found, not what the caller wrote";
const ONCE_A_FLOW: &str = "Decided once for each connection or peer, and not for each packet";

/// Of which functions something tells. The first line that has a call counts.
const PLACES: &[Place] = &[
    Place {
        calls: &["security_file_permission"],
        base: "event.action:open",
        arguments: &[(0, PATH), (1, Access)],
        note: ONCE_OPENED,
    },
    Place { calls: &["security_file_open"], base: "event.action:open", arguments: &[(0, PATH)], note: "" },
    Place {
        calls: &["fd_install"],
        base: "event.action:open",
        arguments: &[(1, PATH)],
        note: "Files that are opened; descriptors that come by other ways are of files that were opened before",
    },
    Place { calls: &["sys_open"], base: "event.action:open", arguments: &[(0, PATH)], note: RESOLVED },
    Place {
        calls: &["sys_openat", "sys_openat2", "do_sys_open", "do_sys_openat2"],
        base: "event.action:open",
        arguments: &[(1, PATH)],
        note: RESOLVED,
    },
    Place {
        calls: &["security_mmap_file"],
        base: "event.action:mmap_exec",
        arguments: &[(0, PATH)],
        note: "Files that are mapped to be executed; what is mapped otherwise was opened before",
    },
    Place {
        calls: &["security_path_truncate", "security_file_truncate"],
        base: "event.action:truncate",
        arguments: &[(0, PATH)],
        note: "",
    },
    Place {
        calls: &["sys_truncate"],
        base: "event.action:truncate",
        arguments: &[(0, PATH)],
        note: RESOLVED,
    },
    Place {
        calls: &["security_path_unlink", "security_inode_unlink", "vfs_unlink", "do_unlinkat"],
        base: "event.action:unlink",
        arguments: &[],
        note: "",
    },
    Place { calls: &["sys_unlink"], base: "event.action:unlink", arguments: &[(0, PATH)], note: RESOLVED },
    Place { calls: &["sys_unlinkat"], base: "event.action:unlink", arguments: &[(1, PATH)], note: RESOLVED },
    Place {
        calls: &["security_path_rename", "security_inode_rename", "vfs_rename"],
        base: "event.action:rename",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["sys_rename"],
        base: "event.action:rename",
        arguments: &[(0, PATH), (1, TARGET)],
        note: RESOLVED,
    },
    Place {
        calls: &["sys_renameat", "sys_renameat2"],
        base: "event.action:rename",
        arguments: &[(1, PATH), (3, TARGET)],
        note: RESOLVED,
    },
    Place {
        calls: &["security_path_link", "security_inode_link", "vfs_link", "sys_link", "sys_linkat"],
        base: "event.action:link",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &[
            "security_path_symlink",
            "security_inode_symlink",
            "vfs_symlink",
            "sys_symlink",
            "sys_symlinkat",
        ],
        base: "event.action:symlink",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_path_chmod", "chmod_common"],
        base: "event.action:chmod",
        arguments: &[(0, PATH)],
        note: "",
    },
    Place { calls: &["sys_chmod"], base: "event.action:chmod", arguments: &[(0, PATH)], note: RESOLVED },
    Place { calls: &["sys_fchmodat"], base: "event.action:chmod", arguments: &[(1, PATH)], note: RESOLVED },
    Place {
        calls: &["security_path_chown", "chown_common"],
        base: "event.action:chown",
        arguments: &[(0, PATH)],
        note: "",
    },
    Place { calls: &["sys_chown"], base: "event.action:chown", arguments: &[(0, PATH)], note: RESOLVED },
    Place {
        calls: &["security_inode_setxattr", "vfs_setxattr"],
        base: "event.action:setxattr",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_bprm_check", "security_bprm_check_security"],
        base: "event.action:exec",
        arguments: &[(0, IMAGE)],
        note: "",
    },
    Place {
        calls: &["security_bprm_creds_from_file"],
        base: "event.action:exec",
        arguments: &[(1, IMAGE)],
        note: "",
    },
    Place {
        calls: &["sys_execve"],
        base: "event.action:exec",
        arguments: &[(0, IMAGE)],
        note: "The file is the one that was executed, not what the caller wrote",
    },
    Place {
        calls: &["sys_execveat"],
        base: "event.action:exec",
        arguments: &[(1, IMAGE)],
        note: "The file is the one that was executed, not what the caller wrote",
    },
    Place { calls: &["sched/sched_process_exec"], base: "event.action:exec", arguments: &[], note: "" },
    Place {
        calls: &["sched/sched_process_exit", "do_exit", "acct_process", "disassociate_ctty"],
        base: "event.action:exit",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["sched/sched_process_fork", "wake_up_new_task"],
        base: "event.action:fork",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["tcp_connect", "tcp_v4_connect", "tcp_v6_connect"],
        base: "event.action:connect and network.transport:tcp",
        arguments: &[(0, Ends)],
        note: "",
    },
    Place {
        calls: &["security_socket_connect"],
        base: "event.action:connect",
        arguments: &[(1, Own)],
        note: "",
    },
    Place { calls: &["security_socket_bind"], base: "event.action:bind", arguments: &[(1, Own)], note: "" },
    Place {
        calls: &["tcp_close"],
        base: "event.action:close and network.transport:tcp",
        // Which end is whose is not told at the end.
        arguments: &[],
        note: "Told once, with the bytes and packets of the whole connection",
    },
    Place {
        calls: &["inet_csk_listen_start", "inet_listen"],
        base: "event.action:listen",
        arguments: &[(0, Own)],
        note: "",
    },
    Place { calls: &["security_socket_listen"], base: "event.action:listen", arguments: &[], note: "" },
    Place {
        calls: &["inet_csk_accept", "security_socket_accept"],
        base: "event.action:accept and network.transport:tcp",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["udp_sendmsg", "udpv6_sendmsg"],
        base: "event.action:send",
        arguments: &[(0, Ends)],
        note: ONCE_A_FLOW,
    },
    Place {
        calls: &["ip_output", "ip6_output", "ip_mc_output"],
        base: "event.action:(connect or send)",
        arguments: &[(1, Ends), (2, Ends)],
        note: ONCE_A_FLOW,
    },
    Place {
        calls: &["__cgroup_bpf_run_filter_skb"],
        base: "event.action:(connect or send or accept)",
        arguments: &[(0, Ends), (1, Ends)],
        note: ONCE_A_FLOW,
    },
    Place {
        calls: &["sk_filter_trim_cap"],
        base: "event.action:accept",
        arguments: &[(0, Ends), (1, Ends)],
        note: ONCE_A_FLOW,
    },
    Place {
        calls: &["create_user_ns", "security_create_user_ns", "security_userns_create"],
        base: "event.action:namespace_change and namespace.changed:user",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["sys_unshare", "sys_setns"],
        base: "event.action:namespace_change",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["commit_creds", "security_task_fix_setuid"],
        base: "event.action:(setuid or setgid or capset)",
        arguments: &[],
        note: "What a program's file gives is told with its exec, as process.old.* and process.new.*",
    },
    Place {
        calls: &["security_capset", "sys_capset"],
        base: "event.action:capset",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_kernel_read_file"],
        base: "event.action:module_load",
        arguments: &[(1, Always("2"))],
        note: "",
    },
    Place {
        calls: &["security_kernel_load_data"],
        base: "event.action:module_load",
        arguments: &[(0, Always("2"))],
        note: "",
    },
    Place {
        calls: &["do_init_module", "sys_init_module", "sys_finit_module"],
        base: "event.action:module_load",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_bpf_prog_load", "bpf_check", "bpf_prog_load"],
        base: "event.action:bpf_load",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_sb_mount", "security_move_mount", "sys_mount", "path_mount"],
        base: "event.action:mount",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_sb_umount", "sys_umount", "sys_umount2"],
        base: "event.action:unmount",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_path_chroot", "sys_chroot"],
        base: "event.action:chroot",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_sb_pivotroot", "sys_pivot_root"],
        base: "event.action:pivot_root",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_ptrace_access_check", "sys_ptrace"],
        base: "event.action:ptrace",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["security_task_kill"],
        base: "event.action:signal",
        arguments: &[],
        note: "Signals that end a process",
    },
    Place { calls: &["sys_memfd_create"], base: "event.action:memfd_create", arguments: &[], note: "" },
    Place {
        calls: &["sys_kexec_load", "sys_kexec_file_load"],
        base: "event.action:kexec",
        arguments: &[],
        note: "",
    },
    Place {
        calls: &["sys_io_uring_setup", "io_uring_create"],
        base: "event.action:io_uring_setup",
        arguments: &[],
        note: "",
    },
];

/// Functions that policies look at only to remember sockets.
const BOOKKEEPING: &[&str] = &["sk_alloc", "__sk_free", "tcp_create_openreq_child"];

pub(super) fn is_bookkeeping(call: &str) -> bool {
    BOOKKEEPING.contains(&call)
}

/// The function that a hook of the kernel's security modules is called by.
pub(super) fn of_lsm(hook: &str) -> String {
    format!("security_{hook}")
}

/// What tells of one function.
enum Told {
    Place(&'static Place),
    /// The system call of this name, by itself.
    Call(String),
}

/// What tells of all these functions.
pub(super) fn all(calls: &[String], item: &Json) -> Result<Means, String> {
    let told: Result<Vec<Told>, String> = calls.iter().map(|call| one(call, item)).collect();
    let (mut places, mut names): (Vec<&Place>, Vec<String>) = (Vec::new(), Vec::new());
    for told in told? {
        match told {
            Told::Place(place) if !places.iter().any(|known| std::ptr::eq(*known, place)) => {
                places.push(place)
            }
            Told::Call(name) if !names.contains(&name) => names.push(name),
            Told::Place(_) | Told::Call(_) => {}
        }
    }
    match (&places[..], &names[..]) {
        ([Place { base, arguments, note, .. }], []) => Ok(Means {
            base: (*base).to_owned(),
            arguments: arguments.to_vec(),
            note,
            is_exec: *base == "event.action:exec",
        }),
        ([], [name]) => Ok(Means::of_calls(name.clone())),
        ([], [_, ..]) => Ok(Means::of_calls(format!("({})", names.join(" or ")))),
        ([], []) => Err("a list that is empty".to_owned()),
        _ => Err("a list of functions that different events tell of".to_owned()),
    }
}

impl Means {
    fn of_calls(names: String) -> Self {
        let base = format!("event.category:syscall and event.action:{names}");
        Self { base, arguments: Vec::new(), note: "", is_exec: false }
    }
}

fn one(call: &str, item: &Json) -> Result<Told, String> {
    let plain = plain(call);
    if let Some(place) = PLACES.iter().find(|place| place.calls.iter().any(|of| [call, &plain].contains(of)))
    {
        return Ok(Told::Place(place));
    }
    let is_call = item.get("syscall").and_then(Json::as_bool).unwrap_or(false)
        || matches!(text(item, "subsystem"), "raw_syscalls" | "syscalls");
    let name = plain.strip_prefix("sys_").filter(|_| is_call);
    let is_known = |name: &&str| Kind::known().any(|info| info.category == "syscall" && info.action == *name);
    match name.filter(is_known) {
        Some(name) => Ok(Told::Call(name.to_owned())),
        None => Err(format!("no event tells of {call}: the sensor's places are fixed")),
    }
}

/// A system call's function without what architectures put before it.
fn plain(call: &str) -> String {
    let call = call.rsplit('/').next().unwrap_or(call);
    for before in ["__x64_", "__arm64_", "__ia32_", "__do_", "__se_", "sys_enter_", "sys_exit_"] {
        if let Some(rest) = call.strip_prefix(before) {
            return if rest.starts_with("sys_") { rest.to_owned() } else { format!("sys_{rest}") };
        }
    }
    call.to_owned()
}

/// The table as Markdown, for `docs/tracing-policy.md`.
pub fn reference() -> String {
    let mut text = String::from("| functions | events | arguments | |\n|---|---|---|---|\n");
    for Place { calls, base, arguments, note } in PLACES {
        let calls: Vec<String> = calls.iter().map(|call| format!("`{call}`")).collect();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|(n, meaning)| match meaning {
                Meaning::Text(field) => format!("{n}: `{field}`"),
                Meaning::Ends => format!("{n}: the event's ends"),
                Meaning::Own => format!("{n}: its address is the event's destination"),
                Meaning::Access => format!("{n}: `file.access`"),
                Meaning::Always(value) => format!("{n}: {value} only"),
            })
            .collect();
        let _ = writeln!(text, "| {} | `{base}` | {} | {note} |", calls.join(", "), arguments.join("; "));
    }
    text
}
