use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, RecordType};
use wire::id::ProcessKey;

use super::corpus::{answer, excessive, hostile, query};
use super::*;

const SECOND: u64 = 1_000_000_000;

fn task(pid: u32) -> Task {
    Task { key: ProcessKey { start: BootTime::from_ns(5), pid }, image: 1 }
}

fn ends(pid: u32) -> DnsEnds {
    let (source, destination) = (([10, 0, 0, 1], 40000).into(), ([127, 0, 0, 53], 53).into());
    DnsEnds { task: task(pid), cookie: 7, source, destination }
}

fn datagram(payload: &[u8], is_answer: bool) -> record::Dns<'_> {
    let carrier = Carrier::Udp { each_bytes: 0 };
    record::Dns { ends: ends(1), is_answer, carrier, n_bytes: payload.len() as u32, payload }
}

fn piece(payload: &[u8], at: u32) -> record::Dns<'_> {
    let carrier = Carrier::Tcp { isn: 99, at };
    record::Dns { ends: ends(1), is_answer: false, carrier, n_bytes: payload.len() as u32, payload }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

fn now(ns: u64) -> BootTime {
    BootTime::from_ns(ns)
}

/// Kind, name, outcome and how many it stands for.
fn brief(told: &[Told]) -> Vec<String> {
    let text = |told: &Told, field| match told.event.row.get(field) {
        Some(Value::Keyword(bytes)) => bytes.escape_ascii().to_string(),
        Some(Value::Uint(n)) => n.to_string(),
        _ => "-".to_owned(),
    };
    let fields = [Field::DnsQuestionName, Field::EventOutcome, Field::DnsRepeats];
    told.iter()
        .map(|told| {
            for (field, _) in told.event.row.iter() {
                let kind = told.event.kind;
                assert!(kind.info().unwrap().columns.contains(&field), "{field} is no column of {kind}");
            }
            let values = fields.map(|field| text(told, field)).join(" ");
            format!("{} {values}", told.event.kind.info().unwrap().action)
        })
        .collect()
}

#[test]
fn a_query_and_its_answer_are_events() {
    let mut dns = Dns::default();
    let asked = query("Example.ORG.", RecordType::A);
    assert_eq!(brief(&dns.take(&datagram(&asked, false), now(1))), ["query example.org success -"]);
    let said = |code| answer("example.org.", RecordType::A, code, vec![RData::A(A::new(192, 0, 2, 1))]);
    let told = dns.take(&datagram(&said(ResponseCode::NoError), true), now(2));
    assert_eq!(brief(&told), ["answer example.org success -"]);
    assert_eq!(told[0].event.row.get(Field::DnsAnswers), Some(&Value::List(vec!["192.0.2.1".into()])));
    assert_eq!(told[0].event.row.get(Field::DnsTruncated), None);
    let told = dns.take(&datagram(&said(ResponseCode::NXDomain), true), now(3));
    assert_eq!(brief(&told), ["answer example.org failure -"]);
    assert_eq!(told[0].event.row.get(Field::ErrorCode), None, "the message is a good one");
}

#[test]
fn what_is_no_dns_is_told_without_a_name() {
    let mut dns = Dns::default();
    let told = dns.take(&datagram(b"hello", false), now(1));
    assert_eq!(brief(&told), ["query - failure -"]);
    assert_eq!(told[0].event.row.get(Field::ErrorCode), Some(&Value::from("EBADMSG")));
    assert_eq!(brief(&dns.take(&datagram(b"", true), now(1))), ["answer - failure -"]);
    // An answer that is sent, and a query that comes back, are not what belongs there.
    let told = dns.take(&datagram(&query("a.", RecordType::A), true), now(1));
    assert_eq!(brief(&told), ["answer a failure -"]);
    for bytes in hostile().into_iter().chain(excessive()) {
        for is_answer in [false, true] {
            brief(&dns.take(&datagram(&bytes, is_answer), now(2)));
        }
    }
}

#[test]
fn a_loop_makes_an_event_a_second() {
    let mut dns = Dns::default();
    let asked = query("loop.example.", RecordType::A);
    let mut told = Vec::new();
    for n in 0..2500 {
        // Each with a number and a port of its own.
        let mut asked = asked.clone();
        asked[..2].copy_from_slice(&(n as u16).to_be_bytes());
        let mut record = datagram(&asked, false);
        record.ends.source.set_port(n as u16 + 1);
        told.extend(dns.take(&record, now(n * SECOND / 1000)));
    }
    let other = query("other.example.", RecordType::A);
    told.extend(dns.take(&datagram(&other, false), now(2 * SECOND + 1)));
    assert!(dns.expire(now(2 * SECOND + 2)).is_empty());
    told.extend(dns.expire(now(4 * SECOND)));
    told.extend(dns.finish(now(4 * SECOND)));
    let loops = "query loop.example success";
    assert_eq!(
        brief(&told),
        [
            format!("{loops} -"),
            format!("{loops} 1000"),
            format!("{loops} 1000"),
            "query other.example success -".to_owned(),
            format!("{loops} 499"),
        ]
    );
    assert_eq!(1 + 1000 + 1000 + 499, 2500);
}

#[test]
fn processes_servers_and_types_are_told_apart() {
    let mut dns = Dns::default();
    let (a, aaaa) = (query("x.", RecordType::A), query("x.", RecordType::AAAA));
    let mut others = [datagram(&a, false); 4];
    others[1].ends.task = task(2);
    others[2].ends.destination.set_port(5353);
    others[3].payload = &aaaa;
    for record in others {
        assert_eq!(dns.take(&record, now(1)).len(), 1);
        assert_eq!(dns.take(&record, now(2)).len(), 0);
    }
    let addresses = |order: [u8; 2]| order.map(|n| RData::A(A::new(192, 0, 2, n))).to_vec();
    let said = |order| answer("x.", RecordType::A, ResponseCode::NoError, addresses(order));
    assert_eq!(dns.take(&datagram(&said([1, 2]), true), now(3)).len(), 1);
    assert_eq!(dns.take(&datagram(&said([2, 1]), true), now(4)).len(), 0, "servers turn them round");
    assert_eq!(dns.take(&datagram(&said([1, 3]), true), now(5)).len(), 1);
}

#[test]
fn each_of_many_questions_and_datagrams_is_told() {
    let mut dns = Dns::default();
    let mut asked = query("one.", RecordType::A);
    asked[5] = 2;
    asked.extend(b"\x03two\0\0\x10\0\x01");
    assert_eq!(
        brief(&dns.take(&datagram(&asked, false), now(1))),
        ["query one success -", "query two success -"]
    );
    // UDP_SEGMENT: the kernel cuts what was sent into datagrams of one length.
    let many = [query("aa.", RecordType::A), query("bb.", RecordType::A)].concat();
    let mut record = datagram(&many, false);
    record.carrier = Carrier::Udp { each_bytes: many.len() as u32 / 2 };
    assert_eq!(brief(&dns.take(&record, now(2))), ["query aa success -", "query bb success -"]);
}

#[test]
fn tcp_is_read_message_by_message() {
    let mut dns = Dns::default();
    let all = [framed(&query("one.", RecordType::A)), framed(&query("two.", RecordType::A))].concat();
    assert!(dns.take(&piece(&all[..7], 0), now(1)).is_empty());
    let told = dns.take(&piece(&all[7..], 7), now(2));
    assert_eq!(brief(&told), ["query one success -", "query two success -"]);
    assert_eq!(told[0].event.row.get(Field::NetworkTransport), Some(&Value::from("tcp")));
    // A message that never ends is told after a while, once.
    assert!(dns.take(&piece(b"\x61", all.len() as u32), now(3)).is_empty());
    assert!(dns.expire(now(4 * SECOND)).is_empty());
    assert_eq!(brief(&dns.expire(now(6 * SECOND))), ["query - failure -"]);
    assert!(dns.take(&piece(b"more", all.len() as u32 + 1), now(7 * SECOND)).is_empty());
    assert!(dns.finish(now(8 * SECOND)).is_empty());
}

#[test]
fn streams_are_bounded_and_what_is_given_up_is_counted() {
    let mut dns = Dns::default();
    let message = framed(&query("one.", RecordType::A));
    let mut told = 0;
    for cookie in 0..600 {
        let mut record = piece(&message[..20], 0);
        record.ends.cookie = cookie;
        record.ends.task = task(cookie as u32);
        told += dns.take(&record, now(cookie)).len();
    }
    assert_eq!(told, 600 - 512, "the oldest are told as far as they came");
    // The length before the second message is never seen.
    let mut record = piece(b"x", 100);
    record.ends.cookie = 599;
    dns.take(&record, now(700));
    assert_eq!(dns.n_given_up(), 0);
    dns.expire(now(3 * SECOND));
    assert_eq!(dns.n_given_up(), 1);
}

#[test]
fn a_forgotten_stream_goes_on_at_a_message() {
    let mut dns = Dns::default();
    let message = framed(&query("one.", RecordType::A));
    assert_eq!(dns.take(&piece(&message, 0), now(1)).len(), 1);
    dns.expire(now(100 * SECOND));
    let told = dns.take(&piece(&message, message.len() as u32), now(100 * SECOND));
    assert_eq!(brief(&told), ["query one success -"]);
}
