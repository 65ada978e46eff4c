//! Which program hangs where, and whether this kernel has the place.

use memchr::memmem;

use crate::record::Class;

/// A program and the place in the kernel it is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// The tracepoint, or the kind of object iterated over.
    pub place: &'static str,
    /// The sequence its records are numbered in.
    pub class: Class,
    /// How it is attached.
    pub kind: HookKind,
    /// Whether the sensor is of no use without it.
    pub required: bool,
    /// What it shows, for people.
    pub shows: &'static str,
    /// What is not seen without it.
    pub without: &'static str,
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// A tracepoint with typed arguments (`tp_btf`).
    Tracepoint,
    /// An iterator, run when its file is read.
    Iterator,
}

impl Hook {
    /// Whether it runs only when asked.
    pub fn is_iterator(&self) -> bool {
        self.kind == HookKind::Iterator
    }

    /// How the place is spelt by the kernel's documentation.
    pub fn section(&self) -> String {
        match self.kind {
            HookKind::Tracepoint => format!("tp_btf/{}", self.place),
            HookKind::Iterator => format!("iter/{}", self.place),
        }
    }

    /// Whether the kernel's type information (the bytes of `/sys/kernel/btf/vmlinux`) names the place.
    pub fn is_in(&self, btf: &[u8]) -> bool {
        let name = match self.kind {
            HookKind::Tracepoint => format!("\0btf_trace_{}\0", self.place),
            HookKind::Iterator => format!("\0bpf_iter_{}\0", self.place),
        };
        memmem::find(btf, name.as_bytes()).is_some()
    }
}

/// Every program, in the order they are attached: what consumes before what produces, so that a
/// process is not seen to end before it could be seen to begin.
pub const HOOKS: &[Hook] = &[
    Hook {
        program: "process_exit",
        place: "sched_process_exit",
        class: Class::Process,
        kind: HookKind::Tracepoint,
        required: true,
        shows: "ends of processes",
        without: "no process is seen to end",
    },
    Hook {
        program: "process_exec",
        place: "sched_process_exec",
        class: Class::Process,
        kind: HookKind::Tracepoint,
        required: true,
        shows: "programs being run",
        without: "no program is seen to run",
    },
    Hook {
        program: "process_fork",
        place: "sched_process_fork",
        class: Class::Process,
        kind: HookKind::Tracepoint,
        required: true,
        shows: "births of processes",
        without: "ancestry is incomplete",
    },
    Hook {
        program: "process_found",
        place: "task",
        class: Class::Process,
        kind: HookKind::Iterator,
        required: true,
        shows: "processes that already live",
        without: "processes older than the sensor are unknown",
    },
    Hook {
        program: "socket_read",
        place: "tcp_rcv_space_adjust",
        class: Class::Bulk,
        kind: HookKind::Tracepoint,
        required: false,
        shows: "who serves an accepted connection",
        without: "a connection served by another process than the accepting one is not told",
    },
    Hook {
        program: "socket_accept",
        place: "sys_exit",
        class: Class::Bulk,
        kind: HookKind::Tracepoint,
        required: false,
        shows: "accepted TCP connections",
        without: "a connection is told as accepted only when it is first read from",
    },
    Hook {
        program: "socket_state",
        place: "inet_sock_set_state",
        class: Class::Bulk,
        kind: HookKind::Tracepoint,
        required: false,
        shows: "TCP connections made and closed",
        without: "outgoing TCP connections and all closes are not seen",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_its_whole_name() {
        let exit = HOOKS.first().copied().expect("there are hooks");
        assert!(exit.is_in(b"\0int\0btf_trace_sched_process_exit\0"));
        assert!(!exit.is_in(b"\0int\0btf_trace_sched_process_exit_x\0"));
    }
}
