//! What a BPF program is: the names of include/uapi/linux/bpf.h, in lower case and without their common beginning.

use crate::record::Program;

/// `enum bpf_prog_type`.
const TYPES: &[&str] = &[
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// `enum bpf_attach_type`.
const ATTACH_TYPES: &[&str] = &[
    "cgroup_inet_ingress",
    "cgroup_inet_egress",
    "cgroup_inet_sock_create",
    "cgroup_sock_ops",
    "sk_skb_stream_parser",
    "sk_skb_stream_verdict",
    "cgroup_device",
    "sk_msg_verdict",
    "cgroup_inet4_bind",
    "cgroup_inet6_bind",
    "cgroup_inet4_connect",
    "cgroup_inet6_connect",
    "cgroup_inet4_post_bind",
    "cgroup_inet6_post_bind",
    "cgroup_udp4_sendmsg",
    "cgroup_udp6_sendmsg",
    "lirc_mode2",
    "flow_dissector",
    "cgroup_sysctl",
    "cgroup_udp4_recvmsg",
    "cgroup_udp6_recvmsg",
    "cgroup_getsockopt",
    "cgroup_setsockopt",
    "trace_raw_tp",
    "trace_fentry",
    "trace_fexit",
    "modify_return",
    "lsm_mac",
    "trace_iter",
    "cgroup_inet4_getpeername",
    "cgroup_inet6_getpeername",
    "cgroup_inet4_getsockname",
    "cgroup_inet6_getsockname",
    "xdp_devmap",
    "cgroup_inet_sock_release",
    "xdp_cpumap",
    "sk_lookup",
    "xdp",
    "sk_skb_verdict",
    "sk_reuseport_select",
    "sk_reuseport_select_or_migrate",
    "perf_event",
    "trace_kprobe_multi",
    "lsm_cgroup",
    "struct_ops",
    "netfilter",
    "tcx_ingress",
    "tcx_egress",
    "trace_uprobe_multi",
    "cgroup_unix_connect",
    "cgroup_unix_sendmsg",
    "cgroup_unix_recvmsg",
    "cgroup_unix_getpeername",
    "cgroup_unix_getsockname",
    "netkit_primary",
    "netkit_peer",
    "trace_kprobe_session",
    "trace_uprobe_session",
    "trace_fsession",
];

/// The first attach type is also what nothing said looks like; only packets of a control group are meant by it.
const CGROUP_SKB: u32 = 8;

/// The program's type; its number where this version has no name for it.
pub(super) fn type_name(program: &Program) -> String {
    name(TYPES, program.program_type)
}

/// What it is made to be attached to: the attach type, a slash and the function; what is not said is left out.
pub(super) fn attach(program: &Program) -> Option<Vec<u8>> {
    let said = program.attach_type != 0 || program.program_type == CGROUP_SKB;
    let attach_type = said.then(|| name(ATTACH_TYPES, program.attach_type).into_bytes());
    let function = (!program.function.is_empty()).then(|| program.function.clone());
    let parts: Vec<Vec<u8>> = attach_type.into_iter().chain(function).collect();
    (!parts.is_empty()).then(|| parts.join(&b'/'))
}

fn name(names: &[&str], number: u32) -> String {
    names.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_the_names_of_the_kernels_header() {
        let program = |program_type, attach_type, function: &str| Program {
            program_type,
            attach_type,
            function: function.into(),
        };
        let lsm = program(29, 27, "bpf_lsm_file_open");
        assert_eq!(type_name(&lsm), "lsm");
        assert_eq!(attach(&lsm), Some(b"lsm_mac/bpf_lsm_file_open".to_vec()));
        assert_eq!(attach(&program(2, 0, "")), None);
        assert_eq!(attach(&program(CGROUP_SKB, 0, "")), Some(b"cgroup_inet_ingress".to_vec()));
        let unknown = program(999, 998, "");
        assert_eq!((type_name(&unknown), attach(&unknown)), ("999".into(), Some(b"998".to_vec())));
    }
}
