//! `dns`: names that processes ask for, and what they are told. The subject is the process that asks.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A message to a DNS server. Source is the process's side.
    pub const DNS_QUERY: Kind = Kind(80);
    /// A message from a DNS server. Source is the process's side, as in the query.
    pub const DNS_ANSWER: Kind = Kind(81);
}

/// What both have, and then what only one has.
macro_rules! columns {
    ($($more:ident),*) => {
        &[
            Field::EventOutcome,
            Field::ErrorCode,
            Field::SourceIp,
            Field::SourcePort,
            Field::DestinationIp,
            Field::DestinationPort,
            Field::NetworkTransport,
            Field::NetworkSocketCookie,
            Field::DnsQuestionName,
            Field::DnsQuestionType,
            $(Field::$more,)*
            Field::DnsId,
            Field::DnsOpCode,
            Field::DnsHeaderFlags,
            Field::DnsTruncated,
            Field::DnsRepeats,
        ]
    };
}

pub(super) const KINDS: &[KindInfo] = &[
    KindInfo {
        kind: Kind::DNS_QUERY,
        category: "dns",
        action: "query",
        lane: Lane::Bulk,
        columns: columns![],
    },
    KindInfo {
        kind: Kind::DNS_ANSWER,
        category: "dns",
        action: "answer",
        lane: Lane::Bulk,
        columns: columns![DnsAnswers, DnsResponseCode],
    },
];
