//! Messages for tests: such as are sent, and such as are not.

use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// A message's header with these flags and counts.
pub(super) fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [&[0xbe, 0xef][..], &flags.to_be_bytes(), &counts.map(u16::to_be_bytes).concat()].concat()
}

/// A query for a name, as a resolver sends it.
pub(super) fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    message.to_vec().unwrap()
}

/// The answer to [`query`], with these records under the name asked for.
pub(super) fn answer(name: &str, kind: RecordType, code: ResponseCode, said: Vec<RData>) -> Vec<u8> {
    let name = Name::from_str(name).unwrap();
    let mut message = Message::new(0x1234, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(Query::query(name.clone(), kind));
    message.add_answers(said.into_iter().map(|data| Record::from_rdata(name.clone(), 300, data)));
    message.set_edns(Edns::new());
    message.to_vec().unwrap()
}

/// What one finds on a network.
pub(super) fn real() -> Vec<Vec<u8>> {
    let addresses = vec![
        RData::CNAME(CNAME(Name::from_str("web.example.org.").unwrap())),
        RData::A(A::new(192, 0, 2, 1)),
        RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        RData::MX(MX::new(10, Name::from_str("mail.example.org.").unwrap())),
        RData::TXT(TXT::from_bytes(vec![b"v=spf1 -all", b"\x1b[2J\xff"])),
    ];
    vec![
        query("www.example.org.", RecordType::A),
        query(".", RecordType::NS),
        query(&format!("{}.example.", "x".repeat(63)), RecordType::TXT),
        answer("www.example.org.", RecordType::A, ResponseCode::NoError, addresses),
        answer("nowhere.example.org.", RecordType::AAAA, ResponseCode::NXDomain, vec![]),
        answer("old.example.org.", RecordType::A, ResponseCode::BADVERS, vec![]),
    ]
}

/// A query for a name that may be none.
fn asks(name: &[u8]) -> Vec<u8> {
    [&header(0x0100, [1, 0, 0, 0])[..], name, &[0, 1, 0, 1]].concat()
}

/// What is as it should be, and more than anybody needs.
pub(super) fn excessive() -> Vec<Vec<u8>> {
    vec![
        asks(&[&b"\x01a".repeat(127)[..], &[0]].concat()),
        asks(b"\x04\x1b[2J\x03\xff\xfe\0\x02\xc3\x28\0"),
        [header(0x8180, [0, 0, 0, 1]), b"\x01a\0\0\x29\x10\0\xff\0\0\0\0\0".to_vec()].concat(),
        [header(0x0100, [1000, 0, 0, 0]), b"\0\0\x01\0\x01".repeat(1000)].concat(),
        [header(0x8180, [0, 4000, 0, 0]), b"\0\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01".repeat(4000)].concat(),
        [header(0x8180, [0, 1, 0, 0]), b"\0\0\x10\0\x01\0\0\0\0\xff\x00".to_vec(), vec![255; 65280]].concat(),
    ]
}

/// What is sent by somebody who means harm, or something else.
pub(super) fn hostile() -> Vec<Vec<u8>> {
    let one_question = header(0x0100, [1, 0, 0, 0]);
    let ends_with = |bytes: &[u8], n: usize| [&one_question[..], &bytes.repeat(n)].concat();
    let mut pointers = header(0x8180, [0, 300, 0, 0]);
    pointers.push(0);
    pointers.extend((0..2000u16).flat_map(|n| (0xc000 | (12 + (n * 2).saturating_sub(1))).to_be_bytes()));
    vec![
        vec![],
        vec![0],
        header(0x0100, [1, 0, 0, 0])[..11].to_vec(),
        header(0x0100, [1, 0, 0, 0]),
        header(0, [0; 4]),
        header(0x0100, [u16::MAX; 4]),
        // Names that lead to themselves, to each other, forward, out of the message, and far back.
        asks(b"\xc0\x0c"),
        asks(b"\xc0\x0e\xc0\x0c"),
        asks(b"\xc0\x10\x01a\0"),
        asks(b"\xff\xff"),
        asks(b"\x01a\xc0\x0c"),
        asks(b"\xc0\0"),
        pointers,
        // Labels that are none, and names that are too long.
        asks(&[&[255][..], &[b'a'; 255], &[0]].concat()),
        asks(&[&[64][..], &[b'a'; 64], &[0]].concat()),
        asks(&[&[0x80][..], &[b'a'; 64], &[0]].concat()),
        asks(&[&[&[63][..], &[b'a'; 63]].concat().repeat(4)[..], &[0]].concat()),
        // More than there is, less than there is, and too much of it.
        ends_with(b"\0\0\x01\0\x01", 1000),
        [header(0x8180, [0, 1, 0, 0]), b"\0\0\x01\0\x01\0\0\0\0\xff\xff".to_vec()].concat(),
        [query("www.example.org.", RecordType::A), b"and more".to_vec()].concat(),
        // Other protocols.
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20),
        vec![0; 4096],
        vec![0xff; 65535],
    ]
}
