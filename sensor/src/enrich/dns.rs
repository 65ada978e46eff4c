//! What a process asks a DNS server, and what it is told.

use bytes::Bytes;
use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use crate::dns::Heard;

/// The values of a message: a row for each question of a query, one for an answer, and one where nothing can be read.
pub fn dns_rows(heard: &Heard) -> Vec<Row> {
    let base = base(heard);
    let n_rows = if heard.is_answer { 1 } else { heard.message.questions.len().max(1) };
    let mut rows: Vec<Row> = heard
        .message
        .questions
        .iter()
        .take(n_rows)
        .map(|(name, kind)| {
            base.clone()
                .with(Field::DnsQuestionName, Bytes::from(name.clone()))
                .with(Field::DnsQuestionType, Bytes::from(kind.clone()))
        })
        .collect();
    if rows.is_empty() {
        rows.push(base);
    }
    rows
}

fn base(heard: &Heard) -> Row {
    let (ends, message) = (&heard.ends, &heard.message);
    let mut row = Row::default()
        .with(Field::SourceIp, ends.source.ip())
        .with(Field::SourcePort, u64::from(ends.source.port()))
        .with(Field::DestinationIp, ends.destination.ip())
        .with(Field::DestinationPort, u64::from(ends.destination.port()))
        .with(Field::NetworkTransport, if heard.is_tcp { "tcp" } else { "udp" })
        .with(Field::NetworkSocketCookie, ends.cookie);
    let is_found = !heard.is_answer || message.response_code == "NOERROR";
    row.set(Field::EventOutcome, if message.is_sound && is_found { "success" } else { "failure" });
    if !message.is_sound {
        row.set(Field::ErrorCode, "EBADMSG");
    }
    if message.is_cut {
        row.set(Field::DnsTruncated, true);
    }
    let Some(id) = message.id else { return row };
    row.set(Field::DnsId, u64::from(id));
    row.set(Field::DnsOpCode, Bytes::from(message.op_code.clone()));
    if !message.flags.is_empty() {
        let flags = message.flags.iter().map(|flag| Bytes::from_static(flag.as_bytes())).collect();
        row.set(Field::DnsHeaderFlags, Value::List(flags));
    }
    if heard.is_answer {
        row.set(Field::DnsResponseCode, Bytes::from(message.response_code.clone()));
        if !message.answers.is_empty() {
            let answers = message.answers.iter().cloned().map(Bytes::from).collect();
            row.set(Field::DnsAnswers, Value::List(answers));
        }
    }
    row
}
