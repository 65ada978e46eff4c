//! `dns`: names that processes ask for, and what they are told.

use wire::event::Kind;
use wire::field::Field;

use super::super::class::DNS;
use super::super::codes::{OP_CODES, RESPONSE_CODES};
use super::super::mapping::{Case, Mapping};
use super::super::object::{EITHER_WAY, FROM_HERE, TO_THERE, UNKNOWN};
use crate::shape::{Attribute, Form, From};

const QUERY: Attribute = Attribute {
    name: "query",
    from: From::Required(&[
        Attribute { name: "hostname", from: From::FieldOr(Field::DnsQuestionName, Form::Plain, UNKNOWN) },
        Attribute::plain("type", Field::DnsQuestionType),
        Attribute::field("opcode_id", Field::DnsOpCode, Form::Code(&OP_CODES)),
        Attribute::field("opcode", Field::DnsOpCode, Form::Caption(&OP_CODES)),
        Attribute::plain("packet_uid", Field::DnsId),
    ]),
};
const COUNT: Attribute = Attribute::plain("count", Field::DnsRepeats);

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(Kind::DNS_QUERY, &DNS, &[Case::new(1, &[QUERY, FROM_HERE, TO_THERE, EITHER_WAY, COUNT])]),
    Mapping::new(
        Kind::DNS_ANSWER,
        &DNS,
        &[Case::new(
            2,
            &[
                QUERY,
                Attribute::field("answers", Field::DnsAnswers, Form::Each("rdata")),
                Attribute::field("rcode_id", Field::DnsResponseCode, Form::Code(&RESPONSE_CODES)),
                Attribute::field("rcode", Field::DnsResponseCode, Form::Caption(&RESPONSE_CODES)),
                FROM_HERE,
                TO_THERE,
                EITHER_WAY,
                COUNT,
            ],
        )],
    ),
];
