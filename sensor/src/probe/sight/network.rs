//! `network`: connections and sockets.

use super::{Sight, Way, file::RETURNED};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn tracepoint(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Bulk, kind: HookKind::Tracepoint }
}

const READ: Hook = tracepoint("socket_read", "tcp_rcv_space_adjust");
const ACCEPTED: Hook =
    Hook { program: "socket_accepted", place: "inet_accept", class: Class::Bulk, kind: HookKind::Return };
const fn socket(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Bulk, kind: HookKind::Socket }
}

const CREATED: Hook = socket("socket_created", "sock_create");
const MADE: Hook = Hook {
    program: "socket_made",
    place: "security_socket_post_create",
    class: Class::Bulk,
    kind: HookKind::Return,
};
const BOUND_4: Hook = socket("socket_bound4", "post_bind4");
const BOUND_6: Hook = socket("socket_bound6", "post_bind6");
const RELEASED: Hook = socket("socket_released", "sock_release");
const LEAVES: Hook =
    Hook { program: "flow_leaves", place: "egress", class: Class::Bulk, kind: HookKind::Packets };
const ARRIVES: Hook =
    Hook { program: "flow_arrives", place: "ingress", class: Class::Bulk, kind: HookKind::Packets };
const FOUND: Hook =
    Hook { program: "flow_found", place: "task_file", class: Class::Bulk, kind: HookKind::Iterator };
const CONSUMED: Hook =
    Hook { program: "flow_read", place: "skb_consume_udp", class: Class::Bulk, kind: HookKind::Entry };
const STATE: Hook = tracepoint("socket_state", "inet_sock_set_state");

pub(super) static SIGHTS: &[Sight] = &[
    Sight {
        name: "network.serve",
        shows: "who serves an accepted connection",
        without: "a connection served by another process than the accepting one is not told",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&READ], blind: "" }],
    },
    Sight {
        name: "network.accept",
        shows: "accepted TCP connections",
        without: "a connection is told as accepted only when it is first read from",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&ACCEPTED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "a connection accepted through io_uring is told when it is first read from",
            },
        ],
    },
    Sight {
        name: "network.connect",
        shows: "TCP connections made and closed",
        without: "outgoing TCP connections and all closes are not seen",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&STATE], blind: "" }],
    },
    Sight {
        name: "network.bind",
        shows: "TCP and UDP sockets bound to an address",
        without: "no socket is seen to be bound",
        required: false,
        ways: &[Way { name: "cgroup", hooks: &[&BOUND_4, &BOUND_6], blind: "" }],
    },
    Sight {
        name: "network.socket",
        shows: "sockets made for raw IP, for packets, and to ping",
        without: "no raw or packet socket is seen to be made, and what goes through one is never told",
        required: false,
        ways: &[
            Way { name: "cgroup and fexit", hooks: &[&CREATED, &MADE], blind: "" },
            Way {
                name: "cgroup and sys_exit",
                hooks: &[&CREATED, &RETURNED],
                blind: "packet sockets made through io_uring are not seen",
            },
        ],
    },
    Sight {
        name: "network.send",
        shows: "flows of UDP datagrams: between whom, and how much",
        without: "no datagram is seen to be sent or to arrive",
        required: false,
        ways: &[Way {
            name: "cgroup",
            hooks: &[&RELEASED, &FOUND, &CREATED, &BOUND_4, &BOUND_6, &LEAVES, &ARRIVES],
            blind: "",
        }],
    },
    Sight {
        name: "network.receive",
        shows: "who reads or answers the first datagram of a peer",
        without: "datagrams that arrive are told as of the process that last made, bound or used the socket",
        required: false,
        ways: &[
            Way { name: "fentry", hooks: &[&CONSUMED, &LEAVES], blind: "" },
            Way {
                name: "cgroup",
                hooks: &[&LEAVES],
                blind: "who reads datagrams and does not answer is not seen; they are told as of the process that last made, bound or used the socket",
            },
        ],
    },
];
