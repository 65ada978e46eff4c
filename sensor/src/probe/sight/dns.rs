//! `dns`: names that processes ask for, and what they are told.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn address(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Bulk, kind: HookKind::Address }
}

const fn packets(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Bulk, kind: HookKind::Packets }
}

const CONNECTS4: Hook = address("dns_connects4", "connect4");
const CONNECTS6: Hook = address("dns_connects6", "connect6");
const SENDS4: Hook = address("dns_sends4", "sendmsg4");
const SENDS6: Hook = address("dns_sends6", "sendmsg6");
const LEAVES: Hook = packets("dns_leaves", "egress");
const ARRIVES: Hook = packets("dns_arrives", "ingress");

pub(super) static SIGHTS: &[Sight] = &[
    Sight {
        name: "dns.answer",
        shows: "what DNS servers answer, and to whom",
        without: "what DNS servers answer is not seen",
        required: false,
        ways: &[Way {
            name: "cgroup",
            hooks: &[&ARRIVES, &CONNECTS4, &CONNECTS6, &SENDS4, &SENDS6],
            blind: "",
        }],
    },
    Sight {
        name: "dns.query",
        shows: "the names that processes ask DNS servers for",
        without: "no name is seen that a process asks a DNS server for",
        required: false,
        ways: &[Way {
            name: "cgroup",
            hooks: &[&LEAVES, &CONNECTS4, &CONNECTS6, &SENDS4, &SENDS6],
            blind: "",
        }],
    },
];
