//! A program and its place in the kernel.

use memchr::memmem;

use crate::record::Class;

/// A program and the place in the kernel it is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// Where it is attached: a tracepoint, a kernel function, or the kind of object iterated over.
    pub place: &'static str,
    /// The sequence its records are numbered in.
    pub class: Class,
    /// How it is attached.
    pub kind: HookKind,
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// A tracepoint with typed arguments (`tp_btf`).
    Tracepoint,
    /// The entry of a kernel function (`fentry`).
    Entry,
    /// The return of a kernel function (`fexit`).
    Return,
    /// Packets of the sockets of a control group, by direction (`cgroup_skb`), at the root of cgroup v2.
    Packets,
    /// Settings of the kernel that are read and written (`cgroup/sysctl`), at the root of cgroup v2.
    Settings,
    /// What becomes of the sockets of a control group (`cgroup/sock_create`, `post_bind4`, …), at the root of cgroup v2.
    Socket,
    /// Addresses that processes of a control group name to a socket (`cgroup/connect4`), at the same root.
    Address,
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
        let kind = match self.kind {
            HookKind::Tracepoint => "tp_btf",
            HookKind::Entry => "fentry",
            HookKind::Return => "fexit",
            HookKind::Packets => "cgroup_skb",
            HookKind::Settings => "cgroup",
            HookKind::Socket => "cgroup",
            HookKind::Address => "cgroup",
            HookKind::Iterator => "iter",
        };
        format!("{kind}/{}", self.place)
    }

    /// Whether the kernel's type information (the bytes of `/sys/kernel/btf/vmlinux`) names the place.
    pub fn is_in(&self, btf: &[u8]) -> bool {
        let name = match self.kind {
            HookKind::Tracepoint => format!("\0btf_trace_{}\0", self.place),
            HookKind::Entry | HookKind::Return => format!("\0{}\0", self.place),
            HookKind::Packets | HookKind::Settings | HookKind::Socket | HookKind::Address => return true,
            HookKind::Iterator => format!("\0bpf_iter_{}\0", self.place),
        };
        memmem::find(btf, name.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_its_whole_name() {
        let hook = |kind| Hook { program: "p", place: "sched_process_exit", class: Class::Process, kind };
        assert!(hook(HookKind::Tracepoint).is_in(b"\0int\0btf_trace_sched_process_exit\0"));
        assert!(!hook(HookKind::Tracepoint).is_in(b"\0int\0btf_trace_sched_process_exit_x\0"));
        assert!(!hook(HookKind::Entry).is_in(b"\0int\0btf_trace_sched_process_exit\0"));
        assert!(hook(HookKind::Return).is_in(b"\0sched_process_exit\0"));
    }
}
