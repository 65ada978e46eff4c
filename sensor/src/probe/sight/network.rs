//! `network`: TCP connections.

use super::{Sight, Way, file::RETURNED};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn tracepoint(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Bulk, kind: HookKind::Tracepoint }
}

const READ: Hook = tracepoint("socket_read", "tcp_rcv_space_adjust");
const ACCEPTED: Hook =
    Hook { program: "socket_accepted", place: "inet_accept", class: Class::Bulk, kind: HookKind::Return };
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
];
